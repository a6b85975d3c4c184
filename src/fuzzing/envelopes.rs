//! Messages of the broker, each for itself.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use crate::{
    actors::messages,
    domain::{Event, Rewind, TransactionMessage, UnlockMessage, Watermark},
    streams::envelope::{Envelope, UnixTime},
};

/// Longest error: it stands in a dead letter.
const ERROR_CHARS_MAX: usize = 1_000;
const MAX_BYTES: usize = 8 << 20;

/// The body of a message, read as each kind of message that is read.
///
/// What is read is the same when it is written and read again; an error is short.
pub fn envelopes(bytes: &[u8]) {
    survives::<Event>(bytes);
    survives::<Watermark>(bytes);
    survives::<Rewind>(bytes);
    survives::<UnlockMessage>(bytes);
    survives::<TransactionMessage>(bytes);
    survives::<Json>(bytes);
    if let Some(earned) = messages::read_earned(bytes) {
        let written = messages::earned(&earned, "mark").unwrap();
        let crate::actors::outbox::Outgoing::Publish { payload, .. } = written else {
            panic!("a notice is published");
        };
        let again = messages::read_earned(payload.as_bytes()).unwrap();
        assert_eq!((again.state, again.request), (earned.state, earned.request));
    }
    if let Ok(envelope) = Envelope::<Json>::decode(bytes, MAX_BYTES) {
        assert_eq!(messages::id(bytes).as_ref(), Some(&envelope.id));
        // Others may have attributes that we would not write.
        if let Ok(written) = envelope.encode() {
            assert_eq!(Envelope::decode(&written, MAX_BYTES).unwrap(), envelope);
        }
    }
}

fn survives<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) {
    match messages::read::<T>(bytes) {
        Ok(value) => {
            let envelope = Envelope::new("id", "/meritd/any", "merit.v1.any", UnixTime(0), &value);
            let written = envelope.encode().unwrap();
            assert_eq!(messages::read::<T>(&written).unwrap(), value, "it survives its message");
        }
        Err(error) => {
            let length = error.to_string().chars().count();
            assert!(length <= ERROR_CHARS_MAX, "an error of {length} characters: {error}");
        }
    }
}

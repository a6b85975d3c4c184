//! What a message of the events stream is to a fold.

use super::messages::{self, MessageError};
use crate::{
    domain::{Event, Rewind, Watermark},
    fold::{Account, Hole, Input},
};

/// What a message says.
pub(crate) enum Heard {
    /// Something to be folded.
    Input(Box<Input>),
    /// Nothing: it was declared void.
    Void,
    /// That what was said before is void. The account does not know of it yet.
    Rewind(Rewind),
}

/// Why a message says nothing.
pub(crate) enum Unheard {
    /// It is not what its subject promises.
    Unreadable,
    /// Something that should stand before it does not.
    Hole(Hole),
}

/// A message of the stream, read.
pub(crate) enum Message {
    Event(Box<Event>),
    Watermark(Box<Watermark>),
    Rewind(Box<Rewind>),
}

impl Message {
    /// Reads a message.
    pub(crate) fn read(subject: &str, payload: &[u8]) -> Result<Self, MessageError> {
        Ok(if subject.starts_with("merit.v1.rewinds.") {
            Self::Rewind(Box::new(messages::read(payload)?))
        } else if subject.starts_with("merit.v1.watermarks.") {
            Self::Watermark(Box::new(messages::read(payload)?))
        } else {
            Self::Event(Box::new(messages::read(payload)?))
        })
    }

    /// Keeps account of it.
    pub(crate) fn heard(self, account: &mut Account, sequence: u64) -> Result<Heard, Hole> {
        let input = match self {
            Self::Rewind(rewind) => return Ok(Heard::Rewind(*rewind)),
            Self::Watermark(watermark) => match account.watermark(sequence, &watermark)? {
                true => Input::Watermark(*watermark),
                false => return Ok(Heard::Void),
            },
            Self::Event(event) => match account.event(sequence, &event) {
                true => Input::Event(*event),
                false => return Ok(Heard::Void),
            },
        };
        Ok(Heard::Input(Box::new(input)))
    }
}

/// Reads a message and keeps account of it.
pub(crate) fn hear(
    account: &mut Account,
    sequence: u64,
    subject: &str,
    payload: &[u8],
) -> Result<Heard, Unheard> {
    let said = Message::read(subject, payload).map_err(|_| Unheard::Unreadable)?;
    said.heard(account, sequence).map_err(Unheard::Hole)
}

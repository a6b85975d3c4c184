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
    Unreadable(MessageError),
    /// Something that should stand before it does not.
    Hole(Hole),
}

/// Reads a message and keeps account of it.
pub(crate) fn hear(
    account: &mut Account,
    sequence: u64,
    subject: &str,
    payload: &[u8],
) -> Result<Heard, Unheard> {
    let input = if subject.starts_with("merit.v1.rewinds.") {
        return messages::read(payload).map(Heard::Rewind).map_err(Unheard::Unreadable);
    } else if subject.starts_with("merit.v1.watermarks.") {
        let watermark: Watermark = messages::read(payload).map_err(Unheard::Unreadable)?;
        match account.watermark(sequence, &watermark).map_err(Unheard::Hole)? {
            true => Input::Watermark(watermark),
            false => return Ok(Heard::Void),
        }
    } else {
        let event: Event = messages::read(payload).map_err(Unheard::Unreadable)?;
        match account.event(sequence, &event) {
            true => Input::Event(event),
            false => return Ok(Heard::Void),
        }
    };
    Ok(Heard::Input(Box::new(input)))
}

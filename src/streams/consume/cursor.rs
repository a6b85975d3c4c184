//! Where a reader is, and how that meets the stream.

use serde::{Deserialize, Serialize};

use crate::{
    streams::{
        StreamError, connection::Connection, read::Stored, setup::StreamIncarnation, single,
        subjects::StreamId,
    },
    teeth::{Tooth, is_planted},
};

/// Up to where a consumer has handled a stream; lies in its store, in the
/// same transaction as what the messages caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Which stream of this name.
    pub incarnation: StreamIncarnation,
    /// The last sequence that was handled.
    pub sequence: u64,
    /// The last message that was seen up to there: what tells a stream that
    /// lost its tail and grew past the cursor again. Cursors of older versions
    /// have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Witness>,
}

/// A message as the stream had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// Its sequence.
    pub sequence: u64,
    /// When the server stored it, nanoseconds since the Unix epoch.
    pub stored_at_ns: u64,
    /// CRC-32 of its subject and body: where a server's clock was set back, two messages can
    /// have one place and one time. Cursors of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<u32>,
}

impl Witness {
    pub(super) fn of(message: &Stored) -> Self {
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(message.subject.as_bytes());
        checksum.update(&[0]);
        checksum.update(&message.payload);
        Self {
            sequence: message.sequence,
            stored_at_ns: message.stored_at_ns,
            checksum: Some(checksum.finalize()),
        }
    }

    /// Whether it is this message; one without a checksum is known by its time.
    fn is_of(&self, message: &Stored) -> bool {
        let found = Self::of(message);
        Self { checksum: self.checksum.and(found.checksum), ..found } == *self
    }
}

/// How the store's cursor met the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumption {
    /// There was no cursor: the stream is read from its start.
    FromStart,
    /// The stream goes on after the cursor.
    Continued,
    /// The cursor is of a stream that was deleted: this one is read from its
    /// start. Known messages come again, under other sequences: the reader
    /// recognises them by position or id.
    NewIncarnation,
    /// The stream ends before the cursor: the server lost its tail. What
    /// comes next has sequences that other messages had before.
    TailLost {
        /// The last sequence it still has.
        last: u64,
    },
    /// The stream has another message where the cursor saw one: it lost its
    /// tail and grew again. Where they part is unknown, so it is read from its
    /// start, as a new incarnation is.
    TailReplaced,
}

/// After which message reading begins.
pub(super) fn resume(
    cursor: Option<Cursor>,
    incarnation: StreamIncarnation,
    last: u64,
) -> (u64, Resumption) {
    match cursor {
        None => (0, Resumption::FromStart),
        Some(cursor) if is_planted(Tooth::CursorTrusted) => {
            (cursor.sequence.min(last), Resumption::Continued)
        }
        Some(cursor) if cursor.incarnation != incarnation => (0, Resumption::NewIncarnation),
        Some(cursor) if cursor.sequence > last => (last, Resumption::TailLost { last }),
        Some(cursor) => (cursor.sequence, Resumption::Continued),
    }
}

/// Whether the stream has this message, or none, in its place: one that a
/// person deleted tells nothing.
pub(super) async fn is_there(
    connection: &Connection,
    stream: StreamId,
    witness: Witness,
) -> Result<bool, StreamError> {
    let found = single::message(connection, stream, witness.sequence).await?;
    Ok(found.is_none_or(|found| witness.is_of(&found)))
}

//! What can come of publishing, other than an acknowledgement.

use super::subjects::StreamId;
use crate::breakers::{Classify, FailureClass};

/// Why a publish is not known to be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// A newer writer holds the fence. Nothing was stored; whoever gets this
    /// must stop writing.
    #[error("{fence}: fenced off, a newer writer holds sequence {found} (ours is {held})")]
    Fenced {
        /// The fence's subject.
        fence: String,
        /// The sequence we hold.
        held: u64,
        /// The present one; 0 when the stream lost it.
        found: u64,
    },
    /// The last message of a subject is not the expected one. Nothing was
    /// stored; read the stream again.
    #[error("{stream}: not as expected: {description}")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The server's words.
        description: String,
    },
    /// It may be stored, now or later: only the stream knows. Read it again.
    #[error("{stream}: unknown whether it was stored: {reason}")]
    Ambiguous {
        /// The stream.
        stream: StreamId,
        /// What came instead of an answer.
        reason: String,
    },
    /// The server refused it for good. Nothing was stored.
    #[error("{stream}: refused: {description} (code {code})")]
    Refused {
        /// The stream.
        stream: StreamId,
        /// JetStream's error code.
        code: u64,
        /// The server's words.
        description: String,
    },
    /// The server can't take it now. Nothing was stored; try again.
    #[error("{stream}: unavailable: {reason}")]
    Unavailable {
        /// The stream.
        stream: StreamId,
        /// Why.
        reason: String,
    },
    /// The message is larger than the server takes. Nothing was sent.
    #[error("{subject}: message of {size} bytes, the server takes {limit}")]
    TooLarge {
        /// The message's subject.
        subject: String,
        /// Headers and payload, bytes.
        size: usize,
        /// The server's `max_payload`, bytes.
        limit: usize,
    },
    /// The batch has none or too many messages. Nothing was sent.
    #[error("{stream}: an atomic batch of {count} messages; 1 to {limit} are possible")]
    BadBatch {
        /// The stream.
        stream: StreamId,
        /// How many were given.
        count: usize,
        /// How many this batch could have.
        limit: usize,
    },
}

impl Classify for PublishError {
    fn class(&self) -> FailureClass {
        match self {
            Self::Ambiguous { .. } | Self::Unavailable { .. } => FailureClass::Fault,
            Self::Fenced { .. }
            | Self::Conflict { .. }
            | Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::BadBatch { .. } => FailureClass::Answer,
        }
    }
}

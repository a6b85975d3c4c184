//! What goes wrong when talking to NATS, apart from publishing.

use super::version::ServerVersion;
use crate::breakers::{Classify, FailureClass};

/// Why a connection, a stream or a consumer could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Nothing answers as NATS there.
    #[error(
        "no NATS server can be reached at {servers}: {reason}; check `nats.urls`, and that the server runs"
    )]
    Unreachable {
        /// Addresses, without credentials.
        servers: String,
        /// What the attempt ended with.
        reason: String,
    },
    /// The server does not accept who we say we are.
    #[error("the NATS server at {servers} refuses these credentials; check `nats.credentials`")]
    Unauthorized {
        /// Addresses, without credentials.
        servers: String,
    },
    /// An address that can't be used.
    #[error(
        "`{url}` is not an address of a NATS server; write `nats://HOST:PORT` or `tls://HOST:PORT`"
    )]
    BadAddress {
        /// What was given, without credentials.
        url: String,
    },
    /// The credentials file can't be read or parsed.
    #[error("credentials file {path}: {reason}")]
    BadCredentials {
        /// Where it was looked for.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server lacks what meritd builds on.
    #[error(
        "the NATS server is version {found}; meritd needs {needed} or newer (atomic batch publishing)"
    )]
    TooOld {
        /// As the server names itself.
        found: String,
        /// The oldest that will do.
        needed: ServerVersion,
    },
    /// The server runs without JetStream, or the account may not use it.
    #[error(
        "JetStream is not available to this account: {reason}; enable `jetstream` on the server"
    )]
    NoJetStream {
        /// The server's words.
        reason: String,
    },
    /// No answer within the time.
    #[error("{what}: no answer from NATS within {after_ms} ms")]
    TimedOut {
        /// What was asked.
        what: String,
        /// The limit.
        after_ms: u64,
    },
    /// The connection is down or the server can't serve now.
    #[error("{what}: NATS is unavailable: {reason}")]
    Unavailable {
        /// What was asked.
        what: String,
        /// What came instead of an answer.
        reason: String,
    },
    /// The stream does not exist.
    #[error("stream {stream} does not exist; it is declared when meritd starts")]
    NoStream {
        /// Its name.
        stream: String,
    },
    /// The stream is another than before, or lost its tail: what was known
    /// about its sequences is void.
    #[error("stream {stream} was made anew or lost its tail; its readers start over")]
    Discontinued {
        /// Its name.
        stream: String,
    },
    /// The server said no.
    #[error("{what}: refused by NATS: {description} (code {code})")]
    Refused {
        /// What was asked.
        what: String,
        /// JetStream's error code.
        code: u64,
        /// The server's words.
        description: String,
    },
    /// What the server sent can't be understood.
    #[error("{what}: unreadable: {reason}")]
    Unreadable {
        /// What was read.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Classify for StreamError {
    fn class(&self) -> FailureClass {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Unavailable { .. } => {
                FailureClass::Fault
            }
            Self::Unauthorized { .. }
            | Self::BadAddress { .. }
            | Self::BadCredentials { .. }
            | Self::TooOld { .. }
            | Self::NoJetStream { .. }
            | Self::NoStream { .. }
            | Self::Discontinued { .. }
            | Self::Refused { .. }
            | Self::Unreadable { .. } => FailureClass::Answer,
        }
    }
}

impl StreamError {
    /// Sorts an error that the server answered with.
    pub(super) fn answered(
        what: impl Into<String>,
        error: &async_nats::jetstream::Error,
        stream: &str,
    ) -> Self {
        let what = what.into();
        if error.error_code() == async_nats::jetstream::ErrorCode::STREAM_NOT_FOUND {
            return Self::NoStream { stream: stream.to_owned() };
        }
        // 503 is what the server answers while it has no leader or can't write.
        if error.code() == 503 {
            return Self::Unavailable { what, reason: error.to_string() };
        }
        Self::Refused { what, code: error.error_code().0, description: error.to_string() }
    }
}

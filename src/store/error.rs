//! What can be wrong with the store.

use std::{io, path::PathBuf, sync::Arc};

use crate::{
    breakers::{Classify, FailureClass, GuardError},
    supervisor::Unreachable,
};

/// Why the file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process (or another part of this one) has it.
    #[error(
        "store file `{}` is in use by another process: stop the other meritd, \
         or give this one another data folder", file.display()
    )]
    AlreadyOpen {
        /// The file.
        file: PathBuf,
    },
    /// A newer meritd wrote it.
    #[error(
        "store file `{}` has schema version {found}, this meritd knows up to {known}: run the \
         newer meritd, or move the file away to rebuild it from chain and stream", file.display()
    )]
    NewerSchema {
        /// The file.
        file: PathBuf,
        /// Its schema version.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// It is no store of meritd.
    #[error(
        "`{}` is not a store of meritd ({reason}): move it away, or choose another data folder",
        file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
        /// What it lacks.
        reason: String,
    },
    /// It was a store, and can't be read any more.
    #[error(
        "store file `{}` is damaged ({reason}): restore a backup, or move it away to rebuild it \
         from chain and stream", file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What redb found.
        reason: String,
    },
    /// The file system refuses.
    #[error(
        "store file `{}` can't be read and written: check the folder, its rights and the free \
         space", file.display()
    )]
    Unwritable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the file failed. A commit was kept whole or not at all;
    /// which of the two shows only in what is read next.
    #[error("the store's file failed")]
    Storage {
        /// What redb said.
        source: Arc<redb::Error>,
    },
    /// The file failed before and could not be opened again.
    #[error("the store's file can't be opened again")]
    Reopen {
        /// Why.
        source: Arc<OpenError>,
    },
    /// A later incarnation of the store actor has taken over.
    #[error("this incarnation of the store was superseded by a later one")]
    Superseded,
    /// The store actor ended before it answered. The commit may have been done.
    #[error("the store ended before it answered")]
    Interrupted,
    /// One commit is larger than a transaction may be.
    #[error("a commit of {bytes} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The store actor can't be reached.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The store failed too often of late and was not asked.
    #[error("the store is left alone for now: its circuit breaker is open")]
    LeftAlone,
    /// Too many requests wait for the store; it was not asked.
    #[error("the store is busy: all places for requests are taken")]
    Busy,
    /// No answer within the limit. The commit may have been done.
    #[error("the store did not answer within {after_ms} ms")]
    TimedOut {
        /// The limit.
        after_ms: u64,
    },
}

impl Classify for StoreError {
    fn class(&self) -> FailureClass {
        match self {
            Self::TooLarge { .. } => FailureClass::Answer,
            _ => FailureClass::Fault,
        }
    }
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        Self::Storage { source: Arc::new(error) }
    }
}

impl From<GuardError<StoreError>> for StoreError {
    fn from(error: GuardError<StoreError>) -> Self {
        match error {
            GuardError::Open { .. } => Self::LeftAlone,
            GuardError::Full { .. } => Self::Busy,
            GuardError::TimedOut { after_ms, .. } => Self::TimedOut { after_ms },
            GuardError::Inner(error) => error,
        }
    }
}

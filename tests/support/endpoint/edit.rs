//! Logs that are not what the node has.

use std::{fmt, sync::Arc};

use alloy::{
    primitives::{self, keccak256},
    rpc::types::Log,
};

/// A change of logs.
#[derive(Clone, Debug)]
pub enum Edit {
    /// They are not there.
    Withhold(Which),
    /// Their data is another: its last bit, or a byte where there is none.
    Alter(Which),
    /// They name another block.
    WrongBlockHash(Which),
    /// All logs of a block have the index of its first, as far as they are in
    /// one answer; Erigon gave indexes that repeat.
    RepeatIndexes,
    /// One that is nowhere else, where it has room.
    Invent(ForgedLog),
}

/// A log that nobody emitted: the last of the last transaction in its block,
/// or of one that is made up where the block has none.
#[derive(Clone, Debug)]
pub struct ForgedLog {
    pub block: u64,
    pub log: primitives::Log,
}

/// Logs that are picked.
#[derive(Clone)]
pub enum Which {
    All,
    /// A share, always the same ones of a seed, whatever block they are in.
    Share {
        share: f64,
        seed: u64,
    },
    Those(Arc<dyn Fn(&Log) -> bool + Send + Sync>),
}

/// Which answers show a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// `eth_getLogs` alone.
    Logs,
    /// Receipts as well: they don't come to the header's root any more.
    Receipts,
    /// The header's bloom as well: it does not have its hash any more.
    Bloom,
}

impl Which {
    pub fn those(pick: impl Fn(&Log) -> bool + Send + Sync + 'static) -> Self {
        Self::Those(Arc::new(pick))
    }

    pub(super) fn picks(&self, log: &Log) -> bool {
        match self {
            Self::All => true,
            Self::Share { share, seed } => {
                let mut bytes = seed.to_be_bytes().to_vec();
                bytes.extend(log.transaction_hash.unwrap_or_default());
                bytes.extend(log.address());
                bytes.extend(log.topics().iter().flatten());
                bytes.extend(&log.data().data);
                let drawn = keccak256(bytes)[0];
                f64::from(drawn) < share * 256.0
            }
            Self::Those(pick) => pick(log),
        }
    }
}

impl fmt::Debug for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("All"),
            Self::Share { share, seed } => write!(f, "Share({share} by {seed})"),
            Self::Those(_) => f.write_str("Those(…)"),
        }
    }
}

//! What contract actors say of their own progress.

use serde::{Deserialize, Serialize};

use super::{BlockRef, Name};

/// Progress of one contract, in the same stream as its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Watermark {
    /// All events of the contract up to and with `through` stand before this
    /// message in the stream.
    Progress {
        /// The chain's configured name.
        chain: Name,
        /// EIP-155 chain id.
        chain_id: u64,
        /// The contract's configured name.
        contract: Name,
        /// The last block that is complete.
        through: BlockRef,
        /// Blocks of this step that a reorg may still orphan, oldest first,
        /// `through` last. Consumers compare hashes of several contracts at one
        /// height by them; a reader restores its recent hashes from them.
        recent: Vec<BlockRef>,
        /// Blocks up to this number can't be orphaned any more: undo logs
        /// need not reach deeper.
        finalized: u64,
        /// How many events stand between the contract's watermark before and
        /// this one: by it a reader notices what the stream lost. Older
        /// versions did not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        events: Option<u64>,
        /// The block that the contract's watermark before named; absent on
        /// the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<BlockRef>,
    },
    /// Blocks from `from` on were orphaned: every event of the contract in
    /// them is void. The next progress starts after `common`.
    Retraction {
        /// The chain's configured name.
        chain: Name,
        /// EIP-155 chain id.
        chain_id: u64,
        /// The contract's configured name.
        contract: Name,
        /// First orphaned height.
        from: u64,
        /// Last orphaned height that had been announced.
        to: u64,
        /// The last block that the old and the new branch share.
        common: BlockRef,
        /// The block that the contract's watermark before named; absent where that was
        /// declared void, and in what older versions said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<BlockRef>,
    },
}

impl Watermark {
    /// The contract whose progress this is.
    #[must_use]
    pub fn contract(&self) -> &Name {
        match self {
            Self::Progress { contract, .. } | Self::Retraction { contract, .. } => contract,
        }
    }

    /// The chain's id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        match self {
            Self::Progress { chain_id, .. } | Self::Retraction { chain_id, .. } => *chain_id,
        }
    }

    /// The block up to which the contract is complete after this message.
    #[must_use]
    pub fn complete_through(&self) -> &BlockRef {
        match self {
            Self::Progress { through, .. } => through,
            Self::Retraction { common, .. } => common,
        }
    }
}

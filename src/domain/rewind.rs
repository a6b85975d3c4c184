//! What a contract actor says when its earlier messages don't count any more.

use serde::{Deserialize, Serialize};

use super::Name;

/// Everything that the contract said before this message about blocks from
/// `from_block` on is void: its events, and watermarks that reach there. They
/// follow again, read anew from the chain; an event of a block that is still
/// canonical keeps its id.
///
/// A retraction undoes what a reorg orphaned, as deep as undo logs reach. A
/// rewind is for what they don't reach: a stream that lost messages, a reorg
/// below finality that a person accepted. Whoever has folded such blocks
/// starts anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewind {
    /// The chain's configured name.
    pub chain: Name,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The contract's configured name.
    pub contract: Name,
    /// The first block that is read again, above 0. Beyond the last announced
    /// one nothing is void: then it only tells that the stream was examined.
    pub from_block: u64,
    /// Why.
    pub reason: RewindReason,
    /// Messages of all writers that the stream was known to lack then: while
    /// it lacks no more, it need not be examined again.
    pub missing: u64,
}

/// Why a contract is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewindReason {
    /// The stream lost messages of the contract.
    Lost,
    /// The stream lost messages, but none of the contract.
    Examined,
    /// A person decided to follow the branch that the endpoints have now.
    Resumed,
}

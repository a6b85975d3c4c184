//! Where a fold's inputs come from, and why one is refused.

use crate::domain::Name;

/// One contract whose events are merged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The contract's configured name, unique over all chains.
    pub contract: Name,
}

/// Why an input can't be taken. The fold is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// From a contract this fold doesn't read.
    #[error("contract `{contract}` is no source of this fold")]
    UnknownSource {
        /// The contract named.
        contract: Name,
    },
    /// From another chain than the contract is on.
    #[error("contract `{contract}` is on chain {expected}, the message says chain {got}")]
    WrongChain {
        /// The contract named.
        contract: Name,
        /// The chain configured.
        expected: u64,
        /// The chain named.
        got: u64,
    },
    /// The message contradicts itself.
    #[error("a message of contract `{contract}` contradicts itself: {what}")]
    Inconsistent {
        /// The contract named.
        contract: Name,
        /// What contradicts what.
        what: &'static str,
    },
    /// A block is older than its ancestor: positions would not follow blocks.
    #[error(
        "block {number} of chain {chain_id} has time {time}, before its ancestor's {ancestor_time}"
    )]
    TimeFell {
        /// The chain.
        chain_id: u64,
        /// The later block.
        number: u64,
        /// Its time.
        time: u64,
        /// The time of a block before it.
        ancestor_time: u64,
    },
    /// The retraction reaches below what can be undone: this fold's view of
    /// the chain is wrong for good and must be rebuilt.
    #[error(
        "contract `{contract}` retracts chain {chain_id} from block {from}, \
         below what can still be undone (block {final_block} is final)"
    )]
    BelowFinality {
        /// The contract that retracts.
        contract: Name,
        /// Its chain.
        chain_id: u64,
        /// First block retracted.
        from: u64,
        /// The newest block of the chain that can't be undone.
        final_block: u64,
    },
}

//! Blocks and places within a chain.

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

/// A block as its header names it. Two blocks of one number are told apart
/// by their hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockRef {
    /// Height.
    pub number: u64,
    /// Hash of the header.
    pub hash: B256,
    /// Hash of the parent's header.
    pub parent_hash: B256,
    /// Time of the header, seconds since the Unix epoch.
    pub time: u64,
}

/// Where a log stands in the canonical order of all chains: by block time,
/// then chain id, then block number, transaction index and log index.
///
/// Block times never fall along one chain, so within a chain this is the
/// order of (block number, transaction index, log index).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Time of the block, seconds since the Unix epoch.
    pub time: u64,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Block number.
    pub block: u64,
    /// Index of the transaction within the block.
    pub transaction_index: u64,
    /// Index of the log within the block.
    pub log_index: u64,
}

impl Position {
    /// The place after the last log that `block` can have.
    #[must_use]
    pub fn end_of_block(chain_id: u64, block: u64, time: u64) -> Self {
        Self { time, chain_id, block, transaction_index: u64::MAX, log_index: u64::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_decides_across_chains_and_numbers_within_one() {
        let at = |time, chain_id, block, log_index| Position {
            time,
            chain_id,
            block,
            transaction_index: 0,
            log_index,
        };
        assert!(at(10, 2, 900, 0) < at(11, 1, 5, 0));
        assert!(at(10, 1, 5, 9) < at(10, 2, 1, 0));
        assert!(at(10, 1, 5, 9) < at(10, 1, 6, 0));
        assert!(at(10, 1, 5, 9) < Position::end_of_block(1, 5, 10));
    }
}

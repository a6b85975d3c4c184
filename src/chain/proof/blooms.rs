//! Logs against the bloom of their block's header.

use alloy::primitives::Bloom;
use alloy::rpc::types::Log;

use super::{Lie, receipts::state_sync_hash};

/// The first log that the bloom of its block denies. A bloom may seem to hold
/// what is not there, but never denies what is: the log or the bloom is false,
/// or the chain does not keep blooms.
#[must_use]
pub fn denied<'a>(bloom: &Bloom, logs: impl IntoIterator<Item = &'a Log>) -> Option<&'a Log> {
    logs.into_iter().find(|log| !bloom.contains_raw_log(log.address(), log.topics()))
}

/// Whether a log is said to be of Polygon's state sync, whose events are in no
/// trie and no bloom.
#[must_use]
pub fn is_state_sync(log: &Log) -> bool {
    let (block, hash) = (log.block_number.unwrap_or_default(), log.block_hash.unwrap_or_default());
    log.transaction_hash == Some(state_sync_hash(block, hash))
}

/// What is held against whoever answered a log that the bloom denies.
#[must_use]
pub fn denial(log: &Log) -> Lie {
    Lie::DeniedByBloom {
        block: log.block_number.unwrap_or_default(),
        hash: log.block_hash.unwrap_or_default(),
        log_index: log.log_index.unwrap_or_default(),
        address: log.address(),
    }
}

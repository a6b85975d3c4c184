//! Logs of a range against the blooms of its headers: what level `bloom` of
//! completeness knows without receipts.

use std::collections::HashMap;

use alloy::primitives::{B256, Bloom};
use alloy::rpc::types::Log;

use super::Lie;
use crate::chain::answers::LogFilter;

/// A block's bloom, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockBloom {
    /// The block's number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Which addresses and topics may have logs in it.
    pub bloom: Bloom,
}

/// What the blooms have against an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// A log is in a block whose bloom denies it: a lie, if not the log's, then
    /// the header's.
    Denied(Lie),
    /// As before, but the bloom is empty, and so are all blooms of the range:
    /// there are chains that keep none.
    NoBlooms {
        /// The block's number.
        block: u64,
        /// Its hash.
        hash: B256,
    },
    /// The bloom speaks of the filter, and there is no log. Most often chance:
    /// on busy chains each bloom seems to hold everything. Needs a second
    /// answer, or receipts.
    Silent {
        /// The block's number.
        block: u64,
        /// Its hash.
        hash: B256,
    },
    /// Logs and header are of different blocks of one height: one of the two
    /// endpoints is on another branch.
    OtherBranch {
        /// The height.
        block: u64,
        /// The header's hash.
        header: B256,
        /// The hash that the log names.
        log: B256,
    },
}

/// Checks an answer for `filter` against the headers of its blocks, in the
/// headers' order. Blocks without a header are not judged.
#[must_use]
pub fn check_against_blooms(
    filter: &LogFilter,
    headers: &[BlockBloom],
    logs: &[Log],
) -> Vec<Suspicion> {
    let filter = filter.blooms();
    let kept = headers.iter().any(|header| !header.bloom.is_zero());
    let mut by_block: HashMap<u64, Vec<&Log>> = HashMap::new();
    for log in logs {
        by_block.entry(log.block_number.unwrap_or_default()).or_default().push(log);
    }
    let mut suspicions = Vec::new();
    for BlockBloom { number: block, hash, bloom } in headers.iter().copied() {
        let Some(logs) = by_block.get(&block) else {
            if filter.may_be_in(&bloom) {
                suspicions.push(Suspicion::Silent { block, hash });
            }
            continue;
        };
        for log in logs {
            let named = log.block_hash.unwrap_or_default();
            if named != hash {
                suspicions.push(Suspicion::OtherBranch { block, header: hash, log: named });
                break;
            }
            if bloom.contains_raw_log(log.address(), log.topics()) {
                continue;
            }
            if !kept {
                suspicions.push(Suspicion::NoBlooms { block, hash });
                break;
            }
            let log_index = log.log_index.unwrap_or_default();
            let address = log.address();
            suspicions.push(Suspicion::Denied(Lie::DeniedByBloom {
                block,
                hash,
                log_index,
                address,
            }));
        }
    }
    suspicions
}

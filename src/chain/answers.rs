//! Answers of endpoints, and what is checked of them whatever the level of
//! completeness: that they answer the question and do not contradict
//! themselves.

use alloy::primitives::map::B256HashSet;
use alloy::primitives::{self, Address, B256, Bloom, BloomInput, U64};
use alloy::rpc::types::Log;
use serde::Deserialize;

use crate::domain::BlockRef;

/// A block's header, as far as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Number, hash, parent and time.
    pub block: BlockRef,
    /// Which addresses and topics may have logs in it.
    pub logs_bloom: Bloom,
    /// Base fee in wei per gas; `None` before EIP-1559.
    pub base_fee: Option<u64>,
    /// Gas limit of the block.
    pub gas_limit: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHeader {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
    #[serde(default)]
    logs_bloom: Option<Bloom>,
    #[serde(default)]
    base_fee_per_gas: Option<U64>,
    gas_limit: U64,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawHeader::deserialize(deserializer)?;
        Ok(Self {
            block: BlockRef {
                number: raw.number.to(),
                hash: raw.hash,
                parent_hash: raw.parent_hash,
                time: raw.timestamp.to(),
            },
            // A chain without blooms might have a log of anything anywhere.
            logs_bloom: raw.logs_bloom.unwrap_or(Bloom::repeat_byte(0xff)),
            base_fee: raw.base_fee_per_gas.map(|fee| fee.to()),
            gas_limit: raw.gas_limit.to(),
        })
    }
}

/// Which logs are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Their contracts; empty: all.
    pub addresses: Vec<Address>,
    /// Their topic 0; empty: all, and logs without topics.
    pub topics0: Vec<B256>,
}

/// Where logs are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogBlocks {
    /// Blocks of these heights, ends included.
    Range(u64, u64),
    /// The block of this hash.
    Hash(B256),
}

/// What is wrong with an answer to a call for logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongLogs {
    /// The log says not where it stands.
    #[error("a log of block {block:?} has no {what}")]
    Missing {
        /// The log's block number.
        block: Option<u64>,
        /// What it lacks.
        what: &'static str,
    },
    /// Not what was asked for.
    #[error("log {log_index} of block {block} was not asked for: its {what}")]
    Unasked {
        /// The log's block number.
        block: u64,
        /// Its index.
        log_index: u64,
        /// What does not match.
        what: &'static str,
    },
    /// Two logs have one place.
    #[error("log index {log_index} occurs twice in block {block}")]
    Repeated {
        /// The logs' block number.
        block: u64,
        /// Their index.
        log_index: u64,
    },
    /// Logs of one height name different blocks.
    #[error("logs of block {block} name different block hashes")]
    TwoBranches {
        /// The height.
        block: u64,
    },
    /// A log stands behind another of a later transaction.
    #[error("log {log_index} of block {block} is of an earlier transaction than the log before it")]
    Disordered {
        /// The logs' block number.
        block: u64,
        /// The later log's index.
        log_index: u64,
    },
    /// Logs give one transaction index two hashes, or one hash two indexes.
    #[error("log {log_index} of block {block} names its transaction otherwise than another does")]
    TwoTransactions {
        /// The logs' block number.
        block: u64,
        /// The later log's index.
        log_index: u64,
    },
}

/// A filter as blooms see it, its addresses and topics hashed once for many
/// blocks.
#[derive(Clone, Debug)]
pub struct FilterBlooms {
    addresses: Vec<Bloom>,
    topics0: Vec<Bloom>,
}

impl FilterBlooms {
    /// See [`LogFilter::may_be_in`].
    #[must_use]
    pub fn may_be_in(&self, bloom: &Bloom) -> bool {
        let any = |wanted: &[Bloom]| wanted.is_empty() || wanted.iter().any(|w| bloom.contains(w));
        any(&self.addresses) && any(&self.topics0)
    }
}

impl LogFilter {
    /// Whether a block of this bloom may have such logs: one of the addresses
    /// and one of the topics must be in it. A bloom never denies what is there,
    /// but may seem to hold what is not. For many blocks see [`Self::blooms`].
    #[must_use]
    pub fn may_be_in(&self, bloom: &Bloom) -> bool {
        self.blooms().may_be_in(bloom)
    }

    /// The filter, ready to be held against many blooms.
    #[must_use]
    pub fn blooms(&self) -> FilterBlooms {
        let bloom = |bytes: &[u8]| Bloom::from(BloomInput::Raw(bytes));
        FilterBlooms {
            addresses: self.addresses.iter().map(|a| bloom(a.as_slice())).collect(),
            topics0: self.topics0.iter().map(|t| bloom(t.as_slice())).collect(),
        }
    }

    /// Whether the filter asks for such a log.
    #[must_use]
    pub fn asks_for(&self, log: &primitives::Log) -> bool {
        self.unasked(log).is_none()
    }

    fn unasked(&self, log: &primitives::Log) -> Option<&'static str> {
        let topic0 = log.topics().first();
        if !self.addresses.is_empty() && !self.addresses.contains(&log.address) {
            return Some("address is another");
        }
        if !self.topics0.is_empty() && topic0.is_none_or(|t| !self.topics0.contains(t)) {
            return Some("topic 0 is another");
        }
        None
    }

    /// Puts an answer into order and checks that it is one: each log is asked
    /// for; the logs of a height are of one block, no two have one index, and
    /// they follow their transactions, of which each has one index and hash.
    ///
    /// # Errors
    /// See [`WrongLogs`].
    pub fn check(&self, at: &LogBlocks, logs: &mut [Log]) -> Result<(), WrongLogs> {
        for log in logs.iter() {
            self.check_one(at, log)?;
        }
        logs.sort_by_key(|log| (log.block_number, log.log_index));
        for pair in logs.windows(2) {
            let [a, b] = pair else { continue };
            let block = a.block_number.unwrap_or_default();
            if a.block_number == b.block_number && a.block_hash != b.block_hash {
                return Err(WrongLogs::TwoBranches { block });
            }
            if (a.block_number, a.log_index) == (b.block_number, b.log_index) {
                let log_index = a.log_index.unwrap_or_default();
                return Err(WrongLogs::Repeated { block, log_index });
            }
        }
        check_transactions(logs)
    }

    fn check_one(&self, at: &LogBlocks, log: &Log) -> Result<(), WrongLogs> {
        let missing = |what| WrongLogs::Missing { block: log.block_number, what };
        let block = log.block_number.ok_or_else(|| missing("block number"))?;
        let log_index = log.log_index.ok_or_else(|| missing("log index"))?;
        let hash = log.block_hash.ok_or_else(|| missing("block hash"))?;
        log.transaction_hash.ok_or_else(|| missing("transaction hash"))?;
        log.transaction_index.ok_or_else(|| missing("transaction index"))?;
        let unasked = |what| Err(WrongLogs::Unasked { block, log_index, what });
        if log.removed {
            return unasked("block was orphaned");
        }
        match at {
            LogBlocks::Range(from, to) if !(*from..=*to).contains(&block) => {
                return unasked("block is out of the range");
            }
            LogBlocks::Hash(wanted) if *wanted != hash => return unasked("block hash differs"),
            LogBlocks::Range(..) | LogBlocks::Hash(_) => {}
        }
        self.unasked(&log.inner).map_or(Ok(()), unasked)
    }
}

/// Checks logs in order: within a block, a later log is of no earlier
/// transaction, and a transaction has one index and one hash.
fn check_transactions(logs: &[Log]) -> Result<(), WrongLogs> {
    let mut seen = B256HashSet::default();
    let mut last: Option<&Log> = None;
    for log in logs {
        let block = log.block_number.unwrap_or_default();
        let log_index = log.log_index.unwrap_or_default();
        match last.filter(|last| last.block_number == log.block_number) {
            Some(last) if last.transaction_index > log.transaction_index => {
                return Err(WrongLogs::Disordered { block, log_index });
            }
            // Of the log before, which is not checked again.
            Some(last) if last.transaction_hash == log.transaction_hash => {
                if last.transaction_index != log.transaction_index {
                    return Err(WrongLogs::TwoTransactions { block, log_index });
                }
            }
            Some(last) => {
                let hash = log.transaction_hash.unwrap_or_default();
                if last.transaction_index == log.transaction_index || !seen.insert(hash) {
                    return Err(WrongLogs::TwoTransactions { block, log_index });
                }
            }
            None => {
                seen.clear();
                seen.insert(log.transaction_hash.unwrap_or_default());
            }
        }
        last = Some(log);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn real() -> Vec<Log> {
        let fixture: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/fixtures/transfers.json")).unwrap();
        serde_json::from_value(fixture["logs"].clone()).unwrap()
    }

    #[test]
    fn a_true_answer_passes_and_is_put_in_order() {
        let mut logs = real();
        let topic = *logs[0].topic0().unwrap();
        let filter = LogFilter { addresses: vec![], topics0: vec![topic] };
        let range = LogBlocks::Range(18_000_000, 18_000_000);
        assert_eq!(filter.check(&range, &mut logs), Ok(()));
        let indexes: Vec<_> = logs.iter().map(|log| log.log_index.unwrap()).collect();
        assert_eq!(indexes, [1, 97, 177]);
    }

    #[test]
    fn a_bloom_tells_where_logs_may_be() {
        let logs = real();
        let mut bloom = Bloom::ZERO;
        bloom.accrue_raw_log(logs[0].address(), logs[0].topics());
        let mut filter = LogFilter {
            addresses: vec![Address::repeat_byte(0x77), logs[0].address()],
            topics0: vec![*logs[0].topic0().unwrap()],
        };
        assert!(filter.may_be_in(&bloom));
        assert!(!filter.may_be_in(&Bloom::ZERO));
        assert!(LogFilter::default().may_be_in(&Bloom::ZERO));
        filter.addresses.pop();
        assert!(!filter.may_be_in(&bloom));
    }

    #[test]
    fn what_was_not_asked_for_or_contradicts_itself_is_refused() {
        let all = LogFilter::default();
        let range = LogBlocks::Range(18_000_000, 18_000_001);
        let broken = |filter: &LogFilter, at: LogBlocks, change: &dyn Fn(&mut Vec<Log>)| {
            let mut logs = real();
            change(&mut logs);
            filter.check(&at, &mut logs).unwrap_err()
        };
        let same = |_: &mut Vec<Log>| {};
        let unasked = |error| matches!(error, WrongLogs::Unasked { .. });
        assert!(unasked(broken(&all, LogBlocks::Range(1, 2), &same)));
        assert!(unasked(broken(&all, LogBlocks::Hash(B256::ZERO), &same)));
        let other = LogFilter { addresses: vec![Address::ZERO], topics0: vec![] };
        assert!(unasked(broken(&other, range, &same)));
        let other = LogFilter { addresses: vec![], topics0: vec![B256::ZERO] };
        assert!(unasked(broken(&other, range, &same)));
        assert!(unasked(broken(&all, range, &|logs| logs[1].removed = true)));
        assert_eq!(
            broken(&all, range, &|logs| logs[1].log_index = logs[0].log_index),
            WrongLogs::Repeated { block: 18_000_000, log_index: 97 }
        );
        assert_eq!(
            broken(&all, range, &|logs| logs[1].block_hash = Some(B256::ZERO)),
            WrongLogs::TwoBranches { block: 18_000_000 }
        );
        assert!(matches!(
            broken(&all, range, &|logs| logs[1].transaction_hash = None),
            WrongLogs::Missing { what: "transaction hash", .. }
        ));
    }

    #[test]
    fn logs_follow_their_transactions_and_name_them_alike() {
        let all = LogFilter::default();
        let range = LogBlocks::Range(18_000_000, 18_000_000);
        let check = |places: &[(u64, u64, u8)]| {
            let mut logs: Vec<Log> = places
                .iter()
                .map(|(log_index, transaction_index, hash)| Log {
                    log_index: Some(*log_index),
                    transaction_index: Some(*transaction_index),
                    transaction_hash: Some(B256::repeat_byte(*hash)),
                    ..real()[0].clone()
                })
                .collect();
            all.check(&range, &mut logs)
        };
        let block = 18_000_000;
        assert_eq!(check(&[(0, 0, 1), (1, 0, 1), (2, 4, 2), (3, 4, 2), (9, 5, 3)]), Ok(()));
        assert_eq!(
            check(&[(0, 3, 1), (1, 2, 2)]),
            Err(WrongLogs::Disordered { block, log_index: 1 })
        );
        let two = |log_index| Err(WrongLogs::TwoTransactions { block, log_index });
        assert_eq!(check(&[(0, 3, 1), (1, 3, 2)]), two(1));
        assert_eq!(check(&[(0, 3, 1), (1, 4, 1)]), two(1));
        assert_eq!(check(&[(0, 3, 1), (1, 4, 2), (2, 5, 1)]), two(2));
    }
}

//! Answers of endpoints, and what is checked of them whatever the level of
//! completeness: that they answer the question and do not contradict
//! themselves.

use alloy::primitives::{Address, B256, Bloom, BloomInput, U64};
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
}

impl LogFilter {
    /// Whether a block of this bloom may have such logs. A bloom never denies
    /// what is there, but may seem to hold what is not.
    #[must_use]
    pub fn may_be_in(&self, bloom: &Bloom) -> bool {
        let holds = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
        (self.addresses.is_empty() || self.addresses.iter().any(|a| holds(a.as_slice())))
            && (self.topics0.is_empty() || self.topics0.iter().any(|t| holds(t.as_slice())))
    }

    /// Puts an answer into order and checks that it is one.
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
        Ok(())
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
        if !self.addresses.is_empty() && !self.addresses.contains(&log.address()) {
            return unasked("address is another");
        }
        if !self.topics0.is_empty() && log.topic0().is_none_or(|t| !self.topics0.contains(t)) {
            return unasked("topic 0 is another");
        }
        Ok(())
    }
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
}

//! The splitter and the classifier together against an endpoint as bad as
//! they come: several nodes with caps of their own behind one URL, limits on
//! results, time, addresses and topics, and words that nobody has seen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use alloy::{primitives::Address, rpc::types::Log};
use proptest::prelude::*;

use super::*;
use crate::chain::{
    rpc::{Refusal, RpcError},
    rpc_errors::{ErrorAnswer, classify},
};

/// What the nodes behind the URL bear.
#[derive(Clone, Debug)]
struct Limits {
    /// Most blocks, of each node.
    caps: Vec<u64>,
    results_max: u64,
    /// Blocks that take too long, whatever they hold.
    slow_from: u64,
    addresses_max: usize,
    /// How the limits are told: a number for each kind of wording.
    wording: u8,
    /// Of a hundred calls, how many break for no reason.
    broken_percent: u64,
}

/// Logs of each block: a few everywhere, many in some stretches, very many in
/// one block.
#[derive(Clone, Debug)]
struct Chain {
    length: u64,
    dense: (u64, u64),
    dense_logs: u64,
    full_block: u64,
    full_logs: u64,
    addresses: u64,
}

impl Chain {
    fn logs_of(&self, block: u64) -> u64 {
        match block {
            _ if block == self.full_block => self.full_logs,
            _ if (self.dense.0..self.dense.1).contains(&block) => self.dense_logs,
            _ => u64::from(block.is_multiple_of(50)),
        }
    }

    fn address(&self, index: u64) -> Address {
        Address::with_last_byte(u8::try_from(index % self.addresses).unwrap())
    }

    fn filter(&self) -> LogFilter {
        let addresses = (0..self.addresses).map(|index| self.address(index)).collect();
        LogFilter { addresses, topics0: vec![] }
    }

    fn matching(&self, filter: &LogFilter, from: u64, to: u64) -> Vec<Log> {
        let mut logs = Vec::new();
        for block in from..=to {
            for index in 0..self.logs_of(block) {
                let address = self.address(block + index);
                if filter.addresses.contains(&address) {
                    let mut log =
                        Log { block_number: Some(block), log_index: Some(index), ..Log::default() };
                    log.inner.address = address;
                    logs.push(log);
                }
            }
        }
        logs
    }
}

struct Endpoint {
    limits: Limits,
    chain: Chain,
    seed: u64,
    calls: u64,
}

impl Endpoint {
    fn random(&mut self, below: u64) -> u64 {
        // splitmix64
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }

    fn ask(&mut self, ask: &Ask) -> Result<Vec<Log>, RpcError> {
        self.calls += 1;
        let endpoint: Arc<str> = "simulated".into();
        let method = "eth_getLogs".to_owned();
        if self.random(100) < self.limits.broken_percent {
            return Err(RpcError::Failed { endpoint, method, reason: "cut".to_owned() });
        }
        let (filter, from, to) = match ask {
            Ask::Receipts { block } => {
                return Ok(self.chain.matching(&self.chain.filter(), *block, *block));
            }
            Ask::Logs { filter, from, to } => (filter, *from, *to),
        };
        let blocks = to - from + 1;
        let node = self.random(self.limits.caps.len() as u64);
        let cap = self.limits.caps[usize::try_from(node).unwrap()];
        let addresses_max = self.limits.addresses_max;
        if filter.addresses.len() > addresses_max {
            let message = match self.limits.wording % 3 {
                0 => format!("too many addresses, max {addresses_max}"),
                1 => "please specify less number of address".to_owned(),
                _ => format!("number of addresses exceeds {addresses_max}"),
            };
            return Err(refused(&message));
        }
        if blocks > cap {
            let message = match self.limits.wording % 6 {
                0 => format!("block range too large ({blocks}), maximum allowed is {cap} blocks"),
                1 => "range is too wide".to_owned(),
                2 => "no can do".to_owned(),
                3 => format!("range of {blocks} blocks is over the limit"),
                4 => format!("max {cap} blocks, got {blocks}"),
                _ => format!("you want {blocks}? I say {}", self.random(100_000)),
            };
            return Err(refused(&message));
        }
        if blocks >= self.limits.slow_from {
            return Err(RpcError::TimedOut { endpoint, method });
        }
        let logs = self.chain.matching(filter, from, to);
        let most = self.limits.results_max;
        if logs.len() as u64 > most {
            let mut fits = logs[usize::try_from(most).unwrap()].block_number.unwrap();
            fits = fits.saturating_sub(1).max(from);
            let message = match self.limits.wording % 4 {
                0 => {
                    format!("query returned more than {most} results. Try [0x{from:x}, 0x{fits:x}]")
                }
                1 => {
                    format!("query exceeds max results {most}, retry with the range {from}-{fits}")
                }
                2 => "response is too big".to_owned(),
                _ => "the hamster is tired".to_owned(),
            };
            return Err(refused(&message));
        }
        Ok(logs)
    }

    /// Calls that one range takes.
    fn parts(&self) -> u64 {
        self.chain.addresses.div_ceil(self.limits.addresses_max as u64)
    }

    /// Calls that who knew all limits would make, of at most so many blocks.
    fn least_calls(&self, most: u64) -> u64 {
        let Limits { caps, slow_from, results_max, .. } = &self.limits;
        let width = caps.iter().fold(most.min(slow_from - 1), |width, cap| width.min(*cap));
        let target = RangePolicy::TARGET_LOGS.min(*results_max);
        let parts = self.parts();
        let (mut calls, mut blocks, mut logs) = (0, 0, 0);
        for block in 0..self.chain.length {
            let more = self.chain.logs_of(block);
            if blocks > 0 && (blocks >= width || logs + more > target) {
                calls += parts;
                (blocks, logs) = (0, 0);
            }
            blocks += 1;
            logs += more;
        }
        calls + parts
    }
}

fn refused(message: &str) -> RpcError {
    let class = classify(&ErrorAnswer {
        method: "eth_getLogs",
        code: Some(-32000),
        message,
        ..ErrorAnswer::default()
    });
    RpcError::Refused {
        endpoint: "simulated".into(),
        method: "eth_getLogs".to_owned(),
        answer: Box::new(Refusal {
            class,
            code: Some(-32000),
            http_status: None,
            message: message.to_owned(),
            data: None,
        }),
    }
}

fn chains() -> impl Strategy<Value = Chain> {
    (2000u64..20_000, 0u64..10_000, 0u64..2000, 0u64..40, 0u64..20_000, 0u64..12_000, 1u64..12)
        .prop_map(|(length, from, wide, dense_logs, full_block, full_logs, addresses)| Chain {
            length,
            dense: (from, from + wide),
            dense_logs,
            full_block,
            full_logs,
            addresses,
        })
}

fn limits() -> impl Strategy<Value = Limits> {
    let caps = prop::collection::vec(prop_oneof![1u64..50, 50u64..20_000], 1..4);
    (caps, 100u64..20_000, 2u64..30_000, 1usize..15, any::<u8>(), 0u64..6).prop_map(
        |(caps, results_max, slow_from, addresses_max, wording, broken_percent)| Limits {
            caps,
            results_max,
            slow_from,
            addresses_max,
            wording,
            broken_percent,
        },
    )
}

proptest! {
    /// Every log of every block is read exactly once and in order, in at most
    /// four times the calls of who knew all limits, and to learn them 200 more
    /// for each part that the addresses must be cut into.
    #[test]
    fn a_span_is_read_exactly_once_in_order_and_in_a_bounded_number_of_calls(
        chain in chains(), limits in limits(), most in 1u64..20_000, seed in any::<u64>(),
    ) {
        let mut endpoint = Endpoint { limits, chain: chain.clone(), seed, calls: 0 };
        let bound = 4 * endpoint.least_calls(most) + 200 * endpoint.parts();
        let filter = chain.filter();
        let mut policy = RangePolicy::new(most);
        let (mut from, last) = (0, chain.length - 1);
        let mut all: Vec<Log> = Vec::new();
        while from <= last {
            let mut read = policy.read(&filter, from, last);
            let mut gave_up = false;
            while let Some(ask) = read.next() {
                prop_assert!(endpoint.calls < bound, "more than {} calls, at block {}", bound, from);
                match endpoint.ask(&ask) {
                    Ok(logs) => {
                        let bytes = logs.len() as u64 * 700;
                        read.answered(&mut policy, logs, bytes);
                    }
                    Err(error) => {
                        let failure = error.range_failure();
                        prop_assert!(failure.is_some(), "taken for no range: {}", error);
                        let failure = failure.unwrap();
                        let goes_on = read.refused(&mut policy, failure);
                        if !goes_on || matches!(failure, RangeFailure::TimedOut | RangeFailure::Broken) {
                            gave_up = true;
                            break;
                        }
                    }
                }
            }
            if gave_up {
                continue;
            }
            let through = read.through();
            prop_assert!(from <= through && through <= last);
            let mut logs = read.into_logs();
            logs.sort_by_key(|log| (log.block_number, log.log_index));
            all.extend(logs);
            from = through + 1;
        }
        prop_assert_eq!(all, chain.matching(&filter, 0, last));
    }
}

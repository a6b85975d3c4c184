//! How long to wait for one endpoint while another could be asked.
//!
//! A read that an endpoint refuses or drops goes to the next at once. One that
//! hangs is handled in two ways. With `hedge_after` it is asked of a second
//! endpoint after that time and the first good answer counts; that is bounded
//! to a share of the reads. Without, an attempt at a cheap method ends after
//! eight times what the endpoint takes of late, but not before 750 ms, as long
//! as another one is well: so a hung endpoint costs less than a second. Heavy
//! methods (logs, receipts, `eth_call`) have the endpoint's own limit.

use std::time::Duration;

use futures::{StreamExt as _, future::Either, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until};

use super::{ChainClient, asking::is_final, lock};
use crate::{breakers::Priority, chain::rpc::RpcError};

/// An attempt at a cheap method is given at least so long.
const ATTEMPT_MIN: Duration = Duration::from_millis(750);
/// And so many times what the endpoint takes.
const ATTEMPT_LATENCIES: u32 = 8;
/// A first attempt connects, too.
const CONNECTS: Duration = Duration::from_millis(250);
/// Reads that pay for one hedge.
const READS_A_HEDGE: u32 = 10;
/// Hedges that are saved up at most.
const HEDGES_SAVED: u32 = 10;

/// Methods whose answers take a node no effort.
const CHEAP: &[&str] = &[
    "eth_blockNumber",
    "eth_chainId",
    "eth_feeHistory",
    "eth_gasPrice",
    "eth_getBalance",
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_getCode",
    "eth_getTransactionByHash",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
];

/// Hedges are paid by reads, so that they stay a share of them.
#[derive(Debug)]
pub(super) struct HedgeBudget {
    reads: u32,
}

impl Default for HedgeBudget {
    /// One hedge to begin with.
    fn default() -> Self {
        Self { reads: READS_A_HEDGE }
    }
}

impl HedgeBudget {
    fn earn(&mut self) {
        self.reads = (self.reads + 1).min(READS_A_HEDGE * HEDGES_SAVED);
    }

    fn spend(&mut self) -> bool {
        let left = self.reads.checked_sub(READS_A_HEDGE);
        self.reads = left.unwrap_or(self.reads);
        left.is_some()
    }
}

impl ChainClient {
    /// The limit of an attempt, where it is below the endpoint's own; see the
    /// module.
    pub(super) fn attempt_limit(&self, index: usize, method: &str) -> Option<Duration> {
        if self.only.is_some() || self.priority == Priority::Low || !CHEAP.contains(&method) {
            return None;
        }
        let now = self.now();
        let health = self.health();
        let other = health.iter().enumerate().any(|(i, other)| i != index && other.is_well(now));
        let latency = health.get(index).and_then(|health| health.latency_at(now));
        let limit = latency.map_or(ATTEMPT_MIN + CONNECTS, |l| {
            ATTEMPT_MIN.max(l.saturating_mul(ATTEMPT_LATENCIES))
        });
        other.then_some(limit)
    }

    /// Asks one endpoint after the other until one gives a result, and a
    /// second one beside the first when that is slow and hedging is on. Gives
    /// the endpoint, too. Only for reads: both may be answered.
    pub(super) async fn race<T, F>(
        &self,
        attempt: impl Fn(usize) -> F,
    ) -> Result<(usize, T), RpcError>
    where
        F: Future<Output = Result<T, RpcError>>,
    {
        let order = self.order();
        let mut hedge_at = self.hedge_at(order.len());
        let mut rest = order.into_iter();
        let mut failure = None;
        let mut running = FuturesUnordered::new();
        let begin = |index| {
            let answer = attempt(index);
            async move { (index, answer.await) }
        };
        loop {
            if running.is_empty() {
                let Some(index) = rest.next() else { break };
                running.push(begin(index));
            }
            let hedge = match hedge_at {
                Some(at) => Either::Left(sleep_until(at)),
                None => Either::Right(std::future::pending()),
            };
            tokio::select! {
                biased;
                Some((index, answer)) = running.next() => match answer {
                    Ok(answer) => return Ok((index, answer)),
                    Err(error) if is_final(&error) => return Err(error),
                    Err(error) => failure = Some(error),
                },
                () = hedge => {
                    hedge_at = None;
                    // One that is in trouble itself is no help.
                    let second = rest.as_slice().first().copied();
                    let helps = second.is_some_and(|index| self.is_well(index));
                    if helps && lock(&self.shared.hedges).spend() && let Some(index) = rest.next() {
                        self.shared.hedged.get(index).inspect(|count| count.inc());
                        running.push(begin(index));
                    }
                }
            }
        }
        Err(failure.unwrap_or_else(|| self.no_endpoint()))
    }

    fn is_well(&self, index: usize) -> bool {
        let now = self.now();
        self.health().get(index).is_some_and(|health| health.is_well(now))
    }

    fn hedge_at(&self, endpoints: usize) -> Option<Instant> {
        let after = self.shared.limits.hedge_after?;
        if self.only.is_some() || self.priority == Priority::Low || endpoints < 2 {
            return None;
        }
        lock(&self.shared.hedges).earn();
        Some(Instant::now() + after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hedges_stay_a_tenth_of_the_reads() {
        let mut budget = HedgeBudget::default();
        let mut hedges = 0;
        for _ in 0..1_000 {
            budget.earn();
            hedges += u32::from(budget.spend());
        }
        assert_eq!(hedges, 101);
    }
}

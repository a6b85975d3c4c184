//! Logs, in ranges that the endpoint can bear, from an endpoint that has the
//! blocks. What an endpoint bears is decided in [`crate::chain::ranges`].

use alloy::{eips::BlockId, primitives::U64, rpc::types::Log};
use serde_json::{Value as Json, json};

use super::ChainClient;
use crate::chain::{
    answers::{LogBlocks, LogFilter},
    ranges::{Ask, RangeFailure, RangePolicy},
    rpc::RpcError,
};

/// The logs of a range, or of its beginning.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRange {
    /// The last block that is covered; ask on from the next.
    pub through: u64,
    /// In order.
    pub logs: Vec<Log>,
    /// The endpoint that gave them.
    pub(super) endpoint: usize,
}

/// Logs as an endpoint gave them, checked.
pub(super) struct GivenLogs {
    pub(super) logs: Vec<Log>,
    /// Of JSON.
    pub(super) bytes: u64,
}

impl ChainClient {
    /// Logs of blocks from `from` on, up to `to` or as far as an endpoint
    /// serves at once. Asked of endpoints that have these blocks: one that
    /// lags would answer that there are none.
    ///
    /// # Errors
    /// See [`RpcError`]; the last endpoint's, when all failed.
    pub async fn logs(&self, filter: &LogFilter, from: u64, to: u64) -> Result<LogRange, RpcError> {
        let mut failure = None;
        for index in self.order() {
            match self.logs_at(index, filter, from, to).await {
                Ok(range) => return Ok(range),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| self.no_endpoint()))
    }

    pub(super) async fn logs_at(
        &self,
        index: usize,
        filter: &LogFilter,
        from: u64,
        to: u64,
    ) -> Result<LogRange, RpcError> {
        let mut read = self.with_policy(index, |policy| policy.read(filter, from, to))?;
        self.ensure_head(index, read.through()).await?;
        while let Some(ask) = read.next() {
            let answer = match &ask {
                Ask::Logs { filter, from, to } => {
                    self.get_logs(index, filter, LogBlocks::Range(*from, *to)).await
                }
                Ask::Receipts { block } => {
                    self.logs_by_receipts(index, filter, BlockId::number(*block)).await
                }
            };
            let error = match answer {
                Ok(GivenLogs { logs, bytes }) => {
                    self.with_policy(index, |policy| read.answered(policy, logs, bytes))?;
                    continue;
                }
                Err(error) => error,
            };
            let Some(failure) = error.range_failure() else { return Err(error) };
            let goes_on = self.with_policy(index, |policy| read.refused(policy, failure))?;
            // Whether it was the range or the endpoint, a timeout was long
            // enough: the next call is narrower, and goes elsewhere first.
            let elsewhere = matches!(failure, RangeFailure::TimedOut | RangeFailure::Broken);
            if elsewhere || !goes_on {
                return Err(error);
            }
            tracing::debug!(chain = %self.chain(), %error, next = ?read.next(), "logs refused");
        }
        let (through, is_merged) = (read.through(), read.is_merged());
        let mut logs = read.into_logs();
        if is_merged {
            self.check(index, filter, LogBlocks::Range(from, through), &mut logs)?;
        }
        Ok(LogRange { through, logs, endpoint: index })
    }

    /// Makes sure that an endpoint has shown block `wanted`.
    async fn ensure_head(&self, index: usize, wanted: u64) -> Result<(), RpcError> {
        let shown = self.health().get(index).and_then(|health| health.head);
        if shown.is_some_and(|head| head >= wanted) {
            return Ok(());
        }
        let method = "eth_blockNumber";
        let params = self.raw(method, ())?;
        let head: u64 = self.at::<U64>(index, method, &params).await?.to();
        if let Some(health) = self.health().get_mut(index) {
            health.saw(head);
        }
        if head >= wanted {
            return Ok(());
        }
        Err(RpcError::Behind { endpoint: std::sync::Arc::clone(self.name(index)), head, wanted })
    }

    pub(super) async fn get_logs(
        &self,
        index: usize,
        filter: &LogFilter,
        at: LogBlocks,
    ) -> Result<GivenLogs, RpcError> {
        let method = "eth_getLogs";
        let params = self.raw(method, [query(filter, at)])?;
        // A range wider than any that was answered yet is not asked for twice
        // as it is: when it fails, it may be why.
        let retried = match at {
            LogBlocks::Range(from, to) if from < to => {
                self.with_policy(index, |policy| policy.is_proven(from, to))?
            }
            _ => true,
        };
        self.ensure_chain(index).await?;
        let answer = self.send_retried(index, method, &params, retried).await?;
        let bytes = answer.get().len() as u64;
        let mut logs: Vec<Log> = serde_json::from_str(answer.get())
            .map_err(|error| self.malformed(index, method, error))?;
        self.check(index, filter, at, &mut logs)?;
        Ok(GivenLogs { logs, bytes })
    }

    pub(super) fn check(
        &self,
        index: usize,
        filter: &LogFilter,
        at: LogBlocks,
        logs: &mut [Log],
    ) -> Result<(), RpcError> {
        let checked = filter.check(&at, logs);
        checked.map_err(|wrong| self.wrong(index, "eth_getLogs", wrong))
    }

    /// A step of what is known of an endpoint's ranges.
    pub(super) fn with_policy<T>(
        &self,
        index: usize,
        step: impl FnOnce(&mut RangePolicy) -> T,
    ) -> Result<T, RpcError> {
        self.ranges().get_mut(index).map(step).ok_or_else(|| self.no_endpoint())
    }
}

fn query(filter: &LogFilter, at: LogBlocks) -> Json {
    let mut query = match at {
        LogBlocks::Range(from, to) => {
            json!({ "fromBlock": U64::from(from), "toBlock": U64::from(to) })
        }
        LogBlocks::Hash(hash) => json!({ "blockHash": hash }),
    };
    if let Some(query) = query.as_object_mut() {
        if !filter.addresses.is_empty() {
            query.insert("address".to_owned(), json!(filter.addresses));
        }
        if !filter.topics0.is_empty() {
            query.insert("topics".to_owned(), json!([filter.topics0]));
        }
    }
    query
}

//! Logs, in ranges that the endpoint can bear, from an endpoint that has the
//! blocks.

use alloy::{
    primitives::{B256, Bloom, U64},
    rpc::types::Log,
};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value as Json, json};

use super::ChainClient;
use crate::chain::{
    answers::{LogBlocks, LogFilter},
    ranges::Retry,
    rpc::RpcError,
};
use crate::domain::BlockRef;

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

/// Blocks whose logs are asked for at once.
const BLOCKS_AT_ONCE: usize = 8;

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

    /// Logs of the block of this hash. Endpoints that don't know it refuse.
    ///
    /// When the bloom of its header says that there may be some, an answer
    /// without any is believed only when a second one agrees: another
    /// endpoint's, or the same one's once more where no other answers.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn logs_of_block(
        &self,
        filter: &LogFilter,
        hash: B256,
        bloom: Option<&Bloom>,
    ) -> Result<Vec<Log>, RpcError> {
        let doubtful = bloom.is_some_and(|bloom| filter.may_be_in(bloom));
        let (mut failure, mut without) = (None, None);
        for index in self.order() {
            match self.get_logs(index, filter, LogBlocks::Hash(hash)).await {
                Ok(logs) if logs.is_empty() && doubtful && without.is_none() => {
                    without = Some(index);
                }
                Ok(logs) => {
                    if let (Some(earlier), false) = (without, logs.is_empty()) {
                        self.withheld(earlier, hash);
                    }
                    return Ok(logs);
                }
                Err(error) => failure = Some(error),
            }
        }
        match without {
            Some(index) => self.get_logs(index, filter, LogBlocks::Hash(hash)).await,
            None => Err(failure.unwrap_or_else(|| self.no_endpoint())),
        }
    }

    /// Logs of several blocks, each asked for by its hash, in the blocks'
    /// order: an endpoint on another branch, or one that lacks a block, can't
    /// answer that there are none. See [`Self::logs_of_block`].
    ///
    /// # Errors
    /// See [`RpcError`]; the first.
    pub async fn logs_of_blocks(
        &self,
        filter: &LogFilter,
        blocks: &[(B256, Option<Bloom>)],
    ) -> Result<Vec<Log>, RpcError> {
        let asked = blocks.iter().map(|(hash, bloom)| {
            let call = self.logs_of_block(filter, *hash, bloom.as_ref());
            futures::FutureExt::boxed_local(call)
        });
        let answers: Vec<Vec<Log>> =
            futures::stream::iter(asked).buffered(BLOCKS_AT_ONCE).try_collect().await?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// The range's answer has no log of a block (the last, say) whose bloom
    /// speaks of some: asks by the block's hash, too. A log that comes then
    /// sets the endpoint of the range aside, whose other blocks are no more to
    /// be believed.
    ///
    /// # Errors
    /// When a log was withheld; see [`RpcError`].
    pub async fn check_absence(
        &self,
        filter: &LogFilter,
        range: &LogRange,
        block: &BlockRef,
        bloom: &Bloom,
    ) -> Result<(), RpcError> {
        let BlockRef { number, hash, .. } = *block;
        let told = range.logs.iter().any(|log| log.block_number == Some(number));
        if told || !filter.may_be_in(bloom) {
            return Ok(());
        }
        match self.logs_of_block(filter, hash, Some(bloom)).await?.is_empty() {
            true => Ok(()),
            false => Err(self.withheld(range.endpoint, hash)),
        }
    }

    fn withheld(&self, index: usize, hash: B256) -> RpcError {
        self.wrong(index, "eth_getLogs", format!("it withheld logs of block {hash}"))
    }

    async fn logs_at(
        &self,
        index: usize,
        filter: &LogFilter,
        from: u64,
        to: u64,
    ) -> Result<LogRange, RpcError> {
        let clipped = self.ranges().get(index).map(|policy| policy.clip(from, to));
        let mut through = clipped.unwrap_or(to);
        self.ensure_head(index, through).await?;
        loop {
            let error = match self.get_logs(index, filter, LogBlocks::Range(from, through)).await {
                Ok(logs) => {
                    if let Some(policy) = self.ranges().get_mut(index) {
                        policy.succeeded(from, through);
                    }
                    return Ok(LogRange { through, logs, endpoint: index });
                }
                Err(error) => error,
            };
            let Some(failure) = error.range_failure() else { return Err(error) };
            let retry = self.ranges().get_mut(index).map(|p| p.failed(from, through, failure));
            match retry {
                // Whether it was the range or the endpoint, a timeout was long
                // enough: the next call is narrower, and goes elsewhere first.
                _ if matches!(error, RpcError::TimedOut { .. }) => return Err(error),
                Some(Retry::Narrower { to }) => through = to,
                Some(Retry::SingleBlock) | None => return Err(error),
            }
        }
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

    async fn get_logs(
        &self,
        index: usize,
        filter: &LogFilter,
        at: LogBlocks,
    ) -> Result<Vec<Log>, RpcError> {
        let method = "eth_getLogs";
        let params = self.raw(method, [query(filter, at)])?;
        let mut logs: Vec<Log> = self.at(index, method, &params).await?;
        filter.check(&at, &mut logs).map_err(|wrong| self.wrong(index, method, wrong))?;
        Ok(logs)
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

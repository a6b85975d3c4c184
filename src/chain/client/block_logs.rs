//! Logs of single blocks, by hash: an endpoint on another branch, or without
//! the block, can't answer that there are none.

use alloy::{
    eips::BlockId,
    primitives::{B256, Bloom},
    rpc::types::Log,
};

use super::{ChainClient, LogRange};
use crate::{
    chain::{
        answers::{LogBlocks, LogFilter},
        ranges::{RangeFailure, RangePolicy},
        rpc::RpcError,
    },
    domain::BlockRef,
};

/// The bloom of a block's header, and what it is asked.
#[derive(Clone, Copy, Debug)]
pub struct BloomHint<'a> {
    /// As some endpoint told it.
    pub bloom: &'a Bloom,
    /// Whether an answer without logs is to be doubted when the bloom speaks of
    /// the filter.
    pub expects_logs: bool,
}

impl ChainClient {
    /// Logs of the block of this hash. Endpoints that don't know it refuse.
    ///
    /// A log that the bloom denies is believed only if it is the bloom that is
    /// false (see [`Self::check_presence`]). Where the bloom may expect logs, an
    /// answer without any is believed only when a second one agrees: another
    /// endpoint's, or where no other answers, the block's receipts or the same one's once
    /// more.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn logs_of_block(
        &self,
        filter: &LogFilter,
        hash: B256,
        hint: Option<BloomHint<'_>>,
    ) -> Result<Vec<Log>, RpcError> {
        let doubtful = hint.is_some_and(|hint| hint.expects_logs && filter.may_be_in(hint.bloom));
        let (mut failure, mut without) = (None, None);
        for index in self.order() {
            match self.undenied_logs_at(index, filter, hash, hint).await {
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
            Some(index) => {
                // Others are there, and fail: what the receipts say needs nobody's word.
                if self.shared.endpoints.len() > 1
                    && let Ok(logs) = self.proven_logs_of(filter, hash).await
                {
                    if !logs.is_empty() {
                        self.withheld(index, hash);
                    }
                    return Ok(logs);
                }
                self.undenied_logs_at(index, filter, hash, hint).await
            }
            None => Err(failure.unwrap_or_else(|| self.no_endpoint())),
        }
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
        let hint = BloomHint { bloom, expects_logs: true };
        match self.logs_of_block(filter, hash, Some(hint)).await?.is_empty() {
            true => Ok(()),
            false => Err(self.withheld(range.endpoint, hash)),
        }
    }

    fn withheld(&self, index: usize, hash: B256) -> RpcError {
        self.wrong(index, "eth_getLogs", format!("it withheld logs of block {hash}"))
    }

    async fn undenied_logs_at(
        &self,
        index: usize,
        filter: &LogFilter,
        hash: B256,
        hint: Option<BloomHint<'_>>,
    ) -> Result<Vec<Log>, RpcError> {
        let logs = self.logs_of_block_at(index, filter, hash).await?;
        if let Some(BloomHint { bloom, .. }) = hint {
            self.settle_denied(index, hash, bloom, &logs).await?;
        }
        Ok(logs)
    }

    /// Logs of one block, by its hash; by its number and then its receipts
    /// where the endpoint refuses that.
    pub(super) async fn logs_of_block_at(
        &self,
        index: usize,
        filter: &LogFilter,
        hash: B256,
    ) -> Result<Vec<Log>, RpcError> {
        let mut refused = None;
        if self.with_policy(index, RangePolicy::asks_by_hash)? {
            match self.get_logs_in_parts(index, filter, LogBlocks::Hash(hash)).await {
                Ok(logs) => return Ok(logs),
                Err(error) => refused = Some(error),
            }
        }
        match refused.as_ref().map(RpcError::range_failure) {
            // Nothing against the hash as such: the block is too full.
            Some(Some(RangeFailure::TooLarge { .. } | RangeFailure::TooManyAddresses(_))) => {}
            None | Some(Some(RangeFailure::Unknown)) => {
                match self.logs_of_height(index, filter, hash).await {
                    Ok(logs) => {
                        if refused.is_some() {
                            self.with_policy(index, RangePolicy::hash_refused)?;
                        }
                        return Ok(logs);
                    }
                    Err(error) => match error.range_failure() {
                        Some(RangeFailure::TooLarge { .. } | RangeFailure::Unknown) => {}
                        // It does not know the block: that is what it meant.
                        _ => return Err(refused.unwrap_or(error)),
                    },
                }
            }
            Some(_) => return Err(refused.unwrap_or_else(|| self.no_endpoint())),
        }
        self.logs_by_receipts(index, filter, BlockId::hash(hash)).await.map(|given| given.logs)
    }

    /// Logs of a block by its height, at an endpoint on whose branch it is.
    async fn logs_of_height(
        &self,
        index: usize,
        filter: &LogFilter,
        hash: B256,
    ) -> Result<Vec<Log>, RpcError> {
        let lacks = || RpcError::lacks_block(self.name(index), "eth_getLogs", hash);
        let (header, _) = self.header_at(index, BlockId::hash(hash)).await?.ok_or_else(lacks)?;
        let number = header.block.number;
        let logs = self.get_logs_in_parts(index, filter, LogBlocks::Range(number, number)).await?;
        // Asked for afterwards, so that it holds also for logs that are not there.
        let (after, _) = self.header_at(index, BlockId::number(number)).await?.ok_or_else(lacks)?;
        let is_it = after.block.hash == hash && logs.iter().all(|log| log.block_hash == Some(hash));
        is_it.then_some(logs).ok_or_else(lacks)
    }

    /// Logs of one block, in as many calls as the filter needs.
    async fn get_logs_in_parts(
        &self,
        index: usize,
        filter: &LogFilter,
        at: LogBlocks,
    ) -> Result<Vec<Log>, RpcError> {
        let mut parts = self.with_policy(index, |policy| policy.parts(filter))?;
        let (mut logs, mut answers) = (Vec::new(), 0);
        while let Some(part) = parts.next() {
            match self.get_logs(index, part, at).await {
                Ok(given) => {
                    logs.extend(given.logs);
                    answers += 1;
                    parts.answered();
                }
                Err(error) => {
                    let Some(RangeFailure::TooManyAddresses(hint)) = error.range_failure() else {
                        return Err(error);
                    };
                    if !self.with_policy(index, |policy| parts.refused(policy, hint))? {
                        return Err(error);
                    }
                }
            }
        }
        if answers > 1 {
            self.check(index, filter, at, &mut logs)?;
        }
        Ok(logs)
    }
}

//! Logs of a block from its receipts: where an endpoint refuses a block's logs
//! as such.

use alloy::{
    eips::BlockId,
    primitives::{B256, Bloom},
    rpc::types::Log,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ChainClient, logs::GivenLogs};
use crate::{
    chain::{
        answers::{Header, LogBlocks, LogFilter},
        proof::{FullHeader, NotProven, ProvenReceipts, Receipt, prove},
        rpc::RpcError,
    },
    domain::BlockRef,
};

/// A receipt, as far as its logs go: where nothing can be proven, odd fields
/// must not be in the way.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogsOfReceipt {
    block_hash: B256,
    logs: Vec<Log>,
}

impl ChainClient {
    /// Logs of one block, from all its receipts, by the block's hash. They are
    /// proven against the header wherever the chain allows it.
    pub(super) async fn logs_by_receipts(
        &self,
        index: usize,
        filter: &LogFilter,
        block: BlockId,
    ) -> Result<GivenLogs, RpcError> {
        let method = "eth_getBlockReceipts";
        let Some((header, told)) = self.header_at(index, block).await? else {
            return Err(match block {
                BlockId::Hash(hash) => {
                    RpcError::lacks_block(self.name(index), method, hash.block_hash)
                }
                BlockId::Number(number) => {
                    self.wrong(index, method, format!("it has no block {number} below its head"))
                }
            });
        };
        let hash = header.block.hash;
        let params = self.raw(method, [hash])?;
        let answer = self.send(index, method, &params).await?;
        // It may have dropped the block since.
        if answer.get() == "null" {
            return Err(RpcError::lacks_block(self.name(index), method, hash));
        }
        let bytes = answer.get().len() as u64;
        let logs = match proven(&told, answer.get()) {
            Some(Ok(proven)) => Ok(proven.logs(filter)),
            Some(Err(NotProven::Lie(lie))) => Err(lie.to_string()),
            // An honest node of an unusual chain may have answered so.
            Some(Err(NotProven::Unprovable(_))) | None => {
                let receipts = serde_json::from_str(answer.get())
                    .map_err(|error| self.malformed(index, method, error))?;
                logs_of(receipts, &header, filter)
            }
        };
        let logs = logs.map_err(|reason| self.wrong(index, method, reason))?;
        Ok(GivenLogs { logs, bytes })
    }

    /// A header as one endpoint has it, and its whole answer.
    pub(super) async fn header_at(
        &self,
        index: usize,
        block: BlockId,
    ) -> Result<Option<(Header, Box<RawValue>)>, RpcError> {
        let (method, params) = match block {
            BlockId::Hash(hash) => {
                let method = "eth_getBlockByHash";
                (method, self.raw(method, (hash.block_hash, false))?)
            }
            BlockId::Number(number) => {
                let method = "eth_getBlockByNumber";
                (method, self.raw(method, (number, false))?)
            }
        };
        let told: Option<Box<RawValue>> = self.at(index, method, &params).await?;
        let Some(told) = told else { return Ok(None) };
        let header: Header = serde_json::from_str(told.get())
            .map_err(|error| self.malformed(index, method, error))?;
        let is_it = match block {
            BlockId::Hash(hash) => header.block.hash == hash.block_hash,
            BlockId::Number(number) => number.as_number().is_none_or(|n| n == header.block.number),
        };
        if is_it {
            return Ok(Some((header, told)));
        }
        Err(self.wrong(index, method, format!("it gave another block for {block}")))
    }
}

/// Receipts against their header, where both have all that a proof needs.
fn proven(header: &RawValue, receipts: &str) -> Option<Result<ProvenReceipts, NotProven>> {
    let header: FullHeader = serde_json::from_str(header.get()).ok()?;
    let receipts: Vec<Receipt> = serde_json::from_str(receipts).ok()?;
    Some(prove(&header, receipts))
}

/// The filter's logs among all logs of a block, in order, or what is wrong
/// with them. Nothing is proven here: but none of them contradicts another, and
/// something of what the header's bloom says of the filter is there.
fn logs_of(
    receipts: Vec<LogsOfReceipt>,
    header: &Header,
    filter: &LogFilter,
) -> Result<Vec<Log>, String> {
    let BlockRef { number, hash, .. } = header.block;
    let bloom = &header.logs_bloom;
    if let Some(other) = receipts.iter().find(|receipt| receipt.block_hash != hash) {
        return Err(format!("a receipt of block {} among those of {hash}", other.block_hash));
    }
    let mut logs: Vec<Log> = receipts.into_iter().flat_map(|receipt| receipt.logs).collect();
    LogFilter::default()
        .check(&LogBlocks::Hash(hash), &mut logs)
        .map_err(|wrong| wrong.to_string())?;
    if logs.iter().any(|log| log.block_number != Some(number)) {
        return Err(format!("a log of another height than {number}"));
    }
    let mut told = Bloom::ZERO;
    for log in &logs {
        told.accrue_raw_log(log.address(), log.topics());
    }
    // All ones stand for a chain without blooms.
    let has_blooms = *bloom != Bloom::repeat_byte(0xff);
    let spoken_of = filter.blooms();
    if has_blooms && spoken_of.may_be_in(bloom) && !spoken_of.may_be_in(&told) {
        return Err(format!("it withheld logs of block {hash}"));
    }
    logs.retain(|log| filter.asks_for(&log.inner));
    Ok(logs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use alloy::primitives::Address;

    use super::*;

    const HASH: B256 = B256::repeat_byte(9);

    fn log(address: u8, index: u64) -> Log {
        let mut log = Log {
            block_hash: Some(HASH),
            block_number: Some(7),
            transaction_hash: Some(B256::repeat_byte(3)),
            transaction_index: Some(0),
            log_index: Some(index),
            ..Log::default()
        };
        log.inner.address = Address::repeat_byte(address);
        log
    }

    fn header(logs: &[Log]) -> Header {
        let mut logs_bloom = Bloom::ZERO;
        logs.iter().for_each(|log| logs_bloom.accrue_raw_log(log.address(), log.topics()));
        let block = BlockRef { number: 7, hash: HASH, parent_hash: B256::ZERO, time: 1 };
        Header { block, logs_bloom, base_fee: None, gas_limit: 1 }
    }

    fn receipts(logs: &[Log]) -> Vec<LogsOfReceipt> {
        logs.iter().map(|log| LogsOfReceipt { block_hash: HASH, logs: vec![log.clone()] }).collect()
    }

    fn ours() -> LogFilter {
        LogFilter { addresses: vec![Address::repeat_byte(1)], topics0: vec![] }
    }

    #[test]
    fn a_blocks_receipts_hold_its_logs() {
        let all = [log(1, 0), log(2, 1), log(1, 2)];
        let wanted = Ok(vec![all[0].clone(), all[2].clone()]);
        assert_eq!(logs_of(receipts(&all), &header(&all), &ours()), wanted);
        let unsorted = [all[2].clone(), all[1].clone(), all[0].clone()];
        assert_eq!(logs_of(receipts(&unsorted), &header(&all), &ours()), wanted);
        // Where the chain has no blooms, nothing can be held against it.
        let unknown = Header { logs_bloom: Bloom::repeat_byte(0xff), ..header(&all) };
        assert_eq!(logs_of(vec![], &unknown, &ours()), Ok(vec![]));
    }

    #[test]
    fn receipts_that_contradict_themselves_or_lack_what_the_bloom_says_are_refused() {
        let all = [log(1, 0), log(2, 1)];
        let refused = |logs: Vec<LogsOfReceipt>| logs_of(logs, &header(&all), &ours()).unwrap_err();
        assert!(refused(receipts(&all[1..])).contains("withheld"));
        assert!(refused(vec![]).contains("withheld"));
        let mut other = receipts(&all);
        other[1].block_hash = B256::ZERO;
        assert!(refused(other).contains("a receipt of block"));
        let mut other = all.clone();
        other[1].block_number = Some(8);
        assert!(refused(receipts(&other)).contains("another height"));
        assert!(refused(receipts(&[log(1, 0), log(2, 0)])).contains("occurs twice"));
    }
}

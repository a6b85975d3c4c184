//! Logs of a block from its receipts: where an endpoint refuses a block's logs
//! as such.

use alloy::{
    eips::BlockId,
    primitives::{B256, Bloom},
    rpc::types::Log,
};
use serde::Deserialize;

use super::{ChainClient, logs::GivenLogs};
use crate::chain::{
    answers::{Header, LogBlocks, LogFilter},
    rpc::RpcError,
};

/// A receipt, as far as its logs go: types of transactions that only one chain
/// has must not be in the way.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogsOfReceipt {
    block_hash: B256,
    logs: Vec<Log>,
}

impl ChainClient {
    /// Logs of one block, from all its receipts, by the block's hash.
    pub(super) async fn logs_by_receipts(
        &self,
        index: usize,
        filter: &LogFilter,
        block: BlockId,
    ) -> Result<GivenLogs, RpcError> {
        let method = "eth_getBlockReceipts";
        let Some(header) = self.header_at(index, block).await? else {
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
        let answer = self.send(index, method, &params, true).await?;
        let bytes = answer.get().len() as u64;
        let receipts: Option<Vec<LogsOfReceipt>> =
            serde_json::from_str(answer.get()).map_err(|error| self.wrong(index, method, error))?;
        // It may have dropped the block since.
        let Some(receipts) = receipts else {
            return Err(RpcError::lacks_block(self.name(index), method, hash));
        };
        let logs = logs_of(receipts, &header, filter)
            .map_err(|reason| self.wrong(index, method, reason))?;
        Ok(GivenLogs { logs, bytes })
    }

    /// A header as one endpoint has it.
    pub(super) async fn header_at(
        &self,
        index: usize,
        block: BlockId,
    ) -> Result<Option<Header>, RpcError> {
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
        let header: Option<Header> = self.at(index, method, &params).await?;
        let is_it = header.as_ref().is_none_or(|Header { block: given, .. }| match block {
            BlockId::Hash(hash) => given.hash == hash.block_hash,
            BlockId::Number(number) => number.as_number().is_none_or(|n| given.number == n),
        });
        if is_it {
            return Ok(header);
        }
        Err(self.wrong(index, method, format!("it gave another block for {block}")))
    }
}

/// The filter's logs among all logs of a block, in order, or what is wrong
/// with them. All of them are checked, and none may be missing that the
/// header's bloom speaks of.
fn logs_of(
    receipts: Vec<LogsOfReceipt>,
    header: &Header,
    filter: &LogFilter,
) -> Result<Vec<Log>, String> {
    let hash = header.block.hash;
    if let Some(other) = receipts.iter().find(|receipt| receipt.block_hash != hash) {
        return Err(format!("a receipt of block {} among those of {hash}", other.block_hash));
    }
    let mut logs: Vec<Log> = receipts.into_iter().flat_map(|receipt| receipt.logs).collect();
    LogFilter::default()
        .check(&LogBlocks::Hash(hash), &mut logs)
        .map_err(|wrong| wrong.to_string())?;
    let number = header.block.number;
    if logs.iter().any(|log| log.block_number != Some(number)) {
        return Err(format!("a log of another height than {number}"));
    }
    let mut bloom = Bloom::ZERO;
    for log in &logs {
        bloom.accrue_raw_log(log.address(), log.topics());
    }
    // All ones stand for a chain without blooms.
    let is_told = header.logs_bloom != Bloom::repeat_byte(0xff);
    if is_told && !bloom.contains(&header.logs_bloom) {
        return Err(format!("it withheld logs of block {hash}"));
    }
    logs.retain(|log| {
        let topic = log.topic0();
        (filter.addresses.is_empty() || filter.addresses.contains(&log.address()))
            && (filter.topics0.is_empty() || topic.is_some_and(|t| filter.topics0.contains(t)))
    });
    Ok(logs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use alloy::primitives::Address;

    use super::*;
    use crate::domain::BlockRef;

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
        for log in logs {
            logs_bloom.accrue_raw_log(log.address(), log.topics());
        }
        Header {
            block: BlockRef { number: 7, hash: HASH, parent_hash: B256::ZERO, time: 1 },
            logs_bloom,
            base_fee: None,
            gas_limit: 1,
        }
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
        let header = header(&all);
        let wanted = Ok(vec![all[0].clone(), all[2].clone()]);
        assert_eq!(logs_of(receipts(&all), &header, &ours()), wanted);
        let unsorted = [all[2].clone(), all[1].clone(), all[0].clone()];
        assert_eq!(logs_of(receipts(&unsorted), &header, &ours()), wanted);
    }

    #[test]
    fn receipts_that_contradict_their_header_are_refused() {
        let all = [log(1, 0), log(2, 1)];
        let header = header(&all);
        let refused = |logs: Vec<LogsOfReceipt>| logs_of(logs, &header, &ours()).unwrap_err();
        assert!(refused(receipts(&all[..1])).contains("withheld"));
        assert!(refused(vec![]).contains("withheld"));
        let mut other = receipts(&all);
        other[1].block_hash = B256::ZERO;
        assert!(refused(other).contains("a receipt of block"));
        let mut other = all.clone();
        other[1].block_number = Some(8);
        assert!(refused(receipts(&other)).contains("another height"));
        assert!(refused(receipts(&[log(1, 0), log(2, 0)])).contains("occurs twice"));
        // Where the chain has no blooms, nothing can be held against it.
        let unknown = Header { logs_bloom: Bloom::repeat_byte(0xff), ..header };
        assert_eq!(logs_of(vec![], &unknown, &ours()), Ok(vec![]));
    }
}

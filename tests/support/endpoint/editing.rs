//! Changes answers as [`Edit`]s say.

use alloy::{
    consensus::proofs::calculate_receipt_root,
    eips::BlockNumberOrTag,
    primitives::{B256, Bloom, U64, keccak256},
    rpc::types::{Filter, FilterBlockOption, Log, TransactionReceipt},
};
use serde_json::{Value as Json, json};

use super::{Edit, ForgedLog, Refusal, call::number, upstream::Upstream};

/// Edits in order, each with the block from which on it holds.
pub(super) struct Editing<'a> {
    node: &'a Upstream,
    edits: Vec<(u64, &'a Edit)>,
}

impl<'a> Editing<'a> {
    pub fn new(node: &'a Upstream) -> Self {
        Self { node, edits: Vec::new() }
    }

    pub fn add(mut self, from: u64, edits: impl IntoIterator<Item = &'a Edit>) -> Self {
        self.edits.extend(edits.into_iter().map(|edit| (from, edit)));
        self
    }

    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// The answer to `eth_getLogs` with the node's hashes, `range` being what
    /// its blocks come to unless it asks by hash.
    pub async fn logs(
        &self,
        filter: &Filter,
        range: Option<(u64, u64)>,
        answer: Json,
    ) -> Result<Json, Refusal> {
        let mut logs: Vec<Log> = serde_json::from_value(answer).unwrap();
        for (nth, (from, edit)) in self.edits.iter().enumerate() {
            if let Edit::Invent(forged) = edit {
                if forged.block < *from {
                    continue;
                }
                let block = self.node.block_at(BlockNumberOrTag::Number(forged.block)).await?;
                let Some(hash) = hash_of(&block) else { continue };
                let asked = match range {
                    Some((from, to)) => (from..=to).contains(&forged.block),
                    None => filter.block_option == FilterBlockOption::AtBlockHash(hash),
                };
                if asked && filter.matches(&forged.log) {
                    let receipts = self.node.receipts(hash).await?;
                    logs.push(self.place(nth, forged, &block, &receipts));
                }
            } else {
                change(edit, *from, &mut logs);
            }
        }
        logs.sort_by_key(|log| (log.block_number, log.log_index));
        Ok(json!(logs))
    }

    /// All receipts of a block, with the node's hashes.
    pub fn receipts(&self, block: &Json, real: Vec<Json>) -> Vec<Json> {
        let mut receipts = real.clone();
        for (nth, (from, edit)) in self.edits.iter().enumerate() {
            if let Edit::Invent(forged) = edit {
                if forged.block >= *from && number(&block["number"]) == Some(forged.block) {
                    let log = self.place(nth, forged, block, &real);
                    if receipts.is_empty() {
                        receipts.push(made_up(&log));
                    }
                    let logs = receipts.last_mut().and_then(|last| last["logs"].as_array_mut());
                    logs.unwrap().push(json!(log));
                }
                continue;
            }
            for receipt in &mut receipts {
                let mut logs: Vec<Log> = serde_json::from_value(receipt["logs"].take()).unwrap();
                change(edit, *from, &mut logs);
                receipt["logs"] = json!(logs);
            }
        }
        for receipt in &mut receipts {
            let logs: Vec<Log> = serde_json::from_value(receipt["logs"].clone()).unwrap();
            receipt["logsBloom"] = json!(bloom(&logs));
        }
        receipts
    }

    /// An invented log where it stands in its block.
    fn place(&self, nth: usize, forged: &ForgedLog, block: &Json, receipts: &[Json]) -> Log {
        let logs = |receipt: &Json| receipt["logs"].as_array().map_or(0, Vec::len);
        let of_block = |(_, edit): &&(u64, &Edit)| matches!(edit, Edit::Invent(other) if other.block == forged.block);
        let earlier = self.edits[..nth].iter().filter(of_block).count();
        let index = receipts.iter().map(logs).sum::<usize>() + earlier;
        let hash = hash_of(block);
        let last = receipts.last();
        Log {
            inner: forged.log.clone(),
            block_hash: hash,
            block_number: Some(forged.block),
            block_timestamp: number(&block["timestamp"]),
            transaction_hash: last
                .and_then(|last| serde_json::from_value(last["transactionHash"].clone()).ok())
                .or_else(|| Some(keccak256(hash.unwrap_or_default()))),
            transaction_index: Some(receipts.len().saturating_sub(1) as u64),
            log_index: Some(index as u64),
            removed: false,
        }
    }
}

/// The bloom and the root of a block with these receipts.
pub(super) fn commitments(receipts: &[Json]) -> (Bloom, B256) {
    let (mut bloom, mut encoded) = (Bloom::ZERO, Vec::new());
    for receipt in receipts {
        let receipt: TransactionReceipt = serde_json::from_value(receipt.clone()).unwrap();
        let receipt = receipt.into_primitives_receipt().into_inner();
        bloom |= *receipt.logs_bloom();
        encoded.push(receipt);
    }
    (bloom, calculate_receipt_root(&encoded))
}

fn bloom(logs: &[Log]) -> Bloom {
    let mut bloom = Bloom::ZERO;
    logs.iter().for_each(|log| bloom.accrue_log(&log.inner));
    bloom
}

fn hash_of(block: &Json) -> Option<B256> {
    serde_json::from_value(block["hash"].clone()).ok()
}

/// Every edit but an invention.
fn change(edit: &Edit, from: u64, logs: &mut Vec<Log>) {
    let holds = |log: &Log| log.block_number.is_some_and(|block| block >= from);
    match edit {
        Edit::Withhold(which) => logs.retain(|log| !(holds(log) && which.picks(log))),
        Edit::Alter(which) => {
            for log in logs.iter_mut().filter(|log| holds(log) && which.picks(log)) {
                let mut data = log.inner.data.data.to_vec();
                match data.last_mut() {
                    Some(last) => *last ^= 1,
                    None => data.push(1),
                }
                log.inner.data.data = data.into();
            }
        }
        Edit::WrongBlockHash(which) => {
            for log in logs.iter_mut().filter(|log| holds(log) && which.picks(log)) {
                log.block_hash = log.block_hash.map(keccak256);
            }
        }
        Edit::RepeatIndexes => {
            let mut first = None;
            for log in logs.iter_mut().filter(|log| holds(log)) {
                let (block, index) = match first {
                    Some((block, index)) if block == log.block_number => (block, index),
                    _ => (log.block_number, log.log_index),
                };
                first = Some((block, index));
                log.log_index = index;
            }
        }
        Edit::Invent(_) => {}
    }
}

/// The receipt of a transaction that there is not, without its logs.
fn made_up(log: &Log) -> Json {
    json!({
        "type": "0x2", "status": "0x1", "cumulativeGasUsed": "0x5208", "gasUsed": "0x5208",
        "effectiveGasPrice": "0x3b9aca00", "contractAddress": null, "logs": [],
        "logsBloom": Bloom::ZERO, "transactionHash": log.transaction_hash,
        "transactionIndex": "0x0", "blockHash": log.block_hash,
        "blockNumber": log.block_number.map(U64::from),
        "from": log.address(), "to": log.address(),
    })
}

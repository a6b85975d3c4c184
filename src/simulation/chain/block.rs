//! A block with its header as Ethereum hashes it, and what endpoints tell of it, written
//! once.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use alloy::{
    consensus::{
        Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, Transaction as _, TxType, proofs,
    },
    primitives::{Address, B256, Bloom, Bytes, Log, logs_bloom},
    rpc::types::{
        Block as RpcBlock, BlockTransactions, Header as RpcHeader, Log as RpcLog, TransactionInfo,
        TransactionReceipt,
    },
};
use serde_json::value::{RawValue, to_raw_value};

use super::transaction::Transaction;

/// Gas that a block may use.
pub(super) const GAS_LIMIT: u64 = 30_000_000;

/// A transaction that ran, with what it did.
pub(super) struct Ran {
    pub(super) transaction: Arc<Transaction>,
    pub(super) passed: bool,
    pub(super) gas_used: u64,
    pub(super) logs: Vec<Log>,
}

/// What a block is besides what ran in it.
pub(super) struct Frame {
    pub(super) parent_hash: B256,
    pub(super) number: u64,
    pub(super) timestamp: u64,
    pub(super) base_fee: u64,
    /// Tells apart what would be one block on two branches.
    pub(super) extra: u64,
}

/// A block.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) header: Header,
    pub(super) hash: B256,
    pub(super) transactions: Vec<Mined>,
    pub(super) logs: Vec<(RpcLog, Box<RawValue>)>,
    emitters: BTreeSet<Address>,
    with_hashes: Box<RawValue>,
    in_full: OnceLock<Box<RawValue>>,
}

/// A transaction in its block.
#[derive(Debug)]
pub(super) struct Mined {
    pub(super) transaction: Arc<Transaction>,
    pub(super) gas_used: u64,
    pub(super) receipt: Box<RawValue>,
}

impl Block {
    /// Puts a block together.
    pub(super) fn new(frame: &Frame, ran: Vec<Ran>) -> Self {
        let gas_used = ran.iter().map(|it| it.gas_used).sum();
        let receipts: Vec<ReceiptEnvelope<Log>> = receipts(&ran);
        let envelopes: Vec<_> = ran.iter().map(|it| &it.transaction.envelope).collect();
        let mut bloom = Bloom::ZERO;
        receipts.iter().for_each(|receipt| bloom.accrue_bloom(receipt.logs_bloom()));
        let header = Header {
            parent_hash: frame.parent_hash,
            number: frame.number,
            timestamp: frame.timestamp,
            base_fee_per_gas: Some(frame.base_fee),
            gas_limit: GAS_LIMIT,
            gas_used,
            logs_bloom: bloom,
            receipts_root: proofs::calculate_receipt_root(&receipts),
            transactions_root: proofs::ordered_trie_root_with_encoder(&envelopes, |it, out| {
                alloy::eips::eip2718::Encodable2718::encode_2718(*it, out);
            }),
            extra_data: Bytes::copy_from_slice(&frame.extra.to_be_bytes()),
            ..Header::default()
        };
        let hash = header.hash_slow();
        let mut block = Self {
            with_hashes: told(&header, hash, hashes(&ran)),
            header,
            hash,
            transactions: Vec::with_capacity(ran.len()),
            logs: Vec::new(),
            emitters: BTreeSet::new(),
            in_full: OnceLock::new(),
        };
        for (ran, receipt) in ran.into_iter().zip(receipts) {
            block.push(ran, receipt);
        }
        block
    }

    fn push(&mut self, ran: Ran, receipt: ReceiptEnvelope<Log>) {
        let (index, first) = (self.transactions.len() as u64, self.logs.len() as u64);
        let Ran { transaction, gas_used, logs, .. } = ran;
        for (inner, place) in logs.into_iter().zip(first..) {
            self.emitters.insert(inner.address);
            let log = RpcLog {
                inner,
                block_hash: Some(self.hash),
                block_number: Some(self.header.number),
                block_timestamp: Some(self.header.timestamp),
                transaction_hash: Some(transaction.hash),
                transaction_index: Some(index),
                log_index: Some(place),
                removed: false,
            };
            let json = raw(&log);
            self.logs.push((log, json));
        }
        let own = self.logs.get(usize::try_from(first).unwrap_or_default()..).unwrap_or_default();
        let mut own = own.iter().map(|(log, _)| log.clone());
        let tip = transaction.tip(self.base_fee()).unwrap_or_default();
        let told = TransactionReceipt {
            inner: receipt.map_logs(|_| own.next().unwrap_or_default()),
            transaction_hash: transaction.hash,
            transaction_index: Some(index),
            block_hash: Some(self.hash),
            block_number: Some(self.header.number),
            gas_used,
            effective_gas_price: tip + u128::from(self.base_fee()),
            blob_gas_used: None,
            blob_gas_price: None,
            from: transaction.from,
            to: transaction.envelope.to(),
            contract_address: None,
        };
        self.transactions.push(Mined { transaction, gas_used, receipt: raw(&told) });
    }

    pub(super) fn base_fee(&self) -> u64 {
        self.header.base_fee_per_gas.unwrap_or_default()
    }

    /// Whether one of the contracts has a log in it; any, where none is named.
    pub(super) fn may_have_logs(&self, of: &alloy::rpc::types::FilterSet<Address>) -> bool {
        match of.is_empty() {
            true => !self.logs.is_empty(),
            false => self.emitters.iter().any(|emitter| of.contains(emitter)),
        }
    }

    /// As endpoints tell it.
    pub(super) fn told(&self, in_full: bool) -> &RawValue {
        if !in_full || self.transactions.is_empty() {
            return &self.with_hashes;
        }
        self.in_full.get_or_init(|| {
            let all = (0..self.transactions.len()).filter_map(|place| self.transaction(place));
            told(&self.header, self.hash, BlockTransactions::Full(all.collect()))
        })
    }

    /// A transaction as endpoints tell it, by its place.
    pub(super) fn transaction(&self, place: usize) -> Option<alloy::rpc::types::Transaction> {
        let at = TransactionInfo {
            block_hash: Some(self.hash),
            block_number: Some(self.header.number),
            block_timestamp: Some(self.header.timestamp),
            index: Some(place as u64),
            base_fee: self.header.base_fee_per_gas,
            ..TransactionInfo::default()
        };
        Some(self.transactions.get(place)?.transaction.told(at))
    }
}

fn hashes(ran: &[Ran]) -> BlockTransactions<alloy::rpc::types::Transaction> {
    BlockTransactions::Hashes(ran.iter().map(|it| it.transaction.hash).collect())
}

fn told(
    header: &Header,
    hash: B256,
    transactions: BlockTransactions<alloy::rpc::types::Transaction>,
) -> Box<RawValue> {
    let (inner, total_difficulty, size) = (header.clone(), None, None);
    let header = RpcHeader { hash, inner, total_difficulty, size };
    raw(&RpcBlock { header, uncles: Vec::new(), transactions, withdrawals: None })
}

fn receipts(ran: &[Ran]) -> Vec<ReceiptEnvelope<Log>> {
    let mut cumulative_gas_used = 0;
    let one = |ran: &Ran| {
        cumulative_gas_used += ran.gas_used;
        let (status, logs) = (ran.passed.into(), ran.logs.clone());
        let receipt = Receipt { status, cumulative_gas_used, logs };
        let logs_bloom = logs_bloom(&ran.logs);
        let whole = ReceiptWithBloom { receipt, logs_bloom };
        match ran.transaction.envelope.tx_type() {
            TxType::Legacy => ReceiptEnvelope::Legacy(whole),
            TxType::Eip2930 => ReceiptEnvelope::Eip2930(whole),
            TxType::Eip1559 => ReceiptEnvelope::Eip1559(whole),
            TxType::Eip4844 => ReceiptEnvelope::Eip4844(whole),
            TxType::Eip7702 => ReceiptEnvelope::Eip7702(whole),
        }
    };
    ran.iter().map(one).collect()
}

/// Values of these types can always be written.
pub(super) fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

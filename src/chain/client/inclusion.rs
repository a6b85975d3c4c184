//! That a transaction and its receipt are in a block, for somebody who has the
//! block's hash only.

use std::cell::RefCell;

use alloy::primitives::{B256, Bytes};
use serde_json::value::RawValue;

use super::{ChainClient, LieKind, batch::Read};
use crate::chain::{
    proof::{
        FullHeader, FullTransactions, Inclusion, NotProven, Receipt, prove, prove_inclusion,
        prove_transactions,
    },
    rpc::RpcError,
};

impl ChainClient {
    /// Proves that a block has a transaction, with its receipt.
    ///
    /// # Errors
    /// See [`RpcError`]; `Unproven` when no endpoint's answers prove it: the chain's
    /// headers may be hashed in a way of their own, or no endpoint gives receipts.
    pub async fn inclusion(&self, block: B256, transaction: B256) -> Result<Inclusion, RpcError> {
        let header = self.anchored(block).await?.value;
        let number = header.fields.number;
        if !header.hash_is_proven() {
            return Err(self.unproven(number, "its hash is not that of its fields".to_owned()));
        }
        let bare = header.without_transactions();
        let transactions = self.all_transactions(&bare).await?;
        let hashes = transactions.iter().map(alloy::primitives::keccak256);
        let Some(index) = hashes.into_iter().position(|hash| hash == transaction) else {
            return Err(self.unproven(number, format!("it has no transaction {transaction}")));
        };
        let receipts = self.all_receipts(&bare).await?;
        let lacks = || self.unproven(number, format!("it has no receipt {index}"));
        Ok(Inclusion {
            header: alloy::rlp::encode(&header.fields).into(),
            index: index as u64,
            transaction: transactions.get(index).cloned().ok_or_else(lacks)?,
            transaction_nodes: prove_inclusion(&transactions, index).ok_or_else(lacks)?,
            receipt: receipts.get(index).cloned().ok_or_else(lacks)?,
            receipt_nodes: prove_inclusion(&receipts, index).ok_or_else(lacks)?,
        })
    }

    async fn all_receipts(&self, header: &FullHeader) -> Result<Vec<Bytes>, RpcError> {
        let unproven = RefCell::new(None);
        let read = |_: usize, answer: &RawValue| {
            let receipts = match serde_json::from_str::<Option<Vec<Receipt>>>(answer.get()) {
                Ok(Some(receipts)) => receipts,
                Ok(None) => return Read::Absent,
                Err(error) => return Read::Malformed(error.to_string()),
            };
            match prove(header, receipts) {
                Ok(proven) => Read::Good(proven.encoded()),
                Err(NotProven::Lie(lie)) => Read::Wrong(lie.to_string()),
                Err(NotProven::Unprovable(why)) => {
                    unproven.replace(Some(why.to_string()));
                    Read::Absent
                }
            }
        };
        let method = "eth_getBlockReceipts";
        let params = self.each(method, [[header.hash]].into_iter())?;
        let (answers, failure) = self.batched(method, LieKind::Receipt, &params, read).await;
        let lacks = |_: usize| {
            let why = unproven.borrow().clone();
            let why = why.unwrap_or_else(|| "nobody has its receipts".to_owned());
            self.unproven(header.fields.number, why)
        };
        let found = self.complete(answers, failure, lacks)?;
        Ok(found.into_iter().next().map(|given| given.value).unwrap_or_default())
    }

    async fn all_transactions(&self, header: &FullHeader) -> Result<Vec<Bytes>, RpcError> {
        let read = |_: usize, answer: &RawValue| {
            let full = serde_json::from_str::<FullTransactions>(answer.get()).ok();
            let proven = full.filter(|full| prove_transactions(header, full).is_ok());
            proven.map_or(Read::Absent, |full| Read::Good(full.encoded()))
        };
        let method = "eth_getBlockByHash";
        let params = self.each(method, [(header.hash, true)].into_iter())?;
        let (answers, failure) = self.batched(method, LieKind::Transaction, &params, read).await;
        let lacks = |_: usize| {
            let why =
                "its transactions can't be proven: some may be of kinds that are not Ethereum's";
            self.unproven(header.fields.number, why.to_owned())
        };
        let found = self.complete(answers, failure, lacks)?;
        Ok(found.into_iter().next().map(|given| given.value).unwrap_or_default())
    }
}

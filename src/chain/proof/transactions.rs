//! A block's full transactions against its header: what proves their hashes.

use alloy::consensus::{TxEnvelope, proofs::ordered_trie_root_encoded};
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::primitives::{B256, Bytes, keccak256};
use serde::Deserialize;

use super::{FullHeader, Lie, NotProven, Unprovable};

/// The transactions of a block that was asked for in full. Chains with
/// transactions of other kinds than Ethereum's can't be read so.
#[derive(Clone, Debug, Deserialize)]
pub struct FullTransactions {
    /// In the block's order.
    pub transactions: Vec<TxEnvelope>,
}

impl FullTransactions {
    /// Each transaction's bytes in the trie.
    #[must_use]
    pub fn encoded(&self) -> Vec<Bytes> {
        self.transactions.iter().map(|transaction| transaction.encoded_2718().into()).collect()
    }
}

/// Proves the transaction hashes of `header`, and gives them: rebuilds the trie
/// of the full transactions, compares it with the header's root, and their
/// hashes with those that the header's answer names, if it does.
///
/// # Errors
/// [`NotProven::Lie`] when the root or a hash differs; where the header's own
/// hash is not proven: [`NotProven::Unprovable`].
pub fn prove_transactions(
    header: &FullHeader,
    full: &FullTransactions,
) -> Result<Vec<B256>, NotProven> {
    let accuse = |lie: Lie| match header.hash_is_proven() {
        true => NotProven::from(lie),
        false => Unprovable::Header { contradiction: Box::new(lie) }.into(),
    };
    let block = header.fields.number;
    let encoded = full.encoded();
    let computed = ordered_trie_root_encoded(&encoded);
    let committed = header.fields.transactions_root;
    if computed != committed {
        return Err(accuse(Lie::WrongTransactions { block, committed, computed }));
    }
    let hashes: Vec<B256> = encoded.iter().map(keccak256).collect();
    let Some(named) = &header.transactions else { return Ok(hashes) };
    if named.len() != hashes.len() {
        let (transactions, named) = (hashes.len(), named.len());
        return Err(accuse(Lie::TransactionCount { block, transactions, named }));
    }
    for ((expected, told), transaction_index) in hashes.iter().zip(named).zip(0..) {
        if told != expected {
            let (expected, told) = (*expected, *told);
            let lie = Lie::WrongTransactionHash { block, transaction_index, expected, told };
            return Err(accuse(lie));
        }
    }
    Ok(hashes)
}

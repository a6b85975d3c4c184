//! That a transaction and its receipt are in a block, to be held against the block's
//! hash by somebody who trusts nothing else.

use alloy::{
    consensus,
    primitives::{B256, Bloom, Bytes, Log, keccak256},
    rlp::{Decodable, Header},
};
use serde::{Deserialize, Serialize};

use super::verify_inclusion;

/// That a block has a transaction with a receipt: to be held against the block's
/// hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inclusion {
    /// The block's header, RLP.
    pub header: Bytes,
    /// The place of both in the block, from 0.
    pub index: u64,
    /// The transaction (EIP-2718).
    pub transaction: Bytes,
    /// The nodes of the trie of transactions on the way to it.
    pub transaction_nodes: Vec<Bytes>,
    /// The receipt as it is in the trie.
    pub receipt: Bytes,
    /// The nodes of the trie of receipts on the way to it.
    pub receipt_nodes: Vec<Bytes>,
}

/// Why an inclusion proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The header is not that of the block.
    #[error("the header's hash is {found}, not {told}")]
    OtherBlock {
        /// The block's hash as the file tells it.
        told: B256,
        /// The header's.
        found: B256,
    },
    /// The header is unreadable.
    #[error("the header can't be read: {0}")]
    Header(String),
    /// The block has another number.
    #[error("the block's number is {found}, not {told}")]
    OtherNumber {
        /// As the file tells it.
        told: u64,
        /// The header's.
        found: u64,
    },
    /// The transaction is another one.
    #[error("the transaction's hash is {found}, not {told}")]
    OtherTransaction {
        /// As the file tells it.
        told: B256,
        /// That of its bytes.
        found: B256,
    },
    /// The block does not have the transaction at this place.
    #[error("the transaction is not in the block's trie")]
    NoTransaction,
    /// The block does not have the receipt at this place.
    #[error("the receipt is not in the block's trie")]
    NoReceipt,
    /// The receipt is unreadable.
    #[error("the receipt can't be read: {0}")]
    Receipt(String),
    /// The transaction failed.
    #[error("the transaction failed: it emitted nothing")]
    Failed,
}

impl Inclusion {
    /// What the transaction emitted, if all this proves that it is in the block.
    ///
    /// # Errors
    /// The first [`Flaw`].
    pub fn logs(&self, block: u64, block_hash: B256, transaction: B256) -> Result<Vec<Log>, Flaw> {
        let found = keccak256(&self.header);
        if found != block_hash {
            return Err(Flaw::OtherBlock { told: block_hash, found });
        }
        let header = consensus::Header::decode(&mut self.header.as_ref());
        let header = header.map_err(|error| Flaw::Header(error.to_string()))?;
        if header.number != block {
            return Err(Flaw::OtherNumber { told: block, found: header.number });
        }
        let found = keccak256(&self.transaction);
        if found != transaction {
            return Err(Flaw::OtherTransaction { told: transaction, found });
        }
        let index = usize::try_from(self.index).map_err(|_| Flaw::NoTransaction)?;
        let (root, nodes) = (header.transactions_root, &self.transaction_nodes);
        if !verify_inclusion(root, index, &self.transaction, nodes) {
            return Err(Flaw::NoTransaction);
        }
        if !verify_inclusion(header.receipts_root, index, &self.receipt, &self.receipt_nodes) {
            return Err(Flaw::NoReceipt);
        }
        logs(&self.receipt)
    }
}

/// The first byte of an RLP list; a type byte (EIP-2718) is below.
const LIST: u8 = 0xc0;

/// What a transaction emitted. Every kind of receipt begins alike: outcome, gas, bloom,
/// logs; some have more after that.
fn logs(receipt: &[u8]) -> Result<Vec<Log>, Flaw> {
    let wrong = |error: alloy::rlp::Error| Flaw::Receipt(error.to_string());
    let mut rest = match receipt.first() {
        Some(first) if *first < LIST => receipt.get(1..).unwrap_or_default(),
        _ => receipt,
    };
    let mut payload = Header::decode_bytes(&mut rest, true).map_err(wrong)?;
    // A status of one byte, or a state root of blocks before Byzantium.
    let outcome = Bytes::decode(&mut payload).map_err(wrong)?;
    u64::decode(&mut payload).map_err(wrong)?;
    Bloom::decode(&mut payload).map_err(wrong)?;
    let logs = Vec::<Log>::decode(&mut payload).map_err(wrong)?;
    match outcome.as_ref() {
        [] | [0] => Err(Flaw::Failed),
        _ => Ok(logs),
    }
}

//! A block's receipts against its header: the trie is rebuilt, and what the
//! trie doesn't cover is checked against the order that it fixes.

use alloy::consensus::{EMPTY_ROOT_HASH, Eip658Value};
use alloy::primitives::{B256, Bloom, Bytes, keccak256};
use alloy::rpc::types::Log;
use alloy::trie::root::ordered_trie_root_with_encoder;

use super::{FullHeader, Lie, NotProven, Receipt, Unprovable};
use crate::{chain::answers::LogFilter, domain::BlockRef};

/// All receipts of a block, whose trie has the root that the header names: no
/// log is missing, none was added, none altered.
///
/// Type, outcome, cumulative gas, blooms and the logs' addresses, topics and
/// data are proven by the root; transaction and log indexes follow from the
/// order. Transaction *hashes* are not in the trie: they agree with the hashes
/// that the block's answer names (when it names any), and are proven only by
/// [`super::prove_transactions`].
#[derive(Clone, Debug)]
pub struct ProvenReceipts {
    block: BlockRef,
    anchored: bool,
    blooms_hold: bool,
    receipts: Vec<Receipt>,
}

/// Rebuilds the trie of a block's receipts and compares it with its header.
/// The receipts may come in any order.
///
/// # Errors
/// [`NotProven::Lie`] when the answer contradicts a header whose hash is
/// proven, and all that its bytes depend on is known. [`NotProven::Unprovable`]
/// whenever an honest endpoint might have answered so.
pub fn prove(header: &FullHeader, mut receipts: Vec<Receipt>) -> Result<ProvenReceipts, NotProven> {
    let block = header.block();
    if !receipts.is_sorted_by_key(|receipt| receipt.transaction_index) {
        receipts.sort_by_key(|receipt| receipt.transaction_index);
    }
    let root = ordered_trie_root_with_encoder(&receipts, |receipt, out| receipt.encode(out));
    if root != header.fields.receipts_root {
        return Err(blame(header, &receipts, root));
    }
    if receipts.is_empty() && has_transactions(header) {
        // Cronos names the empty root whatever there is.
        return Err(Unprovable::NoCommitment { block: block.number }.into());
    }
    check_count(header, &receipts)?;
    check_places(header, &receipts).map_err(|lie| accuse(header, lie))?;
    let mut union = Bloom::ZERO;
    for receipt in &receipts {
        union.accrue_bloom(&receipt.bloom);
    }
    let blooms_hold =
        receipts.iter().all(|receipt| receipt.bloom_holds) && union == header.fields.logs_bloom;
    Ok(ProvenReceipts { block, anchored: header.hash_is_proven(), blooms_hold, receipts })
}

impl ProvenReceipts {
    /// The block.
    #[must_use]
    pub fn block(&self) -> &BlockRef {
        &self.block
    }

    /// Whether the block's hash commits to the root, too. Where it doesn't, the
    /// receipts are as good as the header they were checked against: ask
    /// another endpoint for that.
    #[must_use]
    pub fn is_anchored(&self) -> bool {
        self.anchored
    }

    /// Whether the blooms of receipts and header are those of the logs. On a
    /// chain where they are not, blooms deny what is there: don't ask them.
    #[must_use]
    pub fn blooms_hold(&self) -> bool {
        self.blooms_hold
    }

    /// Whether there are any logs in the block.
    #[must_use]
    pub fn has_logs(&self) -> bool {
        self.receipts.iter().any(|receipt| !receipt.logs.is_empty())
    }

    /// How many receipts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.receipts.len()
    }

    /// Whether the block is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.receipts.is_empty()
    }

    /// All logs of the block that the filter asks for, in order.
    #[must_use]
    pub fn logs(&self, filter: &LogFilter) -> Vec<Log> {
        let mut found = Vec::new();
        let mut first_log_index = 0;
        for (receipt, transaction_index) in self.receipts.iter().zip(0..) {
            for (told, log_index) in receipt.logs.iter().zip(first_log_index..) {
                if filter.asks_for(&told.log) {
                    found.push(Log {
                        inner: told.log.clone(),
                        block_hash: Some(self.block.hash),
                        block_number: Some(self.block.number),
                        block_timestamp: Some(self.block.time),
                        transaction_hash: Some(receipt.transaction_hash),
                        transaction_index: Some(transaction_index),
                        log_index: Some(log_index),
                        removed: false,
                    });
                }
            }
            first_log_index += receipt.logs.len() as u64;
        }
        found
    }

    /// Each receipt's bytes in the trie, for [`super::prove_inclusion`].
    #[must_use]
    pub fn encoded(&self) -> Vec<Bytes> {
        let encode = |receipt: &Receipt| {
            let mut bytes = Vec::new();
            receipt.encode(&mut bytes);
            Bytes::from(bytes)
        };
        self.receipts.iter().map(encode).collect()
    }
}

fn has_transactions(header: &FullHeader) -> bool {
    let named = header.transactions.as_ref().is_some_and(|hashes| !hashes.is_empty());
    named || header.fields.transactions_root != EMPTY_ROOT_HASH
}

/// A lie, where the header's hash is proven; else perhaps the chain's way.
fn accuse(header: &FullHeader, lie: Lie) -> NotProven {
    match header.hash_is_proven() {
        true => lie.into(),
        false => Unprovable::Header { contradiction: Box::new(lie) }.into(),
    }
}

/// Why the root is another: an innocent reason if there may be one.
fn blame(header: &FullHeader, receipts: &[Receipt], computed: B256) -> NotProven {
    let block = header.fields.number;
    if header.fields.receipts_root == EMPTY_ROOT_HASH && has_transactions(header) {
        return Unprovable::NoCommitment { block }.into();
    }
    if has_state_sync(header, receipts) {
        return Unprovable::StateSync { block }.into();
    }
    for (receipt, transaction_index) in receipts.iter().zip(0..) {
        if receipt.outcome.is_none() {
            return Unprovable::NoOutcome { block, transaction_index }.into();
        }
        if !receipt.is_of_known_form() {
            return Unprovable::Kind { block, transaction_index, kind: receipt.kind }.into();
        }
        if let Some(field) = &receipt.unknown {
            return Unprovable::Field { block, transaction_index, field: field.clone() }.into();
        }
        // Nodes that don't keep the state roots of blocks before Byzantium
        // tell a status instead, and nothing in a header tells Byzantium.
        let status = matches!(receipt.outcome, Some(Eip658Value::Eip658(_)));
        if status && header.fields.base_fee_per_gas.is_none() {
            return Unprovable::StateRoots { block }.into();
        }
    }
    let transactions = header.transactions.as_ref().map_or(receipts.len(), Vec::len);
    let gas = |receipt: &Receipt| receipt.cumulative_gas_used;
    let lie = if transactions != receipts.len() {
        Lie::ReceiptCount { block, transactions, receipts: receipts.len() }
    } else if let Some(transaction_index) = receipts.iter().position(|r| !r.bloom_holds) {
        Lie::BloomContradiction { block, transaction_index }
    } else if let Some(before) = receipts.windows(2).position(|w| !w.is_sorted_by_key(gas)) {
        Lie::DecreasingGas { block, transaction_index: before + 1 }
    } else {
        Lie::WrongReceipts { block, committed: header.fields.receipts_root, computed }
    };
    accuse(header, lie)
}

/// The hash that Polygon's nodes give to a block's events from Ethereum: a
/// transaction and a receipt that some of them answer, and their logs, although
/// the block's tries don't have them.
pub(super) fn state_sync_hash(block: u64, hash: B256) -> B256 {
    keccak256([b"matic-bor-receipt-", &block.to_be_bytes()[..], &hash[..]].concat())
}

fn has_state_sync(header: &FullHeader, receipts: &[Receipt]) -> bool {
    let hash = state_sync_hash(header.fields.number, header.hash);
    receipts.iter().any(|receipt| receipt.transaction_hash == hash)
        || header.transactions.as_ref().is_some_and(|hashes| hashes.contains(&hash))
}

/// Checks that each transaction has its receipt. The receipts are proven, the
/// list of transactions is not: chains list transactions of their own in it,
/// which have no receipt, or one that isn't in the trie.
fn check_count(header: &FullHeader, receipts: &[Receipt]) -> Result<(), Unprovable> {
    let block = header.fields.number;
    match &header.transactions {
        Some(hashes) if hashes.len() != receipts.len() => {
            if has_state_sync(header, receipts) {
                return Err(Unprovable::StateSync { block });
            }
            let (transactions, receipts) = (hashes.len(), receipts.len());
            Err(Unprovable::Unreceipted { block, transactions, receipts })
        }
        _ => Ok(()),
    }
}

/// Checks what receipts tell beside their bytes. Their order is proven.
fn check_places(header: &FullHeader, receipts: &[Receipt]) -> Result<(), Lie> {
    let block = header.fields.number;
    let mut log_index = 0;
    for (receipt, index) in receipts.iter().zip(0_usize..) {
        let place = index as u64;
        let in_block = |told: B256| match told == header.hash {
            true => Ok(()),
            false => Err(Lie::WrongBlockHash { block, expected: header.hash, told }),
        };
        let at_index = |told: u64| match told == place {
            true => Ok(()),
            false => Err(Lie::WrongTransactionIndex { block, expected: place, told }),
        };
        let of_transaction = |expected: B256, told: B256| match told == expected {
            true => Ok(()),
            false => {
                Err(Lie::WrongTransactionHash { block, transaction_index: place, expected, told })
            }
        };
        in_block(receipt.block_hash)?;
        at_index(receipt.transaction_index)?;
        let named = header.transactions.as_ref().and_then(|hashes| hashes.get(index));
        let hash = named.copied().unwrap_or(receipt.transaction_hash);
        of_transaction(hash, receipt.transaction_hash)?;
        for log in &receipt.logs {
            log.block_hash.map_or(Ok(()), in_block)?;
            log.transaction_index.map_or(Ok(()), at_index)?;
            log.transaction_hash.map_or(Ok(()), |told| of_transaction(hash, told))?;
            let told = log.log_index.unwrap_or(log_index);
            if told != log_index {
                let (transaction_index, expected) = (place, log_index);
                return Err(Lie::NonMonotonicLogIndex { block, transaction_index, expected, told });
            }
            log_index += 1;
        }
    }
    Ok(())
}

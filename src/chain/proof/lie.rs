//! What an endpoint said that can't be true, named so that a person can see it
//! for themselves.

use std::cmp::Ordering;

use alloy::primitives::{Address, B256};
use alloy::rpc::types::Log;

use super::{NotProven, Unprovable, receipts::state_sync_hash};

/// A false statement of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    /// A log that is in the block was not answered.
    #[error("log {log_index} of block {block} ({address}, transaction {transaction}) was withheld")]
    WithheldLog {
        /// The block's number.
        block: u64,
        /// The log's index in the block.
        log_index: u64,
        /// The contract that emitted it.
        address: Address,
        /// The transaction that emitted it.
        transaction: B256,
    },
    /// A log was answered that is not in the block.
    #[error("log {log_index} of block {block} ({address}) does not exist")]
    InventedLog {
        /// The block's number.
        block: u64,
        /// The index it was given.
        log_index: u64,
        /// The contract it was ascribed to.
        address: Address,
    },
    /// A log was answered otherwise than it is.
    #[error("log {log_index} of block {block} was answered with another {what}")]
    AlteredLog {
        /// The block's number.
        block: u64,
        /// The log's index in the block.
        log_index: u64,
        /// What differs.
        what: &'static str,
    },
    /// A log was answered that its block's bloom says can't be there. A bloom
    /// never denies what is there: the log or the header is false.
    #[error("the bloom of block {block} ({hash}) denies log {log_index} of {address}")]
    DeniedByBloom {
        /// The block's number.
        block: u64,
        /// The block's hash.
        hash: B256,
        /// The index the log was given.
        log_index: u64,
        /// The contract it was ascribed to.
        address: Address,
    },
    /// A header of a block that is known with its proof was answered otherwise.
    #[error("the header of block {block} ({hash}) was answered with another {what}")]
    AlteredHeader {
        /// The block's number.
        block: u64,
        /// The block's hash.
        hash: B256,
        /// What differs.
        what: &'static str,
    },
    /// The receipts are not those that the block's header commits to.
    #[error("the receipts of block {block} give root {computed}, its header says {committed}")]
    WrongReceipts {
        /// The block's number.
        block: u64,
        /// The header's receipts root.
        committed: B256,
        /// The root of the receipts as answered.
        computed: B256,
    },
    /// There are not as many receipts as transactions.
    #[error("block {block} has {transactions} transactions, but {receipts} receipts")]
    ReceiptCount {
        /// The block's number.
        block: u64,
        /// How many transactions the block's answer names.
        transactions: usize,
        /// How many receipts were answered.
        receipts: usize,
    },
    /// The block's answer doesn't name as many transactions as it has.
    #[error("block {block} has {transactions} transactions, but {named} were named")]
    TransactionCount {
        /// The block's number.
        block: u64,
        /// How many there are.
        transactions: usize,
        /// How many hashes were named.
        named: usize,
    },
    /// A receipt's bloom is not the one of its logs.
    #[error("receipt {transaction_index} of block {block} has another bloom than its logs give")]
    BloomContradiction {
        /// The block's number.
        block: u64,
        /// The receipt's index.
        transaction_index: usize,
    },
    /// The gas used so far falls from one receipt to the next.
    #[error("cumulative gas falls at receipt {transaction_index} of block {block}")]
    DecreasingGas {
        /// The block's number.
        block: u64,
        /// The receipt's index.
        transaction_index: usize,
    },
    /// A receipt or log names another block than the one it is in.
    #[error("what is in block {block} ({expected}) was said to be in block {told}")]
    WrongBlockHash {
        /// The block's number.
        block: u64,
        /// The hash of the block it is in.
        expected: B256,
        /// The hash it names.
        told: B256,
    },
    /// A receipt or log names another transaction index than its place gives.
    #[error("receipt {expected} of block {block}, or a log of it, names index {told}")]
    WrongTransactionIndex {
        /// The block's number.
        block: u64,
        /// The receipt's place.
        expected: u64,
        /// The index that was told.
        told: u64,
    },
    /// Receipt, its logs and the block's transactions name different hashes.
    #[error("transaction {transaction_index} of block {block} is {expected}, but {told} was told")]
    WrongTransactionHash {
        /// The block's number.
        block: u64,
        /// The transaction's index.
        transaction_index: u64,
        /// Its hash.
        expected: B256,
        /// The hash that was told.
        told: B256,
    },
    /// A block's logs are not counted 0, 1, 2, …
    #[error("log {expected} of block {block} (transaction {transaction_index}) names index {told}")]
    NonMonotonicLogIndex {
        /// The block's number.
        block: u64,
        /// The index of the log's transaction.
        transaction_index: u64,
        /// The log's place.
        expected: u64,
        /// The index that was told.
        told: u64,
    },
    /// The transactions are not those that the block's header commits to.
    #[error("the transactions of block {block} give root {computed}, its header says {committed}")]
    WrongTransactions {
        /// The block's number.
        block: u64,
        /// The header's transactions root.
        committed: B256,
        /// The root of the transactions as answered.
        computed: B256,
    },
}

/// Compares an answer with what was proved, for the same filter and blocks;
/// both in order of block and log index. Names the first difference.
///
/// An answer by height may speak of another branch: compare only blocks whose
/// hashes agree. A log that names another block hash is [`Lie::WrongBlockHash`]
/// and, above finality, no proof of bad faith.
///
/// # Errors
/// The first log that was withheld, invented or altered; for events of
/// Polygon's state sync, which no receipts prove, [`Unprovable::StateSync`].
pub fn compare(proven: &[Log], answered: &[Log]) -> Result<(), NotProven> {
    let (mut truth, mut told) = (proven.iter().peekable(), answered.iter().peekable());
    loop {
        match (truth.peek(), told.peek()) {
            (None, None) => return Ok(()),
            (Some(log), None) => return Err(withheld(log)),
            (None, Some(log)) => return Err(invented(log)),
            (Some(real), Some(answer)) => match place(real).cmp(&place(answer)) {
                Ordering::Less => return Err(withheld(real)),
                Ordering::Greater => return Err(invented(answer)),
                Ordering::Equal => same(real, answer)?,
            },
        }
        truth.next();
        told.next();
    }
}

fn place(log: &Log) -> (u64, u64) {
    (log.block_number.unwrap_or_default(), log.log_index.unwrap_or_default())
}

fn withheld(log: &Log) -> NotProven {
    let (block, log_index) = place(log);
    let transaction = log.transaction_hash.unwrap_or_default();
    Lie::WithheldLog { block, log_index, address: log.address(), transaction }.into()
}

fn invented(log: &Log) -> NotProven {
    let (block, log_index) = place(log);
    let state_sync = state_sync_hash(block, log.block_hash.unwrap_or_default());
    if log.transaction_hash == Some(state_sync) {
        return Unprovable::StateSync { block }.into();
    }
    Lie::InventedLog { block, log_index, address: log.address() }.into()
}

fn same(real: &Log, answer: &Log) -> Result<(), Lie> {
    let block = real.block_number.unwrap_or_default();
    let log_index = real.log_index.unwrap_or_default();
    if real.block_hash != answer.block_hash {
        let (expected, told) = (real.block_hash, answer.block_hash);
        return Err(Lie::WrongBlockHash {
            block,
            expected: expected.unwrap_or_default(),
            told: told.unwrap_or_default(),
        });
    }
    // Many endpoints don't tell the time; one that does must tell the block's.
    let time_differs = answer.block_timestamp.is_some_and(|t| Some(t) != real.block_timestamp);
    let what = if real.address() != answer.address() {
        "address"
    } else if real.topics() != answer.topics() {
        "list of topics"
    } else if real.inner.data.data != answer.inner.data.data {
        "data"
    } else if real.transaction_index != answer.transaction_index {
        "transaction index"
    } else if real.transaction_hash != answer.transaction_hash {
        "transaction hash"
    } else if time_differs {
        "block time"
    } else if answer.removed {
        "mark, that its block was orphaned"
    } else {
        return Ok(());
    };
    Err(Lie::AlteredLog { block, log_index, what })
}

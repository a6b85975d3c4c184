//! Whether an answer is the whole truth: a block's hash commits to its header,
//! the header to the receipts, the receipts to their logs.
//!
//! Pure: takes headers, receipts and logs, however they came, and says what
//! follows. It accuses no one of what an honest node of an unusual chain might
//! answer: that is [`Unprovable`], and not accepted either. Whoever hides behind
//! it is found when another endpoint's answer is proven, see [`compare`] and
//! [`FullHeader::contradicts`].

mod blooms;
mod header;
mod included;
mod inclusion;
mod lie;
mod receipt;
mod receipts;
mod transactions;

#[cfg(test)]
mod tests;

pub use blooms::{denial, denied, is_state_sync};
pub use header::{FullHeader, HeaderProof, OddHeader};
pub use included::{Flaw, Inclusion};
pub use inclusion::{prove_inclusion, verify_inclusion};
pub use lie::{Lie, compare};
pub use receipt::Receipt;
pub use receipts::{ProvenReceipts, prove};
pub use transactions::{FullTransactions, prove_transactions};

/// Why something is not proven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// It is false.
    #[error(transparent)]
    Lie(#[from] Lie),
    /// It may be true or false.
    #[error(transparent)]
    Unprovable(#[from] Unprovable),
}

/// Why an answer that differs from the header's root is no proven lie.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unprovable {
    /// The block's hash is not shown to commit to its header, so header and
    /// answer contradict each other and nothing says which is wrong.
    #[error(
        "the header's own hash is not proven, so it may be the header's fault: {contradiction}"
    )]
    Header {
        /// What would be a lie otherwise.
        contradiction: Box<Lie>,
    },
    /// The header names the root of no receipts, though the block has
    /// transactions: the chain's headers don't commit to receipts.
    #[error("the header of block {block} does not commit to receipts")]
    NoCommitment {
        /// The block's number.
        block: u64,
    },
    /// A receipt is of a transaction type whose bytes are not known for sure.
    #[error("receipt {transaction_index} of block {block} is of type {kind:#04x}")]
    Kind {
        /// The block's number.
        block: u64,
        /// The receipt's index.
        transaction_index: u64,
        /// Its type.
        kind: u8,
    },
    /// A receipt has a member that might be part of its bytes.
    #[error("receipt {transaction_index} of block {block} has an unknown field {field}")]
    Field {
        /// The block's number.
        block: u64,
        /// The receipt's index.
        transaction_index: u64,
        /// The member's name.
        field: String,
    },
    /// A receipt tells neither status nor state root.
    #[error("receipt {transaction_index} of block {block} has neither status nor state root")]
    NoOutcome {
        /// The block's number.
        block: u64,
        /// The receipt's index.
        transaction_index: u64,
    },
    /// The block may be older than Byzantium, and the endpoint one that doesn't
    /// keep state roots: it tells statuses, of which the trie knows nothing.
    #[error("block {block} may need state roots, which the endpoint does not keep")]
    StateRoots {
        /// The block's number.
        block: u64,
    },
    /// There are events of Polygon's state sync, which are not in the tries.
    #[error("block {block} has state-sync events, which its header does not commit to")]
    StateSync {
        /// The block's number.
        block: u64,
    },
    /// The receipts have the header's root, but the block's answer names more
    /// or fewer transactions: the chain has some without receipts in the trie,
    /// whose logs nothing would prove, or the list is false.
    #[error("block {block} has {receipts} receipts, but {transactions} transactions are named")]
    Unreceipted {
        /// The block's number.
        block: u64,
        /// How many transactions the block's answer names.
        transactions: usize,
        /// How many receipts the trie has.
        receipts: usize,
    },
}

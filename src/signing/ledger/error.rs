//! Why the ledger refuses an input. A refused input changes nothing.

use alloy::primitives::B256;

use crate::{domain::UnlockId, signing::item::Effect};

/// An input that would break an invariant, or that contradicts the records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The item's record is only on disk: read it and call
    /// [`super::Ledger::recall`], then repeat.
    #[error("item {id} is archived: recall its record first")]
    Archived {
        /// The effect.
        id: UnlockId,
    },
    /// No such item in memory.
    #[error("item {id} is not known")]
    UnknownItem {
        /// The effect.
        id: UnlockId,
    },
    /// No record of the nonce: never allocated, or finished long ago.
    #[error("nonce {nonce} has no record (next nonce {next_nonce})")]
    UnknownNonce {
        /// The nonce.
        nonce: u64,
        /// The next one to be allocated.
        next_nonce: u64,
    },
    /// The effect is carried by another nonce whose fate is not final.
    #[error("item {id} is in flight at nonce {nonce}")]
    InFlight {
        /// The effect.
        id: UnlockId,
        /// The live nonce.
        nonce: u64,
    },
    /// The item does not call for this effect now.
    #[error("item {id} does not call for {effect:?} now")]
    NotDue {
        /// The effect's item.
        id: UnlockId,
        /// What was to be done to it.
        effect: Effect,
    },
    /// An allocation names no item, or one twice.
    #[error("an allocation needs items, each once")]
    MalformedBatch,
    /// Gaps are filled by [`super::Ledger::fill_gap`], at their own nonce.
    #[error("nonce {nonce} is no gap (next nonce {next_nonce})")]
    NoGap {
        /// The nonce.
        nonce: u64,
        /// The next one to be allocated.
        next_nonce: u64,
    },
    /// The signed bytes are not what the nonce is for.
    #[error("attempt {hash} for nonce {nonce} differs from the nonce's effect in `{field}`")]
    AttemptDiffers {
        /// The nonce.
        nonce: u64,
        /// The attempt.
        hash: B256,
        /// The first field that differs.
        field: &'static str,
    },
    /// Something was signed for the nonce: it can't be given back.
    #[error("nonce {nonce} was signed and can't be given back")]
    Signed {
        /// The nonce.
        nonce: u64,
    },
    /// A transaction that is none of the nonce's attempts: a foreign one.
    #[error("transaction {hash} is no attempt of nonce {nonce}")]
    NotAnAttempt {
        /// The nonce.
        nonce: u64,
        /// The transaction.
        hash: B256,
    },
    /// The nonce's fate does not allow the input.
    #[error("nonce {nonce} is {fate}: {input} does not apply")]
    WrongFate {
        /// The nonce.
        nonce: u64,
        /// Its fate.
        fate: &'static str,
        /// What was told.
        input: &'static str,
    },
    /// A record that is no JSON of ours.
    #[error(
        "record `{key}` is unreadable: {reason}; restore the store from a backup or rebuild it"
    )]
    Unreadable {
        /// Its key, in hex where it is binary.
        key: String,
        /// What the parser said.
        reason: String,
    },
    /// Records that can't have been written by one ledger.
    #[error("records contradict: {what}; restore the store from a backup or rebuild it")]
    Contradiction {
        /// Which.
        what: String,
    },
}

//! What the machine of one nonce is told, asks for and reports.

use alloy::primitives::{B256, Bytes};

use crate::{
    domain::BlockRef,
    signing::{ledger::Attempt, send_errors::SendOutcome},
};

/// What an endpoint knows of the chain when it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Its newest block.
    pub head: u64,
    /// The newest block that counts as deep enough: `head - confirmations + 1`,
    /// or the `safe` or `finalized` block. Everything up to it is final here.
    pub confirmed: u64,
}

/// Where our attempts are, as one endpoint sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It has none of them.
    Unknown,
    /// None is mined, at least one is in its pool.
    Pending,
    /// One is mined.
    Mined(Receipt),
}

/// What the machine needs of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which attempt.
    pub hash: B256,
    /// The block it is in.
    pub block: BlockRef,
    /// False when it reverted.
    pub success: bool,
}

/// What the machine may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time passed or a block came.
    Tick {
        /// Seconds since the Unix epoch.
        now_unix_s: u64,
    },
    /// The answer to a [`Output::Broadcast`].
    SendAnswer {
        /// The attempt that was sent.
        hash: B256,
        /// What it means; the best of several endpoints' answers.
        outcome: SendOutcome,
        /// Seconds since the Unix epoch.
        now_unix_s: u64,
    },
    /// The answer to a [`Output::LookUp`].
    LookedUp {
        /// Of the endpoint that answered.
        heads: Heads,
        /// The signer's `latest` transaction count at the same endpoint, asked
        /// **before** the receipts.
        latest_nonce: u64,
        /// Where our attempts are.
        found: Lookup,
    },
    /// A replacement was signed and committed, or a cancelling attempt.
    Signed {
        /// Hash and bytes.
        attempt: SignedBytes,
        /// Seconds since the Unix epoch.
        now_unix_s: u64,
    },
    /// A person paused what it does, or let it go on: while it is held nothing
    /// is sent or asked for, and the chain is watched all the same.
    Held(bool),
    /// A replacement can't be had now: its fee is above the cap or the budget.
    /// It is asked for again after `bump_after_s`.
    BumpRefused,
}

/// An attempt as the machine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBytes {
    /// Transaction hash.
    pub hash: B256,
    /// What is broadcast.
    pub raw: Bytes,
}

impl From<&Attempt> for SignedBytes {
    fn from(attempt: &Attempt) -> Self {
        Self { hash: attempt.hash, raw: attempt.raw.clone() }
    }
}

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes and answer with [`Input::SendAnswer`].
    Broadcast(SignedBytes),
    /// Ask one endpoint for its head, the signer's `latest` transaction count,
    /// then for receipts and pool entries of these, newest first; answer with
    /// [`Input::LookedUp`].
    LookUp(Vec<B256>),
    /// Ask the signer for a replacement at a higher fee, of the newest
    /// attempt's kind. It answers with [`Input::Signed`] or
    /// [`Input::BumpRefused`].
    Bump,
    /// Ask the signer for a cancelling attempt, as for [`Output::Bump`].
    Cancel,
    /// Tell the signer.
    Report(Report),
}

/// What the signer learns. `Mined`, `Unmined`, `Confirmed` and `Displaced`
/// are the ledger's inputs of the same meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A node has it.
    Sent {
        /// The attempt.
        hash: B256,
    },
    /// A newer attempt took its place.
    Replaced {
        /// The older attempt.
        old: B256,
        /// The newer one.
        new: B256,
    },
    /// It is in a block.
    Mined(Receipt),
    /// A reorg took it off the chain.
    Unmined {
        /// Where it was.
        was: Receipt,
    },
    /// It is deep enough. The last report.
    Confirmed(Receipt),
    /// No pool that was asked holds it any more; it is sent again.
    Dropped {
        /// The newest attempt.
        hash: B256,
    },
    /// A transaction that is none of ours used the nonce, deep enough. The
    /// last report.
    Displaced,
    /// An earlier nonce is missing, says a node: reconcile.
    Gap,
    /// It can't be sent or outbid at present; the machine tries on. Told when
    /// the reason changes.
    Stuck(StuckReason),
    /// No node will take these bytes, or running them reverts. A cancelling
    /// attempt was asked for.
    Refused(SendOutcome),
}

/// Why a transaction does not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StuckReason {
    /// A replacement would cost more than the cap or the budget allows.
    AtCap,
    /// The signer can't pay.
    InsufficientFunds,
    /// The node's own fee cap.
    AboveNodeCap,
    /// Too many of this sender's transactions are in the pool.
    SenderLimit,
    /// The pool is full.
    PoolFull,
}

//! Bugs that are planted on purpose, to see that the rigs find them.
//!
//! A test that can't fail proves nothing. With the feature `teeth`, which nothing that is
//! shipped has, one of these mistakes at a time is made to be in the program, and
//! `make teeth` asks the simulation for it. Without the feature [`is_planted`] is `false`
//! to the compiler, and nothing is left of them.

use std::fmt;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tooth {
    /// An event's id says nothing of its block: mined again, it is the same.
    IdWithoutBlockHash = 1,
    /// A signer's place in the stream is durable before what it made of the messages.
    AcknowledgedBeforeCommit,
    /// State is not put back when blocks are orphaned.
    UndoSkipped,
    /// What was said of orphaned blocks is not taken back.
    RetractionWithoutCompensation,
    /// A transaction is sent before it is written down.
    BroadcastBeforePersist,
    /// A nonce whose sending had no clear answer is given to something else.
    NonceRecycled,
    /// A contract's refusal counts as the endpoint's, which is left alone then.
    BreakerCountsReverts,
    /// Logs are not held against receipts where they should be.
    ReceiptsNotChecked,
    /// Events of one block are folded as they arrive.
    TiesByArrival,
    /// What could not be said at once is forgotten.
    OutboxDropped,
    /// A place in a stream is believed though the stream lost its end, or is another.
    CursorTrusted,
    /// What is said again is known by the broker's window alone.
    KnownByTheWindow,
    /// A confirmed transaction is never looked at again.
    ConfirmedForGood,
    /// One endpoint's word is enough, about history, contracts and receipts.
    OneWordIsEnough,
}

impl Tooth {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::IdWithoutBlockHash,
        Self::AcknowledgedBeforeCommit,
        Self::UndoSkipped,
        Self::RetractionWithoutCompensation,
        Self::BroadcastBeforePersist,
        Self::NonceRecycled,
        Self::BreakerCountsReverts,
        Self::ReceiptsNotChecked,
        Self::TiesByArrival,
        Self::OutboxDropped,
        Self::CursorTrusted,
        Self::KnownByTheWindow,
        Self::ConfirmedForGood,
        Self::OneWordIsEnough,
    ];
}

impl fmt::Display for Tooth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Whether this bug is in the program.
#[cfg(not(feature = "teeth"))]
#[must_use]
pub const fn is_planted(_: Tooth) -> bool {
    false
}

/// Whether this bug is in the program.
#[cfg(feature = "teeth")]
#[must_use]
pub fn is_planted(tooth: Tooth) -> bool {
    PLANTED.load(std::sync::atomic::Ordering::Relaxed) == tooth as u8
}

#[cfg(feature = "teeth")]
static PLANTED: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Plants this one, and pulls the one before.
#[cfg(feature = "teeth")]
pub fn plant(tooth: Option<Tooth>) {
    let planted = tooth.map_or(0, |tooth| tooth as u8);
    PLANTED.store(planted, std::sync::atomic::Ordering::Relaxed);
}

//! How much to ask one endpoint for at once: of blocks ([`width`]), of
//! addresses and topics ([`split`]), and what to do when one block alone is
//! too much ([`singles`]). [`RangeRead`] puts the three together: it says what
//! to ask next until a range is whole.
//!
//! Pure: answers and refusals come in, the next question goes out. What is
//! learnt is kept per endpoint.

mod read;
mod singles;
mod split;
mod width;

use super::{
    answers::LogFilter,
    rpc_errors::{FilterHint, RangeCap, RangeHint},
};
use singles::Singles;
use split::FilterSplit;
use width::Width;

pub use read::{Ask, RangeRead};
pub use split::FilterParts;

/// Blocks that are asked for by number after a hash was refused, before a hash
/// is tried again.
const HASH_REST: u32 = 64;

/// What is known of one endpoint.
#[derive(Clone, Debug)]
pub struct RangePolicy {
    width: Width,
    split: FilterSplit,
    singles: Singles,
    /// Blocks that are still not asked for by hash.
    hash_rest: u32,
}

/// Why a range got no logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeFailure {
    /// The endpoint says that it was too much.
    TooLarge {
        /// What was exceeded.
        cap: RangeCap,
        /// What would do.
        hint: RangeHint,
    },
    /// It says that these were too many addresses or topics.
    TooManyAddresses(FilterHint),
    /// Words that nobody has seen before.
    Unknown,
    /// It did not answer in time.
    TimedOut,
    /// It broke. Perhaps the range was why: from the second time in a row on
    /// it is narrowed.
    Broken,
}

/// What to do about a range that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Ask for the blocks from the same start up to this one.
    Narrower {
        /// Last block to ask for.
        to: u64,
    },
    /// One block alone is too much: read its receipts, by block hash.
    Receipts,
}

/// How much an answer held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Logs.
    pub logs: u64,
    /// Bytes of JSON.
    pub bytes: u64,
}

impl RangePolicy {
    /// Logs that one answer is to hold at most, whatever the endpoint would
    /// give: about 4 MiB of JSON, so that many answers under way at once don't
    /// fill the memory.
    pub const TARGET_LOGS: u64 = 5_000;
    /// Bytes that one answer is to hold at most.
    pub const TARGET_BYTES: u64 = 4 << 20;

    /// A policy that never asks for more than `most` blocks (at least one).
    #[must_use]
    pub fn new(most: u64) -> Self {
        Self {
            width: Width::new(most, Volume { logs: Self::TARGET_LOGS, bytes: Self::TARGET_BYTES }),
            split: FilterSplit::default(),
            singles: Singles::default(),
            hash_rest: 0,
        }
    }

    /// How many blocks to ask for.
    #[must_use]
    pub fn width(&self) -> u64 {
        self.width.get()
    }

    /// The last block of a request that starts at `from` and is to reach `to`.
    #[must_use]
    pub fn clip(&self, from: u64, to: u64) -> u64 {
        to.min(from.saturating_add(self.width() - 1))
    }

    /// Whether so wide a range was answered before: when it fails now, the
    /// range is hardly why, and it may be asked for again as it is.
    #[must_use]
    pub fn is_proven(&self, from: u64, to: u64) -> bool {
        self.width.is_proven(width(from, to))
    }

    /// Blocks `from..=to` were answered.
    pub fn succeeded(&mut self, from: u64, to: u64, volume: Volume) {
        self.singles.answered();
        self.width.succeeded(from, width(from, to), volume);
    }

    /// A block was read by its receipts, which hold so many of the logs.
    fn read_by_receipts(&mut self, block: u64, logs: u64) {
        // It tells nothing of what the endpoint bears as logs, but how full
        // the block is that it did not bear.
        self.width.read_otherwise(block, Volume { logs, bytes: 0 });
    }

    /// Blocks `from..=to` were refused.
    pub fn failed(&mut self, from: u64, to: u64, failure: RangeFailure) -> Retry {
        let next = self.width.failed(from, width(from, to), failure);
        if let Some(next) = next {
            return Retry::Narrower { to: from.saturating_add(next - 1) };
        }
        self.singles.failed(from);
        Retry::Receipts
    }

    /// The filter in parts that the endpoint takes.
    #[must_use]
    pub fn parts(&self, filter: &LogFilter) -> FilterParts {
        FilterParts::new(filter, &self.split)
    }

    /// Begins to read the logs of blocks from `from` on, up to `to` or as far
    /// as this endpoint may be asked for at once.
    #[must_use]
    pub fn read(&self, filter: &LogFilter, from: u64, to: u64) -> RangeRead {
        RangeRead::new(self, filter, from, to)
    }

    /// Whether to ask for a block by its hash, which it may have refused of
    /// late.
    pub fn asks_by_hash(&mut self) -> bool {
        let asks = self.hash_rest == 0;
        self.hash_rest = self.hash_rest.saturating_sub(1);
        asks
    }

    /// By hash it refused what by number it gave: for a while, only that.
    pub fn hash_refused(&mut self) {
        self.hash_rest = self.hash_rest.max(HASH_REST);
    }
}

/// Number of blocks of a range, ends included.
fn width(from: u64, to: u64) -> u64 {
    to.saturating_sub(from).saturating_add(1)
}

#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;

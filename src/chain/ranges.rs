//! How many blocks to ask one endpoint for at once.
//!
//! Two limits are kept apart. A structural cap (so many blocks, whatever is in
//! them) only ever tightens. What a dense stretch of the chain allows regrows
//! with success. One success proves nothing about a cap, as several nodes may
//! answer behind one URL, so growth past a width that once failed is slow.

use super::rpc_errors::{RangeCap, RangeHint};

/// Full-width successes after which a width that failed is tried again.
const PATIENCE: u32 = 32;

/// The range that one endpoint is asked for.
#[derive(Clone, Debug)]
pub struct RangePolicy {
    /// Most blocks the endpoint allows, as far as is known.
    structural: u64,
    /// What the blocks at hand allow.
    density: u64,
    /// The narrowest width that failed since it was last forgotten.
    failed_at: Option<u64>,
    /// Full-width successes in a row.
    successes: u32,
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
    /// A timeout, or words that nobody has seen before.
    Unknown,
}

/// What to do about a range that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Ask for the blocks from the same start up to this one.
    Narrower {
        /// Last block to ask for.
        to: u64,
    },
    /// One block alone is too much: get its receipts by block hash.
    SingleBlock,
}

impl RangePolicy {
    /// A policy that never asks for more than `most` blocks (at least one).
    #[must_use]
    pub fn new(most: u64) -> Self {
        let most = most.max(1);
        Self { structural: most, density: most, failed_at: None, successes: 0 }
    }

    /// How many blocks to ask for.
    #[must_use]
    pub fn width(&self) -> u64 {
        self.structural.min(self.density).max(1)
    }

    /// The last block of a request that starts at `from` and is to reach `to`.
    #[must_use]
    pub fn clip(&self, from: u64, to: u64) -> u64 {
        to.min(from.saturating_add(self.width() - 1))
    }

    /// Blocks `from..=to` were answered.
    pub fn succeeded(&mut self, from: u64, to: u64) {
        // A narrow request that fits says nothing about wider ones.
        if width(from, to) < self.width() {
            return;
        }
        self.successes = self.successes.saturating_add(1);
        if self.successes >= PATIENCE {
            self.failed_at = None;
            self.successes = 0;
        }
        let grown = self.density.saturating_add((self.density / 4).max(1));
        let below_failure = self.failed_at.map_or(u64::MAX, |failed| failed.saturating_sub(1));
        self.density = grown.min(below_failure.max(self.density)).min(self.structural);
    }

    /// Blocks `from..=to` were refused.
    pub fn failed(&mut self, from: u64, to: u64, failure: RangeFailure) -> Retry {
        let asked = width(from, to);
        self.successes = 0;
        if asked <= 1 {
            self.density = 1;
            return Retry::SingleBlock;
        }
        let half = asked / 2;
        let narrower = |n: &u64| (1..asked).contains(n);
        let (cap, hint) = match failure {
            RangeFailure::TooLarge { cap, hint } => (cap, hint),
            RangeFailure::Unknown => (RangeCap::Density, RangeHint::default()),
        };
        // A range counts where it starts with ours: what would do from here on.
        let ranged = hint.range.filter(|(start, end)| *start == from && start <= end);
        let ranged = ranged.map(|(start, end)| width(start, end)).filter(narrower);
        let counted = hint.blocks.filter(narrower);
        let next = match cap {
            RangeCap::Structural => {
                let next = counted.or(ranged).unwrap_or(half);
                self.structural = self.structural.min(next);
                next
            }
            RangeCap::Density => {
                let next = ranged.or(counted).unwrap_or(half);
                self.failed_at = Some(self.failed_at.map_or(asked, |failed| failed.min(asked)));
                next
            }
        };
        self.density = next.min(self.structural).max(1);
        Retry::Narrower { to: from.saturating_add(self.width() - 1) }
    }
}

/// Number of blocks of a range, ends included.
fn width(from: u64, to: u64) -> u64 {
    to.saturating_sub(from).saturating_add(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    fn too_large(cap: RangeCap, hint: RangeHint) -> RangeFailure {
        RangeFailure::TooLarge { cap, hint }
    }

    #[test]
    fn a_structural_cap_is_kept_for_good() {
        let mut policy = RangePolicy::new(10_000);
        let hint = RangeHint { blocks: Some(2048), range: None };
        let retry = policy.failed(100, 10_099, too_large(RangeCap::Structural, hint));
        assert_eq!(retry, Retry::Narrower { to: 2147 });
        for _ in 0..200 {
            policy.succeeded(0, policy.width() - 1);
        }
        assert_eq!(policy.width(), 2048);
    }

    #[test]
    fn a_dense_stretch_is_left_behind() {
        let mut policy = RangePolicy::new(1000);
        let dense = too_large(RangeCap::Density, RangeHint::default());
        assert_eq!(policy.failed(0, 999, dense), Retry::Narrower { to: 499 });
        assert_eq!(policy.failed(0, 499, dense), Retry::Narrower { to: 249 });
        for _ in 0..10 {
            policy.succeeded(0, policy.width() - 1);
        }
        assert_eq!(policy.width(), 499, "the width that failed is not tried again at once");
        for _ in 0..PATIENCE + 10 {
            policy.succeeded(0, policy.width() - 1);
        }
        assert_eq!(policy.width(), 1000);
    }

    #[test]
    fn hints_that_do_not_shrink_or_start_elsewhere_are_not_believed() {
        let mut policy = RangePolicy::new(1000);
        for range in [(0, 13_648_824), (900, 100), (5000, 5001)] {
            let hint = RangeHint { blocks: Some(2000), range: Some(range) };
            let before = policy.width();
            let to = before - 1;
            policy.failed(0, to, too_large(RangeCap::Density, hint));
            assert_eq!(policy.width(), before / 2);
        }
    }

    #[test]
    fn one_block_that_is_too_much_is_read_by_its_receipts() {
        let mut policy = RangePolicy::new(1);
        assert_eq!(policy.failed(7, 7, RangeFailure::Unknown), Retry::SingleBlock);
    }

    proptest! {
        /// Whatever an endpoint allows, asking as told ends, and a cap once
        /// named is not exceeded again.
        #[test]
        fn every_range_is_read_in_the_end(
            cap in 1u64..5000, dense in 1u64..5000, most in 1u64..100_000, named in any::<bool>(),
        ) {
            let mut policy = RangePolicy::new(most);
            let (mut from, last, mut calls) = (0, 20_000, 0);
            let mut seen_cap = false;
            while from <= last {
                let mut to = policy.clip(from, last);
                loop {
                    calls += 1;
                    prop_assert!(to >= from);
                    prop_assert!(calls < 60_000, "it does not end");
                    let asked = to - from + 1;
                    prop_assert!(!(seen_cap && asked > cap), "a named cap was exceeded");
                    let failure = if asked > cap && named {
                        seen_cap = true;
                        too_large(RangeCap::Structural, RangeHint { blocks: Some(cap), range: None })
                    } else if asked > cap || (asked > dense && from < 10_000) {
                        RangeFailure::Unknown
                    } else {
                        policy.succeeded(from, to);
                        break;
                    };
                    match policy.failed(from, to, failure) {
                        Retry::Narrower { to: next } => {
                            prop_assert!(next < to);
                            to = next;
                        }
                        Retry::SingleBlock => break,
                    }
                }
                from = to + 1;
            }
        }
    }
}

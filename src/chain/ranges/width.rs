//! How many blocks to ask for at once.
//!
//! Three limits are kept apart. A structural cap (so many blocks, whatever is
//! in them) only ever tightens: several nodes may answer behind one URL, so
//! one success proves nothing. What a dense stretch of the chain allows
//! shrinks at once and regrows. And answers are kept near a size of our own
//! choice, so that memory is bounded and dense stretches need no refusals.

use super::{RangeFailure, Volume};
use crate::chain::rpc_errors::{RangeCap, RangeHint};

/// Full-width answers just below a width that failed, after which it is
/// approached again; doubled each time that this fails, up to the second.
const PATIENCE: u32 = 32;
const PATIENCE_MAX: u32 = 1024;

/// The width of ranges that one endpoint is asked for.
#[derive(Clone, Debug)]
pub(super) struct Width {
    /// Most blocks to ask for: as configured, or as the endpoint named.
    most: u64,
    /// The narrowest width that was refused for its number of blocks, by an
    /// endpoint that named no number.
    refused: Option<u64>,
    /// What the blocks at hand allow.
    open: u64,
    ceiling: Option<Ceiling>,
    /// The widest range that was answered.
    proven: u64,
    /// Breakdowns in a row.
    broken: u32,
    /// A hint that hardly shrinks was believed once: the endpoint may count
    /// one block less. A second time it is an echo of what was asked.
    believed_close: bool,
    target: Volume,
}

/// A width that failed for what its blocks held.
#[derive(Clone, Copy, Debug)]
struct Ceiling {
    blocks: u64,
    /// Where it failed: first and last block.
    at: (u64, u64),
    /// How full each block is there, as what could be read of it shows: in
    /// targets a block.
    fullness: Option<f64>,
    /// Full-width answers right below it, and how many it takes to raise it.
    waited: u32,
    patience: u32,
    /// How patient it was when it failed last.
    patience_set: u32,
    /// It was raised since.
    raised: bool,
}

impl Width {
    pub(super) fn new(most: u64, target: Volume) -> Self {
        let most = most.max(1);
        Self {
            most,
            refused: None,
            open: most,
            ceiling: None,
            proven: 0,
            broken: 0,
            believed_close: false,
            target,
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.most.min(self.open).max(1)
    }

    pub(super) fn is_proven(&self, blocks: u64) -> bool {
        blocks <= self.proven
    }

    /// So many blocks from `from` on were answered.
    pub(super) fn succeeded(&mut self, from: u64, asked: u64, volume: Volume) {
        self.broken = 0;
        self.proven = self.proven.max(asked);
        let full = self.fullness(volume);
        let per_block = full / asked.max(1) as f64;
        self.seen(from, per_block);
        if full > 1.0 {
            self.open = self.open.min(times(asked, 1.0 / full)).max(1);
            return;
        }
        let now = self.get();
        // A narrow request that fits says nothing about wider ones, and near
        // the target there is nothing to gain.
        if asked < now || full > 0.75 {
            return;
        }
        let of_target = if full > 0.0 { times(asked, 0.75 / full) } else { u64::MAX };
        let of_refused = self.refused.map_or(u64::MAX, |bar| approach(now, bar));
        let of_ceiling = self.below_ceiling(now, per_block);
        let grown = now.saturating_mul(2).min(of_target).min(of_refused).min(of_ceiling);
        self.open = grown.min(self.most).max(now);
    }

    /// A block was read by other means.
    pub(super) fn read_otherwise(&mut self, block: u64, volume: Volume) {
        let full = self.fullness(volume);
        self.seen(block, full);
    }

    /// Blocks from `from` on are so full.
    fn seen(&mut self, from: u64, per_block: f64) {
        if let Some(ceiling) = &mut self.ceiling
            && (ceiling.at.0..=ceiling.at.1).contains(&from)
        {
            ceiling.fullness = Some(ceiling.fullness.unwrap_or(0.0).max(per_block));
        }
    }

    /// So many blocks from `from` on were refused. Gives how many to ask for
    /// instead; `None` when a single one is too much.
    pub(super) fn failed(&mut self, from: u64, asked: u64, failure: RangeFailure) -> Option<u64> {
        if failure == RangeFailure::Broken {
            self.broken = self.broken.saturating_add(1);
            if self.broken < 2 {
                return Some(self.get().min(asked).max(1));
            }
        }
        if asked <= 1 {
            self.open = 1;
            return None;
        }
        let half = asked / 2;
        let next = match failure {
            RangeFailure::TooLarge { cap: RangeCap::Structural, hint } => {
                let counted = hint.blocks.filter(|n| *n > 1);
                let counted = counted.and_then(|n| self.believed(n, asked));
                match counted {
                    Some(blocks) => self.most = self.most.min(blocks),
                    None => {
                        self.most = self.most.min(asked - 1);
                        self.refused = Some(self.refused.map_or(asked, |bar| bar.min(asked)));
                    }
                }
                counted.or_else(|| self.ranged(from, asked, hint)).unwrap_or(half)
            }
            RangeFailure::TooLarge { cap: RangeCap::Density, hint } => {
                self.hit_ceiling(from, asked);
                let counted = hint.blocks.filter(|n| *n > 1 && n.saturating_add(1) < asked);
                self.ranged(from, asked, hint).or(counted).unwrap_or(half)
            }
            // The address list can't be shorter: then the blocks must be fewer.
            RangeFailure::Unknown | RangeFailure::TooManyAddresses(_) => {
                self.hit_ceiling(from, asked);
                half
            }
            // The dearest failure: to be had as seldom as can be.
            RangeFailure::TimedOut => {
                self.hit_ceiling(from, asked);
                (asked / 4).max(1)
            }
            // Nothing is remembered: an outage is no limit.
            RangeFailure::Broken => half,
        };
        self.open = self.open.min(next).min(self.most).max(1);
        Some(self.get())
    }

    /// A number of blocks, if it is one that may be believed to be the limit.
    fn believed(&mut self, blocks: u64, asked: u64) -> Option<u64> {
        if blocks.saturating_add(1) < asked {
            return Some(blocks);
        }
        let close = blocks <= asked && !self.believed_close;
        self.believed_close |= close;
        close.then(|| asked - 1)
    }

    /// The width of a range that would do, if it is a part of what was asked
    /// for from its start on.
    fn ranged(&mut self, from: u64, asked: u64, hint: RangeHint) -> Option<u64> {
        let (start, end) = hint.range.filter(|(start, end)| *start == from && start <= end)?;
        let blocks = (end - start).checked_add(1)?;
        if blocks < asked { self.believed(blocks, asked) } else { None }
    }

    /// How full an answer was, in targets.
    fn fullness(&self, volume: Volume) -> f64 {
        let of = |amount: u64, target: u64| amount as f64 / target.max(1) as f64;
        of(volume.logs, self.target.logs).max(of(volume.bytes, self.target.bytes))
    }

    fn hit_ceiling(&mut self, from: u64, asked: u64) {
        let before = self.ceiling;
        // Wider than what is asked for now: it was under way when that shrank.
        let is_late = asked > self.get();
        let patience = match before {
            Some(ceiling) if ceiling.raised => ceiling.patience_set.saturating_mul(2),
            Some(ceiling) => ceiling.patience_set,
            None => PATIENCE,
        };
        let patience = patience.min(PATIENCE_MAX);
        self.ceiling = Some(Ceiling {
            blocks: match before {
                Some(ceiling) if is_late => ceiling.blocks.min(asked),
                _ => asked,
            },
            at: (from, from.saturating_add(asked - 1)),
            fullness: None,
            waited: 0,
            patience,
            patience_set: patience,
            raised: false,
        });
    }

    /// How far a width may grow towards what failed. What failed where blocks
    /// were full counts for more blocks where they are emptier.
    fn below_ceiling(&mut self, now: u64, per_block: f64) -> u64 {
        let Some(ceiling) = &mut self.ceiling else { return u64::MAX };
        let there = ceiling.fullness.unwrap_or(per_block);
        let bar = match per_block * 2.0 < there {
            true => times(ceiling.blocks, there / per_block),
            false => ceiling.blocks,
        };
        let grown = approach(now, bar);
        if grown == now || bar > self.most {
            ceiling.waited += 1;
        }
        if ceiling.waited >= ceiling.patience {
            if bar > self.most {
                self.ceiling = None;
            } else {
                ceiling.blocks = ceiling.blocks.saturating_add((ceiling.blocks / 4).max(1));
                ceiling.waited = 0;
                // Each time that it goes well, the next one comes sooner.
                ceiling.patience = (ceiling.patience / 2).max(1);
                ceiling.raised = true;
            }
        }
        grown
    }
}

/// A step from a width that works towards one that failed: ever smaller, and
/// none for the last eighth, never to it.
fn approach(now: u64, failed: u64) -> u64 {
    let gap = failed.saturating_sub(now);
    if gap <= failed / 8 { now } else { now.saturating_mul(2).min(now + gap / 2) }
}

/// A width times a factor, cut to what a width can be.
fn times(blocks: u64, factor: f64) -> u64 {
    // `as` saturates, and takes what is not a number for zero.
    ((blocks as f64 * factor) as u64).max(1)
}

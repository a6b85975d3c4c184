//! How far one contract has been read, and what to do next.
//!
//! The cursor remembers the blocks that it announced and a reorg may still
//! orphan. Against a view of the chain it says which range to fetch, what to
//! retract, or that the fork lies below finality. It is restored from the
//! watermarks that announced its blocks.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::headers::HeaderWindow;
use crate::domain::{BlockRef, Watermark};

/// How deep a block must be before its events are announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirmations {
    /// That many blocks stand on it; 0 follows the head itself.
    Blocks(u64),
    /// The chain's `safe` tag; on a chain without one, `finalized`.
    Safe,
    /// The chain's `finalized` tag.
    Finalized,
}

impl Confirmations {
    /// The highest confirmed block of a view, if any.
    #[must_use]
    pub fn confirmed(self, view: &ChainView) -> Option<u64> {
        let head = view.latest.number;
        match self {
            Self::Blocks(depth) => head.checked_sub(depth),
            Self::Safe => Some(view.safe.unwrap_or(view.finalized).min(head)),
            Self::Finalized => Some(view.finalized.min(head)),
        }
    }
}

/// What a chain looks like at one moment.
#[derive(Clone, Debug)]
pub struct ChainView {
    /// The head that is believed.
    pub latest: BlockRef,
    /// Height of the `safe` tag, where the chain has it.
    pub safe: Option<u64>,
    /// Blocks up to this height can't be orphaned.
    pub finalized: u64,
    /// The newest canonical headers.
    pub window: Arc<HeaderWindow>,
    /// Canonical headers older than the window, got because of [`Plan::NeedHeader`].
    pub older: BTreeMap<u64, BlockRef>,
    /// Why this view is not followed any further: a reorg below finality.
    /// Nothing may be concluded from the chain until it is `None` again.
    pub frozen: Option<Arc<str>>,
}

impl ChainView {
    /// The canonical header at a height, if it is known.
    #[must_use]
    pub fn header(&self, number: u64) -> Option<&BlockRef> {
        self.window.at(number).or_else(|| self.older.get(&number))
    }
}

/// How much to ask for at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most blocks of one fetch below finality.
    pub blocks: u64,
    /// Most blocks of one fetch above it, where each block is announced by hash.
    pub unfinalized_blocks: u64,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing until the head moves.
    Idle,
    /// Get the logs of these blocks, publish them, then call [`Cursor::advanced`].
    Fetch {
        /// First block.
        from: u64,
        /// Last block.
        to: u64,
    },
    /// Publish a retraction, then call [`Cursor::retracted`].
    Retract {
        /// First orphaned height.
        from: u64,
        /// Last orphaned height that was announced.
        to: u64,
        /// The highest announced block that is still canonical.
        common: BlockRef,
    },
    /// Going on would contradict what was announced as final.
    Frozen {
        /// Why.
        reason: Frozen,
    },
    /// Put the canonical header of this height into [`ChainView::older`] and plan again.
    NeedHeader {
        /// The height.
        number: u64,
    },
}

/// Why a contract can't go on without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Frozen {
    /// Blocks that consumers can't undo any more are not canonical.
    #[error(
        "announced block {} ({}) is not canonical and no shared block at or above {finalized}, \
         which was announced as final, is known", tip.number, tip.hash
    )]
    BelowFinality {
        /// The last announced block.
        tip: BlockRef,
        /// The height that was announced as final.
        finalized: u64,
    },
    /// The chain ends before a block that was announced as final: another
    /// chain, or an endpoint that lost its data.
    #[error("the chain's head {head} is below block {finalized}, which was announced as final")]
    HeadBelowFinality {
        /// Height of the head.
        head: u64,
        /// The height that was announced as final.
        finalized: u64,
    },
}

/// A header does not stand on what was announced before it: the chain moved
/// while the range was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block {} ({}) does not follow what was announced before it", block.number, block.hash)]
pub struct Unlinked {
    /// The first block that does not fit.
    pub block: BlockRef,
}

/// How a block of ours relates to the canonical chain.
enum Place {
    Canonical,
    Orphaned,
    AboveHead,
    Unknown,
}

/// Progress of one contract.
#[derive(Clone, Debug)]
pub struct Cursor {
    start_block: u64,
    confirmations: Confirmations,
    /// Announced blocks, ascending: all since finality, and the newest below it.
    recent: VecDeque<BlockRef>,
    /// The highest height that was announced as final.
    finalized: Option<u64>,
    /// The tip was compared with the chain since this cursor was made.
    compared: bool,
}

impl Cursor {
    /// Most blocks that are remembered: hours of a chain of fast blocks.
    pub const MAX_RECENT: usize = 8192;

    /// A cursor that has announced nothing.
    #[must_use]
    pub fn new(start_block: u64, confirmations: Confirmations) -> Self {
        Self {
            start_block,
            confirmations,
            recent: VecDeque::new(),
            finalized: None,
            compared: false,
        }
    }

    /// Takes in a watermark of its own, as read back from the stream in order.
    pub fn replay(&mut self, watermark: &Watermark) {
        match watermark {
            Watermark::Progress { through, recent, finalized, .. } => {
                self.advanced(*through, recent, *finalized);
            }
            Watermark::Retraction { common, .. } => self.retracted(*common),
        }
    }

    /// The last announced block.
    #[must_use]
    pub fn tip(&self) -> Option<&BlockRef> {
        self.recent.back()
    }

    /// The first block that is not announced.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.tip().map_or(self.start_block, |tip| tip.number.saturating_add(1))
    }

    /// The highest announced block below `number` that is remembered.
    #[must_use]
    pub fn announced_below(&self, number: u64) -> Option<BlockRef> {
        self.recent.iter().rev().find(|block| block.number < number).copied()
    }

    /// Whether watermarks that are to be replayed (in order, the last one
    /// included) reach as deep as a reorg may still orphan, or deeper than can
    /// be remembered. If not, read more of the stream: a cursor without these
    /// blocks would find nothing that a reorg left.
    #[must_use]
    pub fn reaches_finality(watermarks: &[Watermark]) -> bool {
        let finalized = watermarks.iter().filter_map(|watermark| match watermark {
            Watermark::Progress { finalized, .. } => Some(*finalized),
            Watermark::Retraction { .. } => None,
        });
        let oldest = watermarks.first().map(|oldest| oldest.complete_through().number);
        watermarks.len() >= Self::MAX_RECENT
            || oldest.zip(finalized.max()).is_some_and(|(oldest, finalized)| oldest <= finalized)
    }

    /// What to do, as the chain looks now. Of a frozen view nothing is
    /// concluded.
    pub fn plan(&mut self, view: &ChainView, limits: &Limits) -> Plan {
        if view.frozen.is_some() {
            return Plan::Idle;
        }
        let Some(tip) = self.tip().copied() else { return self.fetch(view, limits) };
        match place(&tip, view) {
            Place::Canonical => {
                self.compared = true;
                self.fetch(view, limits)
            }
            // What was final when it was announced is compared only once after a
            // restart. What was not may have been orphaned before it became so.
            Place::Unknown if self.compared && self.finalized.is_some_and(|f| tip.number <= f) => {
                self.fetch(view, limits)
            }
            Place::Unknown => Plan::NeedHeader { number: tip.number },
            Place::Orphaned => self.retract(tip, view),
            Place::AboveHead => self.wait_or_retract(tip, view),
        }
    }

    /// Whether headers of a step stand on each other and on the tip. To be
    /// asked before anything of the step is published.
    ///
    /// # Errors
    /// When one does not.
    pub fn links(&self, step: &[BlockRef]) -> Result<(), Unlinked> {
        let mut before = self.tip().copied();
        for block in step {
            let fits = before.is_none_or(|parent| {
                block.number > parent.number
                    && (block.number != parent.number + 1 || block.parent_hash == parent.hash)
            });
            if !fits {
                return Err(Unlinked { block: *block });
            }
            before = Some(*block);
        }
        Ok(())
    }

    /// All events up to `through` are announced, with `recent` (ascending,
    /// blocks that may still be orphaned) and `finalized` as the watermark
    /// says them.
    pub fn advanced(&mut self, through: BlockRef, recent: &[BlockRef], finalized: u64) {
        for block in recent.iter().chain([&through]) {
            if self.tip().is_none_or(|tip| tip.number < block.number) {
                self.recent.push_back(*block);
            }
        }
        let finalized = self.finalized.map_or(finalized, |before| before.max(finalized));
        self.finalized = Some(finalized);
        // One block at or below finality stays, to measure forks against.
        while self.recent.get(1).is_some_and(|second| second.number <= finalized)
            || self.recent.len() > Self::MAX_RECENT
        {
            self.recent.pop_front();
        }
    }

    /// Everything above `common` is retracted.
    pub fn retracted(&mut self, common: BlockRef) {
        while self.tip().is_some_and(|tip| tip.number >= common.number) {
            self.recent.pop_back();
        }
        // A rewind goes below what was announced as final.
        self.finalized = self.finalized.map(|finalized| finalized.min(common.number));
        // Before the first block nothing was announced that could be orphaned.
        if common.number >= self.start_block {
            self.recent.push_back(common);
        }
    }

    fn fetch(&self, view: &ChainView, limits: &Limits) -> Plan {
        let from = self.next();
        let Some(confirmed) = self.confirmations.confirmed(view) else { return Plan::Idle };
        if from > confirmed {
            return Plan::Idle;
        }
        let (last, most) = if from <= view.finalized {
            (confirmed.min(view.finalized), limits.blocks)
        } else {
            (confirmed, limits.unfinalized_blocks)
        };
        Plan::Fetch { from, to: last.min(from.saturating_add(most.max(1) - 1)) }
    }

    /// The tip is higher than the head. An endpoint that lags is no reorg:
    /// only a block that differs at a height that both have is one.
    fn wait_or_retract(&self, tip: BlockRef, view: &ChainView) -> Plan {
        let head = view.latest.number;
        match self.recent.iter().rev().find(|block| block.number <= head) {
            Some(block) => match place(block, view) {
                Place::Orphaned => self.retract(tip, view),
                Place::Unknown => Plan::NeedHeader { number: block.number },
                Place::Canonical | Place::AboveHead => Plan::Idle,
            },
            None => match self.finalized {
                Some(finalized) if head < finalized && finalized >= self.start_block => {
                    Plan::Frozen { reason: Frozen::HeadBelowFinality { head, finalized } }
                }
                _ => Plan::Idle,
            },
        }
    }

    fn retract(&self, tip: BlockRef, view: &ChainView) -> Plan {
        let finalized = self.finalized.unwrap_or(0);
        let frozen = Plan::Frozen { reason: Frozen::BelowFinality { tip, finalized } };
        let retract =
            |common: BlockRef| Plan::Retract { from: common.number + 1, to: tip.number, common };
        for block in self.recent.iter().rev() {
            match place(block, view) {
                Place::Canonical if block.number < finalized => return frozen,
                Place::Canonical => return retract(*block),
                Place::Unknown => return Plan::NeedHeader { number: block.number },
                Place::Orphaned | Place::AboveHead => {}
            }
        }
        // Nothing that was announced is left. That can be undone whole while
        // none of it was final: the first block's parent is common by nature.
        match self.start_block.checked_sub(1) {
            Some(before) if finalized < self.start_block => match view.header(before) {
                Some(common) => retract(*common),
                None => Plan::NeedHeader { number: before },
            },
            _ => frozen,
        }
    }
}

fn place(block: &BlockRef, view: &ChainView) -> Place {
    if block.number > view.latest.number {
        return Place::AboveHead;
    }
    match view.header(block.number) {
        Some(header) if header.hash == block.hash => Place::Canonical,
        Some(_) => Place::Orphaned,
        None => Place::Unknown,
    }
}

#[cfg(test)]
mod tests;

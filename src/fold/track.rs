//! What is known of one source, and the frontier that all of them make.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use super::effects::{Writes, key};
use super::inbox::BlockKey;
use crate::domain::{BlockRef, Name, Position};

/// Up to where events can be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frontier {
    /// The lowest ceiling of all sources.
    pub(super) through: Position,
    /// Where lineages begin to disagree.
    pub(super) disputed_from: Option<Position>,
}

impl Frontier {
    /// Whether the block that ends at `end` is complete and undisputed.
    pub(super) fn covers(&self, end: &Position) -> bool {
        *end <= self.through && self.disputed_from.is_none_or(|from| *end < from)
    }
}

/// What is known of one source.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) chain_id: u64,
    pub(super) through: Option<BlockRef>,
    pub(super) finalized: u64,
    pub(super) known: BTreeMap<u64, KnownBlock>,
    /// The blocks of its events in the inbox: their numbers and times.
    pub(super) held: BTreeSet<(u64, u64)>,
}

/// A block that a watermark named; its number is its key.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct KnownBlock {
    pub(super) hash: B256,
    pub(super) time: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SavedTrack {
    pub(super) chain_id: u64,
    pub(super) through: Option<BlockRef>,
    pub(super) finalized: u64,
}

impl Track {
    pub(super) fn new(chain_id: u64) -> Self {
        let (known, held) = (BTreeMap::new(), BTreeSet::new());
        Self { chain_id, through: None, finalized: 0, known, held }
    }

    /// The blocks of its events in the inbox above `number`.
    pub(super) fn held_above(&self, number: Option<u64>) -> impl Iterator<Item = BlockKey> {
        let from = number.map_or(Bound::Unbounded, |n| Bound::Excluded((n, u64::MAX)));
        let blocks = self.held.range((from, Bound::Unbounded));
        blocks.map(|&(number, time)| BlockKey { time, chain_id: self.chain_id, number })
    }

    pub(super) fn ceiling(&self) -> Option<Position> {
        self.through.map(|block| Position::end_of_block(self.chain_id, block.number, block.time))
    }

    /// The end of the newest known block that is final.
    pub(super) fn final_ceiling(&self) -> Option<Position> {
        let (number, block) = self.known.range(..=self.finalized).next_back()?;
        Some(Position::end_of_block(self.chain_id, *number, block.time))
    }

    pub(super) fn save(&self, contract: &Name, writes: &mut Writes) {
        let saved = SavedTrack {
            chain_id: self.chain_id,
            through: self.through,
            finalized: self.finalized,
        };
        writes.put(key::source(contract), &saved);
    }
}

//! Which of a contract's messages count, and whether the stream lost any.
//!
//! Each watermark says which events it closes and which watermark it
//! follows, so a reader of the stream notices what the broker lost, and what
//! stands there that nobody closes. A rewind declares earlier messages void. It
//! comes after them; a reader that begins anew is told of all rewinds first, and
//! passes over what they void.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
};

use alloy::primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};

use crate::domain::{BlockRef, Event, EventId, EventSum, Name, Rewind, Watermark};

/// Keeps account of the messages of several contracts.
#[derive(Debug, Default)]
pub struct Account {
    rewinds: Vec<(u64, Rewind)>,
    /// What stands before the first message that it sees is unknown, and may be anything.
    joins: bool,
    contracts: BTreeMap<Name, Tally>,
    /// How it stood with a contract before the last retraction, if nothing closed more since.
    retracted: Option<(Name, Tally)>,
}

/// What was seen of one contract since its last watermark.
#[derive(Debug, Default)]
struct Tally {
    /// With the numbers of their blocks: repeated, an event counts once.
    ids: HashMap<EventId, u64>,
    /// How many more there were before this account began, whose ids were not kept.
    nameless: u64,
    through: Option<BlockRef>,
    /// Up to where nothing could be orphaned any more.
    finalized: Option<u64>,
}

/// What of an [`Account`] must outlive its reader, by contract.
pub type Counts = BTreeMap<Name, Count>;

/// Where the account of one contract stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Events since its last watermark, by their blocks. Older versions did not save them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<InBlock>,
    /// How many more there are: those beyond what is saved, or all in older versions.
    #[serde(default, rename = "events")]
    pub nameless: u64,
    /// The block that this watermark named.
    pub through: Option<BlockRef>,
    /// The block that was final then. Older versions did not save it.
    #[serde(default)]
    pub finalized: Option<u64>,
}

/// Events of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InBlock {
    /// The block's number.
    pub number: u64,
    /// Their ids, one behind the other.
    pub ids: Bytes,
}

/// So many ids are saved at most: only a block that is too large for one batch has more
/// events without a watermark.
const IDS_MAX: usize = 2048;

/// The stream lacks messages of a contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stream lacks messages of contract `{contract}` from block {from_block} on: its watermark \
     {sequence} does not fit what stands before it ({found} events, {declared} declared)"
)]
pub struct Hole {
    /// The contract.
    pub contract: Name,
    /// The first block of which something may lack.
    pub from_block: u64,
    /// Sequence of the watermark that does not fit.
    pub sequence: u64,
    /// Events that it closes.
    pub declared: u64,
    /// Events that were found in the blocks that it closes: these, or others.
    pub found: u64,
}

impl Account {
    /// An account of a stream from its first message on, that knows these rewinds by
    /// their sequences.
    #[must_use]
    pub fn new(rewinds: Vec<(u64, Rewind)>) -> Self {
        Self { rewinds, ..Self::default() }
    }

    /// An account that goes on where an earlier one ended, with these counts of it. Without
    /// any, as older versions kept none, it believes the first watermark of a contract.
    #[must_use]
    pub fn resumed(rewinds: Vec<(u64, Rewind)>, counts: &Counts) -> Self {
        let joins = counts.is_empty();
        let tally = |(name, count): (&Name, &Count)| (name.clone(), Tally::resumed(count));
        Self { rewinds, joins, contracts: counts.iter().map(tally).collect(), retracted: None }
    }

    /// What a later account must be told.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.contracts.iter().map(|(name, tally)| (name.clone(), tally.saved())).collect()
    }

    /// Notes a rewind that stands at `sequence`.
    pub fn rewind(&mut self, sequence: u64, rewind: Rewind) {
        if self.rewinds.iter().all(|(known, _)| *known != sequence) {
            self.rewinds.push((sequence, rewind));
        }
    }

    /// Counts an event at `sequence`, unless its block is complete already: a
    /// repetition, which must not stand in for one that is lost. False when it
    /// is void.
    pub fn event(&mut self, sequence: u64, event: &Event) -> bool {
        if self.is_void(sequence, &event.contract, event.block.number) {
            return false;
        }
        let tally = self.tally(&event.contract);
        if tally.through.is_none_or(|through| event.block.number > through.number) {
            tally.ids.insert(event.id, event.block.number);
        }
        true
    }

    /// Closes the account of what stands before a watermark at `sequence`.
    /// False when the watermark is void.
    ///
    /// # Errors
    /// When something that should stand before it does not. Nothing changed.
    pub fn watermark(&mut self, sequence: u64, watermark: &Watermark) -> Result<bool, Hole> {
        let contract = watermark.contract();
        let through = *watermark.complete_through();
        if self.is_void(sequence, contract, through.number) {
            return Ok(false);
        }
        let after = match watermark {
            Watermark::Progress { after, .. } => *after,
            // What it follows may be void, when it is not itself.
            Watermark::Retraction { after, .. } => {
                after.filter(|after| !self.is_void(sequence, contract, after.number))
            }
        };
        let joins = self.joins;
        let tally = self.tally(contract);
        let found = tally.closed_by(through.number);
        let (declared, has_them) = match watermark {
            Watermark::Progress { events, digest: Some(digest), .. } => {
                // Of those without ids repetitions may be among the others.
                let is_sure = tally.nameless == 0;
                (events.unwrap_or(found.events), found.digest == *digest || !is_sure)
            }
            // As older versions wrote it.
            Watermark::Progress { events, .. } => (events.unwrap_or(0), true),
            Watermark::Retraction { .. } => (0, true),
        };
        let follows = match (after, tally.through) {
            (Some(after), Some(seen)) => after.hash == seen.hash,
            (Some(_), None) => joins,
            (None, _) => true,
        };
        if found.events < declared || !has_them || !follows {
            let number = |block: Option<BlockRef>| block.map(|block| block.number);
            let complete = match tally.through {
                Some(seen) if follows => Some(seen.number),
                // With watermarks a retraction may be lost: of any block that was not final.
                Some(seen) => {
                    [Some(seen.number), number(after), tally.finalized].into_iter().flatten().min()
                }
                None => number(after).filter(|_| follows),
            };
            return Err(Hole {
                contract: contract.clone(),
                from_block: complete.map_or(1, |block| block + 1),
                sequence,
                declared,
                found: found.events,
            });
        }
        self.retracted = tally.close(watermark).map(|before| (contract.clone(), before));
        Ok(true)
    }

    /// As though the last message had not been heard, a retraction that cannot be: it will be
    /// read again.
    pub fn unhear_retraction(&mut self) {
        self.contracts.extend(self.retracted.take());
    }

    /// Goes on from a watermark that did not fit as though it had: what follows is judged
    /// from there.
    pub fn pass_over(&mut self, watermark: &Watermark) {
        self.tally(watermark.contract()).close(watermark);
    }

    fn tally(&mut self, contract: &Name) -> &mut Tally {
        self.contracts.entry(contract.clone()).or_default()
    }

    fn is_void(&self, sequence: u64, contract: &Name, block: u64) -> bool {
        self.rewinds.iter().any(|(at, rewind)| {
            sequence < *at && rewind.contract == *contract && block >= rewind.from_block
        })
    }
}

impl Tally {
    fn resumed(count: &Count) -> Self {
        let Count { ref open, nameless, through, finalized } = *count;
        let ids = open.iter().flat_map(|block| {
            let ids = block.ids.chunks_exact(B256::len_bytes());
            ids.map(|id| (EventId(B256::from_slice(id)), block.number))
        });
        Self { ids: ids.collect(), nameless, through, finalized }
    }

    fn saved(&self) -> Count {
        let Self { nameless, through, finalized, .. } = *self;
        let mut ids: Vec<(u64, EventId)> = self.ids.iter().map(|(id, at)| (*at, *id)).collect();
        ids.sort_unstable();
        let beyond = ids.drain(..ids.len().saturating_sub(IDS_MAX)).count();
        let nameless = nameless + beyond as u64;
        let block = |ids: &[(u64, EventId)]| InBlock {
            number: ids[0].0,
            ids: ids.iter().flat_map(|(_, id)| id.0.0).collect(),
        };
        let open = ids.chunk_by(|a, b| a.0 == b.0).map(block).collect();
        Count { open, nameless, through, finalized }
    }

    /// The events that a watermark through such a block closes.
    fn closed_by(&self, through: u64) -> EventSum {
        let mut sum = EventSum { events: self.nameless, ..EventSum::default() };
        let closed = self.ids.iter().filter(|(_, number)| **number <= through);
        closed.for_each(|(id, _)| sum.add(*id));
        sum
    }

    /// Begins anew behind a watermark. Gives how it stood before a retraction.
    fn close(&mut self, watermark: &Watermark) -> Option<Self> {
        let through = *watermark.complete_through();
        match watermark {
            Watermark::Progress { finalized, .. } => {
                // What stands before it of blocks above it is closed by another.
                self.ids.retain(|_, number| *number > through.number);
                self.nameless = 0;
                self.through = Some(through);
                self.finalized = Some(*finalized).max(self.finalized);
                None
            }
            // All that nobody closed so far is void.
            Watermark::Retraction { .. } => {
                let finalized = self.finalized;
                let now = Self { through: Some(through), finalized, ..Self::default() };
                Some(mem::replace(self, now))
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Which of a contract's messages count, and whether the stream lost any.
//!
//! Each watermark says how many events it closes and which watermark it
//! follows, so a reader of the stream notices what the broker lost. A rewind
//! declares earlier messages void. It comes after them; a reader that begins
//! anew is told of all rewinds first, and passes over what they void.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::domain::{BlockRef, Event, EventId, Name, Rewind, Watermark};

/// Keeps account of the messages of several contracts.
#[derive(Debug, Default)]
pub struct Account {
    rewinds: Vec<(u64, Rewind)>,
    /// What stands before the first message that it sees is unknown, and may be anything.
    joins: bool,
    contracts: BTreeMap<Name, Tally>,
}

/// What was seen of one contract since its last watermark.
#[derive(Debug, Default)]
struct Tally {
    /// Events before this account began.
    earlier: u64,
    ids: HashSet<EventId>,
    through: Option<BlockRef>,
    /// Up to where nothing could be orphaned any more.
    finalized: Option<u64>,
}

/// What of an [`Account`] must outlive its reader, by contract.
pub type Counts = BTreeMap<Name, Count>;

/// Where the account of one contract stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Events since its last watermark.
    pub events: u64,
    /// The block that this watermark named.
    pub through: Option<BlockRef>,
    /// The block that was final then. Older versions did not save it.
    #[serde(default)]
    pub finalized: Option<u64>,
}

/// The stream lacks messages of a contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stream lacks messages of contract `{contract}` from block {from_block} on: its watermark \
     {sequence} does not fit what stands before it ({found} of {declared} events)"
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
    /// Events that were found.
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
        let tally = |(name, count): (&Name, &Count)| {
            let Count { events, through, finalized } = *count;
            (name.clone(), Tally { earlier: events, through, finalized, ..Tally::default() })
        };
        let joins = counts.is_empty();
        Self { rewinds, joins, contracts: counts.iter().map(tally).collect() }
    }

    /// What a later account must be told.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let count = |(name, tally): (&Name, &Tally)| {
            let Tally { through, finalized, .. } = *tally;
            (name.clone(), Count { events: tally.count(), through, finalized })
        };
        self.contracts.iter().map(count).collect()
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
            tally.ids.insert(event.id);
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
        let (declared, after) = match watermark {
            Watermark::Progress { events, after, .. } => (events.unwrap_or(0), *after),
            // What it follows may be void, when it is not itself.
            Watermark::Retraction { after, .. } => {
                (0, after.filter(|after| !self.is_void(sequence, contract, after.number)))
            }
        };
        let joins = self.joins;
        let tally = self.tally(contract);
        let found = tally.count();
        let follows = match (after, tally.through) {
            (Some(after), Some(seen)) => after.hash == seen.hash,
            (Some(_), None) => joins,
            (None, _) => true,
        };
        if found < declared || !follows {
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
                found,
            });
        }
        tally.close(watermark);
        Ok(true)
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
    /// Begins anew behind a watermark.
    fn close(&mut self, watermark: &Watermark) {
        let finalized = match watermark {
            Watermark::Progress { finalized, .. } => Some(*finalized),
            Watermark::Retraction { .. } => None,
        };
        let through = Some(*watermark.complete_through());
        *self = Self { through, finalized: finalized.max(self.finalized), ..Self::default() };
    }

    fn count(&self) -> u64 {
        self.earlier + self.ids.len() as u64
    }
}

#[cfg(test)]
mod tests;

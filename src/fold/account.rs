//! Which of a contract's messages count, and whether the stream lost any.
//!
//! Each watermark says how many events it closes and which watermark it
//! follows, so a reader of the stream notices what the broker lost. A rewind
//! declares earlier messages void. It comes after them; a reader that begins
//! anew is told of all rewinds first, and passes over what they void.

use std::collections::{BTreeMap, HashMap};

use alloy::primitives::B256;
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
    /// Events before this account began, as far as their blocks are known.
    earlier: Vec<InBlock>,
    /// Those whose blocks are not.
    elsewhere: u64,
    /// With their blocks: of which branch they are is known when they are closed.
    ids: HashMap<EventId, (u64, B256)>,
    through: Option<BlockRef>,
    /// Up to where nothing could be orphaned any more.
    finalized: Option<u64>,
}

/// What of an [`Account`] must outlive its reader, by contract.
pub type Counts = BTreeMap<Name, Count>;

/// Where the account of one contract stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Events since its last watermark.
    pub events: u64,
    /// Those of them that are in the highest blocks: another branch may come. Older
    /// versions did not save it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<InBlock>,
    /// The block that this watermark named.
    pub through: Option<BlockRef>,
    /// The block that was final then. Older versions did not save it.
    #[serde(default)]
    pub finalized: Option<u64>,
}

/// So many events of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InBlock {
    /// The block's number.
    pub number: u64,
    /// The block's hash.
    pub hash: B256,
    /// How many of its events were seen.
    pub events: u64,
}

/// Of so many blocks it is remembered which events were theirs: more wait for a watermark
/// only where nothing is orphaned any more.
const BLOCKS_MAX: usize = 64;

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
    /// Events that were found: these, or others.
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
            let Count { events, through, finalized, ref blocks } = *count;
            let known: u64 = blocks.iter().map(|block| block.events).sum();
            let elsewhere = events.saturating_sub(known);
            let earlier = blocks.clone();
            (name.clone(), Tally { earlier, elsewhere, through, finalized, ..Tally::default() })
        };
        let joins = counts.is_empty();
        Self { rewinds, joins, contracts: counts.iter().map(tally).collect() }
    }

    /// What a later account must be told.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let count = |(name, tally): (&Name, &Tally)| {
            let Tally { through, finalized, .. } = *tally;
            let mut blocks = tally.blocks();
            let events = tally.elsewhere + blocks.iter().map(|block| block.events).sum::<u64>();
            blocks.drain(..blocks.len().saturating_sub(BLOCKS_MAX));
            (name.clone(), Count { events, blocks, through, finalized })
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
            tally.ids.insert(event.id, (event.block.number, event.block.hash));
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
        let (found, strays) = tally.count(watermark);
        let follows = match (after, tally.through) {
            (Some(after), Some(seen)) => after.hash == seen.hash,
            (Some(_), None) => joins,
            (None, _) => true,
        };
        if found < declared || strays > 0 || !follows {
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
                found: found + strays,
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
        let through = *watermark.complete_through();
        // What stands before it of blocks above it is closed by another, or void.
        let is_left = |number: u64| finalized.is_some() && number > through.number;
        self.earlier.retain(|block| is_left(block.number));
        self.ids.retain(|_, (number, _)| is_left(*number));
        self.elsewhere = 0;
        self.through = Some(through);
        self.finalized = finalized.max(self.finalized);
    }

    /// How many of the events seen a watermark closes, and how many beside them are of
    /// blocks that its own have replaced: their watermark and its retraction are lost, or
    /// nobody came to say them. Such events would stand in for others, and nothing would
    /// tell them from others once this watermark is void.
    fn count(&self, watermark: &Watermark) -> (u64, u64) {
        let Watermark::Progress { through, recent, .. } = watermark else { return (0, 0) };
        let listed: HashMap<u64, B256> = recent.iter().map(|it| (it.number, it.hash)).collect();
        let (mut closed, mut strays) = (self.elsewhere, 0);
        let earlier = self.earlier.iter().map(|it| (it.number, it.hash, it.events));
        let now = self.ids.values().map(|(number, hash)| (*number, *hash, 1));
        for (number, hash, events) in earlier.chain(now).filter(|it| it.0 <= through.number) {
            match listed.get(&number) {
                Some(listed) if *listed != hash => strays += events,
                _ => closed += events,
            }
        }
        (closed, strays)
    }

    /// The events whose blocks are known, by these, in order.
    fn blocks(&self) -> Vec<InBlock> {
        let mut blocks: BTreeMap<(u64, B256), u64> = BTreeMap::new();
        for block in &self.earlier {
            *blocks.entry((block.number, block.hash)).or_default() += block.events;
        }
        for at in self.ids.values() {
            *blocks.entry(*at).or_default() += 1;
        }
        let block = |((number, hash), events)| InBlock { number, hash, events };
        blocks.into_iter().map(block).collect()
    }
}

#[cfg(test)]
mod tests;

//! Merging the events of several sources into position order.
//!
//! **Why comparing positions is enough, across chains too.** A source's
//! ceiling is the end of the block its watermark names. Whatever it still
//! sends is in a later block of the same chain, so of a time not smaller, and
//! at the same time of a greater block number: its position is above the
//! ceiling. So what is at or below the ceilings of all sources can't be
//! preceded by anything still to come, whichever chains they are on.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;

use super::{
    InputError, Source,
    effects::{self, Area, RestoreError, SavedParts, Writes, key, read},
    inbox::{self, BlockKey, Inbox},
    lineage::Lineage,
    track::{Frontier, KnownBlock, SavedTrack, Track},
};
use crate::domain::{BlockRef, Event, Name, Position};
use crate::teeth::{Tooth, is_planted};

/// Events of several sources, held until they can be handed out in order.
#[derive(Debug)]
pub struct Merge {
    tracks: BTreeMap<Name, Track>,
    inbox: Inbox,
    lineage: Lineage,
    duplicates: u64,
}

impl Merge {
    pub(super) fn new(sources: Vec<Source>, writes: &mut Writes) -> Self {
        let track = |source: Source| {
            let chain_id = source.chain_id;
            let track = Track::new(chain_id);
            track.save(&source.contract, writes);
            (source.contract, track)
        };
        Self {
            tracks: sources.into_iter().map(track).collect(),
            inbox: Inbox::default(),
            lineage: Lineage::default(),
            duplicates: 0,
        }
    }

    pub(super) fn restore(sources: Vec<Source>, saved: &SavedParts) -> Result<Self, RestoreError> {
        let mut merge = Self::new(Vec::new(), &mut Writes::default());
        for (name, value) in &saved.meta {
            let unknown =
                || RestoreError::UnknownKey { area: Area::Meta, key: alloy::hex::encode(name) };
            if let Some(contract) = name.strip_prefix(key::SOURCE) {
                let contract = std::str::from_utf8(contract).ok().and_then(|c| Name::new(c).ok());
                let SavedTrack { chain_id, through, finalized } = read(Area::Meta, name, value)?;
                let track = Track { through, finalized, ..Track::new(chain_id) };
                merge.tracks.insert(contract.ok_or_else(unknown)?, track);
            }
        }
        let then: BTreeSet<Source> = merge
            .tracks
            .iter()
            .map(|(name, track)| Source { chain_id: track.chain_id, contract: name.clone() })
            .collect();
        let now: BTreeSet<Source> = sources.into_iter().collect();
        if then != now {
            return Err(RestoreError::SourcesChanged { then: listed(&then), now: listed(&now) });
        }
        for (name, value) in saved.meta.iter().filter(|(name, _)| name.starts_with(key::KNOWN)) {
            let unknown =
                || RestoreError::UnknownKey { area: Area::Meta, key: alloy::hex::encode(name) };
            let (contract, number) = key::parse_known(name).ok_or_else(unknown)?;
            let track = merge.tracks.get_mut(&contract).ok_or_else(unknown)?;
            let block: KnownBlock = read(Area::Meta, name, value)?;
            track.known.insert(number, block);
            merge.lineage.vouch(track.chain_id, number, block.hash, block.time);
        }
        for (name, value) in &saved.inbox {
            let event = inbox::read(value)
                .map_err(|error| effects::unreadable(Area::Inbox, name, error))?;
            merge.insert(event.position, event, true);
        }
        Ok(merge)
    }

    /// The names of the sources with what each still has pending after
    /// `applied`.
    #[must_use]
    pub fn pending(&self, applied: Option<&Position>) -> BTreeMap<Name, usize> {
        let mut pending: BTreeMap<Name, usize> =
            self.tracks.keys().map(|name| (name.clone(), 0)).collect();
        for told in self.inbox.told_after(applied.map(BlockKey::of)) {
            *pending.entry(told.contract.clone()).or_default() += told.events;
        }
        pending
    }

    /// The source whose watermark is the lowest, or missing: what everything
    /// else waits for.
    #[must_use]
    pub fn slowest(&self) -> Option<&Name> {
        self.tracks.iter().min_by_key(|(_, track)| track.ceiling()).map(|(name, _)| name)
    }

    /// The block of a source's watermark.
    pub(super) fn announced(&self, contract: &Name) -> Option<u64> {
        Some(self.tracks.get(contract)?.through?.number)
    }

    /// The lowest height at which sources disagree, by chain.
    #[must_use]
    pub fn disputes(&self) -> BTreeMap<u64, u64> {
        self.lineage.disputes()
    }

    /// Inputs that were recognised as already known.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Takes an event in, unless it is pending already or its source said
    /// before that its block is complete.
    pub(super) fn offer(&mut self, event: Event) -> Result<(), InputError> {
        let track = self.track(&event.contract, event.position.chain_id)?;
        let inconsistent =
            |what| InputError::Inconsistent { contract: event.contract.clone(), what };
        if event.block.number != event.position.block || event.block.time != event.position.time {
            return Err(inconsistent("the event's position is not in its block"));
        }
        // A position below the ceiling in a later block than the watermark's is
        // on a branch with other times: one that the source has left.
        let late = track.through.is_some_and(|through| event.block.number <= through.number)
            || track.ceiling().is_some_and(|ceiling| event.position <= ceiling);
        let mut at = event.position;
        if is_planted(Tooth::TiesByArrival) {
            at.transaction_index = 0;
            at.log_index = self.inbox.len() as u64;
        }
        if late || !self.insert(at, event, false) {
            self.duplicates += 1;
        }
        Ok(())
    }

    /// Whether it was not there before.
    fn insert(&mut self, at: Position, event: Event, is_written: bool) -> bool {
        let (contract, block) = (event.contract.clone(), event.block);
        let inserted = self.inbox.insert(&at, event, is_written);
        if inserted == Some(true) {
            self.lineage.vouch(at.chain_id, block.number, block.hash, block.time);
            if let Some(track) = self.tracks.get_mut(&contract) {
                track.held.insert((block.number, block.time));
            }
        }
        inserted.is_some()
    }

    /// Forgets a contract's events of a block with a hash.
    fn forget(&mut self, block: &BlockKey, contract: &Name, hash: B256) {
        self.inbox.forget(block, contract, hash);
        self.lineage.withdraw(block.chain_id, block.number, hash);
        let is_told = self.inbox.told(block).iter().any(|told| told.contract == *contract);
        if let Some(track) = self.tracks.get_mut(contract).filter(|_| !is_told) {
            track.held.remove(&(block.number, block.time));
        }
    }

    /// What the store has to learn of events since the last call.
    pub(super) fn take_changed(&mut self) -> Vec<inbox::Changed> {
        self.inbox.take_changed()
    }

    /// The events of blocks that became final since the last call.
    pub(super) fn take_spent(&mut self) -> Vec<inbox::Spent> {
        self.inbox.take_spent()
    }

    /// Raises a source's watermark. One that is not above the present is a
    /// repetition, and may only bring newer finality for the same block.
    pub(super) fn progress(
        &mut self,
        contract: &Name,
        chain_id: u64,
        through: BlockRef,
        recent: &[BlockRef],
        finalized: u64,
        writes: &mut Writes,
    ) -> Result<(), InputError> {
        let track = self.track(contract, chain_id)?;
        let before = track.through;
        if before.is_some_and(|before| through.number <= before.number) {
            let same = track.known.get(&through.number).is_some_and(|b| b.hash == through.hash);
            if same && finalized > track.finalized {
                self.raise_finality(contract, finalized, writes);
            } else {
                self.duplicates += 1;
            }
            return Ok(());
        }
        let mut learned: Vec<BlockRef> = recent
            .iter()
            .filter(|b| b.number < through.number && before.is_none_or(|t| b.number > t.number))
            .chain([&through])
            .copied()
            .collect();
        learned.sort_by_key(|block| block.number);
        let mut ancestor_time = before.map_or(0, |block| block.time);
        for &BlockRef { number, time, .. } in &learned {
            if time < ancestor_time {
                return Err(InputError::TimeFell { chain_id, number, time, ancestor_time });
            }
            ancestor_time = time;
        }
        for block in learned {
            self.learn(contract, block, writes);
        }
        if let Some(track) = self.tracks.get_mut(contract) {
            track.through = Some(through);
        }
        self.raise_finality(contract, finalized, writes);
        self.drop_contradicted(contract, before, through);
        Ok(())
    }

    fn raise_finality(&mut self, contract: &Name, finalized: u64, writes: &mut Writes) {
        if let Some(track) = self.tracks.get_mut(contract) {
            track.finalized = track.finalized.max(finalized);
            track.save(contract, writes);
        }
    }

    /// A source knows a block's hash by its watermark.
    fn learn(&mut self, contract: &Name, block: BlockRef, writes: &mut Writes) {
        let Some(track) = self.tracks.get_mut(contract) else { return };
        let known = KnownBlock { hash: block.hash, time: block.time };
        if let Some(old) = track.known.insert(block.number, known) {
            self.lineage.withdraw(track.chain_id, block.number, old.hash);
        }
        self.lineage.vouch(track.chain_id, block.number, block.hash, block.time);
        writes.put(key::known(contract, block.number), &known);
    }

    /// Drops late copies of events from a branch that their source has left:
    /// its watermark names another hash at their height, or lies between their
    /// block number and their time.
    fn drop_contradicted(&mut self, contract: &Name, before: Option<BlockRef>, through: BlockRef) {
        let Some(track) = self.tracks.get(contract) else { return };
        let Track { chain_id, ref known, .. } = *track;
        let ceiling = BlockKey { time: through.time, chain_id, number: through.number };
        let contradicts = |block: &BlockKey, hash: B256| {
            (block.number <= through.number) != (*block <= ceiling)
                || known.get(&block.number).is_some_and(|known| known.hash != hash)
        };
        let mut contradicted = self.held_above(track, contract, before.map(|block| block.number));
        contradicted.retain(|(block, hash)| contradicts(block, *hash));
        for (block, hash) in &contradicted {
            self.forget(block, contract, *hash);
        }
    }

    /// The blocks above `number` of which a contract has events in the inbox.
    fn held_above(
        &self,
        track: &Track,
        contract: &Name,
        number: Option<u64>,
    ) -> Vec<(BlockKey, B256)> {
        let told = |block: BlockKey| {
            let told = self.inbox.told(&block).iter().filter(|told| told.contract == *contract);
            told.map(move |told| (block, told.hash))
        };
        track.held_above(number).flat_map(told).collect()
    }

    /// Whether a retraction from block `from` would retract anything the
    /// source has announced.
    pub(super) fn would_retract(
        &self,
        contract: &Name,
        chain_id: u64,
        from: u64,
        common: &BlockRef,
    ) -> Result<bool, InputError> {
        let track = self.track(contract, chain_id)?;
        if common.number >= from {
            return Err(InputError::Inconsistent {
                contract: contract.clone(),
                what: "the last common block is among the retracted",
            });
        }
        Ok(track.through.is_some_and(|through| through.number >= from))
    }

    /// Lowers a source's watermark to `common` and forgets its events above.
    pub(super) fn retract(&mut self, contract: &Name, common: BlockRef, writes: &mut Writes) {
        let Some(track) = self.tracks.get(contract) else { return };
        let void = self.held_above(track, contract, Some(common.number));
        let Some(track) = self.tracks.get_mut(contract) else { return };
        let chain_id = track.chain_id;
        for (number, block) in track.known.split_off(&(common.number + 1)) {
            self.lineage.withdraw(chain_id, number, block.hash);
            writes.remove(key::known(contract, number));
        }
        track.through = Some(common);
        track.save(contract, writes);
        self.learn(contract, common, writes);
        for (block, hash) in &void {
            self.forget(block, contract, *hash);
        }
    }

    pub(super) fn note_duplicate(&mut self) {
        self.duplicates += 1;
    }

    /// Up to where events can be applied; `None` while a source has not said
    /// anything yet.
    pub(super) fn frontier(&self) -> Option<Frontier> {
        let ceilings: Option<Vec<Position>> = self.tracks.values().map(Track::ceiling).collect();
        Some(Frontier {
            through: ceilings?.into_iter().min()?,
            disputed_from: self.lineage.first_disputed(),
        })
    }

    /// The events of the first block after `applied`, if the frontier covers
    /// it.
    pub(super) fn next_block(
        &self,
        applied: Option<&Position>,
        frontier: &Frontier,
    ) -> Option<(Position, impl Iterator<Item = &Event>)> {
        let block = self.inbox.next_after(applied.map(BlockKey::of))?;
        let end = block.end();
        frontier.covers(&end).then(|| (end, self.inbox.events(block)))
    }

    /// The end of the newest block of a chain, above `begun`, that the
    /// frontier covers.
    pub(super) fn newest_complete(
        &self,
        chain_id: u64,
        begun: Option<u64>,
        frontier: &Frontier,
    ) -> Option<Position> {
        self.lineage.ends_above(chain_id, begun).take_while(|end| frontier.covers(end)).last()
    }

    /// The chains of the sources.
    pub(super) fn chains(&self) -> BTreeSet<u64> {
        self.tracks.values().map(|track| track.chain_id).collect()
    }

    /// Nothing at or before this can be undone by anyone any more.
    ///
    /// It takes all chains together: a new branch of one chain may bring an
    /// event that sorts before a final block of another.
    pub(super) fn final_through(&self) -> Option<Position> {
        let ceilings: Option<Vec<Position>> =
            self.tracks.values().map(Track::final_ceiling).collect();
        ceilings?.into_iter().min()
    }

    /// Forgets the events up to `applied` and the hashes below `final_through`
    /// that nothing can need again.
    pub(super) fn prune(
        &mut self,
        applied: &Position,
        final_through: &Position,
        writes: &mut Writes,
    ) {
        let settled = BlockKey::of(applied.min(final_through));
        while let Some((block, told)) = self.inbox.pop_through(&settled) {
            for told in told {
                self.lineage.withdraw(block.chain_id, block.number, told.hash);
                if let Some(track) = self.tracks.get_mut(&told.contract) {
                    track.held.remove(&(block.number, block.time));
                }
            }
        }
        for (contract, track) in &mut self.tracks {
            let chain_id = track.chain_id;
            let final_block = |(number, block): &(&u64, &KnownBlock)| {
                Position::end_of_block(chain_id, **number, block.time) <= *final_through
            };
            let Some(newest) = track.known.iter().take_while(final_block).last().map(|(n, _)| *n)
            else {
                continue;
            };
            let kept = track.known.split_off(&newest);
            for (number, block) in std::mem::replace(&mut track.known, kept) {
                self.lineage.withdraw(chain_id, number, block.hash);
                writes.remove(key::known(contract, number));
            }
        }
    }

    fn track(&self, contract: &Name, chain_id: u64) -> Result<&Track, InputError> {
        let track = self
            .tracks
            .get(contract)
            .ok_or_else(|| InputError::UnknownSource { contract: contract.clone() })?;
        if track.chain_id != chain_id {
            return Err(InputError::WrongChain {
                contract: contract.clone(),
                expected: track.chain_id,
                got: chain_id,
            });
        }
        Ok(track)
    }
}

fn listed(sources: &BTreeSet<Source>) -> String {
    let named: Vec<String> =
        sources.iter().map(|source| format!("{}@{}", source.contract, source.chain_id)).collect();
    named.join(", ")
}

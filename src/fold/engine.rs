//! Runs a [`Fold`] over merged events, undoably.
//!
//! What holds after every input: the state is what the fold makes of all
//! events up to the frontier, in position order, and of nothing else. When a
//! retraction lowers the frontier, everything beyond it is undone, of other
//! chains too: the new branch may bring events that sort before them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Fold, InputError, Merge, RestoreError, SavedParts, Source, State,
    effects::{Area, Effects, Emission, Emitted, Spent, Unwritten, Writes, key, read},
    journal::{Journal, Step},
};
use crate::domain::{BlockRef, Event, EventId, Name, Position, Watermark};
use crate::teeth::{Tooth, is_planted};

/// What a fold is fed, in stream order.
///
/// Repetitions of events and of progress are recognised, and so is a
/// retraction repeated before the source's next progress. Older watermarks
/// look like news after a reorg, so the owner skips whatever stands in the
/// stream at or before the input position it has committed.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A log.
    Event(Event),
    /// A contract's progress or retraction.
    Watermark(Watermark),
}

/// What can be seen of a fold from outside.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Observation {
    /// The newest applied block of each chain.
    pub applied_through: BTreeMap<u64, u64>,
    /// Events of each source that wait for other sources.
    pub pending: BTreeMap<Name, usize>,
    /// The source that everything waits for.
    pub slowest: Option<Name>,
    /// The block that can't begin before something is learned, by its chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<(u64, u64)>,
    /// The lowest height at which sources disagree on the hash, by chain:
    /// nothing is applied from there until one of them retracts.
    pub disputed: BTreeMap<u64, u64>,
    /// Blocks that can be undone.
    pub undoable_blocks: usize,
    /// Emissions so far.
    pub revision: u64,
    /// Inputs recognised as repetitions since the start of the process.
    pub duplicates: u64,
    /// Blocks undone since the start of the process.
    pub undone_blocks: u64,
}

/// A fold, its state, its inputs and how to undo them.
#[derive(Debug)]
pub struct Engine<F: Fold> {
    fold: F,
    state: State<F::Key>,
    merge: Merge,
    journal: Journal<F::Output, F::Key>,
    /// The block that can't begin before something is learned.
    waits_for: Option<Position>,
    /// The event that is being applied.
    applying: Option<EventId>,
    revision: u64,
    /// The revision is not written down yet.
    told: bool,
    undone_blocks: u64,
    writes: Writes,
    emissions: Vec<Emission<F::Output>>,
}

/// What a fold's changes are before they are written down.
type Due<F> = Unwritten<<F as Fold>::Output, <F as Fold>::Key>;

/// How many emissions of one message are numbered before the next's: more move it on.
const REVISIONS_A_MESSAGE: u64 = 1 << 16;

impl<F: Fold> Engine<F> {
    /// A fold that has seen nothing. Its first effects write its sources down.
    #[must_use]
    pub fn new(fold: F, sources: Vec<Source>) -> Self {
        let mut writes = Writes::default();
        let merge = Merge::new(sources, &mut writes);
        Self {
            fold,
            state: State::default(),
            merge,
            journal: Journal::new(),
            waits_for: None,
            applying: None,
            revision: 0,
            told: false,
            undone_blocks: 0,
            writes,
            emissions: Vec::new(),
        }
    }

    /// A fold as its writes left it; [`Engine::new`] if nothing was saved.
    ///
    /// Whether `fold` itself is what it was (a rule set's version, say) is the
    /// owner's to know.
    ///
    /// # Errors
    /// When a saved entry is unreadable, or the sources are not those saved:
    /// the fold must then be rebuilt from the stream.
    pub fn restore(fold: F, sources: Vec<Source>, saved: SavedParts) -> Result<Self, RestoreError> {
        if saved == SavedParts::default() {
            return Ok(Self::new(fold, sources));
        }
        let merge = Merge::restore(sources, &saved)?;
        let journal = Journal::restore(&saved)?;
        let revision = match saved.meta.get(key::REVISION) {
            Some(value) => read(Area::Meta, key::REVISION, value)?,
            None => 0,
        };
        let state = State::from_saved(saved.state)?;
        let mut engine = Self {
            fold,
            state,
            merge,
            journal,
            waits_for: None,
            applying: None,
            revision,
            told: false,
            undone_blocks: 0,
            writes: Writes::default(),
            emissions: Vec::new(),
        };
        // Nothing, unless a block waits: then it is known again for what.
        engine.advance();
        Ok(engine)
    }

    /// Takes one input and does all that it allows.
    ///
    /// # Errors
    /// When the input can't be right; nothing has changed then.
    pub fn handle(&mut self, input: Input) -> Result<(), InputError> {
        match input {
            // Every event is above its source's ceiling, so none can be due yet.
            Input::Event(event) => self.merge.offer(event),
            Input::Watermark(Watermark::Progress {
                contract,
                chain_id,
                through,
                recent,
                finalized,
                ..
            }) => {
                self.merge.progress(
                    &contract,
                    chain_id,
                    through,
                    &recent,
                    finalized,
                    &mut self.writes,
                )?;
                self.advance();
                self.prune();
                Ok(())
            }
            Input::Watermark(Watermark::Retraction {
                contract, chain_id, from, common, ..
            }) => self.retract(&contract, chain_id, from, common),
        }
    }

    /// Changes the state between blocks: for what the owner learns from
    /// elsewhere (a contract's answer). It is undone with the last applied
    /// block, and has to be learned again then.
    ///
    /// A block that waited for it ([`Fold::waits`]) begins then. It is undone
    /// with that block, since what it tells may be of the blocks before it that
    /// had no events, and it is written down with that block.
    pub fn amend<T>(&mut self, change: impl FnOnce(&F, &mut State<F::Key>) -> T) -> T {
        let answer = change(&self.fold, &mut self.state);
        if self.waits_for.is_some() {
            self.advance();
            self.prune();
        } else {
            self.journal.amend(&mut self.state, &mut self.writes);
        }
        answer
    }

    /// What is handled next is the stream's message of this sequence: what follows from
    /// it is numbered after it, so that the same cause has the same number however often
    /// it is read, and a later one a higher.
    pub fn reached(&mut self, sequence: u64) {
        self.revision = self.revision.max(sequence.saturating_mul(REVISIONS_A_MESSAGE));
    }

    /// The end of the block that can't begin before something is learned.
    pub fn waits_for(&self) -> Option<&Position> {
        self.waits_for.as_ref()
    }

    /// The durable writes and the emissions since the last call.
    pub fn take_effects(&mut self) -> Effects<F::Output> {
        let (unwritten, emissions) = self.take_unwritten();
        Effects { writes: unwritten.into_writes(), emissions }
    }

    /// As [`Engine::take_effects`], with the writes still to be made.
    pub fn take_unwritten(&mut self) -> (Due<F>, Vec<Emission<F::Output>>) {
        if self.told {
            self.told = false;
            self.writes.put(key::REVISION.to_vec(), &self.revision);
        }
        let (steps, meta) = self.writes.take();
        let step = |end: &Position| self.journal.step(end);
        let unwritten = Unwritten {
            state: self.state.take_changed(),
            inbox: self.merge.take_changed(),
            journal: steps.map(|(end, stays)| (end, stays.then(|| step(&end)).flatten())).collect(),
            meta,
            spent: Spent { events: self.merge.take_spent(), steps: self.journal.take_spent() },
        };
        (unwritten, std::mem::take(&mut self.emissions))
    }

    /// The event in the middle of which the fold is: `None` between inputs, unless
    /// it panicked at one.
    pub fn applying(&self) -> Option<EventId> {
        self.applying
    }

    /// The fold.
    pub fn fold(&self) -> &F {
        &self.fold
    }

    /// What the fold remembers.
    pub fn state(&self) -> &State<F::Key> {
        &self.state
    }

    /// Up to which block a contract's events are known.
    pub fn announced(&self, contract: &Name) -> Option<u64> {
        self.merge.announced(contract)
    }

    /// The chains whose contracts it reads.
    pub fn chains(&self) -> BTreeSet<u64> {
        self.merge.chains()
    }

    /// The newest applied block of each chain.
    pub fn applied_through(&self) -> &BTreeMap<u64, u64> {
        self.journal.begun()
    }

    /// Time of the newest applied block of all chains, seconds since the Unix
    /// epoch; 0 before the first.
    pub fn applied_time(&self) -> u64 {
        self.journal.applied().map_or(0, |end| end.time)
    }

    /// The number of the last emission, or of the last message if that is higher.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Blocks undone since the start of the process.
    pub fn undone_blocks(&self) -> u64 {
        self.undone_blocks
    }

    /// What operators, metrics and tests see. Counts the pending events, so it
    /// is not for every input.
    pub fn observe(&self) -> Observation {
        Observation {
            applied_through: self.journal.begun().clone(),
            pending: self.merge.pending(self.journal.applied()),
            slowest: self.merge.slowest().cloned(),
            waits_for: self.waits_for.map(|end| (end.chain_id, end.block)),
            disputed: self.merge.disputes(),
            undoable_blocks: self.journal.len(),
            revision: self.revision,
            duplicates: self.merge.duplicates(),
            undone_blocks: self.undone_blocks,
        }
    }

    /// Applies, in position order, every block of events that the frontier
    /// covers and the newest complete block of each chain.
    fn advance(&mut self) {
        self.waits_for = None;
        let Some(frontier) = self.merge.frontier() else { return };
        let newest: Vec<Position> = self
            .merge
            .chains()
            .into_iter()
            .filter_map(|chain_id| {
                let begun = self.journal.begun().get(&chain_id).copied();
                self.merge.newest_complete(chain_id, begun, &frontier)
            })
            .collect();
        loop {
            let applied = self.journal.applied().copied();
            let empty = newest.iter().filter(|end| applied.is_none_or(|a| **end > a)).min();
            let next = self.merge.next_block(applied.as_ref(), &frontier);
            let mut output = Vec::new();
            let first = next.as_ref().map(|(end, _)| *end).into_iter().chain(empty.copied()).min();
            self.waits_for =
                first.filter(|end| self.fold.waits(end.chain_id, end.block, end.time, &self.state));
            if self.waits_for.is_some() {
                break;
            }
            let end = match (next, empty) {
                (Some((end, events)), empty) if empty.is_none_or(|empty| end <= *empty) => {
                    begin(&self.fold, end, &mut self.state, &mut output);
                    for event in events {
                        self.applying = Some(event.id);
                        self.fold.apply(event, &mut self.state, &mut output);
                    }
                    self.applying = None;
                    end
                }
                (_, Some(empty)) => {
                    begin(&self.fold, *empty, &mut self.state, &mut output);
                    *empty
                }
                _ => break,
            };
            for said in &output {
                self.emit(Emitted::Says(said.clone()));
            }
            let step = Step::record(end, &mut self.state, output);
            self.journal.push(step, &mut self.writes);
        }
    }

    fn retract(
        &mut self,
        contract: &Name,
        chain_id: u64,
        from: u64,
        common: BlockRef,
    ) -> Result<(), InputError> {
        if !self.merge.would_retract(contract, chain_id, from, &common)? {
            self.merge.note_duplicate();
            return Ok(());
        }
        let kept = Position::end_of_block(chain_id, common.number, common.time);
        if self.journal.floor().is_some_and(|floor| kept < *floor) {
            let final_block = self.journal.final_block(chain_id).unwrap_or(common.number);
            return Err(InputError::BelowFinality {
                contract: contract.clone(),
                chain_id,
                from,
                final_block,
            });
        }
        if self.waits_for.is_some() {
            self.state.revert();
        }
        self.merge.retract(contract, common, &mut self.writes);
        if let Some(frontier) = self.merge.frontier() {
            for step in self.journal.pop_beyond(&frontier.through, &mut self.writes) {
                self.undone_blocks += 1;
                for said in step.undo(&mut self.state).into_iter().rev() {
                    if !is_planted(Tooth::RetractionWithoutCompensation) {
                        self.emit(Emitted::TakesBack(said));
                    }
                }
            }
        }
        self.advance();
        Ok(())
    }

    fn prune(&mut self) {
        let (Some(final_through), Some(applied)) =
            (self.merge.final_through(), self.journal.applied())
        else {
            return;
        };
        let applied = *applied;
        self.journal.prune(&final_through, &mut self.writes);
        self.merge.prune(&applied, &final_through, &mut self.writes);
    }

    fn emit(&mut self, emitted: Emitted<F::Output>) {
        self.revision = self.revision.saturating_add(1);
        self.told = true;
        self.emissions.push(Emission { revision: self.revision, emitted });
    }
}

fn begin<F: Fold>(fold: &F, end: Position, state: &mut State<F::Key>, output: &mut Vec<F::Output>) {
    fold.begin_block(end.chain_id, end.block, end.time, state, output);
}

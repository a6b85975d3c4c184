//! How to undo the blocks that are not final.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    effects::{Area, RestoreError, SavedParts, Writes, key, read},
    state::State,
};
use crate::domain::Position;

/// What one block changed and said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Step<O> {
    pub(super) chain_id: u64,
    pub(super) block: u64,
    pub(super) time: u64,
    /// Values before the step, as JSON text; `None` where there was none.
    before: BTreeMap<String, Option<String>>,
    /// What was said, in order.
    pub(super) outputs: Vec<O>,
}

impl<O> Step<O> {
    /// Makes a step of what `state` recorded since its changes were last
    /// taken, and writes the new values down.
    pub(super) fn record(
        end: Position,
        state: &mut State,
        outputs: Vec<O>,
        writes: &mut Writes,
    ) -> Self {
        let mut before = BTreeMap::new();
        for (key, old) in state.take_changes() {
            writes.raw(Area::State, key.clone().into_bytes(), state.raw(&key).map(<[u8]>::to_vec));
            // State values are JSON, so UTF-8: nothing is lost.
            let old = old.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            before.insert(key, old);
        }
        Self { chain_id: end.chain_id, block: end.block, time: end.time, before, outputs }
    }

    /// Puts the old values back.
    pub(super) fn undo(&self, state: &mut State, writes: &mut Writes) {
        for (key, old) in &self.before {
            let old = old.as_ref().map(|text| text.clone().into_bytes());
            writes.raw(Area::State, key.clone().into_bytes(), old.clone());
            state.set(key, old);
        }
        state.take_changes();
    }

    fn end(&self) -> Position {
        Position::end_of_block(self.chain_id, self.block, self.time)
    }
}

/// Where the fold stands: the last step and the newest begun block of each
/// chain.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Standing {
    applied: Option<Position>,
    begun: BTreeMap<u64, u64>,
}

impl Standing {
    fn advance(&mut self, end: Position) {
        self.applied = Some(end);
        self.begun.insert(end.chain_id, end.block);
    }
}

/// Steps in position order above a base that can't be undone.
#[derive(Debug)]
pub(super) struct Journal<O> {
    base: Standing,
    steps: VecDeque<Step<O>>,
    now: Standing,
}

impl<O: Serialize + DeserializeOwned> Journal<O> {
    pub(super) fn new() -> Self {
        Self { base: Standing::default(), steps: VecDeque::new(), now: Standing::default() }
    }

    pub(super) fn restore(saved: &SavedParts) -> Result<Self, RestoreError> {
        let base: Standing = match saved.meta.get(key::FOLD) {
            Some(value) => read(Area::Meta, key::FOLD, value)?,
            None => Standing::default(),
        };
        let steps = saved
            .journal
            .iter()
            .map(|(key, value)| read(Area::Journal, key, value))
            .collect::<Result<VecDeque<Step<O>>, _>>()?;
        let mut journal = Self { base, steps, now: Standing::default() };
        journal.recount();
        Ok(journal)
    }

    fn recount(&mut self) {
        self.now = self.base.clone();
        for step in &self.steps {
            self.now.advance(step.end());
        }
    }

    /// The end of the last applied block.
    pub(super) fn applied(&self) -> Option<&Position> {
        self.now.applied.as_ref()
    }

    /// The newest begun block of each chain.
    pub(super) fn begun(&self) -> &BTreeMap<u64, u64> {
        &self.now.begun
    }

    /// The last block that can't be undone.
    pub(super) fn floor(&self) -> Option<&Position> {
        self.base.applied.as_ref()
    }

    /// The newest block of a chain that can't be undone.
    pub(super) fn final_block(&self, chain_id: u64) -> Option<u64> {
        self.base.begun.get(&chain_id).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn push(&mut self, step: Step<O>, writes: &mut Writes) {
        let end = step.end();
        writes.put(Area::Journal, key::block(&end), &step);
        self.now.advance(end);
        self.steps.push_back(step);
    }

    /// Adds what `state` recorded since its changes were last taken to the
    /// last step, so that it is undone with it. Below finality nothing is
    /// undone, and the values are only written down.
    pub(super) fn amend(&mut self, state: &mut State, writes: &mut Writes) {
        for (key, old) in state.take_changes() {
            writes.raw(Area::State, key.clone().into_bytes(), state.raw(&key).map(<[u8]>::to_vec));
            if let Some(last) = self.steps.back_mut() {
                let old = old.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                last.before.entry(key).or_insert(old);
            }
        }
        if let Some(last) = self.steps.back() {
            writes.put(Area::Journal, key::block(&last.end()), last);
        }
    }

    /// Takes the steps beyond `through` off, the newest first.
    pub(super) fn pop_beyond(&mut self, through: &Position, writes: &mut Writes) -> Vec<Step<O>> {
        let mut undone = Vec::new();
        while let Some(step) = self.steps.pop_back_if(|step| step.end() > *through) {
            writes.remove(Area::Journal, key::block(&step.end()));
            undone.push(step);
        }
        self.recount();
        undone
    }

    /// Forgets how to undo what is final.
    pub(super) fn prune(&mut self, final_through: &Position, writes: &mut Writes) {
        let mut pruned = false;
        while let Some(step) = self.steps.pop_front_if(|step| step.end() <= *final_through) {
            writes.remove(Area::Journal, key::block(&step.end()));
            self.base.advance(step.end());
            pruned = true;
        }
        if pruned {
            writes.put(Area::Meta, key::FOLD.to_vec(), &self.base);
        }
    }
}

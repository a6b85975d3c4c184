//! How to undo the blocks that are not final.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    effects::{Area, RestoreError, SavedParts, Writes, key, read},
    state::{Remembered, State},
};
use crate::domain::Position;

/// What one block changed and said.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "O: Deserialize<'de>, V: Deserialize<'de>"))]
pub(super) struct Step<O, V> {
    pub(super) chain_id: u64,
    pub(super) block: u64,
    pub(super) time: u64,
    before: BTreeMap<String, Before<V>>,
    /// What was said, in order.
    pub(super) outputs: Vec<O>,
}

/// A value before a step. Not an `Option`: null is a value, too.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Before<V> {
    Nothing,
    Was(V),
}

impl<V> From<Option<V>> for Before<V> {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Nothing, Self::Was)
    }
}

impl<O, V: Remembered> Step<O, V> {
    /// Makes a step of what `state` recorded since its changes were last
    /// taken, and notes what is to be written down.
    pub(super) fn record(
        end: Position,
        state: &mut State<V>,
        outputs: Vec<O>,
        writes: &mut Writes,
    ) -> Self {
        let mut before = BTreeMap::new();
        for (key, old) in state.take_changes() {
            writes.state(&key);
            before.insert(key, old.into());
        }
        Self { chain_id: end.chain_id, block: end.block, time: end.time, before, outputs }
    }

    /// Puts the old values back. Gives what was said.
    pub(super) fn undo(self, state: &mut State<V>, writes: &mut Writes) -> Vec<O> {
        for (key, old) in self.before {
            writes.state(&key);
            let old = match old {
                Before::Nothing => None,
                Before::Was(value) => Some(value),
            };
            state.set(&key, old);
        }
        state.take_changes();
        self.outputs
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
pub(super) struct Journal<O, V> {
    base: Standing,
    steps: VecDeque<Step<O, V>>,
    now: Standing,
}

impl<O: Serialize + DeserializeOwned, V: Remembered> Journal<O, V> {
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
            .collect::<Result<VecDeque<Step<O, V>>, _>>()?;
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

    pub(super) fn push(&mut self, step: Step<O, V>, writes: &mut Writes) {
        let end = step.end();
        writes.step(key::block(&end));
        self.now.advance(end);
        self.steps.push_back(step);
    }

    /// Adds what `state` recorded since its changes were last taken to the
    /// last step, so that it is undone with it. Below finality nothing is
    /// undone, and the values are only written down.
    pub(super) fn amend(&mut self, state: &mut State<V>, writes: &mut Writes) {
        for (key, old) in state.take_changes() {
            writes.state(&key);
            if let Some(last) = self.steps.back_mut() {
                last.before.entry(key).or_insert(old.into());
            }
        }
        if let Some(last) = self.steps.back() {
            writes.step_again(key::block(&last.end()));
        }
    }

    /// A step as it is written down, by its key.
    pub(super) fn encoded(&self, at: &[u8]) -> Option<Vec<u8>> {
        let at = key::parse_block(at)?;
        let by = |step: &Step<O, V>| (step.time, step.chain_id, step.block).cmp(&at);
        let step = self.steps.get(self.steps.binary_search_by(by).ok()?)?;
        // As for values of the state.
        Some(serde_json::to_vec(step).unwrap_or_default())
    }

    /// Takes the steps beyond `through` off, the newest first.
    pub(super) fn pop_beyond(
        &mut self,
        through: &Position,
        writes: &mut Writes,
    ) -> Vec<Step<O, V>> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_null_that_was_there_is_not_nothing() {
        let (mut state, mut writes) = (State::default(), Writes::default());
        state.put("due/7", &());
        state.take_changes();
        state.remove("due/7");
        state.put("fresh", &());
        let end = Position::end_of_block(1, 5, 9);
        let step = Step::<u8, _>::record(end, &mut state, Vec::new(), &mut writes);
        let written = serde_json::to_vec(&step).unwrap();
        let restored: Step<u8, serde_json::Value> = serde_json::from_slice(&written).unwrap();
        restored.undo(&mut state, &mut writes);
        assert_eq!(state.value("due/7"), Some(&json!(null)));
        assert_eq!(state.value("fresh"), None);
    }
}

//! How to undo the blocks that are not final.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize, Serializer};

use super::{
    effects::{Area, RestoreError, SavedParts, Writes, key, read, restored},
    state::{Changes, Kept, Key, State, Stored, Unreadable},
};
use crate::domain::Position;
use crate::teeth::{Tooth, is_planted};

/// What one block changed and said.
#[derive(Clone, Debug)]
pub(super) struct Step<O, K: Key> {
    end: Position,
    before: Changes<K>,
    /// What was said, in order.
    pub(super) outputs: Vec<O>,
}

/// A step as it is written down.
#[derive(Serialize, Deserialize)]
struct SavedStep<B> {
    chain_id: u64,
    block: u64,
    time: u64,
    before: Vec<(B, Option<B>)>,
    outputs: Vec<B>,
}

/// Written as a piece, not byte by byte.
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<O: Stored, K: Key> Stored for Step<O, K> {
    fn to_bytes(&self) -> Vec<u8> {
        /// More than numbers and lengths take.
        const ROOM: usize = 16;
        let row = |(key, value): &(K, Option<K::Value>)| {
            (Bytes(key.to_bytes()), value.as_ref().map(|value| Bytes(value.to_bytes())))
        };
        let mut before: Vec<_> = self.before.iter().map(row).collect();
        before.sort_unstable_by(|a, b| a.0.0.cmp(&b.0.0));
        let Position { chain_id, block, time, .. } = self.end;
        let outputs: Vec<_> = self.outputs.iter().map(|said| Bytes(said.to_bytes())).collect();
        let old = |old: &Option<Bytes>| old.as_ref().map_or(0, |old| old.0.len());
        let bytes = before.iter().map(|(key, it)| key.0.len() + old(it) + ROOM).sum::<usize>()
            + outputs.iter().map(|said| said.0.len() + ROOM).sum::<usize>();
        let saved = SavedStep { chain_id, block, time, before, outputs };
        // Numbers and bytes: serialising them to memory can't fail. Were it to,
        // restoring would name the key.
        postcard::to_extend(&saved, Vec::with_capacity(bytes + 4 * ROOM)).unwrap_or_default()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let saved: SavedStep<&[u8]> = postcard::from_bytes(bytes)?;
        let SavedStep { chain_id, block, time, before, outputs } = saved;
        let row = |(key, value): (&[u8], Option<&[u8]>)| {
            let key = K::from_bytes(key)?;
            let value = value.map(|value| key.read(value)).transpose()?;
            Ok::<_, Unreadable>((key, value))
        };
        let before = before.into_iter().map(row).collect::<Result<_, _>>()?;
        let outputs = outputs.into_iter().map(O::from_bytes).collect::<Result<_, _>>()?;
        Ok(Self { end: Position::end_of_block(chain_id, block, time), before, outputs })
    }
}

impl<O, K: Key> Step<O, K> {
    /// Makes a step of what `state` recorded since its changes were last taken.
    pub(super) fn record(end: Position, state: &mut State<K>, outputs: Vec<O>) -> Self {
        Self { end, before: state.take_changes(), outputs }
    }

    /// Puts the old values back. Gives what was said.
    pub(super) fn undo(self, state: &mut State<K>) -> Vec<O> {
        let skipped = is_planted(Tooth::UndoSkipped);
        for (key, old) in self.before.into_iter().filter(|_| !skipped) {
            state.set(key, old);
        }
        state.take_changes();
        self.outputs
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
pub(super) struct Journal<O, K: Key> {
    base: Standing,
    /// Shared with whoever writes them down.
    steps: VecDeque<Arc<Step<O, K>>>,
    /// Steps of blocks that became final, to be dropped where that keeps nobody waiting.
    spent: Vec<Arc<Step<O, K>>>,
    now: Standing,
}

impl<O: Stored + Clone, K: Key> Journal<O, K> {
    pub(super) fn new() -> Self {
        let (steps, spent) = (VecDeque::new(), Vec::new());
        Self { base: Standing::default(), steps, spent, now: Standing::default() }
    }

    pub(super) fn restore(saved: &SavedParts) -> Result<Self, RestoreError> {
        let base: Standing = match saved.meta.get(key::FOLD) {
            Some(value) => read(Area::Meta, key::FOLD, value)?,
            None => Standing::default(),
        };
        let steps = saved
            .journal
            .iter()
            .map(|(key, value)| restored(Area::Journal, key, value).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let mut journal = Self { base, steps, spent: Vec::new(), now: Standing::default() };
        journal.recount();
        Ok(journal)
    }

    fn recount(&mut self) {
        self.now = self.base.clone();
        for step in &self.steps {
            self.now.advance(step.end);
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

    pub(super) fn push(&mut self, step: Step<O, K>, writes: &mut Writes) {
        writes.step(step.end);
        self.now.advance(step.end);
        self.steps.push_back(Arc::new(step));
    }

    /// Adds what `state` recorded since its changes were last taken to the
    /// last step, so that it is undone with it. Below finality nothing is
    /// undone, and the values are only written down.
    pub(super) fn amend(&mut self, state: &mut State<K>, writes: &mut Writes) {
        let changes = state.take_changes();
        if let Some(last) = self.steps.back_mut().map(Arc::make_mut) {
            let known: HashSet<K> = last.before.iter().map(|(key, _)| key.clone()).collect();
            last.before.extend(changes.into_iter().filter(|(key, _)| !known.contains(key)));
            writes.step_again(last.end);
        }
    }

    /// A step, by the end of its block.
    pub(super) fn step(&self, end: &Position) -> Option<Arc<Step<O, K>>> {
        let at = self.steps.binary_search_by(|step| step.end.cmp(end)).ok()?;
        self.steps.get(at).cloned()
    }

    /// Takes the steps beyond `through` off, the newest first.
    pub(super) fn pop_beyond(
        &mut self,
        through: &Position,
        writes: &mut Writes,
    ) -> Vec<Step<O, K>> {
        let mut undone = Vec::new();
        while let Some(step) = self.steps.pop_back_if(|step| step.end > *through) {
            writes.no_step(step.end);
            undone.push(Arc::unwrap_or_clone(step));
        }
        self.recount();
        undone
    }

    /// The steps that were pruned since the last call.
    pub(super) fn take_spent(&mut self) -> Vec<Arc<Step<O, K>>> {
        std::mem::take(&mut self.spent)
    }

    /// Forgets how to undo what is final.
    pub(super) fn prune(&mut self, final_through: &Position, writes: &mut Writes) {
        let mut pruned = false;
        while let Some(step) = self.steps.pop_front_if(|step| step.end <= *final_through) {
            writes.no_step(step.end);
            self.base.advance(step.end);
            self.spent.push(step);
            pruned = true;
        }
        if pruned {
            writes.put(key::FOLD.to_vec(), &self.base);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value as Json, json};

    use super::*;
    use crate::fold::JsonPaths as _;

    #[test]
    fn a_null_that_was_there_is_not_nothing() {
        let mut state: State = State::default();
        state.put("due/7", &());
        state.take_changes();
        state.remove("due/7");
        state.put("fresh", &());
        let end = Position::end_of_block(1, 5, 9);
        let step = Step::<Json, String>::record(end, &mut state, vec![json!("said")]);
        let restored = Step::<Json, String>::from_bytes(&step.to_bytes()).unwrap();
        assert_eq!(restored.undo(&mut state), [json!("said")]);
        assert_eq!(state.value("due/7").map(|value| &**value), Some("null".as_bytes()));
        assert_eq!(state.value("fresh"), None);
    }
}

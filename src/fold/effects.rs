//! What a fold asks its owner to do: durable writes and emissions; and what
//! it is restored from.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    inbox,
    journal::Step,
    state::{self, Changed, Key, Stored, Unreadable},
};
use crate::domain::{EventId, Name, Position};

/// Which part of a fold a key belongs to. Each is a key space of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// The fold's [`State`](super::State).
    State,
    /// Events that are pending or could still be undone, in position order.
    Inbox,
    /// How to undo each block that is not final, in position order.
    Journal,
    /// Watermarks, known block hashes and counters.
    Meta,
}

/// One durable change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The key space.
    pub area: Area,
    /// The key.
    pub key: Vec<u8>,
    /// The new value; `None` removes the key.
    pub value: Option<Vec<u8>>,
}

/// An output, or the withdrawal of one said before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Emitted<O> {
    /// The fold says this.
    Says(O),
    /// What was said before is void: its evidence was orphaned, or its order
    /// among the events changed. It may be said again.
    TakesBack(O),
}

/// One emission with its place among all emissions of the fold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emission<O> {
    /// Counts the emissions of the fold's life from 1. A function of the order
    /// of inputs alone: restarts and batches don't change it, so ids of
    /// messages can be derived from it.
    pub revision: u64,
    /// What is emitted.
    pub emitted: Emitted<O>,
}

/// What has become due since effects were last taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects<O> {
    /// To be committed in one transaction, together with `emissions` and the
    /// input position.
    pub writes: Vec<Write>,
    /// To be published in this order.
    pub emissions: Vec<Emission<O>>,
}

/// A step by the end of its block; `None` removes it.
pub(super) type ChangedStep<O, K> = (Position, Option<Arc<Step<O, K>>>);

/// Durable changes that are not written down as bytes yet. That needs nothing of the engine:
/// it can be done elsewhere while the engine goes on.
#[derive(Debug)]
pub struct Unwritten<O, K: Key> {
    pub(super) state: Vec<Changed<K>>,
    pub(super) inbox: Vec<inbox::Changed>,
    pub(super) journal: Vec<ChangedStep<O, K>>,
    pub(super) meta: Vec<Write>,
    pub(super) spent: Spent<O, K>,
}

/// What the engine needs no more. To drop it takes about as long as to make it, so whoever
/// writes down does that, too.
#[derive(Debug)]
#[expect(dead_code, reason = "it is only dropped")]
pub(super) struct Spent<O, K: Key> {
    pub(super) events: Vec<inbox::Spent>,
    pub(super) steps: Vec<Arc<Step<O, K>>>,
}

impl<O: Stored, K: Key> Unwritten<O, K> {
    /// How many changes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.len() + self.inbox.len() + self.journal.len() + self.meta.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// To be committed in one transaction, in this order.
    #[must_use]
    pub fn into_writes(self) -> Vec<Write> {
        let Self { state, inbox, journal, meta, spent } = self;
        drop(spent);
        let state = state::rows(state).into_iter();
        let state = state.map(|(key, value)| Write { area: Area::State, key, value });
        let journal = journal.into_iter().map(|(end, step)| Write {
            area: Area::Journal,
            key: key::block(&end),
            value: step.map(|step| step.to_bytes()),
        });
        state.chain(inbox.into_iter().map(inbox::write)).chain(journal).chain(meta).collect()
    }
}

/// All that was written by a fold and not removed since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedParts {
    /// See [`Area::State`].
    pub state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// See [`Area::Inbox`].
    pub inbox: BTreeMap<Vec<u8>, Vec<u8>>,
    /// See [`Area::Journal`].
    pub journal: BTreeMap<Vec<u8>, Vec<u8>>,
    /// See [`Area::Meta`].
    pub meta: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl SavedParts {
    /// Takes writes over, as a store does.
    pub fn absorb(&mut self, writes: &[Write]) {
        for write in writes {
            let area = match write.area {
                Area::State => &mut self.state,
                Area::Inbox => &mut self.inbox,
                Area::Journal => &mut self.journal,
                Area::Meta => &mut self.meta,
            };
            match &write.value {
                Some(value) => area.insert(write.key.clone(), value.clone()),
                None => area.remove(&write.key),
            };
        }
    }
}

/// Why saved parts don't make a fold.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A value is not what this version writes.
    #[error("saved {area:?} entry {key} is unreadable: rebuild this fold from the stream")]
    Unreadable {
        /// Where it is.
        area: Area,
        /// Its key, in hex.
        key: String,
        /// What is wrong with it.
        #[source]
        source: Unreadable,
    },
    /// A key is not what this version writes.
    #[error("saved {area:?} key {key} is unknown: rebuild this fold from the stream")]
    UnknownKey {
        /// Where it is.
        area: Area,
        /// The key, in hex.
        key: String,
    },
    /// The fold had other sources when it was saved: what it applied is not
    /// what it would apply now.
    #[error(
        "the sources changed since the fold was saved (then: {then}; now: {now}): \
         rebuild this fold from the stream"
    )]
    SourcesChanged {
        /// Saved sources as `contract@chain_id`.
        then: String,
        /// Present sources.
        now: String,
    },
}

/// Collects writes, the latest value of a key winning. Most of what a fold
/// goes through while it hears history is gone again before it is committed:
/// so values are serialised when the writes are taken.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// Of steps: what is written down is how they are then.
    journal: BTreeMap<Position, Pending>,
    meta: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

#[derive(Debug)]
struct Pending {
    /// It is removed otherwise.
    stays: bool,
    /// The store has no such key: removing it needs no write. Known by the first
    /// note since the last commit.
    fresh: bool,
}

impl Writes {
    /// A value of [`Area::Meta`].
    pub(super) fn put<T: Serialize>(&mut self, key: Vec<u8>, value: &T) {
        // A struct of this crate: plain data with string keys, whose
        // serialisation to memory can't fail. Were it to, the value would be
        // empty and restoring would name the key.
        self.meta.insert(key, Some(serde_json::to_vec(value).unwrap_or_default()));
    }

    /// Removes a value of [`Area::Meta`].
    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.meta.insert(key, None);
    }

    /// A block was applied.
    pub(super) fn step(&mut self, end: Position) {
        note(self.journal.entry(end), true, true);
    }

    /// How to undo a block changed.
    pub(super) fn step_again(&mut self, end: Position) {
        note(self.journal.entry(end), true, false);
    }

    /// A block was undone, or can't be any more.
    pub(super) fn no_step(&mut self, end: Position) {
        forget(self.journal.entry(end));
    }

    /// Steps that changed, with whether they stay; and the writes of [`Area::Meta`].
    pub(super) fn take(&mut self) -> (impl Iterator<Item = (Position, bool)> + use<>, Vec<Write>) {
        let Self { journal, meta } = std::mem::take(self);
        let meta = meta.into_iter().map(|(key, value)| Write { area: Area::Meta, key, value });
        (journal.into_iter().map(|(end, pending)| (end, pending.stays)), meta.collect())
    }
}

fn note(entry: Entry<'_, Position, Pending>, stays: bool, fresh: bool) {
    entry.and_modify(|pending| pending.stays = stays).or_insert(Pending { stays, fresh });
}

fn forget(entry: Entry<'_, Position, Pending>) {
    match entry {
        Entry::Occupied(entry) if entry.get().fresh => drop(entry.remove()),
        entry => note(entry, false, false),
    }
}

/// Reads a value that [`Writes`] wrote as JSON.
pub(super) fn read<T: DeserializeOwned>(
    area: Area,
    key: &[u8],
    value: &[u8],
) -> Result<T, RestoreError> {
    serde_json::from_slice(value).map_err(|error| unreadable(area, key, error.into()))
}

/// Reads a stored value.
pub(super) fn restored<T: Stored>(area: Area, key: &[u8], value: &[u8]) -> Result<T, RestoreError> {
    T::from_bytes(value).map_err(|error| unreadable(area, key, error))
}

pub(super) fn unreadable(area: Area, key: &[u8], source: Unreadable) -> RestoreError {
    RestoreError::Unreadable { area, key: alloy::hex::encode(key), source }
}

/// Keys: numbers big-endian, so that bytes sort as they do.
pub(super) mod key {
    use super::{EventId, Name, Position};

    pub(in crate::fold) fn inbox(position: &Position, id: EventId) -> Vec<u8> {
        let mut key = block(position);
        key.extend(position.transaction_index.to_be_bytes());
        key.extend(position.log_index.to_be_bytes());
        key.extend(id.0);
        key
    }

    pub(in crate::fold) fn block(position: &Position) -> Vec<u8> {
        [position.time, position.chain_id, position.block]
            .into_iter()
            .flat_map(u64::to_be_bytes)
            .collect()
    }

    pub(in crate::fold) const FOLD: &[u8] = b"fold";
    pub(in crate::fold) const REVISION: &[u8] = b"revision";
    pub(in crate::fold) const SOURCE: &[u8] = b"source/";
    pub(in crate::fold) const KNOWN: &[u8] = b"known/";

    pub(in crate::fold) fn source(contract: &Name) -> Vec<u8> {
        [SOURCE, contract.as_str().as_bytes()].concat()
    }

    pub(in crate::fold) fn known(contract: &Name, number: u64) -> Vec<u8> {
        [KNOWN, contract.as_str().as_bytes(), b"/", &number.to_be_bytes()].concat()
    }

    /// Reads the contract and number of a [`known`] key.
    pub(in crate::fold) fn parse_known(key: &[u8]) -> Option<(Name, u64)> {
        let (head, number) = key.strip_prefix(KNOWN)?.split_last_chunk::<8>()?;
        let name = std::str::from_utf8(head.strip_suffix(b"/")?).ok()?;
        Some((Name::new(name).ok()?, u64::from_be_bytes(*number)))
    }
}

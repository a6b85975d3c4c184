//! What a fold asks its owner to do: durable writes and emissions; and what
//! it is restored from.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::domain::{Event, EventId, Name, Position};

/// Which part of a fold a key belongs to. Each is a key space of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// The fold's [`State`](super::State): its keys as UTF-8.
    State,
    /// Events that are pending or could still be undone, in position order.
    Inbox,
    /// How to undo each block that is not final, in position order.
    Journal,
    /// Watermarks, known block hashes and counters.
    Meta,
}

/// One durable change. Keys sort as what they name; values are JSON.
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
        source: serde_json::Error,
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
pub(super) struct Writes(BTreeMap<(Area, Vec<u8>), Pending>);

#[derive(Debug)]
struct Pending {
    what: What,
    /// The store has no such key: removing it needs no write.
    fresh: bool,
}

#[derive(Debug)]
enum What {
    Value(Vec<u8>),
    Event(Arc<Event>),
    /// As it is when the writes are taken.
    AsItIs,
    Removed,
}

impl Writes {
    /// Writes a struct of this crate: plain data with string keys, whose
    /// serialisation to memory can't fail. Were it to, the value would be
    /// empty and restoring would name the key.
    pub(super) fn put<T: Serialize>(&mut self, area: Area, key: Vec<u8>, value: &T) {
        let value = serde_json::to_vec(value).unwrap_or_default();
        self.note(area, key, What::Value(value), false);
    }

    /// An event that waits; it did not before.
    pub(super) fn event(&mut self, key: Vec<u8>, event: Arc<Event>) {
        self.note(Area::Inbox, key, What::Event(event), true);
    }

    /// A value of the state changed.
    pub(super) fn state(&mut self, key: &str) {
        self.note(Area::State, key.as_bytes().to_vec(), What::AsItIs, false);
    }

    /// A block was applied.
    pub(super) fn step(&mut self, key: Vec<u8>) {
        self.note(Area::Journal, key, What::AsItIs, true);
    }

    /// How to undo a block changed.
    pub(super) fn step_again(&mut self, key: Vec<u8>) {
        self.note(Area::Journal, key, What::AsItIs, false);
    }

    pub(super) fn remove(&mut self, area: Area, key: Vec<u8>) {
        match self.0.entry((area, key)) {
            Entry::Occupied(entry) if entry.get().fresh => {
                entry.remove();
            }
            Entry::Occupied(mut entry) => entry.get_mut().what = What::Removed,
            Entry::Vacant(entry) => {
                entry.insert(Pending { what: What::Removed, fresh: false });
            }
        }
    }

    /// What the store has of a key is known by the first note since the last
    /// commit.
    fn note(&mut self, area: Area, key: Vec<u8>, what: What, fresh: bool) {
        match self.0.entry((area, key)) {
            Entry::Occupied(mut entry) => entry.get_mut().what = what,
            Entry::Vacant(entry) => {
                entry.insert(Pending { what, fresh });
            }
        }
    }

    /// `as_it_is` gives the present value of a key.
    pub(super) fn take(&mut self, as_it_is: impl Fn(Area, &[u8]) -> Option<Vec<u8>>) -> Vec<Write> {
        let write = |((area, key), pending): ((Area, Vec<u8>), Pending)| {
            let value = match pending.what {
                What::Value(value) => Some(value),
                // As for `put`.
                What::Event(event) => Some(serde_json::to_vec(&*event).unwrap_or_default()),
                What::AsItIs => as_it_is(area, &key),
                What::Removed => None,
            };
            Write { area, key, value }
        };
        std::mem::take(&mut self.0).into_iter().map(write).collect()
    }
}

/// Reads a value that [`Writes::put`] wrote.
pub(super) fn read<T: DeserializeOwned>(
    area: Area,
    key: &[u8],
    value: &[u8],
) -> Result<T, RestoreError> {
    serde_json::from_slice(value).map_err(|source| RestoreError::Unreadable {
        area,
        key: alloy::hex::encode(key),
        source,
    })
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

    /// Reads (time, chain, number) of a [`block`] key.
    pub(in crate::fold) fn parse_block(key: &[u8]) -> Option<(u64, u64, u64)> {
        let (numbers, []) = key.as_chunks::<8>() else { return None };
        let [time, chain_id, number] = <[[u8; 8]; 3]>::try_from(numbers).ok()?;
        let number_of = u64::from_be_bytes;
        Some((number_of(time), number_of(chain_id), number_of(number)))
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

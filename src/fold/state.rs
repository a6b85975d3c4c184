//! What a fold remembers, with the old values of what a step changes.

use std::{
    borrow::Borrow,
    collections::{BTreeSet, HashMap, HashSet, hash_map},
    fmt,
    hash::Hash,
    mem,
    ops::RangeBounds,
};

use foldhash::quality::RandomState;
use serde::{Serialize, de::DeserializeOwned};

use super::{Area, RestoreError, effects};

/// What is written down as bytes, and read back from them.
pub trait Stored: Sized {
    /// The bytes.
    fn to_bytes(&self) -> Vec<u8>;

    /// The value again.
    ///
    /// # Errors
    /// When this version writes no such bytes.
    fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable>;
}

/// Why bytes are no value.
pub type Unreadable = Box<dyn std::error::Error + Send + Sync>;

/// What is stored as JSON: where others read it too, or older versions wrote it.
pub trait AsJson: Serialize + DeserializeOwned {}

impl<T: AsJson> Stored for T {
    fn to_bytes(&self) -> Vec<u8> {
        // Plain data with string keys: serialising it to memory can't fail.
        // Were it to, restoring would name the key.
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl AsJson for serde_json::Value {}

/// Under what a fold remembers something.
pub trait Key: Stored + Clone + Ord + Hash {
    /// What it remembers, as it is kept in memory.
    type Value: Kept;

    /// Whether it can be found by its order: see [`State::listed`].
    fn is_listed(&self) -> bool;

    /// The value that was written down under the key.
    ///
    /// # Errors
    /// When this version keeps no such value under it.
    fn read(&self, bytes: &[u8]) -> Result<Self::Value, Unreadable>;
}

/// A value as it is kept in memory: as bytes, or read, with cheap copies.
pub trait Kept: Clone + PartialEq + fmt::Debug {
    /// As it is written down.
    fn to_bytes(&self) -> Vec<u8>;
}

impl Kept for Box<[u8]> {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_vec()
    }
}

/// A `/`-separated path, with JSON under it.
impl Key for String {
    type Value = Box<[u8]>;

    fn is_listed(&self) -> bool {
        true
    }

    fn read(&self, bytes: &[u8]) -> Result<Box<[u8]>, Unreadable> {
        serde_json::from_slice::<serde::de::IgnoredAny>(bytes)?;
        Ok(bytes.into())
    }
}

impl Stored for String {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        Ok(Self::from_utf8(bytes.to_vec())?)
    }
}

/// Keys and values of one fold.
///
/// Most values are kept as they are written down: an event touches few of very
/// many, so that they be small and near together counts for more than to read them
/// anew, and writing them down costs nothing more. What nearly every event touches
/// is kept read ([`Key::Value`]). What they were before a step is kept without a
/// copy.
///
/// Every change since the last `take_changes` is recorded with the value before
/// it, which makes one step both durable and undoable.
#[derive(Debug)]
pub struct State<K: Key = String> {
    values: HashMap<K, K::Value, RandomState>,
    listed: BTreeSet<K>,
    before: Changes<K>,
    /// Changed since it was last written down.
    touched: HashSet<K, RandomState>,
}

/// Values before a step, by the keys that it changed.
pub(super) type Changes<K> = HashMap<K, Option<<K as Key>::Value>, RandomState>;

impl<K: Key> Default for State<K> {
    fn default() -> Self {
        Self {
            values: HashMap::default(),
            listed: BTreeSet::new(),
            before: HashMap::default(),
            touched: HashSet::default(),
        }
    }
}

impl<K: Key> State<K> {
    /// A state from what [`Area::State`] writes left.
    ///
    /// # Errors
    /// When a key or a value is not of this fold's kind.
    pub fn from_saved(
        saved: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, RestoreError> {
        let mut state = Self::default();
        for (name, value) in saved {
            let key = K::from_bytes(&name).map_err(|_| RestoreError::UnknownKey {
                area: Area::State,
                key: alloy::hex::encode(&name),
            })?;
            let value =
                key.read(&value).map_err(|error| effects::unreadable(Area::State, &name, error))?;
            if key.is_listed() {
                state.listed.insert(key.clone());
            }
            state.values.insert(key, value);
        }
        Ok(state)
    }

    /// A value as it is now.
    #[must_use]
    pub fn value<Q>(&self, key: &Q) -> Option<&K::Value>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.values.get(key)
    }

    /// Writes a value, or removes it.
    pub fn set(&mut self, key: K, value: Option<K::Value>) {
        let old = match (self.values.entry(key.clone()), value) {
            (hash_map::Entry::Occupied(mut entry), Some(value)) => {
                Some(mem::replace(entry.get_mut(), value))
            }
            (hash_map::Entry::Occupied(entry), None) => {
                if key.is_listed() {
                    self.listed.remove(&key);
                }
                Some(entry.remove())
            }
            (hash_map::Entry::Vacant(entry), Some(value)) => {
                if key.is_listed() {
                    self.listed.insert(key.clone());
                }
                entry.insert(value);
                None
            }
            (hash_map::Entry::Vacant(_), None) => None,
        };
        self.before.entry(key).or_insert(old);
    }

    /// The listed keys within bounds and their values, in order.
    pub fn listed<Q>(&self, range: impl RangeBounds<Q>) -> impl Iterator<Item = (&K, &K::Value)>
    where
        K: Borrow<Q>,
        Q: Ord + Hash + ?Sized,
    {
        self.listed
            .range::<Q, _>(range)
            .filter_map(|key| Some((key, self.value::<Q>(key.borrow())?)))
    }

    /// All keys and values as they would be written down, in no order.
    #[cfg(test)]
    pub(crate) fn rows(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        self.values.iter().map(|(key, value)| (key.to_bytes(), value.to_bytes()))
    }

    /// All keys and values, in no order.
    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = (&K, &K::Value)> {
        self.values.iter()
    }

    /// The keys changed since the last call, with the values before.
    pub(crate) fn take_changes(&mut self) -> Changes<K> {
        let mut changes = mem::take(&mut self.before);
        changes.retain(|key, old| old.as_ref() != self.values.get(key));
        self.touched.extend(changes.keys().cloned());
        changes
    }

    /// Drops the changes since `take_changes`.
    pub(super) fn revert(&mut self) {
        for (key, old) in mem::take(&mut self.before) {
            self.set(key, old);
        }
        self.before.clear();
    }

    /// What changed since the last call and became steps, as it is written
    /// down, in order of the keys. What is no step yet is not written.
    pub(super) fn take_written(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let touched = mem::take(&mut self.touched);
        let row = |key: K| {
            let now = self.values.get(&key);
            let value = self.before.get(&key).map_or(now, Option::as_ref);
            (key.to_bytes(), value.map(Kept::to_bytes))
        };
        let mut rows: Vec<_> = touched.into_iter().map(row).collect();
        rows.sort_unstable();
        rows
    }
}

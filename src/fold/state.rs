//! What a fold remembers, with the old values of what a step changes.

use std::{
    borrow::Borrow,
    collections::{BTreeSet, HashMap},
    fmt,
    hash::Hash,
    mem,
    ops::RangeBounds,
};

use foldhash::quality::RandomState;
use hashbrown::hash_table;
use serde::{Serialize, de::DeserializeOwned};

use super::{Area, RestoreError, effects, table::Table};

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
pub trait Key: Stored + Clone + Ord + Hash + Send + Sync + 'static {
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
pub trait Kept: Clone + PartialEq + fmt::Debug + Send + Sync + 'static {
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
/// it, which makes one step both durable and undoable. Whether that was done stands
/// beside the value: a change costs one look.
#[derive(Debug)]
pub struct State<K: Key = String> {
    values: Table<K, Slot<K::Value>>,
    listed: BTreeSet<K>,
    before: Changes<K>,
    /// The number of the step that goes on.
    step: u64,
    /// Changed by a step since it was last written down: each is there once.
    touched: Vec<K>,
}

/// Keys that may change until the next commit for which there is room all the time.
const TOUCHED_ROOM: usize = 1 << 16;

/// Values before a step, by the keys that it changed, each once.
pub(super) type Changes<K> = Vec<(K, Option<<K as Key>::Value>)>;

/// A key and its value now; `None` of what is removed.
pub(super) type Changed<K> = (K, Option<<K as Key>::Value>);

/// A key and its value as they are written down; `None` of what is removed.
pub(super) type Row = (Vec<u8>, Option<Vec<u8>>);

/// A place for a value.
#[derive(Debug)]
struct Slot<V> {
    /// `None` of one that was removed, while that is to be recorded.
    value: Option<V>,
    mark: Mark,
}

/// The step that changed a value last, and whether it is to be written down.
#[derive(Clone, Copy, Debug)]
struct Mark(u64);

impl Mark {
    const TOUCHED: u64 = 1 << 63;
    const NEVER: Self = Self(0);

    fn step(self) -> u64 {
        self.0 & !Self::TOUCHED
    }

    fn set_step(&mut self, step: u64) {
        self.0 = self.0 & Self::TOUCHED | step;
    }

    /// Whether it was not before.
    fn touch(&mut self) -> bool {
        let before = self.0;
        self.0 |= Self::TOUCHED;
        self.0 != before
    }

    fn untouch(&mut self) {
        self.0 &= !Self::TOUCHED;
    }
}

impl<K: Key> Default for State<K> {
    fn default() -> Self {
        Self {
            values: Table::default(),
            listed: BTreeSet::new(),
            before: Vec::new(),
            step: 1,
            touched: Vec::new(),
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
            state.values.insert(key, Slot { value: Some(value), mark: Mark::NEVER });
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
        self.values.get(key)?.value.as_ref()
    }

    /// Writes a value, or removes it.
    pub fn set(&mut self, key: K, value: Option<K::Value>) {
        let is_there = value.is_some();
        let was_there = match self.values.entry(&key) {
            hash_table::Entry::Occupied(entry) => {
                let (_, slot) = entry.into_mut();
                if slot.value == value {
                    return;
                }
                let old = mem::replace(&mut slot.value, value);
                let was_there = old.is_some();
                if slot.mark.step() != self.step {
                    slot.mark.set_step(self.step);
                    self.before.push((key.clone(), old));
                }
                if slot.mark.touch() {
                    self.touched.push(key.clone());
                }
                was_there
            }
            hash_table::Entry::Vacant(entry) => {
                if is_there {
                    let mut mark = Mark::NEVER;
                    mark.set_step(self.step);
                    mark.touch();
                    entry.insert((key.clone(), Slot { value, mark }));
                    self.before.push((key.clone(), None));
                    self.touched.push(key.clone());
                }
                false
            }
        };
        if was_there != is_there && key.is_listed() {
            match is_there {
                true => self.listed.insert(key),
                false => self.listed.remove(&key),
            };
        }
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
        self.all().map(|(key, value)| (key.to_bytes(), value.to_bytes()))
    }

    /// All keys and values, in no order.
    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = (&K, &K::Value)> {
        self.values.iter().filter_map(|(key, slot)| Some((key, slot.value.as_ref()?)))
    }

    /// The keys changed since the last call, with the values before.
    pub(crate) fn take_changes(&mut self) -> Changes<K> {
        self.step += 1;
        // The next step changes about as much.
        let room = Vec::with_capacity(self.before.len());
        mem::replace(&mut self.before, room)
    }

    /// Drops the changes since `take_changes`.
    pub(super) fn revert(&mut self) {
        for (key, old) in mem::take(&mut self.before) {
            // It is recorded already, so it is not recorded again.
            self.set(key, old);
        }
        self.step += 1;
    }

    /// What changed since the last call and became steps, as it is to be written
    /// down, in no order. What is no step yet is not written.
    pub(super) fn take_changed(&mut self) -> Vec<Changed<K>> {
        let mut changed = Vec::with_capacity(self.touched.len());
        let mut left = Vec::new();
        // Its room is for those of the next time.
        for key in self.touched.drain(..) {
            let Some(slot) = self.values.get_mut(&key) else { continue };
            if slot.mark.step() == self.step {
                // Written down as it was before, and with its step again.
                left.push(key);
                continue;
            }
            slot.mark.untouch();
            let value = slot.value.clone();
            if value.is_none() {
                self.values.remove(&key);
            }
            changed.push((key, value));
        }
        if !left.is_empty() {
            let before = self.before.iter().map(|(key, old)| (key, old));
            let before: HashMap<_, _, RandomState> = before.collect();
            let old = |key: &K| before.get(key).and_then(|old| Option::clone(old));
            changed.extend(left.iter().map(|key| (key.clone(), old(key))));
        }
        self.touched.shrink_to(TOUCHED_ROOM);
        self.touched.append(&mut left);
        changed
    }
}

/// What changed as it is written down, in order of the keys.
pub(super) fn rows<K: Key>(changed: Vec<Changed<K>>) -> Vec<Row> {
    let row = |(key, value): Changed<K>| (key.to_bytes(), value.as_ref().map(Kept::to_bytes));
    in_order(changed.into_iter().map(row).collect())
}

/// Rows in the order of their keys. The beginnings of keys tell nearly all apart, and are
/// sorted as numbers.
fn in_order(mut rows: Vec<Row>) -> Vec<Row> {
    let begin = |key: &[u8]| {
        let mut begin = [0; 16];
        let len = key.len().min(begin.len());
        begin[..len].copy_from_slice(&key[..len]);
        u128::from_be_bytes(begin)
    };
    let mut order: Vec<(u128, usize)> = rows.iter().map(|row| begin(&row.0)).zip(0..).collect();
    let key = |at: usize| rows.get(at).map(|row| &row.0);
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| key(a.1).cmp(&key(b.1))));
    order.iter().filter_map(|(_, at)| rows.get_mut(*at).map(mem::take)).collect()
}

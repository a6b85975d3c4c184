//! What a fold remembers, with the old values of what a step changes.

use std::{collections::BTreeMap, mem};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use super::{Area, RestoreError};

/// What a fold can remember. Values are kept as they are and written down as
/// JSON.
pub trait Remembered: Clone + PartialEq + Serialize + DeserializeOwned {}

impl<V: Clone + PartialEq + Serialize + DeserializeOwned> Remembered for V {}

/// Keys and values of one fold. Keys are `/`-separated paths.
///
/// Every change since the last `take_changes` is recorded with the
/// value before it, which makes one step both durable and undoable.
#[derive(Debug)]
pub struct State<V = Json> {
    values: BTreeMap<String, V>,
    before: BTreeMap<String, Option<V>>,
}

impl<V> Default for State<V> {
    fn default() -> Self {
        Self { values: BTreeMap::new(), before: BTreeMap::new() }
    }
}

impl<V: Remembered> State<V> {
    /// A state with the given values and no pending changes.
    #[must_use]
    pub fn restored(values: BTreeMap<String, V>) -> Self {
        Self { values, before: BTreeMap::new() }
    }

    /// A state from what [`Area::State`](super::Area) writes left.
    ///
    /// # Errors
    /// When a key is no UTF-8, or a value is not of this fold's kind.
    pub fn from_saved(saved: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<Self, RestoreError> {
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            let value = super::effects::read(Area::State, &key, &value)?;
            let key = String::from_utf8(key).map_err(|error| RestoreError::UnknownKey {
                area: Area::State,
                key: alloy::hex::encode(error.as_bytes()),
            })?;
            Ok((key, value))
        };
        Ok(Self::restored(saved.into_iter().map(read).collect::<Result<_, RestoreError>>()?))
    }

    /// A value as it is now.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&V> {
        self.values.get(key)
    }

    /// Writes a value, or removes it.
    pub fn set(&mut self, key: &str, value: Option<V>) {
        let old = match value {
            Some(value) => match self.values.get_mut(key) {
                Some(slot) => Some(mem::replace(slot, value)),
                None => self.values.insert(key.to_owned(), value),
            },
            None => self.values.remove(key),
        };
        if !self.before.contains_key(key) {
            self.before.insert(key.to_owned(), old);
        }
    }

    /// Removes a value.
    pub fn remove(&mut self, key: &str) {
        self.set(key, None);
    }

    /// All keys that start with `prefix`, in order.
    pub fn keys<'s>(&'s self, prefix: &str) -> impl Iterator<Item = &'s str> {
        self.entries(prefix).map(|(key, _)| key)
    }

    /// All keys that start with `prefix` and their values, in order.
    pub fn entries<'s>(&'s self, prefix: &str) -> impl Iterator<Item = (&'s str, &'s V)> {
        self.values
            .range(prefix.to_owned()..)
            .map(|(key, value)| (key.as_str(), value))
            .take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// A value as it is written down.
    pub(super) fn encoded(&self, key: &str) -> Option<Vec<u8>> {
        // Values are plain data with string keys: serialising them to memory
        // can't fail. Were it to, restoring would name the key.
        self.values.get(key).map(|value| serde_json::to_vec(value).unwrap_or_default())
    }

    /// The keys changed since the last call, with the values before.
    pub(crate) fn take_changes(&mut self) -> BTreeMap<String, Option<V>> {
        let mut changes = mem::take(&mut self.before);
        changes.retain(|key, old| old.as_ref() != self.values.get(key));
        changes
    }
}

/// Values of many shapes.
impl State<Json> {
    /// Reads a value; a missing key, or one that an older version wrote in
    /// another shape, is `None`.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        T::deserialize(self.values.get(key)?).ok()
    }

    /// Writes a value.
    pub fn put<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) {
        // Values are plain structs of this crate with string keys: serialising
        // them to memory can't fail. If one ever did, the key keeps its value.
        if let Ok(value) = serde_json::to_value(value) {
            self.set(key, Some(value));
        }
    }
}

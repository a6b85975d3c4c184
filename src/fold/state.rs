//! What a fold remembers, with the old values of what a step changes.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};

use super::{Area, RestoreError};

/// Keys and values of one fold. Keys are `/`-separated paths, values JSON.
///
/// Every change since the last `take_changes` is recorded with the
/// value before it, which makes one step both durable and undoable.
#[derive(Debug, Default)]
pub struct State {
    values: BTreeMap<String, Vec<u8>>,
    before: BTreeMap<String, Option<Vec<u8>>>,
}

impl State {
    /// A state with the given values and no pending changes.
    #[must_use]
    pub fn restored(values: BTreeMap<String, Vec<u8>>) -> Self {
        Self { values, before: BTreeMap::new() }
    }

    /// A state from what [`Area::State`](super::Area) writes left.
    ///
    /// # Errors
    /// When a key is no UTF-8.
    pub fn from_saved(saved: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<Self, RestoreError> {
        let text = |key: Vec<u8>| {
            String::from_utf8(key).map_err(|error| RestoreError::UnknownKey {
                area: Area::State,
                key: alloy::hex::encode(error.as_bytes()),
            })
        };
        let values = saved
            .into_iter()
            .map(|(key, value)| Ok((text(key)?, value)))
            .collect::<Result<_, _>>()?;
        Ok(Self::restored(values))
    }

    /// Reads a value; a missing key, or one that an older version wrote in
    /// another shape, is `None`.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_slice(self.values.get(key)?).ok()
    }

    /// Writes a value.
    pub fn put<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) {
        // Values are plain structs of this crate with string keys: serialising
        // them to memory can't fail. If one ever did, the key keeps its value.
        if let Ok(bytes) = serde_json::to_vec(value) {
            self.set(key, Some(bytes));
        }
    }

    /// Removes a value.
    pub fn remove(&mut self, key: &str) {
        self.set(key, None);
    }

    /// All keys that start with `prefix`, in order.
    pub fn keys<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.values
            .range(prefix.to_owned()..)
            .map(|(key, _)| key.as_str())
            .take_while(move |key| key.starts_with(prefix))
    }

    /// Sets raw bytes: how undo restores what was there.
    pub(crate) fn set(&mut self, key: &str, value: Option<Vec<u8>>) {
        let old = match value {
            Some(bytes) => self.values.insert(key.to_owned(), bytes),
            None => self.values.remove(key),
        };
        self.before.entry(key.to_owned()).or_insert(old);
    }

    /// The raw value as it is now.
    pub(crate) fn raw(&self, key: &str) -> Option<&[u8]> {
        self.values.get(key).map(Vec::as_slice)
    }

    /// The keys changed since the last call, with the values before.
    pub(crate) fn take_changes(&mut self) -> BTreeMap<String, Option<Vec<u8>>> {
        let values = &self.values;
        let mut changes = std::mem::take(&mut self.before);
        changes.retain(|key, old| old.as_deref() != values.get(key).map(Vec::as_slice));
        changes
    }
}

//! A hash table in many small parts.
//!
//! One large table doubles at once: with millions of keys everybody waits while all of them
//! move, through memory that no cache holds. A part is a small one of 256, and few of them
//! grow at a time.

use std::{
    borrow::Borrow,
    hash::{BuildHasher as _, Hash},
};

use foldhash::quality::RandomState;
use hashbrown::{HashTable, hash_table};

/// A power of two.
const PARTS: usize = 256;

/// Values by their keys.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    parts: Box<[HashTable<(K, V)>]>,
    hasher: RandomState,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        let parts = (0..PARTS).map(|_| HashTable::new()).collect();
        Self { parts, hasher: RandomState::default() }
    }
}

impl<K: Hash + Eq, V> Table<K, V> {
    pub(super) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let found = self.parts.get(part(hash))?.find(hash, |(known, _)| known.borrow() == key);
        found.map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let hash = self.hasher.hash_one(key);
        let found = self.parts.get_mut(part(hash))?.find_mut(hash, |(known, _)| known == key);
        found.map(|(_, value)| value)
    }

    /// The place of a key: what it has, and where it would be put.
    pub(super) fn entry(&mut self, key: &K) -> hash_table::Entry<'_, (K, V)> {
        let Self { parts, hasher } = self;
        let hash = hasher.hash_one(key);
        // There are so many.
        let part = &mut parts[part(hash)];
        part.entry(hash, |(known, _)| known == key, |(known, _)| hasher.hash_one(known))
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        match self.entry(&key) {
            hash_table::Entry::Occupied(mut known) => known.get_mut().1 = value,
            hash_table::Entry::Vacant(place) => drop(place.insert((key, value))),
        }
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let hash_table::Entry::Occupied(known) = self.entry(key) {
            known.remove();
        }
    }

    /// All of them, in no order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.parts.iter().flatten().map(|(key, value)| (key, value))
    }
}

/// The tables take the highest seven bits, and as many of the lowest as they need.
fn part(hash: u64) -> usize {
    usize::try_from(hash >> 48).unwrap_or_default() % PARTS
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_has_what_one_table_has(
            changes in proptest::collection::vec((0..2_000_u32, any::<Option<u8>>()), 0..3_000),
        ) {
            let (mut table, mut one) = (Table::default(), HashMap::new());
            for (key, value) in changes {
                match value {
                    Some(value) => {
                        table.insert(key, value);
                        one.insert(key, value);
                    }
                    None => {
                        table.remove(&key);
                        one.remove(&key);
                    }
                }
                prop_assert_eq!(table.get(&key), one.get(&key));
                prop_assert_eq!(table.get_mut(&key), one.get_mut(&key));
            }
            let all: HashMap<u32, u8> = table.iter().map(|(key, value)| (*key, *value)).collect();
            prop_assert_eq!(all, one);
        }
    }

    #[test]
    fn keys_are_spread_over_all_parts() {
        let mut table = Table::default();
        (0..100_000_u64).for_each(|key| table.insert(key, ()));
        let sizes = table.parts.iter().map(HashTable::len);
        let (least, most) = sizes.fold((usize::MAX, 0), |(a, b), len| (a.min(len), b.max(len)));
        // 390 on average, give or take 20.
        assert!(least > 250 && most < 550, "{least} to {most}");
    }
}

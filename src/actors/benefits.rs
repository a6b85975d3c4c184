//! Reading a holder's benefits: from the process, else from the bucket, else from the
//! store. All three are written by the governor's own actor, under one revision.
//!
//! The process has every holder of a governor from the time on that the governor's
//! fold was opened; the daemon isn't ready before. Until then, and while a fold is
//! rebuilt, the others answer. Readers write nothing: so nothing old can come into
//! the process after something new.

use std::{collections::BTreeMap, sync::Arc};

use alloy::primitives::Address;
use dashmap::DashMap;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Map, Value as Json};

use super::{fold::state_key, shared::Shared};
use crate::{
    domain::Name,
    governance::{Benefits, queries},
    store::Table,
    streams::{
        StreamError,
        kv::{Bucket, VERSION},
        setup::BENEFITS_BUCKET,
        subjects::{Writer, WriterKind},
    },
};

/// What the process knows of a holder.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    benefits: Benefits,
    /// Of the governor's fold, by which they became what they are.
    revision: u64,
}

/// Present benefits by governor and holder; readers never wait for writers.
#[derive(Debug, Default)]
pub struct BenefitsCache {
    entries: DashMap<(Name, Address), Entry>,
    /// Of these governors every holder is known, as of a revision.
    warm: DashMap<Name, u64>,
}

/// Who knew it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// This process.
    Process,
    /// The bucket on the broker.
    Bucket,
    /// The local store.
    Store,
}

impl Level {
    /// As it is told.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Bucket => "bucket",
            Self::Store => "store",
        }
    }
}

/// A holder's present benefits, and who knew them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// `None` of who has none.
    pub benefits: Option<Benefits>,
    /// Of the governor's fold, as of which that is so; `None` where it isn't known.
    pub revision: Option<u64>,
    /// Who knew it.
    pub level: Level,
}

impl BenefitsCache {
    /// A governor's fold was opened: these are all its holders.
    pub(super) fn fill(
        &self,
        governor: &Name,
        revision: u64,
        holders: impl IntoIterator<Item = (Address, Benefits)>,
    ) {
        self.warm.remove(governor);
        self.entries.retain(|(of, _), _| of != governor);
        for (holder, benefits) in holders {
            self.entries.insert((governor.clone(), holder), Entry { benefits, revision });
        }
        self.warm.insert(governor.clone(), revision);
    }

    /// A holder's benefits changed. Nothing else does.
    pub(super) fn change(
        &self,
        governor: &Name,
        holder: Address,
        revision: u64,
        benefits: Option<Benefits>,
    ) {
        let key = (governor.clone(), holder);
        match benefits {
            Some(benefits) => _ = self.entries.insert(key, Entry { benefits, revision }),
            None => _ = self.entries.remove(&key),
        }
        self.warm.insert(governor.clone(), revision);
    }

    /// Whether every holder of a governor is known.
    #[must_use]
    pub fn is_warm(&self, governor: &Name) -> bool {
        self.warm.contains_key(governor)
    }

    /// A holder's benefits, where the process knows of them.
    #[must_use]
    pub fn get(&self, governor: &Name, holder: Address) -> Option<Known> {
        // Before the entry: what changes in between only makes it newer than told.
        let warm = *self.warm.get(governor)?;
        let entry = self.entries.get(&(governor.clone(), holder)).map(|entry| entry.clone());
        Some(match entry {
            Some(Entry { benefits, revision }) => {
                Known { benefits: Some(benefits), revision: Some(revision), level: Level::Process }
            }
            None => Known { benefits: None, revision: Some(warm), level: Level::Process },
        })
    }
}

/// Reads benefits of some governors.
#[derive(Clone)]
pub struct BenefitsReader {
    shared: Shared,
    /// The version of what each governor's benefits follow from: what others left
    /// in bucket and store is not believed.
    versions: Arc<BTreeMap<Name, String>>,
}

/// Why nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the benefits of governor {governor} are being worked out; neither the bucket nor the store \
     has them yet"
)]
pub struct NobodyKnows {
    governor: Name,
}

impl BenefitsReader {
    /// A reader of the governors with these versions.
    #[must_use]
    pub fn new(shared: Shared, versions: BTreeMap<Name, String>) -> Self {
        Self { shared, versions: Arc::new(versions) }
    }

    /// The governors.
    pub fn governors(&self) -> impl Iterator<Item = &Name> {
        self.versions.keys()
    }

    /// Governors whose holders the process does not know yet.
    pub fn cold(&self) -> impl Iterator<Item = &Name> {
        self.governors().filter(|governor| !self.shared.benefits.is_warm(governor))
    }

    /// A holder's present benefits with one of the governors.
    ///
    /// # Errors
    /// When neither process nor bucket nor store knows.
    pub async fn read(&self, governor: &Name, holder: Address) -> Result<Known, NobodyKnows> {
        let known = match self.shared.benefits.get(governor, holder) {
            Some(known) => Some(known),
            None => match self.by_bucket(governor, holder).await {
                Some(known) => Some(known),
                None => self.by_store(governor, holder).await,
            },
        };
        let level = known.as_ref().map_or("nobody", |known| known.level.word());
        let reads = &self.shared.metrics.cache_reads_total;
        reads.with_label_values(&["benefits", level]).inc();
        known.ok_or_else(|| NobodyKnows { governor: governor.clone() })
    }

    async fn by_bucket(&self, governor: &Name, holder: Address) -> Option<Known> {
        if !self.shared.connection.is_connected() {
            return None;
        }
        let bucket = Bucket::open(&self.shared.connection, BENEFITS_BUCKET).await.ok()?;
        // Whoever never had any is not in it; nor is who got some a moment ago.
        let (revision, value) = bucket.get(&key(governor, holder)).await.ok()??;
        let version = value.get(VERSION).and_then(Json::as_str);
        if version != self.versions.get(governor).map(String::as_str) {
            return None;
        }
        let benefits = read(&value)?;
        Some(Known { benefits, revision: Some(revision), level: Level::Bucket })
    }

    async fn by_store(&self, governor: &Name, holder: Address) -> Option<Known> {
        let owner = Writer::new(WriterKind::Governor, governor.clone()).to_string();
        let store = &self.shared.store;
        let standing = super::fold::standing(store, &owner).await.ok().flatten()?;
        if Some(&standing.version) != self.versions.get(governor) {
            return None;
        }
        let key = state_key(&owner, queries::benefits_key(holder).as_bytes());
        let row = store.get(Table::State, &key).await.ok()?;
        let benefits = match row {
            Some(row) => Some(serde_json::from_slice(&row).ok()?),
            None => None,
        };
        Some(Known { benefits, revision: None, level: Level::Store })
    }
}

/// What the bucket has of a holder.
#[derive(Debug)]
pub(super) struct InBucket {
    pub(super) revision: u64,
    /// By which rules it was computed.
    pub(super) version: Option<String>,
    /// `None` where it can't be read.
    pub(super) benefits: Option<Benefits>,
}

/// How many keys are read at once.
const READ_AT_ONCE: usize = 32;

/// What the bucket has of all holders of a governor.
///
/// # Errors
/// When NATS does not answer.
pub(super) async fn of_governor(
    bucket: &Bucket,
    governor: &Name,
) -> Result<BTreeMap<Address, InBucket>, StreamError> {
    let prefix = format!("{governor}.");
    let keys = bucket.keys().await?.into_iter();
    let holders = keys.filter_map(|key| Some((key.strip_prefix(&prefix)?.parse().ok()?, key)));
    let read = holders.map(async |(holder, key): (Address, String)| {
        let known = match bucket.get(&key).await {
            Ok(Some((revision, value))) => InBucket {
                revision,
                version: value.get(VERSION).and_then(Json::as_str).map(str::to_owned),
                benefits: value
                    .get("benefits")
                    .and_then(|benefits| serde_json::from_value(benefits.clone()).ok()),
            },
            Ok(None) | Err(StreamError::Unreadable { .. }) => {
                InBucket { revision: 0, version: None, benefits: None }
            }
            Err(error) => return Err(error),
        };
        Ok((holder, known))
    });
    futures::stream::iter(read).buffered(READ_AT_ONCE).try_collect().await
}

/// Under what the bucket has a holder's benefits.
pub(super) fn key(governor: &Name, holder: Address) -> String {
    format!("{governor}.{}", holder.to_checksum(None))
}

/// What the bucket has: `None` within for who had some and has none any more.
fn read(value: &Map<String, Json>) -> Option<Option<Benefits>> {
    let benefits: Benefits = serde_json::from_value(value.get("benefits")?.clone()).ok()?;
    Some((!benefits.sources.is_empty()).then_some(benefits))
}

#[cfg(test)]
#[path = "benefits_tests.rs"]
mod reading_tests;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::domain::Position;

    fn benefits(multiplier_bps: u32) -> Benefits {
        Benefits { multiplier_bps, ..Benefits::none(Position::end_of_block(1, 1, 1)) }
    }

    #[test]
    fn the_process_answers_of_a_governor_once_it_knows_all_its_holders() {
        let (dao, other) = (Name::new("dao").unwrap(), Name::new("other").unwrap());
        let [ada, bo] = [1, 2].map(Address::repeat_byte);
        let cache = BenefitsCache::default();
        assert_eq!(cache.get(&dao, ada), None, "it may have some");
        cache.fill(&dao, 7, [(ada, benefits(12_000))]);
        let level = Level::Process;
        let known = |benefits, revision| Some(Known { benefits, revision: Some(revision), level });
        assert_eq!(cache.get(&dao, ada), known(Some(benefits(12_000)), 7));
        assert_eq!(cache.get(&dao, bo), known(None, 7), "that there are none is known, too");
        assert_eq!(cache.get(&other, ada), None);
        assert!(cache.is_warm(&dao) && !cache.is_warm(&other));
    }

    #[test]
    fn only_whose_benefits_changed_is_touched() {
        let dao = Name::new("dao").unwrap();
        let [ada, bo] = [1, 2].map(Address::repeat_byte);
        let cache = BenefitsCache::default();
        cache.fill(&dao, 7, [(ada, benefits(12_000)), (bo, benefits(12_000))]);
        cache.change(&dao, ada, 9, Some(benefits(15_000)));
        let revision = |holder| cache.get(&dao, holder).unwrap().revision;
        assert_eq!((revision(ada), revision(bo)), (Some(9), Some(7)));
        cache.change(&dao, ada, 12, None);
        let gone = cache.get(&dao, ada).unwrap();
        assert_eq!((gone.benefits, gone.revision), (None, Some(12)));
        // Opened anew, of other rules: nothing of before is left.
        cache.fill(&dao, 1, []);
        assert_eq!(cache.get(&dao, bo).unwrap().benefits, None);
    }
}

//! Which items wait for a transaction, in the order in which the batcher
//! looks at them. Holds ids only: 100,000 queued requests cost an index, not
//! a scan for every batch.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::item::{Effect, Item};
use crate::domain::{Name, UnlockId};

/// What shares a queue: one rule set's items for one contract.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// Name of the contract that keeps the achievements: a transaction calls one.
    pub contract: Name,
    /// The rule set that asked.
    pub rule_set: Name,
}

/// An item in its queue: the oldest sorts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queued {
    /// When it began to wait, in milliseconds since the Unix epoch.
    pub since_unix_ms: u64,
    /// The item.
    pub id: UnlockId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Unsure,
    Revokes,
    Suspects,
    Lane(Lane),
}

/// Waiting items by kind and age.
#[derive(Debug, Default)]
pub struct Ready {
    unsure: BTreeSet<Queued>,
    pub(super) revokes: BTreeSet<Queued>,
    pub(super) suspects: BTreeSet<Queued>,
    pub(super) lanes: BTreeMap<Lane, BTreeSet<Queued>>,
    places: HashMap<UnlockId, (Place, Queued)>,
}

impl Ready {
    /// How many items wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Items about which the chain must be asked before they go on, oldest first.
    pub fn unsure(&self) -> impl Iterator<Item = UnlockId> {
        self.unsure.iter().map(|queued| queued.id)
    }

    /// Puts an item where it belongs now, or nowhere.
    pub(super) fn update(&mut self, item: &Item) {
        let queued = Queued { since_unix_ms: item.since_unix_ms, id: item.id };
        let work = item.next_work().map(|work| match work {
            Effect::Revoke => Place::Revokes,
            Effect::Unlock if item.suspect => Place::Suspects,
            Effect::Unlock => Place::Lane(Lane {
                contract: item.request().contract.clone(),
                rule_set: item.request().rule_set.clone(),
            }),
        });
        let place = item.needs_check().then_some(Place::Unsure).or(work);
        if let Some((old, was)) = self.places.remove(&item.id) {
            self.take(&old, &was);
        }
        if let Some(place) = place {
            match &place {
                Place::Unsure => self.unsure.insert(queued),
                Place::Revokes => self.revokes.insert(queued),
                Place::Suspects => self.suspects.insert(queued),
                Place::Lane(lane) => self.lanes.entry(lane.clone()).or_default().insert(queued),
            };
            self.places.insert(item.id, (place, queued));
        }
    }

    fn take(&mut self, place: &Place, queued: &Queued) {
        match place {
            Place::Unsure => _ = self.unsure.remove(queued),
            Place::Revokes => _ = self.revokes.remove(queued),
            Place::Suspects => _ = self.suspects.remove(queued),
            Place::Lane(lane) => {
                if let Some(items) = self.lanes.get_mut(lane) {
                    items.remove(queued);
                    if items.is_empty() {
                        self.lanes.remove(lane);
                    }
                }
            }
        }
    }
}

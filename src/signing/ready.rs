//! Which items wait for a transaction, in the order in which the batcher
//! looks at them. Holds ids only: 100,000 queued requests cost an index, not
//! a scan for every batch.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::item::{Effect, Item};
use crate::domain::{Name, UnlockId, UnlockRequest, Urgency};

/// What shares a queue: one rule set's items for one contract.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// Name of the contract that keeps the achievements: a transaction calls one.
    pub contract: Name,
    /// The rule set that asked.
    pub rule_set: Name,
    /// How urgent its items are.
    pub urgency: Urgency,
}

/// Whose an item is that goes alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Owner {
    pub(super) contract: Name,
    pub(super) rule_set: Name,
}

/// Items by whose they are.
pub(super) type ByOwner = BTreeMap<Owner, BTreeSet<Queued>>;

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
    Revokes(Owner),
    Suspects(Owner),
    Lane(Lane),
}

/// Waiting items by kind and age.
#[derive(Debug, Default)]
pub struct Ready {
    unsure: BTreeSet<Queued>,
    pub(super) revokes: ByOwner,
    pub(super) suspects: ByOwner,
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

    /// All that wait, in no order.
    pub fn ids(&self) -> impl Iterator<Item = UnlockId> {
        self.places.keys().copied()
    }

    /// Items about which the chain must be asked before they go on, oldest first.
    pub fn unsure(&self) -> impl Iterator<Item = UnlockId> {
        self.unsure.iter().map(|queued| queued.id)
    }

    /// Puts an item where it belongs now, or nowhere.
    pub(super) fn update(&mut self, item: &Item) {
        let queued = Queued { since_unix_ms: item.since_unix_ms, id: item.id };
        let UnlockRequest { contract, rule_set, urgency, .. } = item.request();
        let owner = || Owner { contract: contract.clone(), rule_set: rule_set.clone() };
        let work = item.next_work().map(|work| match work {
            Effect::Revoke => Place::Revokes(owner()),
            Effect::Unlock if item.suspect => Place::Suspects(owner()),
            Effect::Unlock => Place::Lane(Lane {
                contract: contract.clone(),
                rule_set: rule_set.clone(),
                urgency: *urgency,
            }),
        });
        let place = item.needs_check().then_some(Place::Unsure).or(work);
        if let Some((old, was)) = self.places.remove(&item.id) {
            self.take(&old, &was);
        }
        if let Some(place) = place {
            match &place {
                Place::Unsure => self.unsure.insert(queued),
                Place::Revokes(owner) => {
                    self.revokes.entry(owner.clone()).or_default().insert(queued)
                }
                Place::Suspects(owner) => {
                    self.suspects.entry(owner.clone()).or_default().insert(queued)
                }
                Place::Lane(lane) => self.lanes.entry(lane.clone()).or_default().insert(queued),
            };
            self.places.insert(item.id, (place, queued));
        }
    }

    fn take(&mut self, place: &Place, queued: &Queued) {
        match place {
            Place::Unsure => _ = self.unsure.remove(queued),
            Place::Revokes(owner) => leave(&mut self.revokes, owner, queued),
            Place::Suspects(owner) => leave(&mut self.suspects, owner, queued),
            Place::Lane(lane) => leave(&mut self.lanes, lane, queued),
        }
    }
}

/// Takes an item out of its queue, and away with the queue when it was the last.
fn leave<K: Ord>(queues: &mut BTreeMap<K, BTreeSet<Queued>>, key: &K, queued: &Queued) {
    if let Some(items) = queues.get_mut(key) {
        items.remove(queued);
        if items.is_empty() {
            queues.remove(key);
        }
    }
}

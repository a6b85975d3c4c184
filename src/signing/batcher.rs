//! Which waiting items go into the next transaction.
//!
//! Revokes go first: what someone should not have is worse than what someone
//! has to wait for. Suspects go alone, in turn with batches, so that one bad
//! batch does not hold up the good ones. A batch calls one contract; it takes
//! what is urgent first, and among equals the oldest of each rule set in turn,
//! so that a flood from one rule set delays only itself.

use std::collections::{BTreeMap, BTreeSet, btree_set};

use super::{
    calls,
    ready::{ByOwner, Lane, Queued, Ready},
};
use crate::domain::{Name, UnlockId, Urgency};

/// What bounds a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Items in one transaction.
    pub max_items: usize,
    /// An incomplete batch goes when its oldest item waited so long.
    pub max_wait_ms: u64,
    /// A revocation waits so long for its wish to come back: history that is
    /// told again passes through retractions that do not last.
    pub revoke_wait_ms: u64,
    /// Calldata: nodes refuse transactions above 128 KiB.
    pub max_calldata_bytes: usize,
    /// Gas that a batch may be reckoned to need.
    pub max_gas: u64,
    /// Gas of a batch without items.
    pub base_gas: u64,
    /// Gas that each item adds, as receipts teach it.
    pub gas_per_item: u64,
}

impl BatchLimits {
    /// Items that fit; at least one, since an item that fits nowhere must
    /// reach the simulation, which says so.
    #[must_use]
    pub fn capacity(&self) -> usize {
        let head = calls::unlock_calldata_len(0);
        let each = calls::unlock_calldata_len(3) - calls::unlock_calldata_len(2);
        let by_calldata = self.max_calldata_bytes.saturating_sub(head) / each;
        let by_gas = self
            .max_gas
            .saturating_sub(self.base_gas)
            .checked_div(self.gas_per_item)
            .map_or(usize::MAX, |items| usize::try_from(items).unwrap_or(usize::MAX));
        self.max_items.min(by_calldata).min(by_gas).max(1)
    }

    /// How long an incomplete batch waits for others, milliseconds: what is
    /// urgent not at all, what is not, ten times as long.
    fn patience(&self, urgency: Urgency) -> u64 {
        match urgency {
            Urgency::High => 0,
            Urgency::Normal => self.max_wait_ms,
            Urgency::Low => self.max_wait_ms.saturating_mul(10),
        }
    }
}

/// Who is an exception.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exceptions {
    /// Rule sets that nothing goes out for now.
    pub held: BTreeSet<Name>,
    /// Contracts that unlock one item a call.
    pub singles: BTreeSet<Name>,
    /// Contracts that refuse every call for now.
    pub closed: BTreeSet<Name>,
}

impl Exceptions {
    fn lets(&self, lane: &Lane) -> bool {
        !self.held.contains(&lane.rule_set) && !self.closed.contains(&lane.contract)
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Take this one back.
    Revoke(UnlockId),
    /// Unlock this suspect alone.
    Single(UnlockId),
    /// Unlock these, all of one contract.
    Batch {
        /// Name of that contract.
        contract: Name,
        /// At least one.
        items: Vec<UnlockId>,
    },
    /// Nothing is due before this time, in milliseconds since the Unix epoch.
    WaitUntil(u64),
    /// Nothing waits.
    Idle,
}

/// Chooses batches; remembers only whose turn it is.
#[derive(Debug, Default)]
pub struct Batcher {
    last_lane: Option<Lane>,
    suspect_went: bool,
}

impl Batcher {
    /// The next transaction's items, none of a rule set that is held. They
    /// stay in `ready` until the ledger binds them: asked again without that,
    /// it may choose the same.
    pub fn next(
        &mut self,
        ready: &Ready,
        limits: &BatchLimits,
        exceptions: &Exceptions,
        now_unix_ms: u64,
    ) -> Next {
        let revoke = oldest(&ready.revokes, exceptions);
        let due = |since: u64| known(since, now_unix_ms).saturating_add(limits.revoke_wait_ms);
        if let Some(oldest) = revoke.filter(|oldest| due(oldest.since_unix_ms) <= now_unix_ms) {
            return Next::Revoke(oldest.id);
        }
        let batch = match (self.batch(ready, limits, exceptions, now_unix_ms), revoke) {
            (Next::Idle, Some(oldest)) => Next::WaitUntil(due(oldest.since_unix_ms)),
            (Next::WaitUntil(at), Some(oldest)) => {
                Next::WaitUntil(at.min(due(oldest.since_unix_ms)))
            }
            (batch, _) => batch,
        };
        match (oldest(&ready.suspects, exceptions), batch) {
            (Some(_), batch @ Next::Batch { .. }) if self.suspect_went => {
                self.suspect_went = false;
                batch
            }
            (Some(suspect), _) => {
                self.suspect_went = true;
                Next::Single(suspect.id)
            }
            (None, batch) => batch,
        }
    }

    fn batch(
        &mut self,
        ready: &Ready,
        limits: &BatchLimits,
        exceptions: &Exceptions,
        now_unix_ms: u64,
    ) -> Next {
        let singles = &exceptions.singles;
        let capacity_of =
            |contract: &Name| if singles.contains(contract) { 1 } else { limits.capacity() };
        let mut waiting: BTreeMap<&Name, Waiting> = BTreeMap::new();
        for (lane, items) in ready.lanes.iter().filter(|(lane, _)| exceptions.lets(lane)) {
            let Some(oldest) = items.first() else { continue };
            let since = known(oldest.since_unix_ms, now_unix_ms);
            let urgency = with_age(lane.urgency, since, now_unix_ms);
            let due_at = since.saturating_add(limits.patience(urgency));
            let entry =
                waiting.entry(&lane.contract).or_insert(Waiting { urgency, due_at, count: 0 });
            entry.urgency = entry.urgency.max(urgency);
            entry.due_at = entry.due_at.min(due_at);
            entry.count += items.len();
        }
        let is_due = |contract: &Name, it: &Waiting| {
            it.count >= capacity_of(contract) || it.due_at <= now_unix_ms
        };
        let due = waiting
            .iter()
            .filter(|(contract, it)| is_due(contract, it))
            .min_by_key(|(_, it)| (std::cmp::Reverse(it.urgency), it.due_at));
        match (due, waiting.values().map(|it| it.due_at).min()) {
            (Some((contract, _)), _) => {
                let capacity = capacity_of(contract);
                let items = self.take_turns(ready, contract, capacity, exceptions, now_unix_ms);
                Next::Batch { contract: (*contract).clone(), items }
            }
            (None, Some(at_unix_ms)) => Next::WaitUntil(at_unix_ms),
            (None, None) => Next::Idle,
        }
    }

    /// The more urgent first, and among equals the oldest of each rule set in
    /// turn.
    fn take_turns(
        &mut self,
        ready: &Ready,
        contract: &Name,
        capacity: usize,
        exceptions: &Exceptions,
        now_unix_ms: u64,
    ) -> Vec<UnlockId> {
        type Queue<'a> = (&'a Lane, btree_set::Iter<'a, Queued>);
        let mut classes: BTreeMap<Urgency, Vec<Queue<'_>>> = BTreeMap::new();
        let of_contract = |lane: &Lane| lane.contract == *contract && exceptions.lets(lane);
        for (lane, items) in ready.lanes.iter().filter(|(lane, _)| of_contract(lane)) {
            let Some(oldest) = items.first() else { continue };
            let since = known(oldest.since_unix_ms, now_unix_ms);
            let urgency = with_age(lane.urgency, since, now_unix_ms);
            classes.entry(urgency).or_default().push((lane, items.iter()));
        }
        let mut items = Vec::new();
        let mut last = None;
        for lanes in classes.values_mut().rev() {
            let first = lanes
                .iter()
                .position(|(lane, _)| self.last_lane.as_ref().is_none_or(|last| *lane > last))
                .unwrap_or(0);
            lanes.rotate_left(first);
            while items.len() < capacity {
                let before = items.len();
                for (lane, queue) in &mut *lanes {
                    if items.len() < capacity
                        && let Some(queued) = queue.next()
                    {
                        items.push(queued.id);
                        last = Some((*lane).clone());
                    }
                }
                if items.len() == before {
                    break;
                }
            }
        }
        self.last_lane = last.or(self.last_lane.take());
        items
    }
}

/// What waits for one contract.
struct Waiting {
    urgency: Urgency,
    due_at: u64,
    count: usize,
}

/// After so long a wait everything is urgent: a flood of what is more so
/// starves nobody.
const STARVING_MS: u64 = 300_000;

/// Since when something waits, as far as the clock tells: where it was set back since
/// then, it may be any time, and what waits must not wait for the clock.
fn known(since_unix_ms: u64, now_unix_ms: u64) -> u64 {
    if since_unix_ms > now_unix_ms { 0 } else { since_unix_ms }
}

fn with_age(urgency: Urgency, since_unix_ms: u64, now_unix_ms: u64) -> Urgency {
    let starves = now_unix_ms.saturating_sub(since_unix_ms) >= STARVING_MS;
    if starves { Urgency::High } else { urgency }
}

fn oldest<'a>(queues: &'a ByOwner, exceptions: &Exceptions) -> Option<&'a Queued> {
    let open = queues.iter().filter(|(owner, _)| {
        !exceptions.held.contains(&owner.rule_set) && !exceptions.closed.contains(&owner.contract)
    });
    open.filter_map(|(_, items)| items.first()).min()
}

#[cfg(test)]
mod tests;

//! Which waiting items go into the next transaction.
//!
//! Revokes go first: what someone should not have is worse than what someone
//! has to wait for. Suspects go alone, in turn with batches, so that one bad
//! batch does not hold up the good ones. A batch calls one contract; it takes
//! the oldest of each rule set in turn, so that a flood from one rule set
//! delays only itself.

use std::collections::{BTreeMap, btree_set};

use super::{
    calls,
    ready::{Lane, Queued, Ready},
};
use crate::domain::{Name, UnlockId};

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
    /// The next transaction's items. They stay in `ready` until the ledger
    /// binds them: asked again without that, it may choose the same.
    pub fn next(&mut self, ready: &Ready, limits: &BatchLimits, now_unix_ms: u64) -> Next {
        let revoke = ready.revokes.first();
        let due = |since: u64| since.saturating_add(limits.revoke_wait_ms);
        if let Some(oldest) = revoke.filter(|oldest| due(oldest.since_unix_ms) <= now_unix_ms) {
            return Next::Revoke(oldest.id);
        }
        let batch = match (self.batch(ready, limits, now_unix_ms), revoke) {
            (Next::Idle, Some(oldest)) => Next::WaitUntil(due(oldest.since_unix_ms)),
            (Next::WaitUntil(at), Some(oldest)) => {
                Next::WaitUntil(at.min(due(oldest.since_unix_ms)))
            }
            (batch, _) => batch,
        };
        match (ready.suspects.first(), batch) {
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

    fn batch(&mut self, ready: &Ready, limits: &BatchLimits, now_unix_ms: u64) -> Next {
        let capacity = limits.capacity();
        // By contract: when its oldest item began to wait, and how many wait.
        let mut waiting: BTreeMap<&Name, (u64, usize)> = BTreeMap::new();
        for (lane, items) in &ready.lanes {
            let Some(oldest) = items.first() else { continue };
            let entry = waiting.entry(&lane.contract).or_insert((oldest.since_unix_ms, 0));
            entry.0 = entry.0.min(oldest.since_unix_ms);
            entry.1 += items.len();
        }
        let due_at = |since: u64| since.saturating_add(limits.max_wait_ms);
        let due = waiting
            .iter()
            .filter(|(_, (since, count))| *count >= capacity || due_at(*since) <= now_unix_ms)
            .min_by_key(|(_, (since, _))| *since);
        match (due, waiting.values().map(|(since, _)| due_at(*since)).min()) {
            (Some((contract, _)), _) => {
                let items = self.take_turns(ready, contract, capacity);
                Next::Batch { contract: (*contract).clone(), items }
            }
            (None, Some(at_unix_ms)) => Next::WaitUntil(at_unix_ms),
            (None, None) => Next::Idle,
        }
    }

    fn take_turns(&mut self, ready: &Ready, contract: &Name, capacity: usize) -> Vec<UnlockId> {
        let mut lanes: Vec<(&Lane, btree_set::Iter<'_, Queued>)> = ready
            .lanes
            .iter()
            .filter(|(lane, _)| lane.contract == *contract)
            .map(|(lane, items)| (lane, items.iter()))
            .collect();
        let first = lanes
            .iter()
            .position(|(lane, _)| self.last_lane.as_ref().is_none_or(|last| *lane > last))
            .unwrap_or(0);
        lanes.rotate_left(first);
        let mut items = Vec::new();
        let mut last = None;
        while items.len() < capacity {
            let before = items.len();
            for (lane, queue) in &mut lanes {
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
        self.last_lane = last.or(self.last_lane.take());
        items
    }
}

#[cfg(test)]
mod tests;

//! The books of one signer: every effect it answers for, every nonce it gave
//! out, and which belongs to which.
//!
//! Promises, each refused as a [`LedgerError`] before anything changes:
//! - a nonce has one effect for ever: signed bytes are decoded and compared
//!   with it, and a nonce that was signed is never given back;
//! - an effect is in at most one live nonce: an item stays bound to its nonce
//!   until the fate of that nonce is **final** (mined deep enough, or used by
//!   a foreign transaction deep enough), through shallow reverts and reorgs.
//!
//! The ledger is level-triggered ([`super::item`]): messages only change what
//! is wanted, fates only change what is there, and [`Item::next_work`]
//! compares. Late and repeated messages are no-ops. One caution is the
//! shell's: after a restart or a rebuilt stream, heed all messages that are
//! in the stream already before allocating, since history passes through
//! wishes that no longer hold.
//!
//! When a reorg undoes what was final, no bookkeeping tells what the chain
//! holds now: the items concerned become unsure, and the shell asks the chain
//! about [`Ready::unsure`] before they go on.
//!
//! Memory is bounded by what is unsettled. A settled item (nothing to do, its
//! nonce compacted) leaves memory but for its 32-byte id; its record stays on
//! disk and is read back by [`Ledger::recall`] when a message names it again.
//! Finished nonces beyond `retain_nonces` are deleted, lowest first.

mod adopt;
mod changes;
mod error;
mod fates;
#[cfg(test)]
mod model;
mod nonce;
mod reconcile;
mod step;
#[cfg(test)]
mod tests;
mod verdicts;

use std::collections::{BTreeMap, HashSet};

use alloy::primitives::{Address, hex};
use serde::{Deserialize, Serialize};

pub use changes::{Changes, Write, item_key};
pub use error::LedgerError;
pub use nonce::{
    Attempt, AttemptKind, Call, Execution, Fate, Mined, NonceRecord, Outcome, Purpose,
};
pub use reconcile::ReconcileAction;

use self::{
    changes::{Key, key_kind},
    step::Step,
};
use super::{
    item::{Bound, Effect, Item, Landing, MessageOrder, OnRetract, Phase, Rejection, Want},
    ready::Ready,
};
use crate::domain::{Name, UnlockId, UnlockRequest, UnlockState};

/// See the module's text.
#[derive(Debug)]
pub struct Ledger {
    signer: Address,
    retain_nonces: usize,
    next_nonce: u64,
    settled_below: u64,
    items: BTreeMap<UnlockId, Item>,
    nonces: BTreeMap<u64, NonceRecord>,
    archived: HashSet<UnlockId>,
    /// Settled ones that were found to be there without a transaction of ours, when the
    /// ledger was restored.
    seen: Vec<UnlockId>,
    ready: Ready,
}

#[derive(Serialize, Deserialize)]
struct Meta {
    next_nonce: u64,
    // Above every nonce whose record was finished and deleted.
    settled_below: u64,
}

impl Ledger {
    /// An empty ledger. The first [`Ledger::reconcile`] adopts the chain's nonce.
    #[must_use]
    pub fn new(signer: Address, retain_nonces: usize) -> Self {
        Self {
            signer,
            retain_nonces,
            next_nonce: 0,
            settled_below: 0,
            items: BTreeMap::new(),
            nonces: BTreeMap::new(),
            archived: HashSet::new(),
            seen: Vec::new(),
            ready: Ready::default(),
        }
    }

    /// The ledger as its committed writes left it; `records` are all keys of
    /// the signer's table, in any order.
    ///
    /// # Errors
    /// When a record is unreadable, or records contradict each other.
    pub fn restore(
        signer: Address,
        retain_nonces: usize,
        records: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, LedgerError> {
        let mut ledger = Self::new(signer, retain_nonces);
        for (key, value) in records {
            match key_kind(&key) {
                Some(Key::Meta) => {
                    let meta: Meta = parse(&key, &value)?;
                    ledger.next_nonce = meta.next_nonce;
                    ledger.settled_below = meta.settled_below;
                }
                Some(Key::Nonce) => {
                    let record: NonceRecord = parse(&key, &value)?;
                    ledger.nonces.insert(record.nonce, record);
                }
                Some(Key::Item) => {
                    let item: Item = parse(&key, &value)?;
                    if is_settled(&item) {
                        if item.landed.is_some_and(|landing| landing.tx_hash.is_none()) {
                            ledger.seen.push(item.id);
                        }
                        ledger.archived.insert(item.id);
                    } else {
                        ledger.items.insert(item.id, item);
                    }
                }
                None => {
                    return Err(LedgerError::Unreadable {
                        key: hex::encode_prefixed(&key),
                        reason: "no such kind of record".into(),
                    });
                }
            }
        }
        ledger.check()?;
        for item in ledger.items.values() {
            ledger.ready.update(item);
        }
        Ok(ledger)
    }

    /// The address whose nonces these are.
    #[must_use]
    pub fn signer(&self) -> Address {
        self.signer
    }

    /// The nonce that the next allocation gets.
    #[must_use]
    pub fn next_nonce(&self) -> u64 {
        self.next_nonce
    }

    /// An unsettled or recalled item.
    #[must_use]
    pub fn item(&self, id: UnlockId) -> Option<&Item> {
        self.items.get(&id)
    }

    /// A live or retained nonce.
    #[must_use]
    pub fn nonce(&self, nonce: u64) -> Option<&NonceRecord> {
        self.nonces.get(&nonce)
    }

    /// Nonces whose fate is not final, lowest first: each needs its
    /// transaction actor. Their number is what the in-flight window bounds.
    pub fn live_nonces(&self) -> impl Iterator<Item = &NonceRecord> {
        self.nonces.values().filter(|record| record.is_live())
    }

    /// Nonces that are remembered, lowest first: live ones, and the latest
    /// whose fate is final, for reorgs deeper than that was thought to be.
    pub fn retained_nonces(&self) -> impl Iterator<Item = &NonceRecord> {
        self.nonces.values()
    }

    /// What waits for a transaction: the batcher's input.
    #[must_use]
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Whether a message about the effect needs [`Ledger::recall`] first.
    #[must_use]
    pub fn is_archived(&self, id: UnlockId) -> bool {
        self.archived.contains(&id)
    }

    /// What is settled and not in memory, in no order.
    pub fn archived(&self) -> impl Iterator<Item = UnlockId> {
        self.archived.iter().copied()
    }

    /// What was found to be there without a transaction of ours, as far as the ledger
    /// was restored with it; once.
    pub fn take_seen(&mut self) -> Vec<UnlockId> {
        std::mem::take(&mut self.seen)
    }

    /// Takes a settled item's record, read at [`item_key`], back into memory.
    /// The next step about it archives it again if nothing is to be done.
    ///
    /// # Errors
    /// When the record is unreadable or another item's.
    pub fn recall(&mut self, id: UnlockId, record: &[u8]) -> Result<(), LedgerError> {
        if self.archived.contains(&id) {
            let item: Item = parse(&item_key(id), record)?;
            if item.id != id || !is_settled(&item) {
                return Err(LedgerError::Contradiction {
                    what: format!("the archived record of {id} is of {} and unsettled", item.id),
                });
            }
            self.archived.remove(&id);
            self.items.insert(id, item);
        }
        Ok(())
    }

    /// A rule set wants the effect. Told again, or by a second rule set, it
    /// changes nothing on chain. A rule set that joins late is told the
    /// present state at once.
    ///
    /// # Errors
    /// [`LedgerError::Archived`].
    pub fn request(
        &mut self,
        request: UnlockRequest,
        on_retract: OnRetract,
        order: MessageOrder,
        now_unix_ms: u64,
    ) -> Result<Changes, LedgerError> {
        let id = request.id;
        self.require_recalled(id)?;
        let want = Want { request: request.clone(), wanted: true, on_retract, order };
        let mut step = Step::default();
        match self.items.get_mut(&id) {
            None => {
                let mut item = Item::new(want, now_unix_ms);
                // A nonce that was adopted before its items were known.
                item.bound = self.carrier_of(id);
                item.last_nonce = item.bound.map(|bound| bound.nonce);
                self.items.insert(id, item);
            }
            Some(item) => {
                if item.request_again(want, now_unix_ms) {
                    match item.phase() {
                        Phase::Landed(landing) => {
                            step.say(request, UnlockState::Unlocked, landing.tx_hash, None);
                        }
                        Phase::Rejected(rejection) => {
                            step.say(request, UnlockState::Rejected, None, Some(rejection));
                        }
                        Phase::Waiting | Phase::InFlight(_) | Phase::Absent => {}
                    }
                } else {
                    return Ok(self.nothing(id));
                }
            }
        }
        step.items.insert(id);
        self.finish(step)
    }

    /// A rule set takes its request back. While another wants the effect, or
    /// its transaction is in flight, nothing happens yet.
    ///
    /// # Errors
    /// [`LedgerError::Archived`].
    pub fn retract(
        &mut self,
        id: UnlockId,
        rule_set: &Name,
        order: MessageOrder,
        now_unix_ms: u64,
    ) -> Result<Changes, LedgerError> {
        self.require_recalled(id)?;
        let mut step = Step::default();
        let Some(item) = self.items.get_mut(&id) else { return Ok(Changes::default()) };
        if !item.retract(rule_set, order, now_unix_ms) {
            return Ok(self.nothing(id));
        }
        step.alert_if_orphaned(item);
        step.items.insert(id);
        self.finish(step)
    }

    /// The live nonce that carries an item which did not exist yet.
    fn carrier_of(&self, id: UnlockId) -> Option<Bound> {
        let carrier = self.live_nonces().find(|record| record.purpose.items().contains(&id))?;
        Some(Bound { nonce: carrier.nonce, effect: carrier.purpose.effect()? })
    }

    fn require_recalled(&self, id: UnlockId) -> Result<(), LedgerError> {
        if self.archived.contains(&id) { Err(LedgerError::Archived { id }) } else { Ok(()) }
    }

    fn require_items(&self, ids: &[UnlockId]) -> Result<(), LedgerError> {
        match ids.iter().find(|id| !self.items.contains_key(id)) {
            Some(id) if self.archived.contains(id) => Err(LedgerError::Archived { id: *id }),
            Some(id) => Err(LedgerError::UnknownItem { id: *id }),
            None => Ok(()),
        }
    }

    // A step without effect on an item that may have been recalled for it.
    fn nothing(&mut self, id: UnlockId) -> Changes {
        self.archive(id);
        Changes::default()
    }

    fn archive(&mut self, id: UnlockId) {
        if self.items.get(&id).is_some_and(is_settled) {
            self.items.remove(&id);
            self.archived.insert(id);
        }
    }

    /// The invariants, over everything in memory.
    fn check(&self) -> Result<(), LedgerError> {
        let contradiction = |what| Err(LedgerError::Contradiction { what });
        if let Some((last, _)) = self.nonces.last_key_value()
            && *last >= self.next_nonce
        {
            return contradiction(format!(
                "nonce {last} has a record but the next nonce is {}",
                self.next_nonce
            ));
        }
        for record in self.live_nonces() {
            // An adopted nonce may carry items that nobody has asked for yet.
            let loose = |id: &&UnlockId| {
                self.items.get(id).is_some_and(|item| item.bound.is_none() && !item.unsure)
            };
            if let Some(id) = record.purpose.items().iter().find(loose) {
                return contradiction(format!(
                    "nonce {} carries item {id}, which does not know of it",
                    record.nonce
                ));
            }
        }
        for item in self.items.values() {
            let Some(bound) = item.bound else { continue };
            let carried = self.nonces.get(&bound.nonce).is_some_and(|record| {
                record.is_live()
                    && record.purpose.effect() == Some(bound.effect)
                    && record.purpose.items().contains(&item.id)
            });
            if !carried {
                return contradiction(format!(
                    "item {} is bound to nonce {}, which does not carry it",
                    item.id, bound.nonce
                ));
            }
        }
        Ok(())
    }
}

/// Nothing to do and nothing under way: only its wish can change that.
fn is_settled(item: &Item) -> bool {
    item.bound.is_none() && item.next_work().is_none() && !item.unsure
}

fn parse<T: for<'de> Deserialize<'de>>(key: &[u8], value: &[u8]) -> Result<T, LedgerError> {
    serde_json::from_slice(value).map_err(|error| unreadable(key, &error))
}

fn unreadable(key: &[u8], error: &serde_json::Error) -> LedgerError {
    LedgerError::Unreadable { key: hex::encode_prefixed(key), reason: error.to_string() }
}

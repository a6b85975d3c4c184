//! Nonces: given out, signed for, mined, orphaned, confirmed, displaced.

use alloy::primitives::{B256, Bytes};

use super::{
    Attempt, AttemptKind, Call, Changes, Execution, Fate, Ledger, LedgerError, Mined, NonceRecord,
    Outcome, Purpose, Step,
};
use crate::{
    domain::{UnlockId, UnlockState},
    signing::item::{Bound, Effect, Item, Landing, Rejection},
    teeth::{Tooth, is_planted},
};

/// An item whose confirmed transactions had no effect this often is given up,
/// though its simulations passed: retries cost money.
const MAX_REVERTS: u32 = 3;

impl Ledger {
    /// Binds an effect to the next nonce.
    ///
    /// # Errors
    /// When an item is not in memory, is in flight or does not call for the
    /// effect; when the batch is empty or names one twice.
    pub fn allocate(
        &mut self,
        purpose: Purpose,
        call: Call,
    ) -> Result<(u64, Changes), LedgerError> {
        let (Some(effect), ids) = (purpose.effect(), purpose.items()) else {
            return Err(LedgerError::MalformedBatch);
        };
        let mut sorted = ids.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        if ids.is_empty() || sorted.len() != ids.len() {
            return Err(LedgerError::MalformedBatch);
        }
        self.require_items(ids)?;
        for id in ids {
            let item = self.items.get(id).ok_or(LedgerError::UnknownItem { id: *id })?;
            if let Some(bound) = item.bound {
                return Err(LedgerError::InFlight { id: *id, nonce: bound.nonce });
            }
            if item.next_work() != Some(effect) {
                return Err(LedgerError::NotDue { id: *id, effect });
            }
        }
        let nonce = self.next_nonce;
        let mut step = Step { meta: true, ..Step::default() };
        for id in ids {
            if let Some(item) = self.items.get_mut(id) {
                bind(item, nonce, effect);
                step.items.insert(*id);
            }
        }
        self.next_nonce += 1;
        self.open(nonce, purpose, call, &mut step);
        Ok((nonce, self.finish(step)?))
    }

    /// Gives a gap below [`Ledger::next_nonce`] a record: an empty transfer of
    /// the signer to itself. A nonce that somebody else had used, until a reorg took it
    /// off the chain, is a gap, too: its effect has another nonce by then.
    ///
    /// # Errors
    /// When the nonce was not given out, or has another record.
    pub fn fill_gap(&mut self, nonce: u64, gas_limit: u64) -> Result<Changes, LedgerError> {
        let known = self.nonces.get(&nonce);
        let is_ours = known.is_some_and(|it| !matches!(it.fate, Fate::Foreign { .. }));
        if nonce >= self.next_nonce || is_ours {
            return Err(LedgerError::NoGap { nonce, next_nonce: self.next_nonce });
        }
        let call = Call { to: self.signer, calldata: Bytes::new(), gas_limit };
        let mut step = Step::default();
        self.open(nonce, Purpose::FillGap, call, &mut step);
        self.finish(step)
    }

    /// Undoes an allocation for which nothing was signed: its items wait
    /// again. Unless it is the last nonce, it stays behind as a gap.
    ///
    /// # Errors
    /// When the nonce is unknown or was signed.
    pub fn release(&mut self, nonce: u64) -> Result<Changes, LedgerError> {
        let record = self.record(nonce)?;
        if !record.attempts.is_empty() || record.fate != Fate::Open {
            return Err(LedgerError::Signed { nonce });
        }
        let mut step = Step::default();
        step.nonces.insert(nonce);
        self.unbind(nonce, &mut step, |item, _| item.last_nonce = None);
        self.nonces.remove(&nonce);
        if nonce + 1 == self.next_nonce {
            self.next_nonce = nonce;
            step.meta = true;
        }
        self.finish(step)
    }

    /// Records a signed transaction. Commit before broadcasting it.
    ///
    /// # Errors
    /// When the nonce is not open, or the signed bytes are not its effect.
    pub fn record_attempt(&mut self, nonce: u64, attempt: Attempt) -> Result<Changes, LedgerError> {
        let signer = self.signer;
        let record = self.record_mut(nonce)?;
        if record.attempt(attempt.hash).is_some() {
            return Ok(Changes::default());
        }
        if record.fate != Fate::Open {
            return Err(wrong_fate(record, "a new attempt"));
        }
        if let Some(field) = record.difference(&attempt, signer) {
            return Err(LedgerError::AttemptDiffers { nonce, hash: attempt.hash, field });
        }
        record.attempts.push(attempt);
        self.finish(Step::of_nonce(nonce))
    }

    /// A node took an attempt: the first time, the rule sets are told.
    ///
    /// # Errors
    /// When the nonce or the attempt is unknown.
    pub fn sent(&mut self, nonce: u64, hash: B256) -> Result<Changes, LedgerError> {
        let record = self.record_mut(nonce)?;
        let Some(attempt) = record.attempt(hash) else {
            return Err(LedgerError::NotAnAttempt { nonce, hash });
        };
        let tells = attempt.kind == AttemptKind::Effect;
        if record.sent {
            return Ok(Changes::default());
        }
        record.sent = true;
        let mut step = Step::of_nonce(nonce);
        if tells && record.purpose.effect() == Some(Effect::Unlock) {
            let ids = record.purpose.items().to_vec();
            for item in ids.iter().filter_map(|id| self.items.get(id)) {
                for request in item.audience() {
                    step.say(request.clone(), UnlockState::Submitted, Some(hash), None);
                }
            }
        }
        self.finish(step)
    }

    /// One of our attempts is in a block. Nothing is concluded from it yet.
    ///
    /// # Errors
    /// When the transaction is none of the nonce's attempts, or the nonce's
    /// fate is final already.
    pub fn mined(&mut self, nonce: u64, mined: Mined) -> Result<Changes, LedgerError> {
        let record = self.record_mut(nonce)?;
        if record.attempt(mined.hash).is_none() {
            return Err(LedgerError::NotAnAttempt { nonce, hash: mined.hash });
        }
        match &record.fate {
            Fate::Mined(known) | Fate::Confirmed(known) if *known == mined => {
                return Ok(Changes::default());
            }
            Fate::Open | Fate::Mined(_) => record.fate = Fate::Mined(mined),
            Fate::Confirmed(_) | Fate::Foreign { .. } => {
                return Err(wrong_fate(record, "another block"));
            }
        }
        self.finish(Step::of_nonce(nonce))
    }

    /// A reorg took the nonce's transaction off the chain. The nonce is open
    /// again with the same attempts: they are broadcast again, and nothing
    /// else is signed for its effect.
    ///
    /// That holds even when the fate was final and the record is still
    /// retained. Then an item that was given to a later nonce meanwhile stays
    /// there; the chain mines the earlier one first, and what both did in the
    /// end is asked of the chain.
    ///
    /// # Errors
    /// When the nonce is unknown, or items of a final one are archived.
    pub fn unmined(&mut self, nonce: u64) -> Result<Changes, LedgerError> {
        let record = self.record(nonce)?;
        if record.fate == Fate::Open {
            return Ok(Changes::default());
        }
        let mut step = Step::of_nonce(nonce);
        if !record.is_live()
            && let Some(effect) = record.purpose.effect()
        {
            let ids = record.purpose.items().to_vec();
            self.require_items(&ids)?;
            for id in ids {
                let Some(item) = self.items.get_mut(&id) else { continue };
                item.unsure = true;
                item.rejected = None;
                // On a branch that is gone.
                item.reverts = 0;
                if item.bound.is_none() && item.last_nonce == Some(nonce) {
                    bind(item, nonce, effect);
                }
                step.items.insert(id);
            }
        }
        self.record_mut(nonce)?.fate = Fate::Open;
        self.finish(step)
    }

    /// The mined attempt is deep enough: its outcomes become facts.
    ///
    /// # Errors
    /// When no attempt is known to be mined.
    pub fn confirmed(&mut self, nonce: u64) -> Result<Changes, LedgerError> {
        let record = self.record_mut(nonce)?;
        let mined = match &record.fate {
            Fate::Mined(mined) => mined.clone(),
            Fate::Confirmed(_) => return Ok(Changes::default()),
            Fate::Open | Fate::Foreign { .. } => {
                return Err(wrong_fate(record, "a confirmation"));
            }
        };
        record.fate = Fate::Confirmed(mined.clone());
        let effect = record.purpose.effect();
        let cancelled = record.attempt(mined.hash).is_some_and(|a| a.kind == AttemptKind::Cancel);
        let mut step = Step::of_nonce(nonce);
        self.unbind(nonce, &mut step, |item, step| {
            if cancelled {
                item.suspect = true;
                step.alert_if_orphaned(item);
            } else {
                step.apply(item, effect, &mined);
            }
        });
        self.finish(step)
    }

    /// A transaction that we did not sign used the nonce, deep enough. Its
    /// items are free for another nonce.
    ///
    /// # Errors
    /// When the nonce is unknown, or one of our attempts is confirmed.
    pub fn displaced(&mut self, nonce: u64, hash: Option<B256>) -> Result<Changes, LedgerError> {
        let record = self.record_mut(nonce)?;
        if let Some(ours) = hash.filter(|hash| record.attempt(*hash).is_some()) {
            return Err(LedgerError::Contradiction {
                what: format!("transaction {ours} at nonce {nonce} is our own, not foreign"),
            });
        }
        match record.fate {
            Fate::Open | Fate::Mined(_) => record.fate = Fate::Foreign { hash },
            Fate::Foreign { .. } => return Ok(Changes::default()),
            Fate::Confirmed(_) => return Err(wrong_fate(record, "a foreign transaction")),
        }
        let mut step = Step::of_nonce(nonce);
        self.unbind(nonce, &mut step, |item, step| step.alert_if_orphaned(item));
        if is_planted(Tooth::NonceRecycled) && nonce + 1 == self.next_nonce {
            self.nonces.remove(&nonce);
            self.next_nonce = nonce;
            step.meta = true;
        }
        self.finish(step)
    }

    fn open(&mut self, nonce: u64, purpose: Purpose, call: Call, step: &mut Step) {
        let record = NonceRecord {
            nonce,
            purpose,
            call,
            attempts: Vec::new(),
            sent: false,
            fate: Fate::Open,
        };
        self.nonces.insert(nonce, record);
        step.nonces.insert(nonce);
    }

    /// Ends a nonce's hold on its items: `then` judges those that are bound to
    /// it. After a deep reorg, one may belong to another nonce by now, or be
    /// carried by another live one as well: then only the chain knows.
    fn unbind(&mut self, nonce: u64, step: &mut Step, mut then: impl FnMut(&mut Item, &mut Step)) {
        let ids: Vec<UnlockId> =
            self.nonces.get(&nonce).map_or(Vec::new(), |record| record.purpose.items().to_vec());
        for id in &ids {
            let shared = self
                .live_nonces()
                .any(|other| other.nonce != nonce && other.purpose.items().contains(id));
            let Some(item) = self.items.get_mut(id) else { continue };
            if item.bound.is_some_and(|bound| bound.nonce == nonce) {
                item.bound = None;
                then(item, step);
                item.unsure |= shared;
            } else {
                item.unsure = true;
            }
            step.items.insert(*id);
        }
    }

    pub(super) fn record(&self, nonce: u64) -> Result<&NonceRecord, LedgerError> {
        self.nonces
            .get(&nonce)
            .ok_or(LedgerError::UnknownNonce { nonce, next_nonce: self.next_nonce })
    }

    fn record_mut(&mut self, nonce: u64) -> Result<&mut NonceRecord, LedgerError> {
        let next_nonce = self.next_nonce;
        self.nonces.get_mut(&nonce).ok_or(LedgerError::UnknownNonce { nonce, next_nonce })
    }
}

pub(super) fn bind(item: &mut Item, nonce: u64, effect: Effect) {
    item.bound = Some(Bound { nonce, effect });
    item.last_nonce = Some(nonce);
}

fn wrong_fate(record: &NonceRecord, input: &'static str) -> LedgerError {
    let fate = match record.fate {
        Fate::Open => "open",
        Fate::Mined(_) => "mined",
        Fate::Confirmed(_) => "confirmed",
        Fate::Foreign { .. } => "used by a foreign transaction",
    };
    LedgerError::WrongFate { nonce: record.nonce, fate, input }
}

impl Step {
    pub(super) fn of_nonce(nonce: u64) -> Self {
        Self { nonces: [nonce].into(), ..Self::default() }
    }

    /// What a confirmed transaction means for one of its items.
    fn apply(&mut self, item: &mut Item, effect: Option<Effect>, mined: &Mined) {
        let why = match &mined.execution {
            Execution::Succeeded { outcomes } => {
                match outcomes.iter().find(|(id, _)| *id == item.id) {
                    Some((_, Outcome::Unlocked)) => {
                        let landing =
                            Landing { tx_hash: Some(mined.hash), block: mined.block.number };
                        return self.land(item, landing);
                    }
                    Some((_, Outcome::Skipped)) => {
                        let landing = Landing { tx_hash: None, block: mined.block.number };
                        return self.land(item, landing);
                    }
                    Some((_, Outcome::Revoked)) => return self.take_off(item, Some(mined)),
                    None => Rejection {
                        code: "no_effect".into(),
                        reason: "the transaction succeeded without a log about this item".into(),
                    },
                }
            }
            Execution::Reverted { code, reason } => {
                Rejection { code: code.clone(), reason: reason.clone() }
            }
        };
        item.suspect = true;
        // What is not due any more, as another transaction has done it, may well revert.
        let was_due = effect.is_some() && item.next_work() == effect;
        item.reverts += u32::from(was_due);
        if was_due && item.reverts >= MAX_REVERTS {
            self.reject(item, why);
        } else {
            self.alert_if_orphaned(item);
        }
    }
}

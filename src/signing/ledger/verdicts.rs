//! What the chain, when it is asked, and people say of an item.

use super::{Effect, Landing, Ledger, LedgerError, Phase, Rejection, changes::Changes, step::Step};
use crate::domain::UnlockId;

impl Ledger {
    /// The chain is to be asked about a settled item anew, and what it says
    /// decides what is done: it was found to be otherwise than it had landed.
    ///
    /// # Errors
    /// When the item is not in memory.
    pub fn recheck(&mut self, id: UnlockId) -> Result<Changes, LedgerError> {
        self.require_recalled(id)?;
        let item = self.items.get_mut(&id).ok_or(LedgerError::UnknownItem { id })?;
        if item.bound.is_some() || item.rejected.is_some() {
            return Ok(self.nothing(id));
        }
        item.unsure = true;
        self.finish(Step { items: [id].into(), ..Step::default() })
    }

    /// Books that are lost said of an item that it is there. Once nobody wants it, the chain is
    /// asked, and where it is not, that is told; if it can be asked about.
    ///
    /// # Errors
    /// When the item is archived: recall it first.
    pub fn said_there(&mut self, id: UnlockId, can_ask: bool) -> Result<Changes, LedgerError> {
        self.require_recalled(id)?;
        match self.items.get_mut(&id) {
            Some(item) if can_ask && item.landed.is_none() => item.said_there = true,
            _ => return Ok(self.nothing(id)),
        }
        self.finish(Step { items: [id].into(), ..Step::default() })
    }

    /// The same as [`Ledger::recheck`] for an item that nobody wants and that did not land,
    /// as far as these books know, if it can be asked about.
    ///
    /// # Errors
    /// When the item is not in memory.
    pub fn recheck_if_absent(
        &mut self,
        id: UnlockId,
        can_ask: bool,
    ) -> Result<Changes, LedgerError> {
        self.require_recalled(id)?;
        let item = self.items.get(&id).ok_or(LedgerError::UnknownItem { id })?;
        match can_ask && item.phase() == Phase::Absent {
            true => self.recheck(id),
            false => Ok(self.nothing(id)),
        }
    }

    /// The chain was asked whether the user has the achievement: a waiting
    /// unlock that is there already lands without a transaction, a waiting
    /// revoke of what is gone is done, and an unsure item is sure again.
    ///
    /// Ask at `block`, a block that is deep enough: what is seen at the head
    /// may be orphaned without a word to us. While a live nonce carries the
    /// item, the answer is not yet final and changes nothing; nor does one as of a
    /// block before the item is known to have landed, or to have been taken off.
    ///
    /// # Errors
    /// When the item is not in memory.
    pub fn found(
        &mut self,
        id: UnlockId,
        on_chain: bool,
        block: u64,
    ) -> Result<Changes, LedgerError> {
        let carried = self.live_nonces().any(|record| record.purpose.items().contains(&id));
        let item = self.items.get_mut(&id).ok_or(LedgerError::UnknownItem { id })?;
        // As of a block before the one that changed it, by an endpoint that lags, it is
        // what it was.
        let stale = match on_chain {
            true => item.gone_at.is_some_and(|gone_at| block < gone_at),
            false => item.landed.is_some_and(|landed| block < landed.block),
        };
        if carried || stale {
            return Ok(Changes::default());
        }
        let mut step = Step::default();
        let landing = Landing { tx_hash: None, block };
        if item.needs_check() {
            item.unsure = false;
            match (item.landed, on_chain) {
                (None, true) => step.land(item, landing),
                (Some(_), false) if item.wanted() => item.landed = None,
                // Nobody does anything about it any more: who was told that it is there is
                // told that it is not.
                (Some(_), false) => step.take_off(item, None),
                (None, false) if item.said_there && !item.wanted() => step.take_off(item, None),
                _ => {}
            }
        } else {
            match (item.next_work(), on_chain) {
                (Some(Effect::Unlock), true) => step.land(item, landing),
                (Some(Effect::Revoke), false) => step.take_off(item, None),
                _ => return Ok(Changes::default()),
            }
        }
        step.items.insert(id);
        self.finish(step)
    }

    /// Items to be simulated and sent alone, since something is wrong with
    /// the batch they were in.
    ///
    /// # Errors
    /// When one is not in memory.
    pub fn suspect(&mut self, ids: &[UnlockId]) -> Result<Changes, LedgerError> {
        self.require_items(ids)?;
        let mut step = Step::default();
        for id in ids {
            if let Some(item) = self.items.get_mut(id).filter(|item| !item.suspect) {
                item.suspect = true;
                step.items.insert(*id);
            }
        }
        self.finish(step)
    }

    /// Nothing tells whether the effect is there: it is given up until a person
    /// decides. What waits for the first time is no less in doubt after books
    /// were lost.
    ///
    /// # Errors
    /// When the item is not in memory or is in flight.
    pub fn doubt(&mut self, id: UnlockId, why: Rejection) -> Result<Changes, LedgerError> {
        let item = self.items.get_mut(&id).ok_or(LedgerError::UnknownItem { id })?;
        if let Some(bound) = item.bound {
            return Err(LedgerError::InFlight { id, nonce: bound.nonce });
        }
        item.unsure = false;
        // What nobody wants any more, and a person lets try again, is to be taken off.
        if item.wanted() {
            item.landed = None;
        }
        let mut step = Step::default();
        step.reject(item, why);
        step.items.insert(id);
        self.finish(step)
    }

    /// A person had done what a refusal was about: the item gets attempts of
    /// its own again. `false` when it was not rejected.
    ///
    /// # Errors
    /// When the item is not in memory.
    pub fn retry(
        &mut self,
        id: UnlockId,
        now_unix_ms: u64,
    ) -> Result<(bool, Changes), LedgerError> {
        self.require_recalled(id)?;
        let item = self.items.get_mut(&id).ok_or(LedgerError::UnknownItem { id })?;
        if !item.forgive(now_unix_ms) {
            return Ok((false, self.nothing(id)));
        }
        let step = Step { items: [id].into(), ..Step::default() };
        Ok((true, self.finish(step)?))
    }

    /// The contract refuses the item's next work for good.
    ///
    /// # Errors
    /// When the item is not in memory or is in flight.
    pub fn reject(&mut self, id: UnlockId, why: Rejection) -> Result<Changes, LedgerError> {
        let item = self.items.get_mut(&id).ok_or(LedgerError::UnknownItem { id })?;
        if let Some(bound) = item.bound {
            return Err(LedgerError::InFlight { id, nonce: bound.nonce });
        }
        // The wish may have changed since the caller asked the contract.
        if item.next_work().is_none() {
            return Ok(Changes::default());
        }
        let mut step = Step::default();
        step.reject(item, why);
        step.items.insert(id);
        self.finish(step)
    }
}

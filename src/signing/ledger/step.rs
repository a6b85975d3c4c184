//! One input's effects on items and nonces, and the writes they become.

use std::collections::BTreeSet;

use alloy::primitives::B256;
use serde::Serialize;

use super::{
    Changes, Ledger, LedgerError, Meta, Mined, Write,
    changes::{META, nonce_key, put},
    item_key, unreadable,
};
use crate::{
    domain::{UnlockId, UnlockMessage, UnlockRequest, UnlockState},
    signing::item::{Item, Landing, OnRetract, Phase, Rejection},
};

/// What a step touched; turned into [`Changes`] at its end.
#[derive(Default)]
pub(super) struct Step {
    pub(super) items: BTreeSet<UnlockId>,
    pub(super) nonces: BTreeSet<u64>,
    pub(super) meta: bool,
    pub(super) messages: Vec<UnlockMessage>,
    pub(super) alerts: Vec<UnlockRequest>,
}

impl Step {
    pub(super) fn say(
        &mut self,
        request: UnlockRequest,
        state: UnlockState,
        transaction_hash: Option<B256>,
        why: Option<&Rejection>,
    ) {
        let code = why.map(|why| why.code.clone());
        let reason = why.map(|why| why.reason.clone());
        self.messages.push(UnlockMessage { state, request, transaction_hash, code, reason });
    }

    pub(super) fn land(&mut self, item: &mut Item, landing: Landing) {
        item.landed = Some(landing);
        item.said_there = false;
        item.unsure = false;
        item.suspect = false;
        item.reverts = 0;
        for request in item.audience() {
            self.say(request.clone(), UnlockState::Unlocked, landing.tx_hash, None);
        }
        self.alert_if_orphaned(item);
    }

    /// It is off the chain: by a transaction of ours, or without.
    pub(super) fn take_off(&mut self, item: &mut Item, by: Option<&Mined>) {
        let tx_hash = by.map(|mined| mined.hash);
        item.gone_at = by.map(|mined| mined.block.number).or(item.gone_at);
        item.landed = None;
        item.said_there = false;
        item.unsure = false;
        item.suspect = false;
        item.reverts = 0;
        for want in item.wants() {
            self.say(want.request.clone(), UnlockState::Revoked, tx_hash, None);
        }
    }

    pub(super) fn reject(&mut self, item: &mut Item, why: Rejection) {
        for request in item.audience() {
            self.say(request.clone(), UnlockState::Rejected, None, Some(&why));
        }
        item.rejected = Some(why);
    }

    pub(super) fn alert_if_orphaned(&mut self, item: &mut Item) {
        if matches!(item.phase(), Phase::Landed(_))
            && !item.wanted()
            && item.on_retract() == OnRetract::Alert
            && !item.alerted
        {
            item.alerted = true;
            self.alerts.push(item.request().clone());
        }
    }
}

impl Ledger {
    /// Turns what a step touched into writes, and forgets what is settled.
    pub(super) fn finish(&mut self, mut step: Step) -> Result<Changes, LedgerError> {
        let finished: Vec<u64> = self
            .nonces
            .values()
            .filter(|record| !record.is_live())
            .map(|record| record.nonce)
            .collect();
        let excess = finished.len().saturating_sub(self.retain_nonces);
        for nonce in finished.into_iter().take(excess) {
            self.nonces.remove(&nonce);
            self.settled_below = self.settled_below.max(nonce + 1);
            step.nonces.insert(nonce);
            step.meta = true;
        }
        let mut writes = Vec::new();
        for id in step.items {
            if let Some(item) = self.items.get_mut(&id) {
                // Only the chain knows whether it is there still.
                item.unsure |= item.said_there && item.phase() == Phase::Absent;
                writes.push(encode(item_key(id), item)?);
                self.ready.update(item);
            }
            self.archive(id);
        }
        for nonce in step.nonces {
            let key = nonce_key(nonce);
            writes.push(match self.nonces.get(&nonce) {
                Some(record) => encode(key, record)?,
                None => Write { key, value: None },
            });
        }
        if step.meta {
            let meta = Meta { next_nonce: self.next_nonce, settled_below: self.settled_below };
            writes.push(encode(META.to_vec(), &meta)?);
        }
        Ok(Changes { writes, messages: step.messages, alerts: step.alerts })
    }
}

fn encode<T: Serialize>(key: Vec<u8>, value: &T) -> Result<Write, LedgerError> {
    put(key.clone(), value).map_err(|error| unreadable(&key, &error))
}

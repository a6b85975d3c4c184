//! The chain, its pool, the disk and the rule sets around one ledger.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{B256, keccak256};

use super::{RULE_SETS, SIGNER, attempt_of, call_of, order, request_of};
use crate::{
    domain::{BlockRef, UnlockId},
    signing::{
        item::{Effect, MessageOrder, OnRetract, Rejection},
        ledger::{
            AttemptKind, Changes, Execution, Fate, Ledger, LedgerError, Mined, Outcome, Purpose,
            ReconcileAction, item_key,
        },
    },
};

#[derive(Clone)]
pub(super) enum Entry {
    Ours { hash: B256, purpose: Option<Purpose>, revert: bool },
    Foreign,
    OtherUnlock(UnlockId),
}

pub(super) struct World {
    pub(super) ledger: Ledger,
    pub(super) retain: usize,
    pub(super) disk: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) messages: Vec<(u8, u8, bool, MessageOrder)>,
    pub(super) wanted: BTreeSet<(u8, u8)>,
    pub(super) chain: Vec<Entry>,
    // Entries before this are deep enough.
    pub(super) final_len: usize,
    // Everything that was ever broadcast: a node may mine any of it.
    pub(super) pool: BTreeMap<u64, Vec<(B256, Option<Purpose>)>>,
    pub(super) fee: u128,
    pub(super) paused: bool,
    // Whether an allocation gets to the disk.
    forgets: bool,
}

impl World {
    pub(super) fn new(retain: usize) -> Self {
        Self {
            ledger: Ledger::new(SIGNER, retain),
            retain,
            disk: BTreeMap::new(),
            messages: Vec::new(),
            wanted: BTreeSet::new(),
            chain: Vec::new(),
            final_len: 0,
            pool: BTreeMap::new(),
            fee: 1,
            paused: false,
            forgets: false,
        }
    }

    pub(super) fn commit(&mut self, changes: Changes) {
        for write in changes.writes {
            match write.value {
                Some(value) => self.disk.insert(write.key, value),
                None => self.disk.remove(&write.key),
            };
        }
    }

    /// Repeats a step that needs an archived item.
    pub(super) fn step(
        &mut self,
        mut act: impl FnMut(&mut Ledger) -> Result<Changes, LedgerError>,
    ) -> Result<(), LedgerError> {
        loop {
            match act(&mut self.ledger) {
                Err(LedgerError::Archived { id }) => {
                    let record = self.disk[&item_key(id)].clone();
                    self.ledger.recall(id, &record).unwrap();
                }
                Err(other) => return Err(other),
                Ok(changes) => {
                    self.commit(changes);
                    return Ok(());
                }
            }
        }
    }

    pub(super) fn deliver(&mut self, effect: u8, rule_set: u8, wants: bool, order: MessageOrder) {
        let request = request_of(effect, RULE_SETS[rule_set as usize]);
        self.step(|ledger| {
            if wants {
                ledger.request(request.clone(), OnRetract::Revoke, order, 0)
            } else {
                ledger.retract(request.id, &request.rule_set, order, 0)
            }
        })
        .unwrap();
    }

    pub(super) fn say(&mut self, effect: u8, rule_set: u8, wants: bool) {
        let order = order(self.messages.len() as u64 + 1);
        self.messages.push((effect, rule_set, wants, order));
        if wants {
            self.wanted.insert((effect, rule_set));
        } else {
            self.wanted.remove(&(effect, rule_set));
        }
        self.deliver(effect, rule_set, wants, order);
    }

    /// As the shell does: ask the chain at depth, then bind, sign, commit.
    pub(super) fn allocate(&mut self, max_items: usize) -> bool {
        let there = self.on_chain(self.final_len);
        let unsure: Vec<UnlockId> = self.ledger.ready().unsure().collect();
        for id in unsure {
            let changes = self.ledger.found(id, there.contains(&id), u64::MAX).unwrap();
            self.commit(changes);
        }
        let ready: Vec<(UnlockId, Effect)> = self
            .ledger
            .items
            .values()
            .filter_map(|item| Some((item.id, item.next_work()?)))
            .collect();
        for (id, _) in &ready {
            let changes = self.ledger.found(*id, there.contains(id), u64::MAX).unwrap();
            self.commit(changes);
        }
        let due = |effect| {
            let ledger = &self.ledger;
            ready
                .iter()
                .map(|(id, _)| *id)
                .filter(|id| ledger.item(*id).and_then(|i| i.next_work()) == Some(effect))
                .take(max_items)
                .collect::<Vec<_>>()
        };
        let purpose = match (due(Effect::Revoke).first(), due(Effect::Unlock)) {
            (Some(item), _) => Purpose::Revoke { item: *item },
            (None, items) if !items.is_empty() => Purpose::Unlock { items },
            _ => return false,
        };
        for record in self.ledger.live_nonces() {
            let carries = |id| record.purpose.items().contains(id);
            assert!(!purpose.items().iter().any(carries), "a second live nonce is signed");
        }
        let call = call_of(&purpose);
        let (nonce, mut changes) = self.ledger.allocate(purpose, call).unwrap();
        changes.then(self.sign(nonce, AttemptKind::Effect).unwrap());
        if !self.forgets {
            self.commit(changes);
        }
        true
    }

    /// Allocates and signs, and crashes before any of it is on the disk: what
    /// was not written down was not broadcast either.
    pub(super) fn lose(&mut self, max_items: usize) {
        self.crash();
        let pool = self.pool.clone();
        self.forgets = true;
        self.allocate(max_items);
        self.forgets = false;
        self.pool = pool;
        self.ledger = Ledger::restore(SIGNER, self.retain, self.disk.clone()).unwrap();
    }

    /// As the shell does with what a contract refuses, or can't tell of.
    pub(super) fn give_up(&mut self, id: UnlockId, in_doubt: bool) {
        let Some(item) = self.ledger.item(id) else { return };
        let waits = item.next_work() == Some(Effect::Unlock) || item.unsure;
        let carried = self.ledger.live_nonces().any(|it| it.purpose.items().contains(&id));
        let why = Rejection { code: "test".into(), reason: "test".into() };
        if item.bound.is_some() || carried {
            return;
        }
        let changes = match in_doubt {
            true if waits => self.ledger.doubt(id, why).unwrap(),
            true => return,
            false => self.ledger.reject(id, why).unwrap(),
        };
        self.commit(changes);
    }

    pub(super) fn suspect(&mut self, id: UnlockId) {
        if self.ledger.item(id).is_some() {
            let changes = self.ledger.suspect(&[id]).unwrap();
            self.commit(changes);
        }
    }

    pub(super) fn retry(&mut self, id: UnlockId) {
        let tried = self.step(|ledger| ledger.retry(id, 0).map(|(_, changes)| changes));
        assert!(matches!(tried, Ok(()) | Err(LedgerError::UnknownItem { .. })), "{tried:?}");
    }

    pub(super) fn recheck(&mut self, id: UnlockId) {
        let checked = self.step(|ledger| ledger.recheck(id));
        assert!(matches!(checked, Ok(()) | Err(LedgerError::UnknownItem { .. })), "{checked:?}");
    }

    pub(super) fn sign(&mut self, nonce: u64, kind: AttemptKind) -> Result<Changes, LedgerError> {
        self.fee += 1;
        let record = self.ledger.nonce(nonce).unwrap().clone();
        let attempt = attempt_of(&record, self.fee, kind);
        let changes = self.ledger.record_attempt(nonce, attempt.clone())?;
        let purpose = (kind == AttemptKind::Effect).then_some(record.purpose);
        let pooled = self.pool.entry(nonce).or_default();
        // A nonce never gets a second effect, over the whole of its life.
        for (_, known) in pooled.iter() {
            if let (Some(known), Some(new)) = (known, &purpose) {
                assert_eq!(known, new, "nonce {nonce} carries two effects");
            }
        }
        pooled.push((attempt.hash, purpose));
        Ok(changes)
    }

    pub(super) fn sign_and_commit(&mut self, nonce: u64, kind: AttemptKind) {
        match self.sign(nonce, kind) {
            Ok(changes) => self.commit(changes),
            Err(LedgerError::WrongFate { .. } | LedgerError::AttemptDiffers { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }

    pub(super) fn nonces_used(&self, len: usize) -> u64 {
        self.chain[..len].iter().filter(|e| !matches!(e, Entry::OtherUnlock(_))).count() as u64
    }

    pub(super) fn on_chain(&self, len: usize) -> BTreeSet<UnlockId> {
        self.replay(len).0
    }

    /// State after `len` entries, and how the last of them executed.
    pub(super) fn replay(&self, len: usize) -> (BTreeSet<UnlockId>, Execution) {
        let reverted = || Execution::Reverted { code: "test".into(), reason: "test".into() };
        let mut state = BTreeSet::new();
        let mut last = reverted();
        for entry in &self.chain[..len] {
            let mut outcomes = Vec::new();
            match entry {
                Entry::OtherUnlock(id) => _ = state.insert(*id),
                Entry::Foreign | Entry::Ours { revert: true, .. } => {}
                Entry::Ours { purpose, .. } => match purpose {
                    Some(Purpose::Unlock { items }) => {
                        for id in items {
                            let new = state.insert(*id);
                            let outcome = if new { Outcome::Unlocked } else { Outcome::Skipped };
                            outcomes.push((*id, outcome));
                        }
                    }
                    Some(Purpose::Revoke { item }) => {
                        if state.remove(item) {
                            outcomes.push((*item, Outcome::Revoked));
                        }
                    }
                    Some(Purpose::FillGap) | None => {}
                },
            }
            last =
                match entry {
                    Entry::Ours {
                        revert: false, purpose: Some(Purpose::Revoke { .. }), ..
                    } if outcomes.is_empty() => reverted(),
                    Entry::Ours { revert: false, .. } => Execution::Succeeded { outcomes },
                    _ => reverted(),
                };
        }
        (state, last)
    }

    pub(super) fn mine(&mut self, attempt: u8, revert: bool) {
        let nonce = self.nonces_used(self.chain.len());
        let Some(pooled) = self.pool.get(&nonce).filter(|p| !p.is_empty()) else { return };
        let (hash, purpose) = pooled[attempt as usize % pooled.len()].clone();
        // Three confirmed reverts are given up: the model stays below that.
        let patient = purpose.iter().flat_map(|p| p.items()).all(|id| {
            let others = self.chain.iter().filter(|entry| {
                matches!(entry, Entry::Ours { revert: true, purpose: Some(p), .. } if p.items().contains(id))
            });
            others.count() < 2 && self.ledger.item(*id).is_none_or(|item| item.reverts < 1)
        });
        self.chain.push(Entry::Ours { hash, purpose, revert: revert && patient });
    }

    pub(super) fn entry_of(&self, nonce: u64) -> Option<(usize, &Entry)> {
        self.chain
            .iter()
            .enumerate()
            .filter(|(_, entry)| !matches!(entry, Entry::OtherUnlock(_)))
            .nth(nonce as usize)
    }

    /// Tells the ledger what the chain says of each nonce it keeps.
    pub(super) fn observe(&mut self, also_final: bool, newest_first: bool, skip: usize) {
        let mut nonces: Vec<u64> = self
            .ledger
            .nonces
            .values()
            .filter(|record| also_final || record.is_live())
            .map(|record| record.nonce)
            .collect();
        if newest_first {
            nonces.reverse();
        }
        for nonce in nonces.into_iter().skip(skip) {
            let Some(record) = self.ledger.nonce(nonce) else { continue };
            let fate = record.fate.clone();
            let entry = self.entry_of(nonce).map(|(at, entry)| (at, entry.clone()));
            match entry {
                Some((at, Entry::Ours { hash, .. })) => {
                    let mined = self.mined(at, hash);
                    match &fate {
                        Fate::Confirmed(known) if *known == mined => continue,
                        Fate::Open | Fate::Mined(_) => {}
                        _ => self.step(|ledger| ledger.unmined(nonce)).unwrap(),
                    }
                    self.step(|ledger| ledger.mined(nonce, mined.clone())).unwrap();
                    if at < self.final_len {
                        self.step(|ledger| ledger.confirmed(nonce)).unwrap();
                    }
                }
                Some((at, _)) if at < self.final_len => {
                    if matches!(fate, Fate::Confirmed(_)) {
                        self.step(|ledger| ledger.unmined(nonce)).unwrap();
                    }
                    self.step(|ledger| ledger.displaced(nonce, None)).unwrap();
                }
                Some(_) | None => self.step(|ledger| ledger.unmined(nonce)).unwrap(),
            }
        }
    }

    pub(super) fn mined(&self, at: usize, hash: B256) -> Mined {
        // A block's hash covers its whole past.
        let past: Vec<u8> = self.chain[..=at]
            .iter()
            .flat_map(|entry| match entry {
                Entry::Ours { hash, revert, .. } => {
                    [hash.as_slice(), &[u8::from(*revert)]].concat()
                }
                Entry::Foreign => vec![1],
                Entry::OtherUnlock(id) => id.0.to_vec(),
            })
            .collect();
        let block = BlockRef {
            number: at as u64,
            hash: keccak256(past),
            parent_hash: B256::ZERO,
            time: at as u64,
        };
        Mined { hash, block, execution: self.replay(at + 1).1 }
    }

    pub(super) fn reconcile(&mut self) {
        let latest = self.nonces_used(self.chain.len());
        let mut pending = latest;
        while self.pool.contains_key(&pending) {
            pending += 1;
        }
        for action in self.ledger.reconcile(latest, pending) {
            match action {
                ReconcileAction::FillGap { nonce } => {
                    self.step(|ledger| ledger.fill_gap(nonce, 21_000)).unwrap();
                    self.sign_and_commit(nonce, AttemptKind::Effect);
                }
                ReconcileAction::AdoptForeign { next_nonce }
                | ReconcileAction::Rewind { next_nonce } => {
                    self.step(|ledger| ledger.move_next_nonce(next_nonce)).unwrap();
                }
                ReconcileAction::CheckReceipts { .. } | ReconcileAction::Rebroadcast { .. } => {}
                ReconcileAction::Sign { nonce } => {
                    self.sign_and_commit(nonce, AttemptKind::Effect);
                }
            }
        }
    }

    pub(super) fn crash(&mut self) {
        let restored = Ledger::restore(SIGNER, self.retain, self.disk.clone()).unwrap();
        assert_eq!(restored.next_nonce, self.ledger.next_nonce);
        assert_eq!(restored.settled_below, self.ledger.settled_below);
        assert_eq!(restored.nonces, self.ledger.nonces);
        for (id, item) in &restored.items {
            assert_eq!(Some(item), self.ledger.items.get(id));
        }
        assert_eq!(restored.ready.len(), self.ledger.ready.len());
        self.ledger = restored;
    }
}

//! The ledger against a model of the world: a chain that forgets its newest
//! blocks, rule sets that change their minds, foreign transactions, crashes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::Encodable2718,
    primitives::{Address, B256, Bytes, Signature, TxKind, U256},
};
use proptest::prelude::*;

use self::world::{Entry, World};
use super::{Attempt, AttemptKind, Call, NonceRecord, Purpose};
use crate::{
    domain::{Evidence, Name, UnlockId, UnlockRequest},
    signing::item::MessageOrder,
};

pub(super) const SIGNER: Address = Address::repeat_byte(0xaa);
pub(super) const CONTRACT: Address = Address::repeat_byte(0xcc);
const EFFECTS: u8 = 4;
const RULE_SETS: [&str; 2] = ["first", "second"];

pub(super) fn effect_id(n: u8) -> UnlockId {
    UnlockId(B256::repeat_byte(n + 1))
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn request_of(n: u8, rule_set: &str) -> UnlockRequest {
    UnlockRequest {
        id: effect_id(n),
        rule_set: name(rule_set),
        achievement: name("voter"),
        achievement_id: U256::from(n),
        instance: None,
        contract: name("awards"),
        signer: name("signer"),
        user: Address::repeat_byte(n),
        on_retract: crate::domain::OnRetract::Revoke,
        urgency: crate::domain::Urgency::Normal,
        evidence: Evidence { rule_version: B256::ZERO, items: Vec::new(), total: 0 },
    }
}

pub(super) fn order(sequence: u64) -> MessageOrder {
    MessageOrder { stream_created_unix_ms: 1, sequence }
}

pub(super) fn call_of(purpose: &Purpose) -> Call {
    let calldata = serde_json::to_vec(purpose).unwrap().into();
    Call { to: CONTRACT, calldata, gas_limit: 100_000 }
}

/// A transaction of the record's effect; `fee` makes attempts differ.
pub(super) fn attempt_of(record: &NonceRecord, fee: u128, kind: AttemptKind) -> Attempt {
    let (to, input) = match kind {
        AttemptKind::Effect => (record.call.to, record.call.calldata.clone()),
        AttemptKind::Cancel => (SIGNER, Bytes::new()),
    };
    let transaction = TxEip1559 {
        chain_id: 31337,
        nonce: record.nonce,
        gas_limit: record.call.gas_limit,
        max_fee_per_gas: fee,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(to),
        input,
        ..TxEip1559::default()
    };
    let envelope: TxEnvelope = transaction.into_signed(Signature::test_signature()).into();
    Attempt {
        hash: *envelope.tx_hash(),
        raw: envelope.encoded_2718().into(),
        kind,
        max_fee_per_gas: fee,
        max_priority_fee_per_gas: 1,
        signed_at_unix_s: 0,
    }
}

#[derive(Clone, Debug)]
enum Op {
    Request(u8, u8),
    Retract(u8, u8),
    Redeliver(u8),
    Allocate(u8),
    Replace(u8),
    Cancel(u8),
    Mine {
        attempt: u8,
        revert: bool,
    },
    ForeignNonce,
    OtherUnlock(u8),
    Finalise(u8),
    Reorg(u8),
    /// Only in the second property: also final blocks go.
    DeepReorg(u8),
    /// Tells the newest nonces' fates first, and not the first few at all.
    Observe {
        newest_first: bool,
        skip: u8,
    },
    Reconcile,
    /// The contract refuses it, or nothing tells whether it is there.
    GiveUp {
        effect: u8,
        in_doubt: bool,
    },
    /// It was in a batch that would revert.
    Suspect(u8),
    /// A person has it tried again.
    Retry(u8),
    /// It was found to be otherwise on chain.
    Recheck(u8),
    /// Nothing is signed until the next one.
    Pause,
    /// An allocation that is signed and never gets to the disk.
    CrashBeforeCommit(u8),
    Crash,
}

fn ops(deep: bool) -> impl Strategy<Value = Vec<Op>> {
    let effect = || 0..EFFECTS;
    let rule_set = || 0..2_u8;
    let last = if deep {
        (0..8_u8).prop_map(Op::DeepReorg).boxed()
    } else {
        effect().prop_map(Op::OtherUnlock).boxed()
    };
    prop::collection::vec(
        prop_oneof![
            4 => (effect(), rule_set()).prop_map(|(e, r)| Op::Request(e, r)),
            2 => (effect(), rule_set()).prop_map(|(e, r)| Op::Retract(e, r)),
            1 => any::<u8>().prop_map(Op::Redeliver),
            4 => (1..4_u8).prop_map(Op::Allocate),
            1 => any::<u8>().prop_map(Op::Replace),
            1 => any::<u8>().prop_map(Op::Cancel),
            6 => (any::<u8>(), prop::bool::weighted(0.2))
                .prop_map(|(attempt, revert)| Op::Mine { attempt, revert }),
            1 => Just(Op::ForeignNonce),
            2 => (0..4_u8).prop_map(Op::Finalise),
            2 => (0..4_u8).prop_map(Op::Reorg),
            4 => (any::<bool>(), 0..3_u8)
                .prop_map(|(newest_first, skip)| Op::Observe { newest_first, skip }),
            1 => Just(Op::Reconcile),
            1 => (effect(), any::<bool>())
                .prop_map(|(effect, in_doubt)| Op::GiveUp { effect, in_doubt }),
            1 => effect().prop_map(Op::Suspect),
            1 => effect().prop_map(Op::Retry),
            1 => effect().prop_map(Op::Recheck),
            1 => Just(Op::Pause),
            1 => (1..4_u8).prop_map(Op::CrashBeforeCommit),
            1 => Just(Op::Crash),
            1 => last,
        ],
        0..80,
    )
}

impl World {
    fn apply(&mut self, op: Op, deep: bool) {
        match op {
            Op::Request(effect, rule_set) => self.say(effect, rule_set, true),
            Op::Retract(effect, rule_set) => self.say(effect, rule_set, false),
            Op::Redeliver(which) => {
                if !self.messages.is_empty() {
                    let at = which as usize % self.messages.len();
                    let (effect, rule_set, wants, order) = self.messages[at];
                    self.deliver(effect, rule_set, wants, order);
                }
            }
            Op::Allocate(_) | Op::Replace(_) | Op::Cancel(_) if self.paused => {}
            Op::Allocate(max_items) => _ = self.allocate(max_items as usize),
            Op::Replace(which) | Op::Cancel(which) => {
                let live: Vec<u64> = self.ledger.live_nonces().map(|r| r.nonce).collect();
                if !live.is_empty() {
                    let kind = match op {
                        Op::Cancel(_) => AttemptKind::Cancel,
                        _ => AttemptKind::Effect,
                    };
                    self.sign_and_commit(live[which as usize % live.len()], kind);
                }
            }
            Op::Mine { attempt, revert } => self.mine(attempt, revert),
            Op::ForeignNonce => self.chain.push(Entry::Foreign),
            Op::OtherUnlock(effect) => self.chain.push(Entry::OtherUnlock(effect_id(effect))),
            Op::Finalise(more) => {
                self.final_len = (self.final_len + more as usize).min(self.chain.len());
            }
            Op::Reorg(depth) => {
                let len = self.chain.len().saturating_sub(depth as usize).max(self.final_len);
                self.chain.truncate(len);
            }
            Op::DeepReorg(depth) => {
                self.chain.truncate(self.chain.len().saturating_sub(depth as usize));
                self.final_len = self.final_len.min(self.chain.len());
                self.observe(true, false, 0);
            }
            Op::Observe { newest_first, skip } => {
                self.observe(deep, newest_first, skip as usize);
            }
            Op::Reconcile => self.reconcile(),
            Op::GiveUp { effect, in_doubt } => self.give_up(effect_id(effect), in_doubt),
            Op::Suspect(effect) => self.suspect(effect_id(effect)),
            Op::Retry(effect) => self.retry(effect_id(effect)),
            Op::Recheck(effect) => self.recheck(effect_id(effect)),
            Op::Pause => self.paused = !self.paused,
            Op::CrashBeforeCommit(max_items) => self.lose(max_items as usize),
            Op::Crash => self.crash(),
        }
    }

    fn check_one_live_nonce_per_effect(&self) {
        let mut carried = BTreeMap::new();
        for record in self.ledger.live_nonces() {
            for id in record.purpose.items() {
                if let Some(other) = carried.insert(*id, record.nonce) {
                    panic!("{id} is in the live nonces {other} and {}", record.nonce);
                }
            }
        }
    }

    /// No more surprises: whatever is pending is mined, in order, and people
    /// have everything tried again that was given up.
    fn settle(&mut self, deep: bool) {
        for effect in 0..EFFECTS {
            self.retry(effect_id(effect));
        }
        for _ in 0..100 {
            self.reconcile();
            while self.allocate(3) {}
            let before = self.chain.len();
            loop {
                let len = self.chain.len();
                self.mine(u8::MAX, false);
                if self.chain.len() == len {
                    break;
                }
            }
            self.final_len = self.chain.len();
            self.observe(deep, false, 0);
            let idle = self.ledger.live_nonces().next().is_none() && self.ledger.ready.is_empty();
            if idle && before == self.chain.len() {
                return;
            }
        }
        panic!("the world does not settle: {:?}", self.ledger);
    }

    fn wanted_effects(&self) -> BTreeSet<UnlockId> {
        self.wanted.iter().map(|(effect, _)| effect_id(*effect)).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn each_effect_lands_once_whatever_happens(ops in ops(false)) {
        let mut world = World::new(2);
        let mut foreign = BTreeSet::new();
        for op in ops {
            if let Op::OtherUnlock(effect) = op {
                foreign.insert(effect_id(effect));
            }
            world.apply(op, false);
            world.check_one_live_nonce_per_effect();
            world.ledger.check().unwrap();
        }
        world.settle(false);
        world.crash();
        // What others unlocked and nobody here ever asked for is not ours to take back.
        let asked: BTreeSet<UnlockId> =
            world.messages.iter().filter(|m| m.2).map(|m| effect_id(m.0)).collect();
        let on_chain = world.on_chain(world.chain.len());
        let ours: BTreeSet<UnlockId> = on_chain
            .into_iter()
            .filter(|id| asked.contains(id) && (!foreign.contains(id) || world.wanted_effects().contains(id)))
            .collect();
        prop_assert_eq!(ours, world.wanted_effects());
    }

    #[test]
    fn reorgs_of_what_was_final_settle_all_the_same(ops in ops(true)) {
        let mut world = World::new(1_000);
        for op in ops {
            world.apply(op, true);
            world.ledger.check().unwrap();
        }
        world.settle(true);
        world.crash();
        prop_assert_eq!(world.on_chain(world.chain.len()), world.wanted_effects());
    }
}

//! Single claims about the ledger; [`super::model`] holds them all at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy::primitives::{B256, Bytes};

use super::{
    AttemptKind, Changes, Execution, Fate, Ledger, LedgerError, Mined, Outcome, Purpose,
    ReconcileAction, item_key,
    model::{SIGNER, attempt_of, call_of, effect_id, name, order, request_of},
};
use crate::{
    domain::{BlockRef, UnlockState},
    signing::item::{Effect, Landing, OnRetract, Phase, Rejection},
};

fn ledger() -> Ledger {
    Ledger::new(SIGNER, 8)
}

fn ask(ledger: &mut Ledger, n: u8, rule_set: &str, policy: OnRetract, at: u64) -> Changes {
    ledger.request(request_of(n, rule_set), policy, order(at), at).unwrap()
}

/// Allocates an unlock of `n` and signs it; the nonce and the attempt's hash.
fn send(ledger: &mut Ledger, purpose: Purpose) -> (u64, B256) {
    let call = call_of(&purpose);
    let (nonce, _) = ledger.allocate(purpose, call).unwrap();
    let attempt = attempt_of(ledger.nonce(nonce).unwrap(), 10, AttemptKind::Effect);
    let _ = ledger.record_attempt(nonce, attempt.clone()).unwrap();
    (nonce, attempt.hash)
}

fn unlock(n: u8) -> Purpose {
    Purpose::Unlock { items: vec![effect_id(n)] }
}

fn mined(hash: B256, execution: Execution) -> Mined {
    let block =
        BlockRef { number: 7, hash: B256::repeat_byte(7), parent_hash: B256::ZERO, time: 70 };
    Mined { hash, block, execution }
}

fn confirm(ledger: &mut Ledger, nonce: u64, hash: B256, execution: Execution) -> Changes {
    let _ = ledger.mined(nonce, mined(hash, execution)).unwrap();
    ledger.confirmed(nonce).unwrap()
}

fn did(n: u8, outcome: Outcome) -> Execution {
    Execution::Succeeded { outcomes: vec![(effect_id(n), outcome)] }
}

fn reverted() -> Execution {
    Execution::Reverted { code: "out_of_gas".into(), reason: "out of gas".into() }
}

/// Reads a settled item back from what a step wrote.
fn recall(ledger: &mut Ledger, changes: &Changes, n: u8) {
    let key = item_key(effect_id(n));
    let write = changes.writes.iter().find(|write| write.key == key).unwrap();
    ledger.recall(effect_id(n), write.value.as_ref().unwrap()).unwrap();
}

#[test]
fn a_request_lands_once_and_a_second_rule_set_is_told_at_once() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let (nonce, hash) = send(&mut ledger, unlock(1));
    let landed = confirm(&mut ledger, nonce, hash, did(1, Outcome::Unlocked));
    assert_eq!(landed.messages[0].state, UnlockState::Unlocked);
    assert_eq!(landed.messages[0].transaction_hash, Some(hash));

    // Settled: only the id stays in memory, and a message needs the record.
    assert!(ledger.is_archived(effect_id(1)));
    let again = ledger.request(request_of(1, "second"), OnRetract::Revoke, order(2), 2);
    assert_eq!(again, Err(LedgerError::Archived { id: effect_id(1) }));
    recall(&mut ledger, &landed, 1);
    let told = ask(&mut ledger, 1, "second", OnRetract::Revoke, 2);
    assert_eq!(told.messages.len(), 1);
    assert_eq!(told.messages[0].request.rule_set, name("second"));
    assert!(ledger.ready().is_empty());
}

#[test]
fn a_late_duplicate_request_does_not_revive_a_retracted_wish() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let gone = ledger.retract(effect_id(1), &name("first"), order(2), 0).unwrap();
    recall(&mut ledger, &gone, 1);
    assert!(ask(&mut ledger, 1, "first", OnRetract::Revoke, 1).is_empty());
    assert!(ledger.is_archived(effect_id(1)) && ledger.ready().is_empty());
    // In a stream that was made again, sequences restart and still count as later.
    recall(&mut ledger, &gone, 1);
    let newer = crate::signing::item::MessageOrder { stream_created_unix_ms: 2, sequence: 1 };
    let _ = ledger.request(request_of(1, "first"), OnRetract::Revoke, newer, 9).unwrap();
    assert_eq!(ledger.item(effect_id(1)).unwrap().phase(), Phase::Waiting);
}

#[test]
fn a_retraction_in_flight_waits_for_the_fate_and_is_then_compensated() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let (nonce, hash) = send(&mut ledger, unlock(1));
    let _ = ledger.retract(effect_id(1), &name("first"), order(2), 0).unwrap();
    assert_eq!(ledger.item(effect_id(1)).unwrap().next_work(), None);
    let _ = confirm(&mut ledger, nonce, hash, did(1, Outcome::Unlocked));
    assert_eq!(ledger.item(effect_id(1)).unwrap().next_work(), Some(Effect::Revoke));

    let (nonce, hash) = send(&mut ledger, Purpose::Revoke { item: effect_id(1) });
    // Wanted again while the revoke is under way: unlocked again afterwards.
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 3);
    let revoked = confirm(&mut ledger, nonce, hash, did(1, Outcome::Revoked));
    assert_eq!(revoked.messages[0].state, UnlockState::Revoked);
    assert_eq!(ledger.item(effect_id(1)).unwrap().next_work(), Some(Effect::Unlock));
}

#[test]
fn another_rule_sets_wish_keeps_what_one_retracts() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let _ = ask(&mut ledger, 1, "second", OnRetract::Revoke, 2);
    let _ = ledger.retract(effect_id(1), &name("first"), order(3), 0).unwrap();
    let item = ledger.item(effect_id(1)).unwrap();
    assert_eq!(item.next_work(), Some(Effect::Unlock));
    assert_eq!(item.request().rule_set, name("second"));
}

#[test]
fn policy_alert_tells_once_and_policy_keep_tells_nothing() {
    for (policy, alerts) in [(OnRetract::Alert, 1), (OnRetract::Keep, 0)] {
        let mut ledger = ledger();
        let _ = ask(&mut ledger, 1, "first", policy, 1);
        let landed = ledger.found(effect_id(1), true, 5).unwrap();
        recall(&mut ledger, &landed, 1);
        let retracted = ledger.retract(effect_id(1), &name("first"), order(2), 0).unwrap();
        assert_eq!(retracted.alerts.len(), alerts);
        recall(&mut ledger, &retracted, 1);
        let again = ledger.retract(effect_id(1), &name("first"), order(3), 0).unwrap();
        assert!(again.alerts.is_empty() && ledger.ready().is_empty());
    }
}

#[test]
fn what_was_there_before_lands_without_a_transaction() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let changes = ledger.found(effect_id(1), true, 5).unwrap();
    recall(&mut ledger, &changes, 1);
    let landing = Landing { tx_hash: None, block: 5 };
    assert_eq!(ledger.item(effect_id(1)).unwrap().phase(), Phase::Landed(landing));
    assert_eq!(ledger.next_nonce(), 0);
}

/// Books that were lost in between: it is found to be there, and taken back.
#[test]
fn what_nobody_wants_any_more_is_asked_for_when_books_began_anew() {
    let mut ledger = ledger();
    let asked = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let changes = ledger.retract(effect_id(1), &name("first"), order(2), 0).unwrap();
    assert!(ledger.is_archived(effect_id(1)), "nothing is to be done, as far as is known");
    recall(&mut ledger, &changes, 1);
    assert!(ledger.recheck_if_absent(effect_id(1), false).unwrap().is_empty(), "it can't be asked");
    recall(&mut ledger, &changes, 1);
    let _ = ledger.recheck_if_absent(effect_id(1), true).unwrap();
    assert!(ledger.item(effect_id(1)).unwrap().needs_check());
    let _ = ledger.found(effect_id(1), true, 5).unwrap();
    assert_eq!(ledger.item(effect_id(1)).unwrap().next_work(), Some(Effect::Revoke));
    drop(asked);
}

#[test]
fn an_effect_in_flight_gets_no_second_nonce() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let (nonce, hash) = send(&mut ledger, unlock(1));
    let refused = |ledger: &mut Ledger| ledger.allocate(unlock(1), call_of(&unlock(1)));
    let in_flight = Err(LedgerError::InFlight { id: effect_id(1), nonce });
    assert_eq!(refused(&mut ledger), in_flight);
    // A shallow revert frees nothing: a reorg may still let the first one succeed.
    let _ = ledger.mined(nonce, mined(hash, reverted())).unwrap();
    assert_eq!(refused(&mut ledger), in_flight);
    let _ = ledger.unmined(nonce).unwrap();
    assert_eq!(refused(&mut ledger), in_flight);
    let _ = confirm(&mut ledger, nonce, hash, reverted());
    let item = ledger.item(effect_id(1)).unwrap();
    assert!(item.suspect && item.next_work() == Some(Effect::Unlock));
}

#[test]
fn a_malformed_batch_is_refused() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    for purpose in [
        Purpose::FillGap,
        Purpose::Unlock { items: vec![] },
        Purpose::Unlock { items: vec![effect_id(1), effect_id(1)] },
    ] {
        let call = call_of(&purpose);
        assert_eq!(ledger.allocate(purpose, call), Err(LedgerError::MalformedBatch));
    }
    let revoke = Purpose::Revoke { item: effect_id(1) };
    assert_eq!(
        ledger.allocate(revoke.clone(), call_of(&revoke)),
        Err(LedgerError::NotDue { id: effect_id(1), effect: Effect::Revoke })
    );
    assert_eq!(ledger.next_nonce(), 0);
}

#[test]
fn signed_bytes_of_another_effect_are_refused() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let (nonce, _) = send(&mut ledger, unlock(1));
    let record = ledger.nonce(nonce).unwrap().clone();
    let mut other = record.clone();
    other.call.calldata = Bytes::from_static(b"another effect");
    let mut elsewhere = record.clone();
    elsewhere.nonce += 1;
    for (wrong, field) in [(other, "input"), (elsewhere, "nonce")] {
        let attempt = attempt_of(&wrong, 11, AttemptKind::Effect);
        let hash = attempt.hash;
        assert_eq!(
            ledger.record_attempt(nonce, attempt),
            Err(LedgerError::AttemptDiffers { nonce, hash, field })
        );
    }
    // After a cancelling attempt the effect is promised to a later nonce.
    let _ = ledger.record_attempt(nonce, attempt_of(&record, 12, AttemptKind::Cancel)).unwrap();
    assert!(ledger.record_attempt(nonce, attempt_of(&record, 13, AttemptKind::Effect)).is_err());
}

#[test]
fn a_cancelled_nonce_gives_its_items_back_as_suspects() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let (nonce, _) = send(&mut ledger, unlock(1));
    let cancel = attempt_of(ledger.nonce(nonce).unwrap(), 20, AttemptKind::Cancel);
    let _ = ledger.record_attempt(nonce, cancel.clone()).unwrap();
    let nothing = Execution::Succeeded { outcomes: vec![] };
    let _ = confirm(&mut ledger, nonce, cancel.hash, nothing);
    let item = ledger.item(effect_id(1)).unwrap();
    assert!(item.suspect && item.next_work() == Some(Effect::Unlock) && item.reverts == 0);
}

#[test]
fn a_foreign_transaction_displaces_the_batch_and_doubles_nothing() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let (nonce, hash) = send(&mut ledger, unlock(1));
    assert!(ledger.displaced(nonce, Some(hash)).is_err(), "our own hash is not foreign");
    let _ = ledger.displaced(nonce, Some(B256::repeat_byte(9))).unwrap();
    let (second, _) = send(&mut ledger, unlock(1));
    assert!(second > nonce);
    // A reorg brings the first one back: the item stays with the second.
    let _ = ledger.unmined(nonce).unwrap();
    let landed = confirm(&mut ledger, nonce, hash, did(1, Outcome::Unlocked));
    assert!(landed.messages.is_empty());
    assert!(
        matches!(ledger.item(effect_id(1)).unwrap().phase(), Phase::InFlight(b) if b.nonce == second)
    );
}

#[test]
fn what_a_returned_nonce_did_is_asked_of_the_chain() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let (first, hash) = send(&mut ledger, unlock(1));
    let _ = ledger.displaced(first, None).unwrap();
    let (second, _) = send(&mut ledger, unlock(1));
    let cancel = attempt_of(ledger.nonce(second).unwrap(), 20, AttemptKind::Cancel);
    let _ = ledger.record_attempt(second, cancel.clone()).unwrap();
    let _ = ledger.retract(effect_id(1), &name("first"), order(2), 0).unwrap();
    // A deep reorg drops the foreign transaction: the first unlock lands after all.
    let _ = ledger.unmined(first).unwrap();
    let _ = confirm(&mut ledger, first, hash, did(1, Outcome::Unlocked));
    let nothing = Execution::Succeeded { outcomes: vec![] };
    let _ = confirm(&mut ledger, second, cancel.hash, nothing);
    assert_eq!(ledger.ready().unsure().collect::<Vec<_>>(), [effect_id(1)]);
    let _ = ledger.found(effect_id(1), true, 9).unwrap();
    assert_eq!(ledger.item(effect_id(1)).unwrap().next_work(), Some(Effect::Revoke));
}

#[test]
fn an_effect_in_two_nonces_after_a_deep_reorg_waits_for_both_fates() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let (first, hash) = send(&mut ledger, unlock(1));
    let _ = ledger.displaced(first, None).unwrap();
    let (second, second_hash) = send(&mut ledger, unlock(1));
    let _ = ledger.unmined(first).unwrap();
    // The later fate is told first: the earlier nonce still carries the effect.
    let _ = confirm(&mut ledger, second, second_hash, did(1, Outcome::Skipped));
    let _ = ledger.retract(effect_id(1), &name("first"), order(2), 0).unwrap();
    assert!(ledger.found(effect_id(1), true, 9).unwrap().is_empty());
    assert_eq!(ledger.item(effect_id(1)).unwrap().next_work(), None);
    let _ = confirm(&mut ledger, first, hash, did(1, Outcome::Unlocked));
    let _ = ledger.found(effect_id(1), true, 9).unwrap();
    assert_eq!(ledger.item(effect_id(1)).unwrap().next_work(), Some(Effect::Revoke));
}

#[test]
fn what_lost_books_said_to_be_there_is_told_to_be_gone_once_nobody_wants_it() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let _ = ledger.said_there(effect_id(1), true).unwrap();
    assert_eq!(ledger.item(effect_id(1)).unwrap().next_work(), Some(Effect::Unlock));
    let _ = ledger.retract(effect_id(1), &name("first"), order(2), 0).unwrap();
    assert!(ledger.item(effect_id(1)).unwrap().needs_check(), "the chain is asked");
    let gone = ledger.found(effect_id(1), false, 9).unwrap();
    assert_eq!(gone.messages[0].state, UnlockState::Revoked);
    assert!(ledger.is_archived(effect_id(1)));

    // Where it is there still, it is told when it was taken off.
    let _ = ask(&mut ledger, 2, "first", OnRetract::Revoke, 3);
    let _ = ledger.said_there(effect_id(2), true).unwrap();
    let _ = ledger.retract(effect_id(2), &name("first"), order(4), 0).unwrap();
    let _ = ledger.found(effect_id(2), true, 9).unwrap();
    assert_eq!(ledger.item(effect_id(2)).unwrap().next_work(), Some(Effect::Revoke));

    // What nobody was told of is gone without a word.
    let _ = ask(&mut ledger, 3, "first", OnRetract::Revoke, 5);
    let settled = ledger.retract(effect_id(3), &name("first"), order(6), 0).unwrap();
    recall(&mut ledger, &settled, 3);
    let _ = ledger.recheck(effect_id(3)).unwrap();
    assert!(ledger.found(effect_id(3), false, 9).unwrap().messages.is_empty());
}

#[test]
fn what_is_in_doubt_and_nobody_wants_is_taken_off_once_a_person_lets_it_be_tried() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let (nonce, hash) = send(&mut ledger, unlock(1));
    let _ = ledger.retract(effect_id(1), &name("first"), order(2), 0).unwrap();
    let _ = confirm(&mut ledger, nonce, hash, did(1, Outcome::Unlocked));
    let _ = ledger.recheck(effect_id(1)).unwrap();
    let why = Rejection { code: "in_doubt".into(), reason: "nobody can be asked".into() };
    let doubted = ledger.doubt(effect_id(1), why).unwrap();
    recall(&mut ledger, &doubted, 1);
    let (forgiven, _) = ledger.retry(effect_id(1), 9).unwrap();
    assert!(forgiven);
    assert_eq!(ledger.item(effect_id(1)).unwrap().next_work(), Some(Effect::Revoke));
}

#[test]
fn three_confirmed_reverts_give_an_item_up_until_it_is_wanted_anew() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let mut last = Changes::default();
    for _ in 0..3 {
        let (nonce, hash) = send(&mut ledger, unlock(1));
        last = confirm(&mut ledger, nonce, hash, reverted());
    }
    assert_eq!(last.messages[0].state, UnlockState::Rejected);
    recall(&mut ledger, &last, 1);
    let retracted = ledger.retract(effect_id(1), &name("first"), order(2), 0).unwrap();
    recall(&mut ledger, &retracted, 1);
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 3);
    let item = ledger.item(effect_id(1)).unwrap();
    assert_eq!((item.next_work(), item.reverts), (Some(Effect::Unlock), 0));
}

#[test]
fn a_rejection_is_of_the_wish_it_was_given_for() {
    let mut ledger = ledger();
    let why = || Rejection { code: "achievement_not_defined".into(), reason: "no 7".into() };
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let rejected = ledger.reject(effect_id(1), why()).unwrap();
    assert_eq!(rejected.messages[0].reason.as_deref(), Some("no 7"));
    recall(&mut ledger, &rejected, 1);
    let told = ask(&mut ledger, 1, "second", OnRetract::Revoke, 2);
    assert_eq!(told.messages[0].state, UnlockState::Rejected);
    recall(&mut ledger, &told, 1);
    let _ = ledger.retract(effect_id(1), &name("first"), order(3), 0).unwrap();
    assert!(ledger.ready().is_empty());
}

#[test]
fn a_nonce_is_given_back_only_before_it_was_signed() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let _ = ask(&mut ledger, 2, "first", OnRetract::Revoke, 2);
    let (nonce, _) = ledger.allocate(unlock(1), call_of(&unlock(1))).unwrap();
    let _ = ledger.release(nonce).unwrap();
    assert_eq!(ledger.next_nonce(), nonce);
    let (first, _) = ledger.allocate(unlock(1), call_of(&unlock(1))).unwrap();
    let (second, _) = send(&mut ledger, unlock(2));
    assert_eq!(ledger.release(second), Err(LedgerError::Signed { nonce: second }));
    // Below a signed nonce it leaves a gap that must be filled.
    let _ = ledger.release(first).unwrap();
    assert!(ledger.reconcile(0, 0).contains(&ReconcileAction::FillGap { nonce: first }));
}

#[test]
fn nonce_ahead_recovers() {
    // A counter far above the chain, with nothing signed up there, comes down.
    let mut ledger = ledger();
    let _ = ledger.move_next_nonce(638).unwrap();
    assert_eq!(ledger.reconcile(5, 5), [ReconcileAction::Rewind { next_nonce: 5 }]);
    let _ = ledger.move_next_nonce(5).unwrap();
    assert!(ledger.reconcile(5, 5).is_empty());
    assert_eq!(ledger.reconcile(7, 9), [ReconcileAction::AdoptForeign { next_nonce: 9 }]);
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let (nonce, hash) = send(&mut ledger, unlock(1));
    assert_eq!(ledger.move_next_nonce(5), Err(LedgerError::Signed { nonce }));
    assert_eq!(ledger.reconcile(5, 5), [ReconcileAction::Rebroadcast { nonce }]);
    assert_eq!(
        ledger.reconcile(6, 6),
        [ReconcileAction::CheckReceipts { nonce, hashes: vec![hash] }]
    );
}

#[test]
fn a_lagging_answer_never_reopens_what_is_finished() {
    let mut ledger = Ledger::new(SIGNER, 0);
    for n in 0..3 {
        let _ = ask(&mut ledger, n, "first", OnRetract::Revoke, 1);
        let (nonce, hash) = send(&mut ledger, unlock(n));
        let _ = confirm(&mut ledger, nonce, hash, did(n, Outcome::Unlocked));
        assert!(ledger.nonce(nonce).is_none(), "finished records are bounded");
    }
    assert!(ledger.reconcile(0, 0).is_empty());
    assert!(ledger.move_next_nonce(1).is_err());
}

#[test]
fn one_request_one_nonce_under_races() {
    // Twice the same request, and two allocations of it in a row.
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    assert!(ask(&mut ledger, 1, "first", OnRetract::Revoke, 1).is_empty());
    let _ = send(&mut ledger, unlock(1));
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 2);
    assert!(ledger.allocate(unlock(1), call_of(&unlock(1))).is_err());
    assert_eq!(ledger.live_nonces().count(), 1);
}

#[test]
fn the_rule_sets_hear_of_the_first_broadcast_once() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let (nonce, hash) = send(&mut ledger, unlock(1));
    assert_eq!(ledger.sent(nonce, hash).unwrap().messages[0].state, UnlockState::Submitted);
    assert!(ledger.sent(nonce, hash).unwrap().is_empty());
}

#[test]
fn contradicting_inputs_are_refused() {
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let (nonce, hash) = send(&mut ledger, unlock(1));
    let stranger = B256::repeat_byte(1);
    assert_eq!(
        ledger.mined(nonce, mined(stranger, reverted())),
        Err(LedgerError::NotAnAttempt { nonce, hash: stranger })
    );
    assert!(matches!(ledger.confirmed(nonce), Err(LedgerError::WrongFate { .. })));
    let _ = confirm(&mut ledger, nonce, hash, did(1, Outcome::Unlocked));
    assert!(ledger.confirmed(nonce).unwrap().is_empty(), "told again, nothing happens");
    assert!(matches!(ledger.displaced(nonce, None), Err(LedgerError::WrongFate { .. })));
    assert!(matches!(ledger.unmined(9), Err(LedgerError::UnknownNonce { .. })));
    assert!(matches!(ledger.nonce(nonce).unwrap().fate, Fate::Confirmed(_)));
}

#[test]
fn broken_records_are_named() {
    let bad = |key: &[u8], value: &[u8]| {
        Ledger::restore(SIGNER, 8, [(key.to_vec(), value.to_vec())]).unwrap_err().to_string()
    };
    assert!(bad(b"meta", b"{").contains("0x6d657461"));
    assert!(bad(b"other", b"{}").contains("no such kind of record"));
    let mut ledger = ledger();
    let _ = ask(&mut ledger, 1, "first", OnRetract::Revoke, 1);
    let (_, changes) = ledger.allocate(unlock(1), call_of(&unlock(1))).unwrap();
    // A nonce without the counter that gave it out.
    let torn = changes.writes.into_iter().filter(|write| write.key != b"meta");
    let torn = torn.map(|write| (write.key, write.value.unwrap()));
    assert!(matches!(Ledger::restore(SIGNER, 8, torn), Err(LedgerError::Contradiction { .. })));
}

//! Who goes first, who goes alone, who waits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy::primitives::{Address, B256, U256};
use proptest::prelude::*;

use super::*;
use crate::{
    domain::{Evidence, UnlockRequest},
    signing::item::{Item, Landing, MessageOrder, OnRetract, Want},
};

const LIMITS: BatchLimits = BatchLimits {
    max_items: 4,
    max_wait_ms: 100,
    revoke_wait_ms: 50,
    max_calldata_bytes: 100_000,
    max_gas: 10_000_000,
    base_gas: 30_000,
    gas_per_item: 100_000,
};

const NONE: Exceptions =
    Exceptions { held: BTreeSet::new(), singles: BTreeSet::new(), closed: BTreeSet::new() };

fn item(n: u8, contract: &str, rule_set: &str, since: u64) -> Item {
    let request = UnlockRequest {
        id: UnlockId(B256::repeat_byte(n)),
        rule_set: Name::new(rule_set).unwrap(),
        achievement: Name::new("voter").unwrap(),
        achievement_id: U256::from(n),
        instance: None,
        contract: Name::new(contract).unwrap(),
        signer: Name::new("awards").unwrap(),
        user: Address::repeat_byte(n),
        on_retract: crate::domain::OnRetract::Revoke,
        urgency: crate::domain::Urgency::Normal,
        evidence: Evidence { rule_version: B256::ZERO, items: vec![], total: 0 },
    };
    let order = MessageOrder { stream_created_unix_ms: 0, sequence: 1 };
    Item::new(Want { request, wanted: true, on_retract: OnRetract::Revoke, order }, since)
}

fn ready(items: &[Item]) -> Ready {
    let mut ready = Ready::default();
    for item in items {
        ready.update(item);
    }
    ready
}

fn ids(numbers: &[u8]) -> Vec<UnlockId> {
    numbers.iter().map(|n| UnlockId(B256::repeat_byte(*n))).collect()
}

fn batch(next: Next) -> Vec<UnlockId> {
    match next {
        Next::Batch { items, .. } => items,
        other => panic!("{other:?} is no batch"),
    }
}

#[test]
fn a_batch_goes_when_it_is_full_or_its_oldest_waited_long_enough() {
    let items: Vec<Item> = (1..=3).map(|n| item(n, "awards", "votes", u64::from(n))).collect();
    let mut batcher = Batcher::default();
    assert_eq!(batcher.next(&ready(&[]), &LIMITS, &NONE, 0), Next::Idle);
    assert_eq!(batcher.next(&ready(&items), &LIMITS, &NONE, 50), Next::WaitUntil(101));
    assert_eq!(batch(batcher.next(&ready(&items), &LIMITS, &NONE, 101)), ids(&[1, 2, 3]));
    let full: Vec<Item> = (1..=6).map(|n| item(n, "awards", "votes", u64::from(n))).collect();
    assert_eq!(batch(batcher.next(&ready(&full), &LIMITS, &NONE, 7)), ids(&[1, 2, 3, 4]));
}

#[test]
fn a_flood_from_one_rule_set_delays_only_itself() {
    let mut items: Vec<Item> = (1..=50).map(|n| item(n, "awards", "flood", 0)).collect();
    items.push(item(100, "awards", "quiet", 9));
    items.push(item(101, "awards", "quiet", 8));
    let chosen = batch(Batcher::default().next(&ready(&items), &LIMITS, &NONE, 10));
    assert_eq!(chosen, ids(&[1, 101, 2, 100]));
}

#[test]
fn rule_sets_take_turns_at_the_first_place_too() {
    let one = BatchLimits { max_items: 1, ..LIMITS };
    let items = [item(1, "awards", "alpha", 0), item(2, "awards", "beta", 0)];
    let mut batcher = Batcher::default();
    let ready = ready(&items);
    let turns: Vec<_> = (0..4).map(|_| batch(batcher.next(&ready, &one, &NONE, 0))[0]).collect();
    assert_eq!(turns, ids(&[1, 2, 1, 2]));
}

#[test]
fn a_transaction_calls_one_contract() {
    let items = [
        item(1, "awards", "votes", 1),
        item(2, "badges", "votes", 0),
        item(3, "awards", "votes", 2),
    ];
    let next = Batcher::default().next(&ready(&items), &LIMITS, &NONE, 200);
    assert_eq!(next, Next::Batch { contract: Name::new("badges").unwrap(), items: ids(&[2]) });
}

#[test]
fn revokes_go_first_and_suspects_alone_in_turn_with_batches() {
    let mut suspects = [item(1, "awards", "votes", 0), item(2, "awards", "votes", 0)];
    for suspect in &mut suspects {
        suspect.suspect = true;
    }
    let mut items = suspects.to_vec();
    items.push(item(3, "awards", "votes", 0));
    let mut revoked = item(4, "awards", "votes", 5);
    let mut batcher = Batcher::default();
    let order = |n| MessageOrder { stream_created_unix_ms: 0, sequence: n };
    revoked.landed = Some(Landing { tx_hash: None, block: 1 });
    assert!(revoked.retract(&Name::new("votes").unwrap(), order(2), 100));
    let with_revoke = ready(&[&items[..], &[revoked]].concat());
    // Its wish may come back: others go on meanwhile.
    assert_eq!(batcher.next(&with_revoke, &LIMITS, &NONE, 149), Next::Single(ids(&[1])[0]));
    let mut batcher = Batcher::default();
    assert_eq!(batcher.next(&with_revoke, &LIMITS, &NONE, 200), Next::Revoke(ids(&[4])[0]));
    let ready = ready(&items);
    assert_eq!(batcher.next(&ready, &LIMITS, &NONE, 200), Next::Single(ids(&[1])[0]));
    assert_eq!(batch(batcher.next(&ready, &LIMITS, &NONE, 200)), ids(&[3]));
    assert_eq!(batcher.next(&ready, &LIMITS, &NONE, 200), Next::Single(ids(&[1])[0]));
}

fn urgent(n: u8, urgency: Urgency, since: u64) -> Item {
    let mut item = item(n, "awards", "votes", since);
    let mut request = item.request().clone();
    request.urgency = urgency;
    let order = MessageOrder { stream_created_unix_ms: 0, sequence: 2 };
    let want = Want { request, wanted: true, on_retract: OnRetract::Revoke, order };
    assert!(item.request_again(want, since));
    item
}

#[test]
fn what_is_urgent_goes_first_and_at_once_and_starves_nobody() {
    let one = BatchLimits { max_items: 1, ..LIMITS };
    let low = urgent(1, Urgency::Low, 0);
    let normal = urgent(2, Urgency::Normal, 10);
    let next = |items: &[Item], now| Batcher::default().next(&ready(items), &LIMITS, &NONE, now);
    assert_eq!(next(std::slice::from_ref(&low), 500), Next::WaitUntil(1_000));
    assert_eq!(next(&[low.clone(), normal.clone()], 50), Next::WaitUntil(110));
    let high = urgent(3, Urgency::High, 40);
    let all = [low, normal, high];
    assert_eq!(batch(next(&all, 50)), ids(&[3, 2, 1]), "the others fill the batch");
    let first = |now| batch(Batcher::default().next(&ready(&all), &one, &NONE, now));
    assert_eq!(first(1_000), ids(&[3]));
    assert_eq!(first(STARVING_MS), ids(&[1]), "it waited for too long");
}

#[test]
fn a_held_rule_set_waits_and_the_others_go_on() {
    let mut suspect = item(2, "awards", "alpha", 0);
    suspect.suspect = true;
    let mut revoked = item(3, "awards", "alpha", 0);
    revoked.landed = Some(Landing { tx_hash: None, block: 1 });
    let order = MessageOrder { stream_created_unix_ms: 0, sequence: 2 };
    assert!(revoked.retract(&Name::new("alpha").unwrap(), order, 0));
    let items = [item(1, "awards", "alpha", 0), suspect, revoked, item(4, "awards", "beta", 0)];
    let held = BTreeSet::from([Name::new("alpha").unwrap()]);
    let held = Exceptions { held, ..NONE };
    let mut batcher = Batcher::default();
    assert_eq!(batch(batcher.next(&ready(&items), &LIMITS, &held, 1_000)), ids(&[4]));
    assert_eq!(batcher.next(&ready(&items[..3]), &LIMITS, &held, 1_000), Next::Idle);
    assert_eq!(batcher.next(&ready(&items), &LIMITS, &NONE, 1_000), Next::Revoke(ids(&[3])[0]));
}

#[test]
fn a_closed_contract_holds_no_other() {
    let mut suspect = item(2, "shut", "votes", 0);
    suspect.suspect = true;
    let items = [item(1, "shut", "votes", 0), suspect, item(3, "open", "votes", 0)];
    let closed = BTreeSet::from([Name::new("shut").unwrap()]);
    let exceptions = Exceptions { closed, ..NONE };
    let mut batcher = Batcher::default();
    assert_eq!(batch(batcher.next(&ready(&items), &LIMITS, &exceptions, 500)), ids(&[3]));
    assert_eq!(batcher.next(&ready(&items[..2]), &LIMITS, &exceptions, 500), Next::Idle);
}

#[test]
fn a_contract_without_a_batch_gets_one_item_a_call_and_at_once() {
    let items = [item(1, "plain", "votes", 0), item(2, "plain", "votes", 1)];
    let singles = BTreeSet::from([Name::new("plain").unwrap()]);
    let alone = Exceptions { singles, ..NONE };
    assert_eq!(batch(Batcher::default().next(&ready(&items), &LIMITS, &alone, 2)), ids(&[1]));
}

#[test]
fn a_settled_item_leaves_its_queue() {
    let mut waiting = item(1, "awards", "votes", 0);
    let mut ready = ready(std::slice::from_ref(&waiting));
    assert_eq!(ready.len(), 1);
    waiting.suspect = true;
    ready.update(&waiting);
    assert_eq!((ready.len(), ready.suspects.len(), ready.lanes.len()), (1, 1, 0));
    waiting.landed = Some(Landing { tx_hash: None, block: 1 });
    ready.update(&waiting);
    assert!(ready.is_empty() && ready.suspects.is_empty());
}

#[test]
fn an_item_that_fits_nowhere_still_reaches_the_simulation() {
    let none = BatchLimits { max_gas: 0, max_calldata_bytes: 0, max_items: 0, ..LIMITS };
    assert_eq!(none.capacity(), 1);
}

proptest! {
    #[test]
    fn a_batch_keeps_its_bounds_and_everyone_is_served(
        items in prop::collection::vec((0..3_u8, 0..2_u8, 0..50_u64), 1..60),
        max_items in 1..12_usize, max_calldata in 300..4_000_usize, max_gas in 130_000..2_000_000_u64,
    ) {
        let limits = BatchLimits {
            max_items, max_calldata_bytes: max_calldata, max_gas, max_wait_ms: 0, ..LIMITS
        };
        let mut all: Vec<Item> = items
            .iter()
            .zip(1..)
            .map(|((rule_set, contract, since), n)| {
                item(n, &format!("c{contract}"), &format!("r{rule_set}"), *since)
            })
            .collect();
        let mut batcher = Batcher::default();
        let mut ready = ready(&all);
        let mut rounds = 0;
        while !ready.is_empty() {
            let chosen = batch(batcher.next(&ready, &limits, &NONE, 100));
            prop_assert!(!chosen.is_empty() && chosen.len() <= max_items);
            if chosen.len() > 1 {
                prop_assert!(calls::unlock_calldata_len(chosen.len()) <= max_calldata);
                prop_assert!(limits.base_gas + limits.gas_per_item * chosen.len() as u64 <= max_gas);
            }
            for id in chosen {
                let taken = all.iter_mut().find(|item| item.id == id).unwrap();
                prop_assert!(taken.landed.is_none(), "chosen twice");
                taken.landed = Some(Landing { tx_hash: None, block: 0 });
                ready.update(taken);
            }
            rounds += 1;
            prop_assert!(rounds <= items.len());
        }
    }
}

//! The diagram of the module's text, and what holds for every life.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, Bytes};
use proptest::prelude::*;

use super::*;
use crate::{
    domain::{BlockRef, TransactionState},
    signing::ledger::{Attempt, AttemptKind, Call, Purpose},
};

const NONCE: u64 = 5;
const PACE: Pace = Pace { rebroadcast_every_s: 10, bump_after_s: 60, give_up_after_s: Some(500) };

fn hash(n: u8) -> B256 {
    B256::repeat_byte(n)
}

fn bytes(n: u8) -> SignedBytes {
    SignedBytes { hash: hash(n), raw: Bytes::copy_from_slice(&[n]) }
}

fn machine() -> Lifecycle {
    let attempt = Attempt {
        hash: hash(1),
        raw: bytes(1).raw,
        kind: AttemptKind::Effect,
        max_fee_per_gas: 1,
        max_priority_fee_per_gas: 1,
        signed_at_unix_s: 0,
    };
    let record = NonceRecord {
        nonce: NONCE,
        purpose: Purpose::FillGap,
        call: Call { to: Address::ZERO, calldata: Bytes::new(), gas_limit: 21_000 },
        attempts: vec![attempt],
        sent: false,
        fate: Fate::Open,
    };
    Lifecycle::new(&record, PACE, 0).unwrap()
}

fn receipt(attempt: u8, number: u64, fork: u8) -> Receipt {
    let block = BlockRef { number, hash: hash(fork), parent_hash: B256::ZERO, time: number };
    Receipt { hash: hash(attempt), block, success: true }
}

fn heads(head: u64) -> Heads {
    Heads { head, confirmed: head.saturating_sub(2) }
}

fn looked(head: u64, latest_nonce: u64, found: Lookup) -> Input {
    Input::LookedUp { heads: heads(head), latest_nonce, found }
}

fn answer(attempt: u8, outcome: SendOutcome) -> Input {
    Input::SendAnswer { hash: hash(attempt), outcome, now_unix_s: 1 }
}

fn replacement(n: u8) -> Input {
    Input::Signed { attempt: bytes(n), now_unix_s: 1 }
}

fn reports(outputs: &[Output]) -> Vec<Report> {
    let report = |output: &Output| match output {
        Output::Report(report) => Some(report.clone()),
        _ => None,
    };
    outputs.iter().filter_map(report).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Signed,
    Sent,
    Mined,
    Confirmed,
    Displaced,
}

fn node(state: State) -> Node {
    match state {
        State::Signed => Node::Signed,
        State::Sent => Node::Sent,
        State::Mined(_) => Node::Mined,
        State::Confirmed(_) => Node::Confirmed,
        State::Displaced => Node::Displaced,
    }
}

/// The diagram's arrows between different states. A block that is deep
/// already when it is first seen is reported as mined and confirmed at once.
fn arrows() -> BTreeSet<(Node, Node)> {
    use Node::{Confirmed, Displaced, Mined, Sent, Signed};
    [
        (Signed, Sent),
        (Sent, Signed),
        (Signed, Mined),
        (Sent, Mined),
        (Mined, Sent),
        (Mined, Confirmed),
        (Signed, Displaced),
        (Sent, Displaced),
    ]
    .into()
}

#[test]
fn every_arrow_of_the_diagram_happens() {
    let sent = || answer(1, SendOutcome::Accepted);
    let mined = || looked(9, 6, Lookup::Mined(receipt(1, 9, 0)));
    let foreign = |head| looked(head, 6, Lookup::Unknown);
    let lives: &[(&str, Vec<Input>, Vec<Report>, Node)] = &[
        ("a node takes it", vec![sent()], vec![Report::Sent { hash: hash(1) }], Node::Sent),
        (
            "a node has it already",
            vec![answer(1, SendOutcome::AlreadyKnown)],
            vec![Report::Sent { hash: hash(1) }],
            Node::Sent,
        ),
        (
            "it is seen in a pool",
            vec![looked(9, 5, Lookup::Pending)],
            vec![Report::Sent { hash: hash(1) }],
            Node::Sent,
        ),
        (
            "dropped",
            vec![sent(), looked(9, 5, Lookup::Unknown)],
            vec![Report::Dropped { hash: hash(1) }],
            Node::Signed,
        ),
        (
            "replaced",
            vec![sent(), replacement(2)],
            vec![Report::Replaced { old: hash(1), new: hash(2) }],
            Node::Signed,
        ),
        (
            "in a block, the answer was lost",
            vec![mined()],
            vec![Report::Mined(receipt(1, 9, 0))],
            Node::Mined,
        ),
        ("in a block", vec![sent(), mined()], vec![Report::Mined(receipt(1, 9, 0))], Node::Mined),
        (
            "the replaced attempt is in a block",
            vec![sent(), replacement(2), mined()],
            vec![Report::Mined(receipt(1, 9, 0))],
            Node::Mined,
        ),
        (
            "reverted",
            vec![looked(9, 6, Lookup::Mined(Receipt { success: false, ..receipt(1, 9, 0) }))],
            vec![Report::Mined(Receipt { success: false, ..receipt(1, 9, 0) })],
            Node::Mined,
        ),
        (
            "reorged",
            vec![mined(), looked(10, 5, Lookup::Unknown)],
            vec![Report::Unmined { was: receipt(1, 9, 0) }],
            Node::Sent,
        ),
        (
            "in another block",
            vec![mined(), looked(10, 6, Lookup::Mined(receipt(1, 10, 1)))],
            vec![Report::Unmined { was: receipt(1, 9, 0) }, Report::Mined(receipt(1, 10, 1))],
            Node::Mined,
        ),
        (
            "deep enough",
            vec![mined(), looked(11, 6, Lookup::Mined(receipt(1, 9, 0)))],
            vec![Report::Confirmed(receipt(1, 9, 0))],
            Node::Confirmed,
        ),
        (
            "deep when first seen",
            vec![looked(99, 6, Lookup::Mined(receipt(1, 9, 0)))],
            vec![Report::Mined(receipt(1, 9, 0)), Report::Confirmed(receipt(1, 9, 0))],
            Node::Confirmed,
        ),
        (
            "foreign, before it was sent",
            vec![foreign(9), foreign(11)],
            vec![Report::Displaced],
            Node::Displaced,
        ),
        (
            "foreign, after it was sent",
            vec![sent(), foreign(9), foreign(11)],
            vec![Report::Displaced],
            Node::Displaced,
        ),
    ];
    let mut seen = BTreeSet::new();
    for (life, inputs, last_reports, end) in lives {
        let mut machine = machine();
        let mut last = Vec::new();
        for input in inputs.clone() {
            let from = node(machine.state());
            last = machine.step(input);
            seen.insert((from, node(machine.state())));
        }
        assert_eq!(&reports(&last), last_reports, "{life}");
        assert_eq!(node(machine.state()), *end, "{life}");
    }
    seen.retain(|(from, to)| from != to);
    seen.remove(&(Node::Signed, Node::Confirmed));
    assert_eq!(seen, arrows());
}

#[test]
fn the_page_shows_every_arrow() {
    const PAGE: &str = include_str!("../../../docs/transactions.md");
    let named = |text: &str| {
        use Node::{Confirmed, Displaced, Mined, Sent, Signed};
        let all = [Signed, Sent, Mined, Confirmed, Displaced];
        all.into_iter().find(|node| format!("{node:?}") == text)
    };
    let shown = PAGE.lines().filter_map(|line| {
        let (way, _) = line.trim().split_once(':')?;
        let (from, to) = way.split_once(" --> ")?;
        Some((named(from)?, named(to)?))
    });
    assert_eq!(shown.collect::<BTreeSet<_>>(), arrows());
    for state in TransactionState::ALL {
        assert!(PAGE.contains(&format!("| `{}` |", state.as_str())), "{state:?}");
    }
}

#[test]
fn a_mined_transaction_is_not_unlocked_before_depth() {
    let mut machine = machine();
    let mined = Lookup::Mined(receipt(1, 9, 0));
    for head in [9, 10] {
        let _ = machine.step(looked(head, 6, mined));
        assert_eq!(node(machine.state()), Node::Mined);
    }
    let _ = machine.step(looked(11, 6, mined));
    assert_eq!(node(machine.state()), Node::Confirmed);
    assert!(machine.step(Input::Tick { now_unix_s: 99 }).is_empty(), "a final state is final");
}

#[test]
fn a_lagging_endpoint_proves_nothing() {
    let mut machine = machine();
    let _ = machine.step(looked(9, 6, Lookup::Mined(receipt(1, 9, 0))));
    assert!(machine.step(looked(8, 5, Lookup::Unknown)).is_empty());
    assert_eq!(node(machine.state()), Node::Mined);
}

#[test]
fn a_foreign_nonce_is_believed_only_at_depth() {
    let mut machine = machine();
    let _ = machine.step(looked(9, 6, Lookup::Unknown));
    let _ = machine.step(looked(10, 6, Lookup::Unknown));
    // The foreign transaction was orphaned: the count starts anew.
    let _ = machine.step(looked(11, 5, Lookup::Unknown));
    let _ = machine.step(looked(12, 6, Lookup::Unknown));
    let _ = machine.step(looked(13, 6, Lookup::Unknown));
    assert_eq!(node(machine.state()), Node::Signed);
    let _ = machine.step(looked(14, 6, Lookup::Unknown));
    assert_eq!(node(machine.state()), Node::Displaced);
}

#[test]
fn ambiguous_send_never_recycled() {
    let mut machine = machine();
    let _ = machine.step(answer(1, SendOutcome::UnknownFate));
    assert_eq!(machine.state(), State::Signed);
    let outputs = machine.step(Input::Tick { now_unix_s: 11 });
    assert_eq!(outputs[0], Output::Broadcast(bytes(1)));
    assert_eq!(outputs[1], Output::LookUp(vec![hash(1)]));
}

#[test]
fn nonce_too_low_asks_the_chain_which_transaction_it_was() {
    let mut machine = machine();
    let outputs = machine.step(answer(1, SendOutcome::NonceTooLow));
    assert_eq!(outputs, [Output::LookUp(vec![hash(1)])]);
}

#[test]
fn a_stuck_transaction_is_bumped_once_at_a_time() {
    let mut machine = machine();
    let bumps = |outputs: Vec<Output>| outputs.iter().filter(|o| **o == Output::Bump).count();
    assert_eq!(bumps(machine.step(Input::Tick { now_unix_s: 59 })), 0);
    assert_eq!(bumps(machine.step(Input::Tick { now_unix_s: 60 })), 1);
    assert_eq!(bumps(machine.step(Input::Tick { now_unix_s: 61 })), 0);
    // No answer came, as when the signer was restarted: asked again.
    assert_eq!(bumps(machine.step(Input::Tick { now_unix_s: 120 })), 1);
    let outputs = machine.step(Input::BumpRefused);
    assert_eq!(reports(&outputs), [Report::Stuck(StuckReason::AtCap)]);
    assert_eq!(bumps(machine.step(Input::Tick { now_unix_s: 121 })), 0);
    // Fees may have fallen: asked again, as patiently as before.
    assert_eq!(bumps(machine.step(Input::Tick { now_unix_s: 180 })), 1);
    let outputs = machine.step(Input::Signed { attempt: bytes(2), now_unix_s: 182 });
    assert!(outputs.contains(&Output::Broadcast(bytes(2))));
    assert_eq!(machine.stuck(), None);
    assert_eq!(bumps(machine.step(Input::Tick { now_unix_s: 241 })), 0);
}

#[test]
fn what_no_node_will_take_is_cancelled_at_its_own_nonce() {
    let refused = SendOutcome::NeverAcceptable { reason: "intrinsic gas too low".into() };
    let mut machine = machine();
    let outputs = machine.step(answer(1, refused.clone()));
    assert_eq!(outputs, [Output::Report(Report::Refused(refused.clone())), Output::Cancel]);
    assert!(machine.step(answer(1, refused)).is_empty(), "asked once");
}

#[test]
fn an_answer_about_an_outbid_attempt_changes_nothing() {
    let mut machine = machine();
    let _ = machine.step(replacement(2));
    assert!(machine.step(answer(1, SendOutcome::Accepted)).is_empty());
    assert_eq!(machine.state(), State::Signed);
}

#[test]
fn each_refusal_has_its_answer() {
    let stuck = |reason| vec![Output::Report(Report::Stuck(reason))];
    let cases = [
        (SendOutcome::NonceTooHigh, vec![Output::Report(Report::Gap)]),
        (SendOutcome::ReplacementUnderpriced, vec![Output::Bump]),
        (SendOutcome::FeeTooLow, vec![Output::Bump]),
        (SendOutcome::AboveNodeCap, stuck(StuckReason::AboveNodeCap)),
        (SendOutcome::InsufficientFunds, stuck(StuckReason::InsufficientFunds)),
        (SendOutcome::SenderLimit, stuck(StuckReason::SenderLimit)),
        (SendOutcome::PoolFull, stuck(StuckReason::PoolFull)),
        (SendOutcome::RateLimited, vec![]),
        (SendOutcome::UnknownFate, vec![]),
    ];
    for (outcome, outputs) in cases {
        assert_eq!(machine().step(answer(1, outcome.clone())), outputs, "{outcome:?}");
    }
}

#[test]
fn what_cannot_be_outbid_for_too_long_is_cancelled() {
    let asks = |machine: &mut Lifecycle, now_unix_s| -> Vec<Output> {
        let outputs = machine.step(Input::Tick { now_unix_s });
        outputs.into_iter().filter(|it| matches!(it, Output::Bump | Output::Cancel)).collect()
    };
    let mut machine = machine();
    // A transaction that only waits for its block is not given up.
    assert_eq!(asks(&mut machine, 600), [Output::Bump]);
    let _ = machine.step(Input::BumpRefused);
    assert_eq!(machine.stuck(), Some(StuckReason::AtCap));
    assert_eq!(asks(&mut machine, 650), []);
    assert_eq!(asks(&mut machine, 660), [Output::Cancel]);
    // Where nobody asks for that it waits for fees to fall.
    machine.pace.give_up_after_s = None;
    let _ = machine.step(Input::BumpRefused);
    assert_eq!(asks(&mut machine, 720), [Output::Bump]);
}

#[test]
fn what_is_held_is_watched_and_not_sent() {
    let mut machine = machine();
    assert!(machine.step(Input::Held(true)).is_empty());
    let look_up = Output::LookUp(vec![hash(1)]);
    let outputs = machine.step(Input::Tick { now_unix_s: 500 });
    assert_eq!(outputs, std::slice::from_ref(&look_up));
    assert!(machine.step(answer(1, SendOutcome::FeeTooLow)).is_empty());
    assert_eq!(reports(&machine.step(looked(9, NONCE, Lookup::Pending))).len(), 1);
    // Dropped meanwhile.
    let outputs = machine.step(looked(9, NONCE, Lookup::Unknown));
    assert_eq!(outputs, [Output::Report(Report::Dropped { hash: hash(1) })]);
    let _ = machine.step(Input::Tick { now_unix_s: 500 });
    assert!(machine.step(Input::Held(false)).is_empty());
    // At once, and without a bump for the time that it was held.
    let outputs = machine.step(Input::Tick { now_unix_s: 501 });
    assert_eq!(outputs, [Output::Broadcast(bytes(1)), look_up]);
}

fn any_input() -> impl Strategy<Value = Input> {
    let outcome = prop_oneof![
        Just(SendOutcome::Accepted),
        Just(SendOutcome::NonceTooLow),
        Just(SendOutcome::ReplacementUnderpriced),
        Just(SendOutcome::UnknownFate),
        Just(SendOutcome::NeverAcceptable { reason: String::new() }),
        Just(SendOutcome::InsufficientFunds),
    ];
    let found = prop_oneof![
        Just(Lookup::Unknown),
        Just(Lookup::Pending),
        (1..4_u8, 0..20_u64, 0..3_u8).prop_map(|(a, n, f)| Lookup::Mined(receipt(a, n, f))),
    ];
    prop_oneof![
        (0..500_u64).prop_map(|now_unix_s| Input::Tick { now_unix_s }),
        (1..4_u8, outcome).prop_map(|(attempt, outcome)| answer(attempt, outcome)),
        (0..20_u64, 4..8_u64, found).prop_map(|(head, latest, found)| looked(head, latest, found)),
        (1..4_u8).prop_map(replacement),
        Just(Input::BumpRefused),
        any::<bool>().prop_map(Input::Held),
    ]
}

proptest! {
    #[test]
    fn no_input_leaves_the_diagram(inputs in prop::collection::vec(any_input(), 0..60)) {
        let mut machine = machine();
        let mut signed = BTreeSet::from([hash(1)]);
        for input in inputs {
            let from = node(machine.state());
            if let Input::Signed { attempt, .. } = &input
                && !matches!(from, Node::Confirmed | Node::Displaced)
            {
                signed.insert(attempt.hash);
            }
            let outputs = machine.step(input);
            let to = node(machine.state());
            let at_once = to == Node::Confirmed
                && reports(&outputs).iter().any(|r| matches!(r, Report::Mined(_)));
            prop_assert!(from == to || at_once || arrows().contains(&(from, to)), "{from:?} -> {to:?}");
            // Only what was signed for this nonce is ever broadcast or counted.
            for output in &outputs {
                match output {
                    Output::Broadcast(sent) => prop_assert!(signed.contains(&sent.hash)),
                    Output::Report(Report::Mined(r) | Report::Confirmed(r)) => {
                        prop_assert!(signed.contains(&r.hash));
                    }
                    _ => {}
                }
            }
        }
        // A chain that behaves from now on brings every life to its end.
        if !matches!(node(machine.state()), Node::Confirmed | Node::Displaced) {
            let _ = machine.step(looked(1_000, 6, Lookup::Mined(receipt(1, 900, 9))));
            prop_assert_eq!(node(machine.state()), Node::Confirmed);
        }
    }
}

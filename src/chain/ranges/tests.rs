#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy::rpc::types::Log;
use proptest::prelude::*;

use super::*;

const NONE: Volume = Volume { logs: 0, bytes: 0 };

fn structural(hint: RangeHint) -> RangeFailure {
    RangeFailure::TooLarge { cap: RangeCap::Structural, hint }
}

fn dense(hint: RangeHint) -> RangeFailure {
    RangeFailure::TooLarge { cap: RangeCap::Density, hint }
}

fn blocks(n: u64) -> RangeHint {
    RangeHint { blocks: Some(n), range: None }
}

/// Answers of `logs_per_block` at the policy's own width.
fn succeed(policy: &mut RangePolicy, times: u32, logs_per_block: u64) {
    for _ in 0..times {
        let width = policy.width();
        policy.succeeded(0, width - 1, Volume { logs: width * logs_per_block, bytes: 0 });
    }
}

#[test]
fn a_structural_cap_is_kept_for_good() {
    let mut policy = RangePolicy::new(10_000);
    let retry = policy.failed(100, 10_099, structural(blocks(2048)));
    assert_eq!(retry, Retry::Narrower { to: 2147 });
    succeed(&mut policy, 5000, 0);
    // Another node behind the same URL allows more; an answer that was under
    // way proves it. It is no proof for the first one.
    policy.succeeded(0, 9_999, NONE);
    assert_eq!(policy.width(), 2048);
    policy.failed(0, 2047, structural(blocks(5000)));
    assert!(policy.width() < 2048);
}

#[test]
fn a_structural_cap_without_a_number_is_found_from_below_and_never_tried_again() {
    let (cap, mut refusals) = (1500, 0);
    let mut policy = RangePolicy::new(10_000);
    for _ in 0..1000 {
        let width = policy.width();
        if width > cap {
            policy.failed(0, width - 1, structural(RangeHint::default()));
            refusals += 1;
        } else {
            policy.succeeded(0, width - 1, NONE);
        }
    }
    assert!((1200..=cap).contains(&policy.width()), "{}", policy.width());
    assert!(refusals <= 12, "{refusals}");
}

#[test]
fn a_dense_stretch_is_left_behind() {
    let mut policy = RangePolicy::new(1000);
    assert_eq!(policy.failed(0, 999, dense(RangeHint::default())), Retry::Narrower { to: 499 });
    assert_eq!(policy.failed(0, 499, dense(RangeHint::default())), Retry::Narrower { to: 249 });
    succeed(&mut policy, 20, 5);
    assert!((400..500).contains(&policy.width()), "what failed is approached, not tried at once");
    // Where blocks are emptier, it is known to mean less.
    succeed(&mut policy, 6, 1);
    assert_eq!(policy.width(), 1000);
}

#[test]
fn a_limit_that_stays_is_run_into_ever_more_seldom() {
    let mut policy = RangePolicy::new(10_000);
    let mut refused_at = Vec::new();
    for call in 0..20_000 {
        let width = policy.width();
        if width > 700 {
            policy.failed(0, width - 1, RangeFailure::Unknown);
            refused_at.push(call);
        } else {
            policy.succeeded(0, width - 1, NONE);
        }
    }
    assert!(refused_at.len() < 60, "{}", refused_at.len());
    let late = refused_at.iter().filter(|call| **call >= 10_000).count();
    assert!(late <= 24, "{late} of {refused_at:?}");
    assert!(policy.width() > 500);
}

#[test]
fn answers_are_kept_near_their_target_without_refusals() {
    let mut policy = RangePolicy::new(10_000);
    policy.succeeded(0, 9_999, Volume { logs: 10 * RangePolicy::TARGET_LOGS, bytes: 0 });
    assert_eq!(policy.width(), 1000);
    let mut policy = RangePolicy::new(10_000);
    policy.succeeded(0, 99, Volume { logs: 1, bytes: 2 * RangePolicy::TARGET_BYTES });
    assert_eq!(policy.width(), 50, "a narrow answer tells of density, too");
    for logs_per_block in [3, 200, 20, 1] {
        succeed(&mut policy, 40, logs_per_block);
        let logs = policy.width() * logs_per_block;
        assert!(logs <= RangePolicy::TARGET_LOGS, "{logs_per_block}: {logs}");
        assert!(logs * 3 >= RangePolicy::TARGET_LOGS, "{logs_per_block}: {logs}");
    }
}

#[test]
fn a_timeout_narrows_most_and_a_breakdown_only_when_it_repeats() {
    let mut policy = RangePolicy::new(1000);
    policy.failed(0, 999, RangeFailure::Broken);
    assert_eq!(policy.width(), 1000);
    policy.failed(0, 999, RangeFailure::Broken);
    assert_eq!(policy.width(), 500);
    succeed(&mut policy, 1, 0);
    assert_eq!(policy.width(), 1000, "an outage leaves nothing behind");
    policy.failed(0, 999, RangeFailure::TimedOut);
    assert_eq!(policy.width(), 250);
}

#[test]
fn calls_under_way_together_narrow_once() {
    let mut policy = RangePolicy::new(1000);
    for from in [0, 1000, 2000, 3000] {
        let retry = policy.failed(from, from + 999, dense(RangeHint::default()));
        assert_eq!(retry, Retry::Narrower { to: from + 499 });
    }
    assert_eq!(policy.width(), 500);
}

#[test]
fn hints_that_do_not_shrink_or_start_elsewhere_are_not_believed() {
    for range in [(0, 13_648_824), (900, 100), (5000, 5001), (1, 400)] {
        let mut policy = RangePolicy::new(1000);
        policy.failed(0, 999, dense(RangeHint { blocks: Some(2000), range: Some(range) }));
        assert_eq!(policy.width(), 500, "{range:?}");
    }
    for absurd in [0, 1, 1001, u64::MAX] {
        let mut policy = RangePolicy::new(1000);
        policy.failed(0, 999, structural(blocks(absurd)));
        assert_eq!(policy.width(), 500, "{absurd}");
    }
}

#[test]
fn a_limit_that_counts_one_less_is_believed_once_but_an_echo_is_not() {
    let mut policy = RangePolicy::new(500);
    // "Up to 500 blocks" of one that means fewer than 500.
    assert_eq!(policy.failed(0, 499, structural(blocks(500))), Retry::Narrower { to: 498 });
    // One that repeats what was asked would take a block off each time.
    assert_eq!(policy.failed(0, 498, structural(blocks(498))), Retry::Narrower { to: 248 });
}

#[test]
fn one_block_that_is_too_much_is_read_by_its_receipts() {
    let mut policy = RangePolicy::new(1);
    assert_eq!(policy.failed(7, 7, RangeFailure::Unknown), Retry::Receipts);
    assert_eq!(policy.failed(8, 8, RangeFailure::TimedOut), Retry::Receipts);
}

#[test]
fn where_every_block_is_refused_logs_are_asked_for_ever_more_seldom() {
    let mut policy = RangePolicy::new(1000);
    let (mut from, mut logs, mut receipts) = (0, 0, 0);
    while from < 1000 {
        let mut read = policy.read(&LogFilter::default(), from, 999);
        while let Some(ask) = read.next() {
            match ask {
                Ask::Logs { .. } => {
                    logs += 1;
                    assert!(read.refused(&mut policy, RangeFailure::Unknown));
                }
                Ask::Receipts { .. } => {
                    receipts += 1;
                    read.answered(&mut policy, vec![], 2);
                }
            }
        }
        from = read.through() + 1;
    }
    assert_eq!(receipts, 1000);
    assert!(logs < 40, "{logs}");
}

#[test]
fn one_full_block_does_not_slow_down_what_follows() {
    let mut policy = RangePolicy::new(1000);
    let full = 300;
    let (mut from, mut calls) = (0, 0);
    while from < 10_000 {
        let mut read = policy.read(&LogFilter::default(), from, 9_999);
        while let Some(ask) = read.next() {
            calls += 1;
            match ask {
                Ask::Logs { from, to, .. } if (from..=to).contains(&full) => {
                    assert!(read.refused(&mut policy, dense(RangeHint::default())));
                }
                Ask::Logs { .. } => read.answered(&mut policy, vec![], 2),
                Ask::Receipts { .. } => {
                    read.answered(&mut policy, vec![Log::default(); 20_000], 2);
                }
            }
        }
        from = read.through() + 1;
    }
    assert!(calls < 60, "{calls}");
}

#[test]
fn receipts_that_are_refused_too_end_the_reading_and_logs_are_tried_again() {
    let mut policy = RangePolicy::new(1);
    let mut read = policy.read(&LogFilter::default(), 5, 5);
    assert!(read.refused(&mut policy, RangeFailure::TimedOut));
    let again = policy.read(&LogFilter::default(), 5, 9);
    assert_eq!(again.next(), Some(Ask::Receipts { block: 5 }), "it is remembered");
    assert!(!read.refused(&mut policy, RangeFailure::Unknown));
    let again = policy.read(&LogFilter::default(), 5, 9);
    assert!(matches!(again.next(), Some(Ask::Logs { .. })));
}

#[test]
fn a_refused_hash_is_not_asked_for_again_at_once() {
    let mut policy = RangePolicy::new(1);
    assert!(policy.asks_by_hash());
    policy.hash_refused();
    assert_eq!((0..200).filter(|_| policy.asks_by_hash()).count(), 200 - HASH_REST as usize);
}

fn any_failure() -> impl Strategy<Value = RangeFailure> {
    let cap = prop_oneof![Just(RangeCap::Structural), Just(RangeCap::Density)];
    let number = || prop_oneof![0u64..3000, any::<u64>()];
    let hint = (prop::option::of(number()), prop::option::of((number(), number())));
    prop_oneof![
        4 => (cap, hint).prop_map(|(cap, (blocks, range))| RangeFailure::TooLarge {
            cap,
            hint: RangeHint { blocks, range },
        }),
        1 => Just(RangeFailure::Unknown),
        1 => Just(RangeFailure::TimedOut),
        1 => Just(RangeFailure::TooManyAddresses(FilterHint::default())),
    ]
}

proptest! {
    /// Whatever a hint says, what is asked for next is a part of what was
    /// refused, and no later range is wider than what was named as a cap.
    #[test]
    fn a_hint_never_widens(
        most in 1u64..5000, from in 0u64..3000,
        steps in prop::collection::vec((any_failure(), any::<bool>(), 0u64..2_000_000), 1..60),
    ) {
        let mut policy = RangePolicy::new(most);
        let mut cap = most;
        for (failure, fails, logs) in steps {
            let to = policy.clip(from, u64::MAX);
            prop_assert!(to >= from && to - from < cap);
            if !fails {
                policy.succeeded(from, to, Volume { logs, bytes: logs });
                continue;
            }
            let before = policy.width();
            match policy.failed(from, to, failure) {
                Retry::Narrower { to: next } => prop_assert!(from <= next && next < to),
                Retry::Receipts => prop_assert_eq!(to, from),
            }
            prop_assert!(policy.width() <= before);
            if let RangeFailure::TooLarge { cap: RangeCap::Structural, hint } = failure
                && let Some(named) = hint.blocks
                && (2..before).contains(&named)
                && named + 1 < before
            {
                cap = cap.min(named);
            }
        }
    }
}

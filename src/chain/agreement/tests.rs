#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::chain::headers::tests::Chain;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const A: Voice = Voice::Says(B256::repeat_byte(0xa));
const B: Voice = Voice::Says(B256::repeat_byte(0xb));

/// Endpoints that have all named a head of this height.
fn all_at(endpoints: usize, number: u64) -> Agreement {
    let mut agreement = Agreement::new(endpoints, Trust::default());
    for endpoint in 0..endpoints {
        agreement.heard(endpoint, at(number));
    }
    agreement
}

fn at(number: u64) -> BlockRef {
    BlockRef { number, hash: B256::ZERO, parent_hash: B256::ZERO, time: 0 }
}

fn agreed(voice: Voice) -> Verdict {
    Verdict::Agreed(voice.hash().unwrap())
}

#[test]
fn a_lone_endpoint_is_believed_and_one_of_two_is_not() {
    assert_eq!(all_at(1, 9).judge(9, &[A], s(0)), agreed(A));
    assert_eq!(all_at(2, 9).judge(9, &[A, B], s(0)), Verdict::Open);
    assert_eq!(all_at(2, 9).judge(9, &[A, A], s(0)), agreed(A));
    assert_eq!(all_at(3, 9).judge(9, &[A, B, B], s(0)), agreed(B));
    assert_eq!(all_at(4, 9).judge(9, &[A, B, B, A], s(0)), Verdict::Open);
}

#[test]
fn two_that_disagree_never_settle_by_time_alone() {
    let mut two = all_at(2, 9);
    for now in [0, 29, 31, 100_000] {
        assert_eq!(two.judge(9, &[A, B], s(now)), Verdict::Open);
    }
    assert_eq!(two.judge(9, &[B, B], s(100_001)), agreed(B));
}

#[test]
fn a_proven_liar_is_not_waited_for() {
    let mut two = all_at(2, 9);
    assert_eq!(two.judge(9, &[A, Voice::Silent], s(1)), Verdict::Open);
    assert_eq!(two.reached_by_most(&[Some(12), None], s(1)), None);
    two.bar(1, true);
    assert_eq!(two.judge(9, &[A, Voice::Silent], s(1)), agreed(A));
    assert_eq!(two.reached_by_most(&[Some(12), None], s(1)), Some(12));
    two.bar(1, false);
    assert_eq!(two.judge(9, &[A, Voice::Silent], s(1)), Verdict::Open, "it is trusted again");
}

#[test]
fn one_that_is_away_or_behind_for_long_is_not_waited_for() {
    let mut two = all_at(2, 9);
    two.missed(1, s(100));
    assert_eq!(two.judge(9, &[A, Voice::Silent], s(129)), Verdict::Open);
    assert_eq!(two.judge(9, &[A, Voice::Silent], s(130)), agreed(A));
    two.heard(1, at(9));
    assert_eq!(two.judge(9, &[A, Voice::Silent], s(131)), Verdict::Open, "it is back");

    let mut two = all_at(2, 9);
    assert_eq!(two.judge(9, &[A, Voice::Lags], s(0)), Verdict::Open);
    assert_eq!(two.judge(9, &[A, Voice::Lags], s(29)), Verdict::Open);
    assert_eq!(two.judge(9, &[A, Voice::Lags], s(30)), agreed(A));

    // It does not become present again by another vote that it can't take part in.
    assert_eq!(two.judge(12, &[A, Voice::Lags], s(31)), agreed(A));
    two.heard(1, at(9));
    assert_eq!(two.judge(12, &[A, Voice::Lags], s(32)), Verdict::Open, "it has what it lacked");

    // It answers all the time, and is stuck.
    let mut two = all_at(2, 9);
    for now in 0..60 {
        two.mark(9 + now, s(now));
        two.heard(0, at(9 + now));
        two.heard(1, at(9));
        assert_eq!(two.is_absent(1, s(now)), now >= 32, "{now}");
        assert!(!two.is_absent(0, s(now)));
    }
}

#[test]
fn one_that_never_answered_delays_no_start() {
    let mut two = Agreement::new(2, Trust::default());
    two.heard(0, at(9));
    two.missed(1, s(0));
    assert_eq!(two.judge(9, &[A, Voice::Silent], s(0)), agreed(A));
    assert_eq!(two.reached_by_most(&[Some(5), None], s(0)), Some(5));
}

#[test]
fn one_that_was_outvoted_is_not_followed_for_some_blocks() {
    let mut three = all_at(3, 10);
    three.outvoted(0, 10);
    assert!(three.sits_out(0, 17) && !three.sits_out(0, 18) && !three.sits_out(1, 10));
}

#[test]
fn the_agreed_height_is_of_the_windows_branch() {
    let chain = Chain::new(20);
    let mut window = HeaderWindow::new(50);
    for block in &chain.canonical {
        window.observe(*block).unwrap();
    }
    let mut three = Agreement::new(3, Trust::default());
    three.heard(0, chain.head());
    three.heard(1, chain.canonical[17]);
    assert_eq!(three.agreed(&window, None, s(0)), Some(17), "the third was never heard");
    three.heard(2, at(19));
    assert_eq!(three.agreed(&window, None, s(0)), Some(17), "another branch does not count");
    three.heard(1, at(18));
    assert_eq!(three.agreed(&window, None, s(0)), None, "most are elsewhere");
    assert_eq!(three.agreed(&window, Some(1), s(0)), None, "the lead's head is lower");
    three.heard(2, BlockRef { number: 90, ..at(0) });
    assert_eq!(three.agreed(&window, Some(2), s(0)), Some(19), "it leads, and is ahead");
    assert_eq!(Agreement::new(2, Trust::default()).agreed(&window, None, s(0)), None);
}

#[test]
fn one_liar_moves_no_tag() {
    let three = all_at(3, 100);
    assert_eq!(three.reached_by_most(&[Some(99), Some(40), Some(38)], s(0)), Some(40));
    assert_eq!(three.reached_by_most(&[Some(0), Some(40), Some(38)], s(0)), Some(38));
    assert_eq!(three.reached_by_most(&[None, Some(40), Some(38)], s(0)), Some(38));
    let two = all_at(2, 100);
    assert_eq!(two.reached_by_most(&[Some(99), Some(40)], s(0)), Some(40));
    assert_eq!(two.reached_by_most(&[Some(99), None], s(0)), None);
}

fn voices() -> impl Strategy<Value = Vec<Voice>> {
    let voice = prop_oneof![
        4 => (0u8..3).prop_map(|n| Voice::Says(B256::repeat_byte(n))),
        1 => Just(Voice::Lags),
        1 => Just(Voice::Silent),
    ];
    prop::collection::vec(voice, 1..7)
}

proptest! {
    #[test]
    fn what_is_agreed_is_said_by_most_and_by_two_where_there_are_two(
        voices in voices(), now in 0u64..100, turn in 0usize..7,
    ) {
        let mut agreement = all_at(voices.len(), 9);
        let verdict = agreement.judge(9, &voices, s(now));
        if let Verdict::Agreed(hash) = verdict {
            let for_it = voices.iter().filter(|v| v.hash() == Some(hash)).count();
            let cast = voices.iter().filter(|v| v.hash().is_some()).count();
            prop_assert!(for_it * 2 > cast);
            prop_assert!(for_it >= voices.len().min(2));
        }
        // Which endpoint says what does not matter.
        let mut turned = voices.clone();
        turned.rotate_left(turn % voices.len());
        prop_assert_eq!(all_at(voices.len(), 9).judge(9, &turned, s(now)), verdict);
    }

    #[test]
    fn a_minority_never_decides_whatever_it_says(
        honest in 2usize..5,
        lies in prop::collection::vec((0u8..3, any::<bool>()), 1..4),
        now in 0u64..29,
    ) {
        // Fewer liars than honest endpoints, each of which may flap, lag or be silent.
        let liars = lies.len().min(honest - 1);
        let mut voices = vec![A; honest];
        voices.extend(lies.iter().take(liars).map(|(what, silent)| match (what, silent) {
            (_, true) => Voice::Silent,
            (0, _) => Voice::Lags,
            (n, _) => Voice::Says(B256::repeat_byte(*n)),
        }));
        prop_assert_eq!(all_at(voices.len(), 9).judge(9, &voices, s(now)), agreed(A));
    }

    #[test]
    fn what_most_reached_was_reached_by_more_than_half(
        reached in prop::collection::vec(prop::option::of(0u64..50), 1..8),
    ) {
        let agreement = all_at(reached.len(), 9);
        let most = agreement.reached_by_most(&reached, s(0));
        if let Some(most) = most {
            let count = reached.iter().flatten().filter(|n| **n >= most).count();
            prop_assert!(count * 2 > reached.len());
        }
        // And nothing higher was.
        let higher = most.map_or(0, |most| most + 1);
        let count = reached.iter().flatten().filter(|n| **n >= higher).count();
        prop_assert!(count * 2 <= reached.len());
    }
}

//! Who could have voted on proposals that ended.

use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::{
    super::{Asked, Catalog, Key, RuleSet, memory::State, outcome_events},
    world::{World, ballot, catalog, name, set_of, user},
};
use crate::{
    fold::{Fold as _, Kept as _},
    governance::Clock,
};

const DUE: &str = "event = \"dao.vote_due\", subject = \"voter\"";

/// The governor counts the token's votes.
fn counting(clock: Clock) -> Catalog {
    let mut catalog = catalog();
    let dao = catalog.contracts.get_mut("dao").unwrap();
    (dao.clock, dao.votes) = (Some(clock), Some(name("token")));
    dao.events.extend(outcome_events(true));
    catalog
}

fn world(when: &str, clock: Clock) -> World {
    let text = set_of(&format!("when = {{ {when} }}"));
    match RuleSet::compile("rules.toml", &text, &counting(clock)) {
        Ok(set) => World::new(set),
        Err(errors) => panic!("{}", errors.iter().map(|e| format!("{e}\n")).collect::<String>()),
    }
}

/// Answers what the next block waits for: the quorum is one vote.
fn settle(world: &mut World, time: u64) {
    let block = world.next_block();
    for question in world.set.questions(&world.state, 1, block, time) {
        let answer = match question.asked {
            Asked::Governor(_) => 1,
            Asked::BlockTime { block } => 1_001 + block,
        };
        let answer = alloy::primitives::U256::from(answer);
        world.set.learn(&mut world.state, &question, answer);
    }
    assert!(!world.set.waits(1, block, time, &world.state));
}

fn tell(world: &mut World, time: u64, event: &str, fields: &serde_json::Value) {
    settle(world, time);
    world.apply_at(time, event, fields);
}

fn powers(world: &mut World, time: u64, delegate: u8, votes: u64) {
    let fields = json!({
        "delegate": user(delegate).to_checksum(None),
        "previous_votes": "0",
        "new_votes": votes.to_string(),
    });
    tell(world, time, "token.delegate_votes_changed", &fields);
}

fn proposed(world: &mut World, time: u64, proposal: u64, opens: u64, ends: u64) {
    let fields = json!({
        "proposal_id": proposal.to_string(),
        "proposer": user(9).to_checksum(None),
        "vote_start": opens.to_string(),
        "vote_end": ends.to_string(),
        "description": "Plant trees",
    });
    tell(world, time, "dao.proposal_created", &fields);
}

/// Who is told to have been able to vote when the time comes to a second.
fn due(world: &mut World, time: u64) -> Vec<u8> {
    settle(world, time);
    let mut who: Vec<u8> =
        world.begin_at(time).iter().map(|unlock| unlock.request.user[0]).collect();
    who.sort_unstable();
    who
}

#[test]
fn votes_are_those_of_the_snapshot() {
    let mut world = world(DUE, Clock::Timestamp);
    powers(&mut world, 1_000, 1, 5);
    powers(&mut world, 1_001, 2, 5);
    proposed(&mut world, 1_002, 7, 1_010, 1_020);
    powers(&mut world, 1_010, 3, 1);
    powers(&mut world, 1_010, 2, 0);
    powers(&mut world, 1_011, 4, 9);
    powers(&mut world, 1_012, 1, 0);
    assert_eq!(due(&mut world, 1_021), [1, 3], "in the second of the snapshot is in time");
}

#[test]
fn who_voted_and_with_what_is_told() {
    let mut world = world(&format!("{DUE}, where = \"!voted && weight >= 3\""), Clock::Timestamp);
    for (member, votes) in [(1, 5), (2, 5), (3, 2)] {
        powers(&mut world, 1_000, member, votes);
    }
    proposed(&mut world, 1_002, 7, 1_003, 1_020);
    tell(&mut world, 1_010, "dao.vote_cast", &ballot(1, 7, 1, "5"));
    assert_eq!(due(&mut world, 1_021), [2]);
}

#[test]
fn a_governor_that_counts_blocks_has_its_snapshot_at_one() {
    let mut world = world(DUE, Clock::Block);
    powers(&mut world, 1_000, 1, 5);
    // In block 2, of block 3, until block 4.
    proposed(&mut world, 1_002, 7, 3, 4);
    powers(&mut world, 1_003, 2, 5);
    powers(&mut world, 1_004, 3, 5);
    assert_eq!(due(&mut world, 1_200), [1, 2]);
}

#[test]
fn of_old_votes_only_what_an_open_proposal_needs_is_kept() {
    let mut world = world(DUE, Clock::Timestamp);
    for second in 0..20 {
        powers(&mut world, 1_000 + second, 1, second + 1);
    }
    let bytes = |world: &World| {
        let powers = world.state.all().filter(|(key, _)| matches!(key, Key::Power(..)));
        powers.map(|(_, value)| value.to_bytes().len()).sum::<usize>()
    };
    let one = bytes(&world);
    assert!(one < 40, "{one}: a time and a number");
    proposed(&mut world, 1_020, 7, 1_021, 1_030);
    for second in 22..29 {
        powers(&mut world, 1_000 + second, 1, second);
    }
    assert!(bytes(&world) > one);
    assert_eq!(due(&mut world, 1_031), [1]);
    powers(&mut world, 1_040, 1, 0);
    assert_eq!(bytes(&world), 0, "nothing can be asked of who has none");
    assert_eq!(world.state.all().filter(|(key, _)| matches!(key, Key::Snapshot(..))).count(), 0);
}

#[test]
fn each_mistake_is_named_with_the_way_out() {
    let of = "of = { event = \"dao.vote_settled\", subject = \"voter\" }";
    for (when, said) in [
        (
            format!("ratio = {{ {of}, over = {{ {DUE}, count = 2 }}, gte = \"75%\" }}"),
            "unknown key `count`",
        ),
        (
            format!("ratio = {{ {of}, over = {{ event = \"dao.vote_due\" }}, gte = \"75%\" }}"),
            "`subject` is missing",
        ),
        (format!("ratio = {{ {of}, over = 3, gte = \"75%\" }}"), "expected text"),
    ] {
        let text = set_of(&format!("when = {{ {when} }}"));
        let errors = RuleSet::compile("r", &text, &counting(Clock::Timestamp)).unwrap_err();
        assert!(errors[0].to_string().contains(said), "{when}: {}", errors[0]);
    }
    let mut without = counting(Clock::Timestamp);
    let dao = without.contracts.get_mut("dao").unwrap();
    dao.events.retain(|schema| schema.name.as_str() != "vote_due");
    let errors =
        RuleSet::compile("r", &set_of(&format!("when = {{ {DUE} }}")), &without).unwrap_err();
    assert!(errors[0].to_string().contains("no event `vote_due`"), "{}", errors[0]);
}

proptest! {
    /// Whatever happened before and between: who had votes at the snapshot is what a
    /// look at all changes until then finds.
    #[test]
    fn who_had_votes_is_what_a_naive_reading_finds(
        changes in vec((0..12_u64, 1..4_u8, 0..3_u64), 0..30),
        opens in vec(0..60_u64, 1..4),
        restart in any::<bool>(),
    ) {
        let mut world = world(&format!("{DUE}, distinct = \"proposal_id\", count = 1"), Clock::Timestamp);
        let mut time = 1_000;
        let mut history = Vec::new();
        // One proposal each at the beginning, open at its own second.
        for (proposal, opens) in (1..).zip(&opens) {
            proposed(&mut world, time, proposal, 1_001 + opens, 2_000);
        }
        for (later, who, votes) in changes {
            time += later;
            powers(&mut world, time, who, votes);
            history.push((time, who, votes));
            if restart {
                world.state = State::from_saved(world.state.rows()).unwrap();
            }
        }
        let had = |who: u8, at: u64| {
            history.iter().rev().find(|it| it.1 == who && it.0 <= at).is_some_and(|it| it.2 > 0)
        };
        let expected: Vec<u8> =
            (1..4).filter(|who| opens.iter().any(|opens| had(*who, 1_001 + opens))).collect();
        prop_assert_eq!(due(&mut world, 2_001), expected);
    }
}

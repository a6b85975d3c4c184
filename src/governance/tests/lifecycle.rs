//! States of proposals.

use serde_json::json;

use super::*;
use crate::fold::JsonPaths as _;
use crate::governance::{ProposalState, queries};

/// Created at block 1, open in 11..=20, the quorum learned as 100.
fn open_proposal() -> History {
    let mut history = History::of(Vec::new());
    history.begin(1).create(7, 10, 20).begin(11);
    assert!(history.learn(7, 100));
    history
}

fn state_of(history: &History, id: u64) -> ProposalState {
    queries::proposal(&history.state, U256::from(id)).unwrap().0.state
}

#[test]
fn majority_with_quorum_succeeds_one_block_after_the_deadline() {
    let mut history = open_proposal();
    history.begin(12).vote(7, 1, 1, 60).vote(7, 2, 0, 59).vote(7, 3, 2, 40).begin(20);
    assert_eq!(state_of(&history, 7), ProposalState::Active);
    history.begin(21);
    assert_eq!(
        history.states(),
        [("created", Some(1)), ("active", Some(11)), ("succeeded", Some(21))]
    );
    let last = history.changes().last().unwrap();
    assert_eq!((last.from, last.quorum), (Some(ProposalState::Active), Some(U256::from(100))));
    assert_eq!(last.title, "# Fund the garden");
    assert_eq!(last.tallies.voters, 3);
}

#[test]
fn a_tie_is_a_defeat() {
    let mut history = open_proposal();
    history.begin(12).vote(7, 1, 1, 100).vote(7, 2, 0, 100).begin(21);
    assert_eq!(state_of(&history, 7), ProposalState::Defeated);
}

#[test]
fn without_quorum_even_a_unanimous_vote_is_a_defeat_and_against_does_not_count_towards_it() {
    let mut history = open_proposal();
    history.begin(12).vote(7, 1, 1, 99).vote(7, 2, 0, 50).begin(21);
    assert_eq!(state_of(&history, 7), ProposalState::Defeated);
}

#[test]
fn abstentions_count_towards_the_quorum_but_not_the_majority() {
    let mut history = open_proposal();
    history.begin(12).vote(7, 1, 1, 1).vote(7, 2, 2, 99).begin(21);
    assert_eq!(state_of(&history, 7), ProposalState::Succeeded);
}

#[test]
fn a_vote_in_the_block_of_the_deadline_counts() {
    let mut history = open_proposal();
    history.begin(20).vote(7, 1, 1, 100).begin(21);
    assert_eq!(state_of(&history, 7), ProposalState::Succeeded);
}

#[test]
fn voting_opens_in_the_block_after_the_snapshot() {
    let mut history = History::of(Vec::new());
    history.begin(1).create(7, 10, 20).begin(10);
    assert_eq!(state_of(&history, 7), ProposalState::Pending);
    assert!(queries::asks(&history.state, Counting::Standard).is_empty());
    history.begin(11).vote(7, 1, 1, 5);
    assert_eq!(state_of(&history, 7), ProposalState::Active);
    assert_eq!(history.votes().len(), 1);
}

#[test]
fn what_is_said_does_not_depend_on_which_blocks_begin() {
    let play = |begin: &dyn Fn(&mut History, u64)| {
        let mut history = History::of(Vec::new());
        history.begin(1).create(7, 10, 20).create(8, 5, 15).begin(2).create(9, 10, 12);
        begin(&mut history, 30);
        for id in [7, 8, 9] {
            history.learn(id, 1);
        }
        history.begin(40);
        history.changes().cloned().collect::<Vec<_>>()
    };
    let each = play(&|history, to| {
        for block in 3..=to {
            history.begin(block);
            history.begin(block);
        }
    });
    let jump = play(&|history, to| {
        history.begin(to);
    });
    assert_eq!(each.len(), 9);
    assert_eq!(each, jump);
}

#[test]
fn an_extension_moves_the_deadline_and_never_back() {
    let mut history = open_proposal();
    let extended = |to: u64| json!({ "proposal_id": text(7), "extended_deadline": text(to) });
    history.begin(20).vote(7, 1, 1, 100).log("dao", "proposal_extended", extended(25));
    history.log("dao", "proposal_extended", extended(22));
    history.begin(25).vote(7, 2, 0, 101);
    assert_eq!(state_of(&history, 7), ProposalState::Active);
    history.begin(26);
    assert_eq!(history.states().last(), Some(&("defeated", Some(26))));
    assert_eq!(history.states().len(), 3);
    assert!(history.unreadable().is_empty());
}

#[test]
fn a_succeeded_proposal_is_queued_and_executed() {
    let mut history = open_proposal();
    history.begin(12).vote(7, 1, 1, 100).begin(30).queue(7, 5_000_000).begin(31).execute(7);
    assert_eq!(
        history.states()[2..],
        [("succeeded", Some(21)), ("queued", Some(30)), ("executed", Some(31))]
    );
    let froms: Vec<_> = history.changes().filter_map(|change| change.from).collect();
    assert_eq!(froms[2..], [ProposalState::Succeeded, ProposalState::Queued]);
    assert!(history.state.keys("open/").next().is_none());
}

#[test]
fn a_canceled_proposal_is_never_decided() {
    let mut history = open_proposal();
    history.begin(12).vote(7, 1, 1, 100).cancel(7).begin(21).begin(50);
    assert_eq!(history.states().last(), Some(&("canceled", Some(12))));
    assert_eq!(history.changes().last().unwrap().quorum, None);
    assert!(!history.learn(7, 1));
}

#[test]
fn a_pending_and_a_queued_proposal_can_be_canceled() {
    let mut history = History::of(Vec::new());
    history.begin(1).create(7, 10, 20).begin(2).cancel(7).begin(30);
    assert_eq!(history.states(), [("created", Some(1)), ("canceled", Some(2))]);

    let mut history = open_proposal();
    history.begin(12).vote(7, 1, 1, 100).begin(21).queue(7, 9).cancel(7);
    assert_eq!(state_of(&history, 7), ProposalState::Canceled);
}

#[test]
fn a_timestamp_clock_decides_by_block_time() {
    let mut history = History::with(Clock::Timestamp, None, Vec::new());
    let (start, end) = (time(10), time(20));
    history.begin(1).create(7, start, end).begin(10);
    assert_eq!(state_of(&history, 7), ProposalState::Pending);
    history.begin(11);
    assert!(history.output.iter().any(
        |output| matches!(output, Output::QuorumNeeded { snapshot, .. } if *snapshot == start)
    ));
    history.learn(7, 1);
    history.begin(20).vote(7, 1, 1, 1).begin(21);
    let last = history.changes().last().unwrap();
    assert_eq!(last.to, ProposalState::Succeeded);
    assert_eq!((last.block, last.time), (None, Some(end + 1)));
}

#[test]
fn a_queued_proposal_expires_only_with_a_grace_period() {
    let play = |grace| {
        let mut history = History::with(Clock::Block, grace, Vec::new());
        history.begin(1).create(7, 10, 20).begin(11);
        history.learn(7, 1);
        history.begin(12).vote(7, 1, 1, 1).begin(21).queue(7, time(30)).begin(34);
        assert_eq!(state_of(&history, 7), ProposalState::Queued);
        history.begin(35);
        history
    };
    let history = play(Some(60));
    let last = history.changes().last().unwrap();
    assert_eq!((last.to, last.time), (ProposalState::Expired, Some(time(35))));
    assert_eq!(state_of(&play(None), 7), ProposalState::Queued);
}

#[test]
fn execution_in_time_forestalls_expiry() {
    let mut history = History::with(Clock::Block, Some(60), Vec::new());
    history.begin(1).create(7, 10, 20).begin(11);
    history.learn(7, 1);
    history.begin(12).vote(7, 1, 1, 1).begin(21).queue(7, time(30)).begin(33).execute(7).begin(99);
    assert_eq!(state_of(&history, 7), ProposalState::Executed);
    assert!(history.state.keys("grace/").next().is_none());
}

#[test]
fn the_quorum_is_asked_for_once_and_listed_until_it_is_known() {
    let mut history = History::of(Vec::new());
    history.begin(1).create(7, 10, 20).begin(11).begin(12).begin(30).begin(31);
    let asked = |history: &History| {
        let is = |output: &&Output| matches!(output, Output::QuorumNeeded { .. });
        history.output.iter().filter(is).count()
    };
    assert_eq!(asked(&history), 1);
    assert_eq!(
        queries::asks(&history.state, Counting::Standard),
        [(U256::from(7), Ask::Quorum { snapshot: 10 })]
    );
    assert_eq!(state_of(&history, 7), ProposalState::AwaitingQuorum);
    assert!(history.learn(7, 1));
    assert!(!history.learn(7, 2), "the first answer stands");
    assert!(queries::asks(&history.state, Counting::Standard).is_empty());
    assert_eq!(state_of(&history, 7), ProposalState::AwaitingQuorum);
    history.begin(32);
    assert_eq!(asked(&history), 1);
    assert_eq!(history.states().last(), Some(&("defeated", Some(21))));
}

#[test]
fn an_answer_that_nobody_asked_for_changes_nothing() {
    let mut history = History::of(Vec::new());
    assert!(!history.learn(7, 1));
    history.begin(1).create(7, 10, 20);
    let before = everything(&history.state);
    assert!(!history.learn(7, 1));
    assert_eq!(everything(&history.state), before);
}

#[test]
fn whenever_the_quorum_is_learned_the_same_is_announced() {
    type Play = fn(&mut History);
    let stories: [(&str, Play); 4] = [
        ("executed", |h| {
            h.begin(25).queue(7, 1).begin(26).execute(7);
        }),
        ("canceled", |h| {
            h.begin(25).cancel(7);
        }),
        ("queued_early_by_super_quorum", |h| {
            h.begin(15).queue(7, 1).begin(16).execute(7);
        }),
        ("queued", |h| {
            h.begin(25).queue(7, 1);
        }),
    ];
    for (story, play) in stories {
        for quorum in [1, 1000] {
            let told = |early: bool| {
                let mut history = History::of(Vec::new());
                history.begin(1).create(7, 10, 20).begin(11);
                if early {
                    assert!(history.learn(7, quorum));
                }
                history.begin(12).vote(7, 1, 1, 100);
                play(&mut history);
                history.begin(27);
                if !early {
                    assert!(history.learn(7, quorum), "{story}");
                }
                history.begin(28);
                assert!(history.unreadable().is_empty(), "{story}: {:?}", history.unreadable());
                history.changes().cloned().collect::<Vec<_>>()
            };
            assert_eq!(told(true), told(false), "{story} with quorum {quorum}");
        }
    }
}

#[test]
fn a_log_outweighs_what_was_derived() {
    let mut history = open_proposal();
    history.begin(21).queue(7, 1);
    let states: Vec<_> = history.states().into_iter().map(|(state, _)| state).collect();
    assert_eq!(states[2..], ["defeated", "succeeded", "queued"]);
}

#[test]
fn blocks_of_another_chain_decide_nothing() {
    let mut history = History::of(Vec::new());
    history.begin(1).create(7, 10, 20);
    let (state, output) = (&mut history.state, &mut history.output);
    history.governance.begin_block(1, 9_000_000, time(9_000_000), state, output);
    assert_eq!(state_of(&history, 7), ProposalState::Pending);
}

#[test]
fn a_title_is_the_first_line_cut_by_characters() {
    let mut history = History::of(Vec::new());
    let mut fields = created(7, 10, 20);
    fields["description"] = json!(format!("{}\nmore", "ü".repeat(300)));
    history.begin(1).log("dao", "proposal_created", fields);
    assert_eq!(history.changes().last().unwrap().title, "ü".repeat(200));
}

#[test]
fn a_deadline_past_64_bits_never_comes() {
    let mut history = History::of(Vec::new());
    let mut fields = created(7, 10, 20);
    fields["vote_end"] = json!(U256::MAX.to_string());
    history.begin(1).log("dao", "proposal_created", fields).begin(u64::MAX / 1000);
    assert_eq!(state_of(&history, 7), ProposalState::Active);
}

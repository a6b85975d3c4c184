//! Governors that decide otherwise than OpenZeppelin's.

use serde_json::json;

use super::*;
use crate::governance::{Ask, Counting, ProposalState, VoterRecord, queries};

fn of(counting: Counting) -> History {
    let mut history = History::counting(counting, Clock::Block, None, Vec::new());
    history.begin(1).create(7, 10, 20).begin(11);
    history
}

fn asks(history: &History) -> Vec<Ask> {
    let asks = queries::asks(&history.state, history.governance.counting());
    asks.into_iter().map(|(_, ask)| ask).collect()
}

fn states(history: &History) -> Vec<&'static str> {
    history.states().into_iter().map(|(state, _)| state).collect()
}

fn tallies(history: &History) -> [u64; 3] {
    let (proposal, _) = queries::proposal(&history.state, U256::from(7)).unwrap();
    let cast = proposal.tallies.cast;
    [cast.against, cast.in_favour, cast.abstain].map(|weight| weight.to())
}

#[test]
fn of_bravo_abstentions_reach_no_quorum() {
    for (in_favour, expected) in [(99, "defeated"), (100, "succeeded")] {
        let mut history = of(Counting::Bravo);
        assert_eq!(asks(&history), [Ask::QuorumVotes]);
        assert!(history.learn(7, 100));
        history.begin(12).vote(7, 1, 1, in_favour).vote(7, 2, 2, 500).begin(21);
        assert_eq!(states(&history), ["created", "active", expected]);
    }
}

#[test]
fn of_nouns_the_quorum_is_asked_for_when_voting_is_over() {
    let mut history = of(Counting::Nouns);
    assert_eq!(asks(&history), []);
    assert!(!history.learn(7, 1), "it grows with the votes against");
    history.begin(12).vote(7, 1, 1, 60).vote(7, 2, 0, 50).begin(21);
    assert_eq!(asks(&history), [Ask::QuorumVotesOf]);
    assert_eq!(states(&history), ["created", "active"]);
    assert!(history.learn(7, 61));
    history.begin(22);
    assert_eq!(history.states().last(), Some(&("defeated", Some(21))), "as of when it was over");
    assert_eq!(history.changes().last().unwrap().quorum, Some(U256::from(61)));
}

#[test]
fn an_objection_period_of_nouns_is_voting_time() {
    let mut history = of(Counting::Nouns);
    let fields = json!({ "proposal_id": "7", "objection_period_end_block": "25" });
    history.begin(19).vote(7, 1, 1, 60).log("dao", "proposal_objection_period_set", fields);
    history.begin(24).vote(7, 2, 0, 70).begin(26);
    assert!(history.learn(7, 1));
    history.begin(27);
    assert_eq!(history.states().last(), Some(&("defeated", Some(26))));
}

#[test]
fn a_veto_ends_a_proposal_in_any_state_before_its_execution() {
    let veto = |history: &mut History| {
        history.log("dao", "proposal_vetoed", json!({ "proposal_id": "7" }));
    };
    let mut history = of(Counting::Nouns);
    veto(history.begin(12));
    assert_eq!(states(&history), ["created", "active", "vetoed"]);
    assert_eq!(asks(&history), []);

    let mut history = of(Counting::Nouns);
    history.begin(12).vote(7, 1, 1, 60).begin(21);
    veto(history.begin(23));
    assert_eq!(states(&history), ["created", "active"], "first it must be decided");
    assert!(history.learn(7, 10));
    history.begin(24);
    assert_eq!(states(&history), ["created", "active", "succeeded", "vetoed"]);
    history.execute(7);
    let last = history.output.last().unwrap();
    assert!(matches!(last, Output::Unreadable { .. }), "{last:?}");
}

#[test]
fn whose_votes_do_not_tell_is_asked_for_its_word() {
    let word = |state: u64| {
        let mut history = of(Counting::Word);
        history.begin(12).vote(7, 1, 0, 60);
        assert_eq!(asks(&history), []);
        history.begin(25);
        assert_eq!(asks(&history), [Ask::State { block: 21 }], "the first that is past it");
        assert!(history.learn(7, state));
        history.begin(26);
        assert_eq!(history.changes().last().unwrap().quorum, None);
        *history.states().last().unwrap()
    };
    assert_eq!(word(4), ("succeeded", Some(21)));
    assert_eq!(word(7), ("succeeded", Some(21)), "executed in the same block");
    assert_eq!(word(3), ("defeated", Some(21)));
    assert_eq!(word(2), ("defeated", Some(21)), "canceled in the same block");
    assert_eq!(word(200), ("defeated", Some(21)));
}

#[test]
fn a_manager_moves_a_deadline_to_where_it_wants() {
    let mut history = of(Counting::Word);
    let deadline = |block: &str| json!({ "proposal_id": "7", "deadline": block });
    history.begin(12).log("dao", "proposal_deadline_updated", deadline("15")).begin(16);
    assert_eq!(asks(&history), [Ask::State { block: 16 }]);
}

/// Whenever the answer comes, the same is told in the same order.
#[test]
fn late_answers_tell_the_same() {
    for counting in [Counting::Standard, Counting::Bravo, Counting::Nouns, Counting::Word] {
        let story = |late: bool| {
            let mut history = of(counting);
            let answer = if counting == Counting::Word { 4 } else { 10 };
            let learn = |history: &mut History, now: bool| {
                if now && !asks(history).is_empty() {
                    assert!(history.learn(7, answer));
                }
            };
            learn(&mut history, !late);
            history.begin(12).vote(7, 1, 1, 60).begin(21);
            learn(&mut history, !late);
            history.begin(22).queue(7, 1_000).begin(30);
            learn(&mut history, true);
            history.begin(31).execute(7).begin(32);
            let told: Vec<ProposalChange> = history.changes().cloned().collect();
            told
        };
        let told = story(true);
        assert_eq!(story(false), told, "{counting:?}");
        assert_eq!(told.last().unwrap().to, ProposalState::Executed, "{counting:?}");
        assert_eq!(told.len(), 5, "{counting:?}");
    }
}

#[test]
fn settings_of_before_there_were_others_keep_their_version() {
    let settings = |counting| Settings {
        chain_id: CHAIN,
        governor: name("dao"),
        clock: Clock::Block,
        grace_period_s: None,
        counting,
        benefits: Vec::new(),
    };
    let written = serde_json::to_string(&settings(Counting::Standard)).unwrap();
    assert!(!written.contains("counting"), "{written}");
    let version = |counting| Governance::new(settings(counting)).unwrap().version();
    assert_ne!(version(Counting::Bravo), version(Counting::Standard));
}

fn override_vote(history: &mut History, voter: u8, support: u8, weight: u64) {
    let fields = json!({
        "voter": person(voter), "proposal_id": "7", "support": text(support.into()),
        "weight": text(weight), "reason": "mine",
    });
    history.log("dao", "override_vote_cast", fields);
}

fn reduce(history: &mut History, delegate: u8, support: u8, weight: u64) {
    let fields = json!({
        "delegate": person(delegate), "proposal_id": "7", "support": text(support.into()),
        "weight": text(weight),
    });
    history.log("dao", "vote_reduced", fields);
}

fn record(history: &History, voter: u8) -> VoterRecord {
    let (_, voters) = queries::proposal(&history.state, U256::from(7)).unwrap();
    let voter: Address = person(voter).parse().unwrap();
    voters.into_iter().find(|it| it.voter == voter).unwrap().vote
}

/// `GovernorCountingOverridable`: the delegate voted for with 100, of which 30 were
/// delegated by somebody who is against.
#[test]
fn who_votes_with_what_was_delegated_takes_it_from_the_delegate() {
    let mut history = of(Counting::Standard);
    assert!(history.learn(7, 10));
    history.begin(12).vote(7, 1, 1, 100);
    reduce(&mut history, 1, 1, 30);
    override_vote(&mut history, 2, 0, 30);
    assert_eq!(tallies(&history), [30, 70, 0]);
    assert_eq!(record(&history, 1).cast.in_favour, U256::from(70));
    assert_eq!(record(&history, 2).cast.against, U256::from(30));
    let reduced = history.output.iter().find_map(|output| match output {
        Output::VoteReduced(vote) => Some(vote.taken.in_favour),
        _ => None,
    });
    assert_eq!(reduced, Some(U256::from(30)));
}

#[test]
fn what_is_taken_back_weighs_less_with_benefits_too() {
    let rule = BenefitRule {
        name: name("bonus"),
        nft: name("badge"),
        achievement_ids: None,
        at_least: 1,
        grants: Vec::new(),
        weight_multiplier_bps: 15_000,
        stack: Stack::Max,
        cap_bps: None,
    };
    let mut history = History::of(vec![rule]);
    history.begin(1).create(7, 10, 20).mint("badge", 1, 5).begin(11);
    history.begin(12).vote(7, 1, 1, 100);
    reduce(&mut history, 1, 1, 30);
    let (proposal, _) = queries::proposal(&history.state, U256::from(7)).unwrap();
    assert_eq!(proposal.tallies.effective.in_favour, U256::from(105));
}

#[test]
fn a_reduction_that_can_not_be_is_a_dead_letter_and_changes_nothing() {
    let mut history = of(Counting::Standard);
    history.begin(12).vote(7, 1, 1, 100);
    reduce(&mut history, 3, 1, 30);
    reduce(&mut history, 1, 1, 101);
    reduce(&mut history, 1, 0, 1);
    let why: Vec<&str> = history
        .output
        .iter()
        .filter_map(|output| match output {
            Output::Unreadable { why, .. } => Some(why.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(why.len(), 3, "{why:?}");
    assert!(why[0].contains("was never seen") && why[1].contains("more than it weighs"), "{why:?}");
    assert_eq!(tallies(&history), [0, 100, 0]);
}

//! Counting votes.

use alloy::primitives::hex;
use serde_json::json;

use super::*;
use crate::governance::{Weights, queries};

fn open_history(benefits: Vec<BenefitRule>) -> History {
    let mut history = History::of(benefits);
    history.begin(1).create(7, 10, 20).begin(11);
    history
}

fn split(against: u128, in_favour: u128, abstain: u128) -> String {
    let parts = [against, in_favour, abstain].map(u128::to_be_bytes).concat();
    hex::encode_prefixed(parts)
}

fn fractional(voter: u8, weight: u64, params: &str) -> Json {
    let mut fields = cast(7, voter, 255, weight);
    fields["params"] = json!(params);
    fields
}

fn weights(against: u64, in_favour: u64, abstain: u64) -> Weights {
    let [against, in_favour, abstain] = [against, in_favour, abstain].map(U256::from);
    Weights { against, in_favour, abstain }
}

#[test]
fn fractional_votes_count_one_voter_and_add_weight() {
    let mut history = open_history(Vec::new());
    history.log("dao", "vote_cast_with_params", fractional(1, 60, &split(10, 20, 30)));
    history.log("dao", "vote_cast_with_params", fractional(1, 5, &split(5, 0, 0)));
    history.vote(7, 1, 1, 3);
    history.vote(7, 2, 2, 4);
    let (proposal, voters) = queries::proposal(&history.state, U256::from(7)).unwrap();
    assert_eq!(proposal.tallies.voters, 2);
    assert_eq!(proposal.tallies.cast, weights(15, 23, 34));
    assert_eq!(voters.len(), 2);
    assert_eq!((voters[0].voter, voters[0].vote.casts), (address(1), 3));
    assert_eq!(voters[0].vote.cast, weights(15, 23, 30));
    assert_eq!(voters[0].vote.last, position(11, 2));
    let first = history.votes()[0];
    assert_eq!((first.support, first.weight), (255, U256::from(60)));
    assert_eq!(first.counted, weights(10, 20, 30));
    assert_eq!(first.params.as_ref().map(|params| params.len()), Some(48));
}

#[test]
fn params_of_a_plain_vote_do_not_change_how_it_counts() {
    let mut history = open_history(Vec::new());
    let mut fields = cast(7, 1, 0, 9);
    fields["params"] = json!("0x1234");
    history.log("dao", "vote_cast_with_params", fields);
    assert_eq!(history.votes()[0].counted, weights(9, 0, 0));
}

#[test]
fn a_fractional_vote_that_does_not_add_up_is_unreadable() {
    let mut history = open_history(Vec::new());
    let before = everything(&history.state);
    history.log("dao", "vote_cast_with_params", fractional(1, 59, &split(10, 20, 30)));
    history.log("dao", "vote_cast_with_params", fractional(1, 60, "0x00"));
    history.vote(7, 1, 255, 10).vote(7, 1, 3, 10);
    assert_eq!(history.unreadable().len(), 4);
    assert_eq!(everything(&history.state), before);
}

#[test]
fn a_vote_outside_the_window_is_unreadable_and_does_not_count() {
    let mut history = History::of(Vec::new());
    history.begin(1).create(7, 10, 20).begin(10).vote(7, 1, 1, 5).begin(21).vote(7, 1, 1, 5);
    history.vote(8, 1, 1, 5);
    assert!(history.votes().is_empty());
    let why = history.unreadable();
    assert!(why[0].contains("while it is pending"), "{why:?}");
    assert!(why[1].contains("while it is awaiting_quorum"), "{why:?}");
    assert!(why[2].contains("creation of proposal 8 was not seen"), "{why:?}");
}

#[test]
fn proposals_whose_ids_share_a_prefix_keep_their_voters_apart() {
    let mut history = History::of(Vec::new());
    history.begin(1).create(1, 10, 20).create(12, 10, 20).begin(11);
    history.vote(1, 1, 1, 5).vote(12, 2, 1, 6);
    let voters = |id| queries::proposal(&history.state, U256::from(id)).unwrap().1;
    assert_eq!(voters(1).len(), 1);
    assert_eq!(voters(12)[0].voter, address(2));
}

#[test]
fn who_voted_is_forgotten_when_voting_is_over_and_the_tallies_stay() {
    let mut history = open_history(Vec::new());
    history.vote(7, 1, 1, 5).vote(7, 2, 0, 3);
    let voters = |history: &History| {
        let (proposal, voters) = queries::proposal(&history.state, U256::from(7)).unwrap();
        (voters.len(), proposal.tallies.voters, proposal.tallies.cast)
    };
    assert_eq!(voters(&history), (2, 2, weights(3, 5, 0)));
    history.begin(2_000);
    assert_eq!(voters(&history), (0, 2, weights(3, 5, 0)));
}

#[test]
fn a_vote_names_its_log() {
    let mut history = open_history(Vec::new());
    history.vote(7, 1, 1, 5);
    let event = event_at(11, 0, "dao", "vote_cast", cast(7, 1, 1, 5));
    let vote = history.votes()[0];
    assert_eq!((vote.event, vote.position), (event.id, event.position));
    assert_eq!(vote.transaction_hash, event.origin.transaction_hash);
    assert_eq!(vote.block_hash, event.block.hash);
}

#[test]
fn the_effective_weight_is_rounded_down_and_decides_nothing() {
    let mut history = open_history(vec![rule("gold", "badge", 15_001, Stack::Max, None)]);
    history.learn(7, 1);
    history.mint("badge", 1, 1).vote(7, 1, 1, 9_999).vote(7, 2, 0, 10_000).begin(21);
    let vote = history.votes()[0];
    assert_eq!(vote.effective_weight, U256::from(9_999_u64 * 15_001 / 10_000));
    let last = history.changes().last().unwrap();
    assert_eq!(last.tallies.effective, weights(10_000, 14_999, 0));
    assert_eq!(last.to.subject_token(), "defeated");
}

#[test]
fn the_largest_weight_does_not_overflow() {
    let mut history = open_history(vec![rule("gold", "badge", u32::MAX, Stack::Sum, None)]);
    let mut fields = cast(7, 1, 1, 0);
    fields["weight"] = json!(U256::MAX.to_string());
    history.mint("badge", 1, 1).log("dao", "vote_cast", fields.clone());
    assert_eq!(history.votes()[0].effective_weight, U256::MAX);
    fields["voter"] = json!(person(2));
    history.log("dao", "vote_cast", fields);
    assert_eq!(history.votes()[1].effective_weight, U256::MAX, "1x keeps every bit");
}

#[test]
fn every_output_survives_its_message() {
    let mut history = open_history(vec![rule("gold", "badge", 20_000, Stack::Max, Some(20_000))]);
    history.learn(7, 1);
    history.mint("badge", 1, 1).vote(7, 1, 1, 5).transfer("badge", 1, 2, 1);
    history.log("dao", "vote_cast_with_params", fractional(3, 60, &split(10, 20, 30)));
    history.begin(21).execute(8);
    for output in &history.output {
        let text = serde_json::to_string(output).unwrap();
        assert_eq!(&serde_json::from_str::<Output>(&text).unwrap(), output);
    }
    let vote = serde_json::to_value(Output::Vote(Box::new(history.votes()[0].clone()))).unwrap();
    assert_eq!(vote["kind"], "vote");
    assert_eq!(vote["weight"], "5");
    assert_eq!(vote["counted"]["for"], "5");
    assert_eq!(vote["effective_weight"], "10");
    assert_eq!(vote["voter"], json!(person(1)));
    let tokens: Vec<_> = history.output.iter().map(Output::subject_token).collect();
    assert_eq!(
        tokens,
        [
            "created",
            "active",
            "quorum_needed",
            "benefits",
            "vote",
            "benefits",
            "benefits",
            "vote",
            "succeeded",
            "unreadable"
        ]
    );
}

//! The examples in `config/rules/gallery`, each over a story.

mod stage;

use serde_json::json;
use stage::{ADA, BO, CY, DAY, DEE, Stage, VALE, files};

/// The stories; each has a test of its name.
const TOLD: [&str; 19] = [
    "contributor-score",
    "cross-chain",
    "crown",
    "delegate-of-five",
    "diamond-hands",
    "early-member",
    "eligible-voice",
    "first-vote",
    "long-holder",
    "member-while-holding",
    "monthly",
    "newcomer",
    "one-person",
    "steady-voice",
    "streaks",
    "successful-proposer",
    "tiers",
    "verified-voter",
    "winning-side",
];

#[test]
fn each_example_has_a_story() {
    assert_eq!(files(), TOLD);
}

#[test]
fn eligible_voice() {
    let mut stage = Stage::of("eligible-voice");
    // Ada and bo have votes from the beginning, cy after the second proposal.
    stage.has_votes(ADA, 5).has_votes(BO, 5);
    for proposal in 1..=5 {
        stage.seconds(10).propose(DEE, proposal).votes(ADA, proposal);
        if proposal > 2 {
            stage.votes(CY, proposal);
        }
        if proposal == 1 || proposal == 2 {
            stage.votes(BO, proposal);
        }
        stage.days(2);
        if proposal == 2 {
            stage.has_votes(CY, 3);
        }
    }
    // Bo voted on two of five; cy could have voted on three, and did. Ada was first.
    assert_eq!(stage.earned(), "+ada:eligible-voice +cy:eligible-voice");
}

#[test]
fn first_vote() {
    let mut stage = Stage::of("first-vote");
    assert_eq!(
        stage.votes(ADA, 1).votes(ADA, 2).votes(BO, 1).earned(),
        "+ada:first-vote +bo:first-vote"
    );
}

#[test]
fn steady_voice() {
    let mut stage = Stage::of("steady-voice");
    for proposal in 1..=4 {
        stage.days(7).propose(DEE, proposal);
        stage.votes(ADA, proposal);
        if proposal > 1 {
            stage.votes(BO, proposal);
        }
        if proposal > 2 {
            stage.votes(CY, proposal);
        }
    }
    assert_eq!(stage.earned(), "", "the fourth has not ended");
    assert_eq!(stage.days(2).earned(), "+ada:steady-voice +bo:steady-voice");
    // Three of five are too few for bo; ada has four.
    stage.propose(DEE, 5);
    assert_eq!(stage.days(2).earned(), "-bo:steady-voice");
    // The first proposals are forgotten: bo's three are of four, until of the last 90
    // days there are too few.
    assert_eq!(stage.days(90).earned(), "+bo:steady-voice -ada:steady-voice -bo:steady-voice");
}

#[test]
fn delegate_of_five() {
    let mut stage = Stage::of("delegate-of-five");
    for member in 1..=5 {
        stage.pays(0, member, 1).delegates(member, ADA);
    }
    // One who has nothing does not count.
    stage.delegates(6, ADA).delegates(6, BO);
    assert_eq!(stage.days(29).earned(), "");
    assert_eq!(stage.days(1).earned(), "+ada:delegate-of-five");
    assert_eq!(stage.pays(3, 9, 1).earned(), "-ada:delegate-of-five", "member 3 sold all");
    assert_eq!(stage.pays(0, 3, 1).days(29).earned(), "");
    assert_eq!(stage.days(1).earned(), "+ada:delegate-of-five");
}

#[test]
fn successful_proposer() {
    let mut stage = Stage::of("successful-proposer");
    stage.propose(ADA, 1).propose(BO, 2).propose(CY, 3);
    stage.votes(DEE, 1).votes_on("dao", DEE, 2, 0);
    assert_eq!(stage.earned(), "", "voting is not over");
    assert_eq!(stage.days(2).earned(), "+ada:successful-proposer", "bo lost, cy had no quorum");
}

#[test]
fn winning_side() {
    let mut stage = Stage::of("winning-side");
    for proposal in 1..=3 {
        stage.propose(DEE, proposal);
        stage.votes(ADA, proposal).votes(BO, proposal).votes_on("dao", CY, proposal, 0);
        stage.days(2);
    }
    assert_eq!(stage.earned(), "+ada:winning-side +bo:winning-side");
}

#[test]
fn early_member() {
    let mut stage = Stage::of("early-member");
    stage.votes(DEE, 1).votes(CY, 1).votes(DEE, 2).votes(BO, 1).votes(ADA, 1);
    assert_eq!(stage.earned(), "+dee:early-member +cy:early-member +bo:early-member");
    let mut late = Stage::of("early-member");
    assert_eq!(late.days(160).votes(ADA, 1).earned(), "", "it is summer");
}

#[test]
fn long_holder() {
    let mut stage = Stage::of("long-holder");
    stage.badge(0, ADA, 1).badge(0, BO, 2).pays(0, CY, 1_500);
    stage.days(60).badge(BO, CY, 2).badge(CY, BO, 2).pays(CY, DEE, 500);
    assert_eq!(stage.days(30).earned(), "+ada:badge-for-90-days +cy:thousand-for-90-days");
    assert_eq!(stage.days(60).earned(), "+bo:badge-for-90-days");
}

#[test]
fn streaks() {
    let mut stage = Stage::of("streaks");
    for proposal in 1..=5 {
        stage.propose(DEE, proposal).votes(ADA, proposal);
        if proposal != 3 {
            stage.votes(BO, proposal);
        }
        stage.days(7);
    }
    // Of bo's votes one week is missed, and one proposal.
    assert_eq!(stage.earned(), "+ada:four-weeks +bo:four-weeks +ada:five-proposals");
}

#[test]
fn tiers() {
    let mut stage = Stage::of("tiers");
    assert_eq!(stage.votes(ADA, 1).votes(ADA, 1).votes(ADA, 2).earned(), "+ada:voice-bronze");
    assert_eq!(stage.votes(ADA, 3).votes(ADA, 4).earned(), "+ada:voice-silver");
    assert_eq!(stage.votes(ADA, 5).votes(ADA, 6).votes(ADA, 7).earned(), "+ada:voice-gold");
}

#[test]
fn monthly() {
    let mut stage = Stage::of("monthly");
    assert_eq!(stage.votes(ADA, 1).votes(ADA, 1).earned(), "", "one proposal");
    assert_eq!(stage.votes(ADA, 2).votes(ADA, 3).earned(), "+ada:voice-of-the-month#1");
    stage.days(30).votes(ADA, 4);
    assert_eq!(stage.days(1).votes(ADA, 5).earned(), "", "one in January, one in February");
    assert_eq!(stage.votes(ADA, 6).earned(), "+ada:voice-of-the-month#2");
}

#[test]
fn newcomer() {
    let mut stage = Stage::of("newcomer");
    stage.badge(0, ADA, 1).badge(0, BO, 2).badge(0, CY, 3);
    stage.contributes(ADA, 5).contributes(BO, 5).votes(CY, 1).contributes(CY, 5);
    stage.badge(BO, DEE, 2);
    assert_eq!(stage.days(13).votes(ADA, 1).votes(BO, 1).earned(), "+ada:newcomer");
    assert_eq!(stage.days(2).votes(CY, 2).earned(), "", "cy voted too early and then too late");
}

#[test]
fn cross_chain() {
    let mut stage = Stage::of("cross-chain");
    stage.votes(ADA, 1).votes(ADA, 2).votes(ADA, 3).votes(BO, 1).votes(BO, 2);
    assert_eq!(stage.earned(), "");
    stage.votes_on("dao-l2", ADA, 1, 1).votes_on("dao-l2", BO, 1, 0);
    assert_eq!(stage.earned(), "+ada:at-home-everywhere +bo:at-home-everywhere");
}

#[test]
fn member_while_holding() {
    let mut stage = Stage::of("member-while-holding");
    assert_eq!(stage.badge(0, ADA, 1).earned(), "+ada:member");
    assert_eq!(stage.badge(ADA, BO, 1).earned(), "-ada:member +bo:member");
    assert_eq!(
        stage.badge(BO, ADA, 1).badge(ADA, 0, 1).earned(),
        "+ada:member -bo:member -ada:member"
    );
}

#[test]
fn diamond_hands() {
    let mut stage = Stage::of("diamond-hands");
    stage.badge(0, ADA, 1).badge(0, BO, 2).days(20).badge(BO, CY, 2).badge(0, BO, 3);
    assert_eq!(stage.days(10).earned(), "", "the last second of the month counts");
    assert_eq!(stage.seconds(1).earned(), "+ada:diamond-hands");
    assert_eq!(stage.days(90).earned(), "", "bo's month was the first one");
}

#[test]
fn contributor_score() {
    let mut stage = Stage::of("contributor-score");
    for member in [ADA, VALE] {
        stage.badge(0, member, u64::from(member));
        stage.contributes(member, 99).contributes(member, 100);
        stage.votes(member, 1).votes(member, 1);
    }
    assert_eq!(stage.earned(), "", "35 points");
    assert_eq!(
        stage.votes(VALE, 2).votes(ADA, 2).earned(),
        "+ada:contributor",
        "vale is of the team"
    );
}

#[test]
fn one_person() {
    let mut stage = Stage::of("one-person");
    for proposal in 1..=4 {
        stage.votes(ADA, proposal).votes(BO, proposal);
    }
    stage.links(ADA, BO, "attested").links(BO, ADA, "attested");
    for proposal in 5..=7 {
        stage.votes(ADA, proposal).votes(BO, proposal);
    }
    for proposal in 8..=9 {
        stage.votes(BO, proposal);
    }
    assert_eq!(stage.earned(), "", "bo's votes on the first four are bo's");
    assert_eq!(stage.votes(BO, 10).earned(), "+ada:one-person");
    stage.links(BO, ADA, "revoked");
    for proposal in 11..=16 {
        stage.votes(BO, proposal);
    }
    assert_eq!(stage.earned(), "+bo:one-person", "with those four");
}

#[test]
fn verified_voter() {
    let mut stage = Stage::of("verified-voter");
    let pass = |id: u64| json!({ "id": id.to_string(), "value": "1" });
    stage.moves("passes", 0, ADA, &pass(3)).moves("passes", 0, BO, &pass(4));
    stage.attests(ADA, "attested").attests(BO, "attested");
    assert_eq!(stage.votes(ADA, 1).votes(BO, 1).earned(), "+ada:verified-voter");
    assert_eq!(stage.moves("passes", ADA, BO, &pass(3)).earned(), "", "ada had it when voting");
    assert_eq!(stage.attests(ADA, "revoked").earned(), "-ada:verified-voter");
}

#[test]
fn crown() {
    let mut stage = Stage::of("crown");
    assert_eq!(stage.propose(ADA, 1).votes(ADA, 1).earned(), "+ada:proposer +ada:voter");
    assert_eq!(stage.lands(ADA, 2).earned(), "", "the other one is not on chain yet");
    assert_eq!(stage.seconds(DAY).lands(ADA, 1).earned(), "+ada:crown");
}

//! What a person is told about an achievement.

use serde_json::json;

use super::{
    super::ConditionReport,
    world::{EXAMPLE, World, ballot, compiled, ether, user, when},
};

fn missing(world: &World, achievement: &str) -> Vec<String> {
    world.set.explain(&world.state, achievement, user(1), u64::MAX).unwrap().missing
}

#[test]
fn what_is_missing_is_said_in_words() {
    let mut world = World::new(compiled(EXAMPLE));
    world.vote(1, 1, &ether(400));
    assert_eq!(missing(&world, "first-vote"), Vec::<String>::new());
    let votes = "dao.vote_cast or dao.vote_cast_with_params";
    assert_eq!(
        missing(&world, "steady-voice"),
        [format!("2 more distinct proposal_id in {votes}")]
    );
    assert_eq!(missing(&world, "heavyweight"), [format!("{} more weight in {votes}", ether(100))]);
    assert_eq!(missing(&world, "badge-holder-voter"), ["1 more token of badge"]);
    assert_eq!(
        missing(&world, "pillar"),
        [
            "achievement first-vote must be unlocked on chain first",
            "achievement proposer must be unlocked on chain first"
        ]
    );
    let stranger = world.set.explain(&world.state, "pillar", user(2), u64::MAX).unwrap();
    assert_eq!(
        stranger.missing[2],
        "one of: 1 more dao.vote_cast; 1 more contributions.contributed"
    );
}

#[test]
fn an_earned_achievement_shows_what_counted() {
    let mut world = World::new(when(
        "event = \"dao.vote_cast\"\nsubject = \"voter\"\nwhere = { support = 1 }\n\
         distinct = \"proposal_id\"\ncount = 2",
    ));
    for (proposal, support) in [(1, 1), (1, 1), (2, 0), (3, 1)] {
        world.apply("dao.vote_cast", &ballot(1, proposal, support, "1"));
    }
    let explanation = world.set.explain(&world.state, "a", user(1), u64::MAX).unwrap();
    assert!(explanation.earned && explanation.missing.is_empty());
    assert_eq!(explanation.requested.as_ref().map(|item| item.block), Some(4));
    let ConditionReport::Events(leaf) = &explanation.condition else { panic!("not events") };
    assert_eq!(
        leaf.condition,
        "at least 2 distinct proposal_id in dao.vote_cast by voter where support == 1"
    );
    assert_eq!((leaf.needed.as_str(), leaf.have.as_str(), leaf.total), ("2", "2", 2));
    let blocks: Vec<u64> = leaf.evidence.iter().map(|item| item.block).collect();
    assert_eq!(blocks, [1, 4]);
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["condition"]["kind"], json!("events"));
    assert_eq!(json["achievement_id"], json!("1"));
}

#[test]
fn a_token_given_away_shows_in_the_explanation() {
    let mut world = World::new(compiled(EXAMPLE));
    world.apply("badge.minted", &json!({ "to": user(1), "token_id": "1" }));
    let have = |world: &World| {
        let explanation =
            world.set.explain(&world.state, "badge-holder-voter", user(1), u64::MAX).unwrap();
        let ConditionReport::All { members, .. } = explanation.condition else {
            panic!("no group")
        };
        let ConditionReport::Holds(leaf) = &members[0] else { panic!("no tokens") };
        (leaf.have.clone(), leaf.evidence.len())
    };
    assert_eq!(have(&world), ("1".to_owned(), 1));
    let moved = json!({ "from": user(1), "to": user(2), "token_id": "1" });
    world.apply("badge.transferred", &moved);
    assert_eq!(have(&world), ("0".to_owned(), 0));
}

#[test]
fn a_wrong_name_gets_the_near_ones() {
    let world = World::new(compiled(EXAMPLE));
    let error = world.set.explain(&world.state, "first-vot", user(1), u64::MAX).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rule set `participation` has no achievement `first-vot`; did you mean `first-vote`?"
    );
}

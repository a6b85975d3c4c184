//! What part of something a user took.

use serde_json::json;

use super::{
    super::RuleSet,
    world::{World, ballot, catalog, set_of, user, when},
};

/// Of the proposals that were created: the catalog's governor tells no
/// outcomes.
fn ratio(more: &str) -> String {
    format!(
        "ratio = {{ of = {{ event = \"dao.vote_cast\", subject = \"voter\", distinct = \"proposal_id\" }}, \
         over = \"dao.proposal_created\", gte = \"75%\"{more} }}"
    )
}

fn world(more: &str) -> World {
    World::new(when(&ratio(more)))
}

/// A proposal; who of the first five users earned something by it.
fn propose(world: &mut World) -> Vec<u8> {
    let unlocks = world.apply("dao.proposal_created", &json!({}));
    unlocks.iter().map(|unlock| unlock.request.user.0[0]).collect()
}

fn vote(world: &mut World, voter: u8, proposal: u64) -> usize {
    world.apply("dao.vote_cast", &ballot(voter, proposal, 1, "1")).len()
}

#[test]
fn a_part_is_earned_once_there_is_enough_to_be_a_part_of() {
    let mut world = world(", at_least = 4");
    for proposal in 1..=3 {
        assert_eq!(propose(&mut world), Vec::<u8>::new());
        assert_eq!(vote(&mut world, 1, proposal), 0);
        assert_eq!(vote(&mut world, 1, proposal), 0, "a second vote is no more");
    }
    // User 1 has voted on three of four without voting on this one.
    assert_eq!(propose(&mut world), [1]);
    assert_eq!(vote(&mut world, 2, 4), 0);
}

#[test]
fn who_comes_late_catches_up() {
    let mut world = world(", at_least = 2");
    propose(&mut world);
    let mut earned = None;
    for proposal in 2..=8 {
        propose(&mut world);
        if vote(&mut world, 1, proposal) > 0 {
            earned.get_or_insert(proposal);
        }
    }
    assert_eq!(earned, Some(4), "three of four");
}

#[test]
fn a_rolling_window_looks_at_both() {
    let mut world = world(", at_least = 2, last = \"1h\"");
    for proposal in 1..=4 {
        propose(&mut world);
        if proposal == 4 {
            assert_eq!(vote(&mut world, 1, proposal), 0, "one of four");
        }
    }
    world.pass(3_600);
    propose(&mut world);
    assert_eq!(vote(&mut world, 1, 5), 0, "one is not two");
    propose(&mut world);
    assert_eq!(vote(&mut world, 1, 6), 1, "two of two: the others are forgotten");
    let kept = world.state.all().filter(|(key, _)| matches!(key, crate::rules::Key::TallyAt(..)));
    assert_eq!(kept.count(), 2);
}

#[test]
fn a_calendar_window_looks_at_both() {
    // From 1,003 s on: the third block.
    let mut world = world(", from = 1970-01-01T00:16:43Z, at_least = 1");
    propose(&mut world);
    propose(&mut world);
    propose(&mut world);
    assert_eq!(vote(&mut world, 1, 3), 1, "one of one");
}

#[test]
fn a_ratio_is_told_in_words_and_percent() {
    let mut world = world(", at_least = 3");
    propose(&mut world);
    vote(&mut world, 1, 1);
    let explain = |world: &World| {
        let explained = world.set.explain(&world.state, "a", user(1), world.time()).unwrap();
        let said = serde_json::to_value(&explained).unwrap()["condition"].clone();
        (said["have"].clone(), said["needed"].clone(), said["condition"].clone(), explained.missing)
    };
    let (have, needed, condition, missing) = explain(&world);
    assert_eq!((have, needed), (json!("0%"), json!("75%")));
    assert_eq!(condition, "dao.vote_cast by voter for at least 75% of dao.proposal_created");
    assert_eq!(missing, ["2 more to be a part of"]);
    propose(&mut world);
    propose(&mut world);
    let (have, _, _, missing) = explain(&world);
    assert_eq!(have, "33.33%");
    assert_eq!(missing, ["75%; 1 of 3 are 33.33%"]);
}

#[test]
fn what_makes_no_ratio_is_refused() {
    let refused = |line: &str| {
        let text = set_of(&format!("[achievements.when]\n{line}"));
        let errors = RuleSet::compile("rules.toml", &text, &catalog()).unwrap_err();
        errors.iter().map(|error| format!("{error}\n")).collect::<String>()
    };
    let of = "of = { event = \"dao.vote_cast\", subject = \"voter\" }";
    let over = "over = \"dao.proposal_created\"";
    for (line, why) in [
        ("ratio = 3".to_owned(), "write ratio = { of ="),
        (format!("ratio = {{ {of}, {over} }}"), "`gte`"),
        (format!("ratio = {{ {of}, gte = \"75%\" }}"), "`over`"),
        (format!("ratio = {{ {over}, gte = \"75%\" }}"), "`of`"),
        (format!("ratio = {{ {of}, {over}, gte = 75 }}"), "write a part in percent"),
        (format!("ratio = {{ {of}, {over}, gte = \"75\" }}"), "write a part in percent"),
        (format!("ratio = {{ {of}, {over}, gte = \"7.555%\" }}"), "write a part in percent"),
        (format!("ratio = {{ {of}, {over}, gte = \"101%\" }}"), "0.01% to 100%"),
        (format!("ratio = {{ {of}, {over}, gte = \"0%\" }}"), "0.01% to 100%"),
        (format!("ratio = {{ {of}, {over}, gte = \"99999999999999999999%\" }}"), "percent"),
        (format!("ratio = {{ {of}, {over}, gte = \"75%\", at_least = 0 }}"), "1 to 1000000000"),
        (format!("ratio = {{ {of}, {over}, gte = \"75%\", within = \"7d\" }}"), "`within`"),
        (
            format!("ratio = {{ {of}, over = \"dao.proposal_creatd\", gte = \"75%\" }}"),
            "did you mean `proposal_created`",
        ),
        (
            "ratio = { of = { event = \"dao.vote_cast\", subject = \"voter\", count = 3 }, \
             over = \"dao.proposal_created\", gte = \"75%\" }"
                .to_owned(),
            "`count`",
        ),
    ] {
        let said = refused(&line);
        assert!(said.contains(why), "{line}: {said}");
    }
}

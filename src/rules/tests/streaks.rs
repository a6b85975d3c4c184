//! Something done in one week, or at one proposal, after the other.

use super::{
    super::RuleSet,
    world::{World, ballot, catalog, set_of, when},
};

const GIVE: &str = "event = \"contributions.contributed\"\nsubject = \"member\"";
const WEEK: u64 = 7 * 86_400;

fn weekly(length: u64, grace: u64) -> World {
    let streak = format!("streak = {{ per = \"week\", length = {length}, grace = {grace} }}");
    World::new(when(&format!("{GIVE}\n{streak}")))
}

/// In which of the weeks an unlock was asked for; a 1 is a week with
/// contributions.
fn earned_in(world: &mut World, weeks: &str) -> Option<usize> {
    weeks.chars().enumerate().find_map(|(week, gives)| {
        let mut earned = 0;
        if gives == '1' {
            earned += world.contribute(1) + world.contribute(1);
        }
        world.pass(WEEK);
        (earned > 0).then_some(week)
    })
}

#[test]
fn weeks_in_a_row_make_a_streak_and_one_missed_breaks_it() {
    assert_eq!(earned_in(&mut weekly(3, 0), "111"), Some(2));
    assert_eq!(earned_in(&mut weekly(3, 0), "110111"), Some(5));
    assert_eq!(earned_in(&mut weekly(3, 0), "1101101"), None);
}

#[test]
fn grace_lets_so_many_be_missed_within_the_streak() {
    assert_eq!(earned_in(&mut weekly(3, 1), "1101"), Some(3));
    assert_eq!(earned_in(&mut weekly(3, 1), "11001"), None);
    assert_eq!(earned_in(&mut weekly(4, 1), "1011011"), Some(6), "the first is left behind");
    assert_eq!(earned_in(&mut weekly(4, 2), "10101001"), None);
}

#[test]
fn what_was_before_a_break_is_no_evidence() {
    let mut world = weekly(2, 0);
    world.contribute(1);
    world.pass(3 * WEEK);
    world.contribute(1);
    world.pass(WEEK);
    let fields =
        serde_json::json!({ "member": super::world::user(1).to_checksum(None), "amount": "1" });
    let unlocks = world.apply("contributions.contributed", &fields);
    let blocks: Vec<u64> =
        unlocks[0].request.evidence.items.iter().map(|item| item.block).collect();
    assert_eq!((unlocks[0].request.evidence.total, blocks), (2, vec![2, 3]));
}

#[test]
fn a_streak_may_be_of_what_happens_for_everybody() {
    let vote = "event = \"dao.vote_cast\"\nsubject = \"voter\"";
    let streak = "streak = { of = \"dao.proposal_created\", length = 2 }";
    let mut world = World::new(when(&format!("{vote}\n{streak}")));
    let propose = |world: &mut World| world.apply("dao.proposal_created", &serde_json::json!({}));
    let vote =
        |world: &mut World, voter| world.apply("dao.vote_cast", &ballot(voter, 1, 1, "1")).len();
    propose(&mut world);
    assert_eq!(vote(&mut world, 1), 0);
    assert_eq!(vote(&mut world, 1), 0, "twice on one proposal");
    propose(&mut world);
    propose(&mut world);
    assert_eq!(vote(&mut world, 1), 0, "one was missed");
    assert_eq!(vote(&mut world, 2), 0);
    propose(&mut world);
    assert_eq!((vote(&mut world, 1), vote(&mut world, 2)), (1, 1));
}

/// A streak is what it is now, whoever looks at it.
#[test]
fn a_streak_that_was_lost_does_not_count_later() {
    let with_badge = |weeks_before: u64| {
        let streak = "streak = { per = \"week\", length = 2 }";
        let give = GIVE.replace('\n', ", ");
        let text = format!("all = [{{ {give}, {streak} }}, {{ holds = {{ nft = \"badge\" }} }}]");
        let mut world = World::new(when(&text));
        world.contribute(1);
        world.pass(WEEK);
        world.contribute(1);
        world.pass(weeks_before * WEEK);
        world.badge(1, None, 1)
    };
    assert_eq!(with_badge(0), 1);
    assert_eq!(with_badge(1), 1, "this week is not over");
    assert_eq!(with_badge(2), 0);
}

#[test]
fn streaks_are_told_in_words() {
    let mut world = weekly(3, 1);
    world.contribute(1);
    let explained =
        world.set.explain(&world.state, "a", super::world::user(1), world.time()).unwrap();
    let said = serde_json::to_value(&explained).unwrap();
    assert_eq!(
        said["condition"]["condition"],
        "at least 3 in a row, one each week with at most 1 missed, of contributions.contributed by member"
    );
    assert_eq!(explained.missing, ["2 more contributions.contributed in a row, one each week"]);
}

#[test]
fn tiers_may_be_streaks() {
    let text = "id = \"set\"\nsigner = \"awards\"\nachievements_contract = \"achievements\"\n\
        [[achievements]]\nname = \"streak\"\n\
        when = { event = \"contributions.contributed\", subject = \"member\", streak = { per = \"week\" } }\n\
        [[achievements.tiers]]\nname = \"two\"\nid = 1\nat_least = 2\n\
        [[achievements.tiers]]\nname = \"four\"\nid = 2\nat_least = 4\n";
    let set = RuleSet::compile("rules.toml", text, &catalog()).unwrap();
    let mut world = World::new(set);
    let mut earned = Vec::new();
    for _ in 0..4 {
        earned.push(world.contribute(1));
        world.pass(WEEK);
    }
    assert_eq!(earned, [0, 1, 0, 1]);
}

#[test]
fn what_makes_no_streak_is_refused() {
    let refused = |lines: &str| {
        let text = set_of(&format!("[achievements.when]\n{lines}"));
        let errors = RuleSet::compile("rules.toml", &text, &catalog()).unwrap_err();
        errors.iter().map(|error| format!("{error}\n")).collect::<String>()
    };
    for (streak, why) in [
        ("streak = 3", "write streak = { length = 4"),
        ("streak = { length = 3 }", "`per`"),
        ("streak = { per = \"week\" }", "`length`"),
        ("streak = { length = 0, per = \"week\" }", "1 to 1000000000"),
        ("streak = { length = 3, per = \"weak\" }", "did you mean `week`?"),
        ("streak = { length = 3, per = \"week\", of = \"dao.vote_cast\" }", "`per`, `of`"),
        ("streak = { length = 3, per = \"week\", grace = 33 }", "0 to 32"),
        ("streak = { length = 3, per = \"week\", grace = -1 }", "0 to 32"),
        ("streak = { length = 3, of = \"dao.vote_casd\" }", "did you mean `vote_cast` or"),
        ("streak = { length = 3, per = \"week\", size = 1 }", "`size`"),
        ("streak = { length = 3, per = \"week\" }\ncount = 2", "`streak`, `count`"),
        ("streak = { length = 3, per = \"week\" }\nlast = \"7d\"", "`streak`, `last`"),
    ] {
        let said = refused(&format!("{GIVE}\n{streak}"));
        assert!(said.contains(why), "{streak}: {said}");
    }
    let give = GIVE.replace('\n', ", ");
    let streak = "streak = { length = 3, per = \"week\" }";
    let not = format!("not = {{ {give}, {streak}, to = 2030-01-01 }}");
    assert!(refused(&not).contains("a streak ends by itself"), "{}", refused(&not));
    let each =
        format!("score = {{ gte = 3, of = [{{ points = 1, each = {{ {give}, {streak} }} }}] }}");
    assert!(refused(&each).contains("use `once`"), "{}", refused(&each));
}

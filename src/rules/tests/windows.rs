//! When events count, and what is made of them.

use serde_json::json;

use super::world::{World, ballot, compiled, set_of, user, when};
use crate::rules::Key;

const DAY: u64 = 86_400;

const VOTE: &str = "event = \"dao.vote_cast\"\nsubject = \"voter\"";

fn voted(more: &str) -> World {
    World::new(when(&format!("{VOTE}\n{more}")))
}

/// The worlds' blocks are a second apart from 1970-01-01T00:16:41Z on.
#[test]
fn a_window_holds_from_its_beginning_until_before_its_end() {
    for (window, expected) in [
        ("from = 1970-01-01T00:16:41Z", 1),
        ("from = 1970-01-01T00:16:42Z", 0),
        ("to = 1970-01-01T00:16:42Z", 1),
        ("to = 1970-01-01T00:16:41Z", 0),
        ("from = 1970-01-01\nto = 1970-01-02", 1),
        ("from = 1970-01-01T01:16:41+01:00", 1),
        ("from = 1970-01-01T02:16:41", 0),
    ] {
        assert_eq!(voted(window).vote(1, 1, "1"), expected, "{window}");
    }
}

#[test]
fn a_rolling_window_forgets_what_is_as_old_as_it_is_long() {
    let mut world = voted("count = 2\nlast = \"30d\"");
    assert_eq!(world.vote(1, 1, "1"), 0);
    // The next block is a second later.
    world.pass(30 * DAY - 1);
    assert_eq!(world.vote(1, 2, "1"), 0, "thirty days later to the second");
    world.pass(30 * DAY - 2);
    let unlocks = world.apply("dao.vote_cast", &ballot(1, 3, 1, "1"));
    assert_eq!(unlocks.len(), 1);
    let evidence = &unlocks[0].request.evidence;
    let blocks: Vec<u64> = evidence.items.iter().map(|item| item.block).collect();
    assert_eq!((evidence.total, blocks), (2, vec![2, 3]));
}

#[test]
fn a_rolling_window_of_distinct_values_knows_when_each_was_last() {
    let mut world = voted("distinct = \"proposal_id\"\ncount = 2\nlast = \"10d\"");
    world.vote(1, 7, "1");
    world.pass(6 * DAY);
    assert_eq!(world.vote(1, 7, "1"), 0, "one value twice");
    world.pass(6 * DAY);
    assert_eq!(world.vote(1, 8, "1"), 1, "the second time is not forgotten yet");

    let mut world = voted("distinct = \"proposal_id\"\ncount = 2\nlast = \"10d\"");
    world.vote(1, 7, "1");
    world.pass(11 * DAY);
    assert_eq!(world.vote(1, 8, "1"), 0);
    assert_eq!(world.vote(1, 7, "1"), 1, "what was forgotten counts anew");
}

#[test]
fn a_rolling_sum_is_of_what_is_in_the_window() {
    let mut world = voted("sum = { field = \"weight\", gte = 10 }\nlast = \"1h\"");
    world.vote(1, 1, "9");
    world.pass(3_600);
    assert_eq!(world.vote(1, 2, "5"), 0);
    world.pass(1_800);
    assert_eq!(world.vote(1, 3, "5"), 1);
    let shown = world.set.explain(&world.state, "a", user(1), world.time()).unwrap();
    let have = |shown| json!(shown)["condition"]["have"].clone();
    assert_eq!(have(shown), json!("10"));
    let later = world.time() + 1_800;
    let shown = world.set.explain(&world.state, "a", user(1), later).unwrap();
    assert_eq!(have(shown), json!("5"), "explained at a later time");
}

#[test]
fn what_a_rolling_window_forgets_leaves_nothing_behind() {
    for measure in ["", "distinct = \"proposal_id\"", "sum = { field = \"weight\", gte = 99 }"] {
        let count = if measure.starts_with("sum") { "" } else { "count = 9" };
        let mut world = voted(&format!("{measure}\n{count}\nlast = \"1h\""));
        for proposal in 0..5 {
            world.vote(1, proposal, "1");
        }
        world.pass(3_600);
        world.vote(1, 9, "1");
        let keys: Vec<&Key> = world.state.all().map(|(key, _)| key).collect();
        assert!(keys.len() <= 2, "{measure}: {keys:?}");
    }
}

#[test]
fn a_rolling_window_keeps_no_more_than_anybody_asks_for() {
    let mut world = voted("count = 3\nlast = \"30d\"");
    let size = |world: &World| {
        world.state.rows().map(|(key, value)| key.len() + value.len()).sum::<usize>()
    };
    for proposal in 0..3 {
        world.vote(1, proposal, "1");
    }
    let three = size(&world);
    for proposal in 3..200 {
        world.vote(1, proposal, "1");
    }
    // The request goes on naming the log that completed it.
    assert!(size(&world) < three + 600, "{} after {three}", size(&world));
}

#[test]
fn within_counts_from_the_users_own_first_event_on() {
    let window = "within = { span = \"7d\", after = { event = \"contributions.contributed\", \
                  subject = \"member\" } }";
    let mut world = voted(window);
    assert_eq!(world.vote(1, 1, "1"), 0, "before it began");
    world.contribute(1);
    assert_eq!(world.vote(2, 1, "1"), 0, "somebody else's does not begin it");
    world.pass(7 * DAY - 2);
    assert_eq!(world.vote(1, 2, "1"), 1, "seven days after to the second");

    let mut world = voted(window);
    world.contribute(1);
    world.pass(4 * DAY);
    world.contribute(1);
    world.pass(4 * DAY);
    assert_eq!(world.vote(1, 1, "1"), 0, "the first counts, not the last");
}

#[test]
fn a_sum_that_nothing_is_enough_for_is_met_when_its_window_begins() {
    let sum = "sum = { field = \"weight\", gte = 0 }\nwithin = { span = \"7d\", after = { event = \
               \"contributions.contributed\", subject = \"member\" } }";
    assert_eq!(voted(sum).contribute(1), 1);
    assert_eq!(voted(&sum.replace("gte = 0", "gte = 1")).contribute(1), 0);
}

#[test]
fn there_is_no_sum_before_its_window_begins_whatever_else_is_met() {
    for (gte, at_the_vote, at_the_contribution) in [("-2", 0, 1), ("0", 0, 1), ("1", 0, 0)] {
        let mut world = World::new(when(&format!(
            "all = [{{ event = \"dao.vote_cast\", subject = \"voter\" }}, {{ event = \
             \"contributions.rated\", subject = \"member\", sum = {{ field = \"points\", gte = {gte} \
             }}, within = {{ span = \"7d\", after = {{ event = \"contributions.contributed\", \
             subject = \"member\" }} }} }}]"
        )));
        assert_eq!(world.vote(1, 1, "1"), at_the_vote, "{gte}");
        assert_eq!(world.contribute(1), at_the_contribution, "{gte}");
    }
}

#[test]
fn the_greatest_and_the_smallest_number_of_a_field() {
    let mut world = voted("max = { field = \"weight\", gte = 10 }");
    assert_eq!(world.vote(1, 1, "9"), 0);
    assert_eq!(world.vote(1, 2, "10"), 1);
    let mut world = voted("min = { field = \"weight\", lte = 3 }");
    assert_eq!(world.vote(1, 1, "9"), 0);
    assert_eq!(world.vote(1, 2, "3"), 1);
    let mut world = voted("max = { field = \"weight\", lte = 3 }");
    assert_eq!(world.vote(1, 1, "9"), 0);
    assert_eq!(world.vote(1, 2, "1"), 0, "the greatest is above it for ever");
    assert_eq!(world.vote(2, 2, "1"), 1);
}

#[test]
fn achievements_that_ask_for_the_same_look_at_one_meter() {
    let tier = |name: &str, id: u8, count: u8| {
        format!(
            "[[achievements]]\nname = \"{name}\"\nid = {id}\n[achievements.when]\n{VOTE}\n\
             distinct = \"proposal_id\"\ncount = {count}\n"
        )
    };
    let text = format!(
        "id = \"set\"\nsigner = \"awards\"\nachievements_contract = \"achievements\"\n{}{}{}",
        tier("bronze", 1, 1),
        tier("silver", 2, 2),
        tier("gold", 3, 3)
    );
    let mut world = World::new(compiled(&text));
    let mut names = Vec::new();
    for proposal in 0..5 {
        let earned = world.earned("dao.vote_cast", &ballot(1, proposal, 1, "1"));
        names.push(earned.into_iter().map(|(_, name)| name).collect::<Vec<_>>());
    }
    assert_eq!(names, [vec!["bronze"], vec!["silver"], vec!["gold"], vec![], vec![]]);
    assert_eq!(world.set.meters.len(), 1);
    world.state.take_changes();
    world.vote(1, 9, "1");
    assert!(world.state.take_changes().is_empty(), "nobody asks for a fourth");
}

#[test]
fn each_mistake_about_time_is_named_with_the_way_out() {
    for (window, said) in [
        ("last = \"30 dayz\"", "`30 dayz` is no span of time"),
        ("last = \"1 month\"", "is no span of time"),
        ("last = \"1y\"", "is no span of time"),
        ("last = \"0s\"", "0s is out of range: 1s to 36500d"),
        ("last = \"1ms\"", "is no span of time"),
        ("last = \"40000d\"", "out of range"),
        ("last = 30", "expected text, found integer"),
        ("from = \"2026-01-01\"", "expected a date or a time, found string"),
        ("from = 12:00:00", "`12:00:00` is no time since 1970-01-01"),
        ("from = 1960-01-01", "`1960-01-01` is no time since 1970-01-01"),
        ("from = 2026-01-02\nto = 2026-01-01", "the window ends before it begins"),
        ("from = 2026-01-01\nto = 2026-01-01", "the window ends before it begins"),
        ("from = 2026-01-01\nlast = \"1d\"", "`last`, `from` can't stand together"),
        ("within = \"7d\"", "expected a table"),
        ("within = { span = \"7d\" }", "`after` is missing"),
        (
            "within = { span = \"7d\", after = { event = \"dao.vote_cst\", subject = \"voter\" } }",
            "did you mean `vote_cast`",
        ),
        (
            "within = { span = \"7d\", after = { event = \"dao.vote_cast\", subject = \"voter\", last = \"1d\" } }",
            "unknown key `last`",
        ),
        ("max = { field = \"weight\" }", "`gte` is missing"),
        ("max = { field = \"weight\", gte = 1, lte = 2 }", "`gte`, `lte` can't stand together"),
        ("sum = { field = \"weight\", lte = 2 }", "unknown key `lte`"),
        ("max = { field = \"weight\", gte = 1 }\ncount = 2", "`count`, `max` can't stand together"),
        ("min = { field = \"reason\", gte = 1 }", "is text"),
    ] {
        let text = set_of(&format!("[achievements.when]\n{VOTE}\n{window}"));
        let errors = super::super::RuleSet::compile("r.toml", &text, &super::world::catalog());
        let told: String = errors.unwrap_err().iter().map(|error| format!("{error}\n")).collect();
        assert!(told.contains(said), "{window}: {told}");
    }
}

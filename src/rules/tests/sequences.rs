//! One thing after the other.

use serde_json::json;

use super::{
    super::RuleSet,
    world::{World, ballot, catalog, compiled, set_of, user, when},
};

const VOTE: &str = "{ event = \"dao.vote_cast\", subject = \"voter\" }";
const GIVE: &str = "{ event = \"contributions.contributed\", subject = \"member\" }";
const RATE: &str = "{ event = \"contributions.rated\", subject = \"member\" }";

fn sequence(more: &str) -> World {
    World::new(when(&format!("sequence = {{ of = [{GIVE}, {VOTE}]{more} }}")))
}

fn rate(world: &mut World, member: u8) -> usize {
    let member = user(member).to_checksum(None);
    let fields = json!({ "member": member, "points": "1", "final": true });
    world.apply("contributions.rated", &fields).len()
}

fn refused(when: &str) -> String {
    let text = set_of(&format!("when = {{ {when} }}"));
    let errors = RuleSet::compile("rules.toml", &text, &catalog()).unwrap_err();
    errors.iter().map(|error| format!("{error}\n")).collect()
}

#[test]
fn the_steps_must_come_in_their_order_and_from_one_user() {
    let mut world = sequence("");
    assert_eq!(world.vote(1, 1, "1"), 0);
    assert_eq!(world.contribute(1), 0, "first the contribution, then the vote");
    assert_eq!(world.vote(2, 1, "1"), 0, "of somebody else");
    assert_eq!(world.vote(1, 2, "1"), 1);
    assert_eq!(world.vote(1, 3, "1"), 0, "once");
}

#[test]
fn the_latest_beginning_counts_for_the_time_that_it_may_take() {
    let mut world = sequence(", within = \"60s\"");
    world.contribute(1);
    world.pass(50);
    world.contribute(1);
    world.pass(50);
    assert_eq!(world.vote(1, 1, "1"), 1, "the second was 51 s ago");

    let mut world = sequence(", within = \"60s\"");
    world.contribute(1);
    world.pass(60);
    assert_eq!(world.vote(1, 1, "1"), 0, "61 s");
}

#[test]
fn what_must_not_be_between_breaks_it() {
    let mut world = sequence(&format!(", not_between = {RATE}"));
    world.contribute(1);
    rate(&mut world, 2);
    assert_eq!(world.vote(1, 1, "1"), 1, "of somebody else");

    let mut world = sequence(&format!(", not_between = {RATE}"));
    rate(&mut world, 1);
    world.contribute(1);
    rate(&mut world, 1);
    assert_eq!(world.vote(1, 1, "1"), 0);
    world.contribute(1);
    assert_eq!(world.vote(1, 2, "1"), 1, "from the beginning");
}

#[test]
fn an_event_is_one_step_only() {
    let mut world = World::new(when(&format!("sequence = {{ of = [{VOTE}, {VOTE}, {VOTE}] }}")));
    let earned: Vec<usize> = (1..5).map(|proposal| world.vote(1, proposal, "1")).collect();
    assert_eq!(earned, [0, 0, 1, 0]);
}

#[test]
fn the_steps_alone_are_the_evidence() {
    let mut world = sequence("");
    world.contribute(1);
    world.contribute(1);
    let unlocks = world.apply("dao.vote_cast", &ballot(1, 1, 1, "1"));
    let evidence = &unlocks[0].request.evidence;
    let named: Vec<(u64, &str)> =
        evidence.items.iter().map(|it| (it.block, it.name.as_str())).collect();
    assert_eq!(named, [(2, "contributed"), (3, "vote_cast")], "the latest beginning");
    assert_eq!(evidence.total, 2);
    assert_eq!(world.state.rows().count(), 3, "the user and the two logs are all that is kept");
}

#[test]
fn explain_says_which_steps_lack() {
    let mut world = sequence(&format!(", within = \"60s\", not_between = {RATE}"));
    let said = |world: &World, now| {
        let it = world.set.explain(&world.state, "a", user(1), now).unwrap();
        it.missing.join("; ")
    };
    let first = "contributions.contributed by member, then dao.vote_cast by voter";
    assert_eq!(said(&world, 0), first);
    world.contribute(1);
    assert_eq!(said(&world, world.time()), "then dao.vote_cast by voter");
    assert_eq!(said(&world, world.time() + 60), first, "it is too late for that one");
}

#[test]
fn a_sequence_may_have_to_be_within_each_month() {
    let text =
        format!("every = \"day\"\ncap = 3\nwhen = {{ sequence = {{ of = [{GIVE}, {VOTE}] }} }}");
    let mut world = World::new(compiled(&set_of(&text)));
    world.contribute(1);
    world.pass(86_400);
    assert_eq!(world.vote(1, 1, "1"), 0, "of another day");
    world.contribute(1);
    assert_eq!(world.vote(1, 2, "1"), 1);
    assert_eq!(world.vote(1, 2, "1"), 0);
    world.pass(86_400);
    world.contribute(1);
    assert_eq!(world.vote(1, 2, "1"), 1, "the next day again");
}

#[test]
fn each_mistake_is_named_with_the_way_out() {
    let many = vec![VOTE; 17].join(", ");
    for (when, said) in [
        ("sequence = 3".to_owned(), "expected a table"),
        ("sequence = {}".to_owned(), "`of` is missing"),
        ("sequence = { of = 3 }".to_owned(), "expected a list"),
        ("sequence = { of = [] }".to_owned(), "`of` has no entries"),
        (format!("sequence = {{ of = [{VOTE}] }}"), "one step is no sequence"),
        (format!("sequence = {{ of = [{many}] }}"), "17 steps, more than 16"),
        (format!("sequence = {{ of = [{VOTE}, {VOTE}], within = \"soon\" }}"), "`soon` is no span"),
        (format!("sequence = {{ of = [{VOTE}, {VOTE}], in = \"1d\" }}"), "unknown key `in`"),
        (format!("sequence = {{ of = [{VOTE}, 3] }}"), "expected a table"),
        (
            format!("sequence = {{ of = [{VOTE}, {}] }}", VOTE.replace("voter", "vote")),
            "did you mean `voter`",
        ),
        (
            format!("sequence = {{ of = [{VOTE}, {}] }}", VOTE.replace(" }", ", count = 2 }")),
            "unknown key `count`",
        ),
        (
            format!(
                "sequence = {{ of = [{VOTE}, {VOTE}], not_between = {{ event = \"dao.vote_cast\" }} }}"
            ),
            "`subject` is missing",
        ),
        (
            format!("not = {{ sequence = {{ of = [{VOTE}, {VOTE}] }}, to = 2026-01-01 }}"),
            "unknown key `sequence`",
        ),
    ] {
        let told = refused(&when);
        assert!(told.contains(said), "{when}: {told}");
    }
}

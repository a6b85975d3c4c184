//! Conditions of conditions, of tokens, and of what did not happen.

use serde_json::json;

use super::{
    super::RuleSet,
    world::{World, ballot, catalog, compiled, set_of, user, when},
};
use crate::rules::memory;

const DAY: u64 = 86_400;

const VOTE: &str = "event = \"dao.vote_cast\", subject = \"voter\"";
const GIVE: &str = "event = \"contributions.contributed\", subject = \"member\"";
const PROPOSE: &str = "event = \"dao.proposal_created\", subject = \"proposer\"";

fn world(condition: &str) -> World {
    World::new(when(condition))
}

fn missing(world: &World, member: u8) -> Vec<String> {
    world.set.explain(&world.state, "a", user(member), world.time()).unwrap().missing
}

fn refused(condition: &str) -> String {
    let text = set_of(&format!("[achievements.when]\n{condition}"));
    let errors = RuleSet::compile("rules.toml", &text, &catalog()).unwrap_err();
    errors.iter().map(|error| format!("{error}\n")).collect()
}

#[test]
fn so_many_of_several_are_enough() {
    let mut world = world(&format!(
        "at_least = 2\nof = [{{ {VOTE} }}, {{ {GIVE} }}, {{ holds = {{ nft = \"badge\" }} }}]"
    ));
    assert_eq!(world.vote(1, 1, "1"), 0);
    assert_eq!(world.vote(1, 2, "1"), 0, "one of them twice is one of them");
    assert!(missing(&world, 1)[0].starts_with("1 of: "), "{:?}", missing(&world, 1));
    assert_eq!(world.badge(1, None, 1), 1);
}

#[test]
fn what_did_not_happen_is_sure_when_its_window_is_over() {
    let rule = format!("all = [{{ {VOTE} }}, {{ not = {{ {GIVE}, to = 1970-01-11 }} }}]");
    let mut world = world(&rule);
    assert_eq!(world.vote(1, 1, "1"), 0);
    world.vote(2, 1, "1");
    assert_eq!(missing(&world, 1), ["nothing but time: from 1970-01-11T00:00:00Z on"]);
    assert_eq!(world.contribute(2), 0);
    assert!(world.idle().is_empty());
    world.pass(10 * DAY);
    let unlocks = world.idle();
    assert_eq!(unlocks.len(), 1, "{unlocks:?}");
    assert_eq!(unlocks[0].request.user, user(1));
    assert_eq!(unlocks[0].request.evidence.total, 1, "the vote, and nothing else");
    assert!(world.idle().is_empty(), "once");
    assert_eq!(world.vote(3, 1, "1"), 1, "who votes later is sure at once");
    assert!(missing(&world, 2)[0].contains("nothing can be done"), "{:?}", missing(&world, 2));
    assert!(memory::first_due(&world.state).is_none());
    for who in 1..=3 {
        assert_eq!(memory::user(&world.state, user(who)).waits(0), None);
    }
}

#[test]
fn what_did_not_follow_somebodys_first_event_is_sure_after_the_span() {
    let after = format!("within = {{ span = \"7d\", after = {{ {GIVE} }} }}");
    let mut world = world(&format!("not = {{ {VOTE}, {after} }}"));
    world.contribute(1);
    world.contribute(2);
    world.pass(7 * DAY - 1);
    // To the second seven days after the second one's, and one more after the first's.
    assert_eq!(world.vote(2, 1, "1"), 1, "the first one is sure by then");
    assert!(world.idle().is_empty(), "the other one voted just in time");
    assert!(missing(&world, 3)[0].contains("must begin"), "{:?}", missing(&world, 3));
}

#[test]
fn points_add_up_from_what_is_done_and_what_holds() {
    let mut world = world(&format!(
        "score = {{ gte = 60, of = [{{ points = 5, each = {{ {VOTE}, distinct = \"proposal_id\" }} }}, \
         {{ points = 20, once = {{ holds = {{ nft = \"badge\" }} }} }}, \
         {{ points = 30, once = {{ {PROPOSE} }} }}] }}"
    ));
    for proposal in 0..8 {
        assert_eq!(world.vote(1, proposal, "1"), 0, "{proposal}");
    }
    assert_eq!(world.vote(1, 7, "1"), 0, "40 points");
    assert!(missing(&world, 1)[0].contains("60 in all"), "{:?}", missing(&world, 1));
    assert_eq!(world.badge(1, None, 1), 1);
    for proposal in 0..11 {
        assert_eq!(world.vote(2, proposal, "1"), 0, "{proposal}");
    }
    assert_eq!(world.vote(2, 11, "1"), 1, "votes alone");
}

#[test]
fn tokens_held_without_a_break_are_enough_when_the_time_has_passed() {
    let mut world = world("holds = { nft = \"badge\", for = \"90d\" }");
    assert_eq!(world.badge(1, None, 1), 0);
    assert_eq!(world.badge(2, None, 1), 0);
    world.pass(80 * DAY);
    assert_eq!(world.badge(1, Some(1), 2), 0, "one of two went: one is still held");
    assert!(missing(&world, 1)[0].starts_with("nothing but time: from 1970-04-01T00:16:41Z"));
    world.pass(10 * DAY);
    let unlocks = world.idle();
    assert_eq!(unlocks.iter().map(|it| it.request.user).collect::<Vec<_>>(), [user(1)]);
    assert_eq!(unlocks[0].request.evidence.items[0].name.as_str(), "minted");
    world.pass(79 * DAY);
    assert!(world.idle().is_empty());
    world.pass(DAY);
    assert_eq!(world.idle().len(), 1, "who got it later has it later");
}

#[test]
fn a_token_that_comes_back_within_a_block_is_a_break() {
    let mut world = world("holds = { nft = \"badge\", for = \"90d\" }");
    world.badge(1, None, 1);
    world.pass(89 * DAY);
    world.badge(1, Some(1), 2);
    // In a block of its own, a second later: nothing shorter could tell either.
    world.badge(1, Some(2), 1);
    world.pass(2 * DAY);
    assert!(world.idle().is_empty());
    assert_eq!(world.badge(1, Some(1), 1), 0, "to themselves: no break");
    world.pass(88 * DAY);
    assert_eq!(world.idle().len(), 1);
}

#[test]
fn an_event_may_ask_for_what_is_held_at_it() {
    let mut world =
        world(&format!("{}\ncount = 2\nholding = {{ nft = \"badge\" }}", VOTE.replace(", ", "\n")));
    assert_eq!(world.vote(1, 1, "1"), 0, "holds none");
    world.badge(1, None, 1);
    assert_eq!(world.vote(1, 2, "1"), 0);
    world.badge(1, Some(1), 2);
    assert_eq!(world.vote(1, 3, "1"), 0, "gave it away");
    world.badge(1, Some(2), 1);
    let unlocks = world.apply("dao.vote_cast", &ballot(1, 4, 1, "1"));
    let votes: Vec<u64> = unlocks[0].request.evidence.items.iter().map(|item| item.block).collect();
    assert_eq!(votes, [3, 7]);
}

#[test]
fn the_first_so_many_are_the_first_in_order() {
    let text = set_of(&format!("first = 2\nwhen = {{ {VOTE}, count = 2 }}"));
    let mut world = World::new(compiled(&text));
    for voter in [3, 1, 2] {
        world.vote(voter, 1, "1");
    }
    assert_eq!(world.vote(2, 2, "1"), 1);
    assert_eq!(world.vote(1, 2, "1"), 1);
    assert_eq!(world.vote(3, 2, "1"), 0, "who began first was not the first to have it");
    assert_eq!(missing(&world, 3), ["the first 2 have it already"]);
    assert_eq!(world.vote(1, 3, "1"), 0);
}

/// Blocks without events need not begin, and decide the same when they do.
#[test]
fn which_empty_blocks_begin_makes_no_difference() {
    let rule = format!(
        "any = [{{ holds = {{ nft = \"badge\", for = \"3d\" }} }}, \
         {{ all = [{{ {VOTE} }}, {{ not = {{ {GIVE}, to = 1970-01-05 }} }}] }}]"
    );
    let run = |idle: bool| {
        let mut world = world(&rule);
        let mut said = Vec::new();
        for step in 0..10_u8 {
            world.pass(DAY / 2);
            if idle {
                said.extend(world.idle());
            } else {
                // The next block has its number all the same.
                world.skip();
            }
            let event = match step {
                0 => ("badge.minted", json!({ "to": user(1).to_checksum(None), "token_id": "1" })),
                4 => ("badge.minted", json!({ "to": user(2).to_checksum(None), "token_id": "2" })),
                9 => {
                    ("badge.burned", json!({ "from": user(2).to_checksum(None), "token_id": "2" }))
                }
                _ => ("dao.vote_cast", ballot(step, 1, 1, "1")),
            };
            said.extend(world.apply(event.0, &event.1));
        }
        said
    };
    let said = run(true);
    assert!(said.len() > 5, "{said:?}");
    assert_eq!(said, run(false));
}

#[test]
fn each_mistake_is_named_with_the_way_out() {
    for (condition, said) in [
        (format!("not = {{ {GIVE} }}"), "it is never sure that nothing happens"),
        (format!("not = {{ {GIVE}, from = 2026-01-01 }}"), "it is never sure"),
        (format!("not = {{ {GIVE}, last = \"1d\" }}"), "it is never sure"),
        (
            format!("not = {{ {GIVE}, to = 2026-01-01 }}"),
            "nothing that somebody does makes this true",
        ),
        (
            format!("any = [{{ {VOTE} }}, {{ not = {{ {GIVE}, to = 2026-01-01 }} }}]"),
            "nothing that somebody does makes this true",
        ),
        ("not = { holds = { nft = \"badge\" } }".to_owned(), "never sure"),
        (format!("at_least = 3\nof = [{{ {VOTE} }}, {{ {GIVE} }}]"), "3 is out of range: 1 to 2"),
        (format!("at_least = 0\nof = [{{ {VOTE} }}]"), "0 is out of range"),
        (format!("of = [{{ {VOTE} }}]"), "`at_least` is missing"),
        ("at_least = 1".to_owned(), "`event` is missing"),
        ("of = []\nat_least = 1".to_owned(), "has no entries"),
        ("score = { gte = 5 }".to_owned(), "`of` is missing"),
        ("score = { gte = 5, of = [{ points = 1 }] }".to_owned(), "`each` is missing"),
        (
            format!("score = {{ gte = 5, of = [{{ points = 0, each = {{ {VOTE} }} }}] }}"),
            "0 is out of range",
        ),
        (
            format!(
                "score = {{ gte = 5, of = [{{ points = 1, each = {{ {VOTE}, count = 2 }} }}] }}"
            ),
            "unknown key `count`",
        ),
        (
            "score = { gte = 5, of = [{ points = 1, each = { event = \"contributions.rated\", \
             subject = \"member\", sum = { field = \"points\", gte = 1 } } }] }"
                .to_owned(),
            "`each`, `sum` can't stand together",
        ),
        ("holds = { nft = \"badge\", for = \"x\" }".to_owned(), "is no span of time"),
        ("holds = { nft = \"bage\", for = \"1d\" }".to_owned(), "did you mean `badge`"),
        (
            format!("{}\nholding = {{ nft = \"dao\" }}", VOTE.replace(", ", "\n")),
            "has no event `minted`",
        ),
        (format!("{}\nholding = \"badge\"", VOTE.replace(", ", "\n")), "expected a table"),
    ] {
        let told = refused(&condition);
        assert!(told.contains(said), "{condition}: {told}");
    }
    let text = set_of(&format!("first = 0\nwhen = {{ {VOTE} }}"));
    let errors = RuleSet::compile("rules.toml", &text, &catalog()).unwrap_err();
    assert!(errors[0].to_string().contains("0 is out of range"), "{}", errors[0]);
}

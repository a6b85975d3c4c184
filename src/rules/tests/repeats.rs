//! Achievements that can be earned again.

use alloy::primitives::U256;
use serde_json::json;

use super::{
    super::{RuleSet, memory::State},
    world::{World, ballot, catalog, compiled, set_of, user},
};
use crate::domain::UnlockId;

const VOTE: &str = "event = \"dao.vote_cast\", subject = \"voter\"";
const DAY: u64 = 86_400;
/// 2024-01-01T00:00:00Z.
const JANUARY: u64 = 1_704_067_200;
const FEBRUARY: u64 = JANUARY + 31 * DAY;
const MARCH: u64 = FEBRUARY + 29 * DAY;

fn monthly(cap: u64, when: &str) -> String {
    set_of(&format!("every = \"month\"\ncap = {cap}\nwhen = {{ {when} }}"))
}

fn vote(world: &mut World, time: u64, proposal: u64) -> Vec<(U256, Option<u64>)> {
    let unlocks = world.apply_at(time, "dao.vote_cast", &ballot(1, proposal, 1, "1"));
    unlocks.iter().map(|it| (it.request.achievement_id, it.request.instance)).collect()
}

fn time(n: u64) -> (U256, Option<u64>) {
    (U256::from(n), Some(n))
}

fn refused(text: &str) -> String {
    let errors = RuleSet::compile("rules.toml", text, &catalog()).unwrap_err();
    errors.iter().map(|error| format!("{error}\n")).collect()
}

#[test]
fn each_month_counts_by_itself_and_each_time_has_an_id_of_its_own() {
    let mut world = World::new(compiled(&monthly(12, &format!("{VOTE}, count = 2"))));
    assert_eq!(vote(&mut world, JANUARY, 1), []);
    assert_eq!(vote(&mut world, JANUARY + 5, 2), [time(1)]);
    assert_eq!(vote(&mut world, FEBRUARY - 1, 3), [], "once a month");
    assert_eq!(vote(&mut world, FEBRUARY, 4), []);
    assert_eq!(vote(&mut world, MARCH, 5), [], "one in each is not two in one");
    world.state = State::from_saved(world.state.rows()).unwrap();
    assert_eq!(vote(&mut world, MARCH + 1, 6), [time(2)]);
}

#[test]
fn each_time_is_an_effect_of_its_own_with_its_own_evidence() {
    let mut world = World::new(compiled(&monthly(12, VOTE)));
    let mut ids = Vec::new();
    for month in [JANUARY, FEBRUARY] {
        let unlocks = world.apply_at(month, "dao.vote_cast", &ballot(1, 1, 1, "1"));
        let request = &unlocks[0].request;
        let contract = catalog().contracts["achievements"].address;
        assert_eq!(request.id, UnlockId::of(1, contract, request.achievement_id, user(1)));
        assert_eq!(request.achievement.as_str(), "a");
        assert_eq!((request.evidence.items.len(), request.evidence.total), (1, 1));
        ids.push(request.id);
    }
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn it_is_earned_so_often_and_then_no_more() {
    let mut world = World::new(compiled(&monthly(2, VOTE)));
    assert_eq!(vote(&mut world, JANUARY, 1), [time(1)]);
    assert_eq!(vote(&mut world, FEBRUARY, 2), [time(2)]);
    assert_eq!(vote(&mut world, MARCH, 3), []);
}

#[test]
fn a_value_counts_once_a_month() {
    let when = format!("{VOTE}, distinct = \"proposal_id\", count = 2");
    let mut world = World::new(compiled(&monthly(3, &when)));
    assert_eq!(vote(&mut world, JANUARY, 1), []);
    assert_eq!(vote(&mut world, JANUARY + 1, 1), []);
    assert_eq!(vote(&mut world, FEBRUARY, 1), [], "again, for this month");
    assert_eq!(vote(&mut world, FEBRUARY, 2), [time(1)]);
}

/// "Each month in which you hold a badge."
#[test]
fn what_lasts_is_earned_at_the_beginning_of_the_next_month() {
    let mut world = World::new(compiled(&monthly(3, "holds = { nft = \"badge\" }")));
    let earned = |unlocks: Vec<crate::rules::Unlock>| {
        unlocks.iter().map(|it| it.request.instance).collect::<Vec<_>>()
    };
    let to = json!({ "to": user(1).to_checksum(None), "token_id": "7" });
    assert_eq!(earned(world.apply_at(JANUARY + 9, "badge.minted", &to)), [Some(1)]);
    assert_eq!(earned(world.begin_at(FEBRUARY - 1)), []);
    assert_eq!(earned(world.begin_at(FEBRUARY)), [Some(2)]);
    let sold = json!({
        "from": user(1).to_checksum(None), "to": user(2).to_checksum(None), "token_id": "7",
    });
    assert_eq!(earned(world.apply_at(FEBRUARY + 1, "badge.transferred", &sold)), [Some(1)]);
    let earned = world.begin_at(MARCH);
    let who: Vec<_> = earned.iter().map(|it| (it.request.user, it.request.instance)).collect();
    assert_eq!(who, [(user(2), Some(2))], "whoever has it then");
}

#[test]
fn of_months_without_blocks_each_is_found_in_its_turn() {
    let mut world = World::new(compiled(&monthly(9, "holds = { nft = \"badge\" }")));
    let to = json!({ "to": user(1).to_checksum(None), "token_id": "7" });
    world.apply_at(JANUARY, "badge.minted", &to);
    assert_eq!(world.begin_at(MARCH + 31 * DAY).len(), 3, "February, March, April");
}

#[test]
fn explain_says_how_often_and_when_again() {
    let mut world = World::new(compiled(&monthly(2, VOTE)));
    vote(&mut world, JANUARY, 1);
    let explained =
        |world: &World, now| world.set.explain(&world.state, "a", user(1), now).unwrap();
    let explanation = explained(&world, JANUARY + 1);
    let times = explanation.times.unwrap();
    assert_eq!((times.earned, times.cap, times.again_from), (1, 2, Some(FEBRUARY)));
    assert_eq!(explanation.missing[0], "nothing but time: from 2024-02-01T00:00:00Z on");
    let explanation = explained(&world, FEBRUARY);
    assert_eq!(explanation.missing, ["1 more dao.vote_cast"]);
    vote(&mut world, FEBRUARY, 1);
    assert_eq!(explained(&world, MARCH).missing, [""; 0], "it was earned as often as it can be");
}

#[test]
fn each_mistake_is_named_with_the_way_out() {
    let again = "every = \"month\"\ncap = 3";
    let when = format!("when = {{ {VOTE} }}");
    let other = |id: &str| format!("[[achievements]]\nname = \"b\"\nid = {id}\n{when}\n");
    for (text, said) in [
        (format!("every = \"month\"\n{when}"), "`cap` is missing"),
        (format!("cap = 3\n{when}"), "`every` is missing"),
        (format!("every = \"moth\"\ncap = 3\n{when}"), "did you mean `month`"),
        (format!("every = 3\ncap = 3\n{when}"), "expected text"),
        (format!("every = \"day\"\ncap = 0\n{when}"), "0 is out of range"),
        (format!("every = \"day\"\ncap = 10001\n{when}"), "10001 is out of range"),
        (format!("every = \"day\"\ncap = -1\n{when}"), "-1 is out of range"),
        (format!("{again}\nfirst = 3\n{when}"), "`every`, `first` can't stand together"),
        (format!("{again}\n{when}\n{}", other("3")), "id 3 is taken"),
        (
            format!(
                "{again}\n{when}\n{}",
                other("0").replace("id = 0", "id = 0\nevery = \"day\"\ncap = 2")
            ),
            "id 0 to 1 is taken",
        ),
        (
            format!(
                "{again}\nwhen = {{ ratio = {{ of = {{ {VOTE} }}, over = \"dao.proposal_created\", \
                 gte = \"75%\" }} }}"
            ),
            "`every`, `ratio` can't stand together",
        ),
        (format!("{again}\nwhen = {{ not = {{ {VOTE} }} }}"), "never"),
    ] {
        let told = refused(&set_of(&text));
        assert!(told.contains(said), "{text}: {told}");
    }
    let last = U256::MAX.to_string();
    let text =
        set_of(&format!("{again}\n{when}")).replace("id = 1\n", &format!("id = \"{last}\"\n"));
    assert!(refused(&text).contains("out of range"), "{}", refused(&text));
    compiled(&set_of(&format!("{again}\n{when}\n{}", other("4"))));
}

#[test]
fn tiers_may_be_earned_again_too() {
    let tiers = "[[achievements.tiers]]\nname = \"one\"\nid = 10\nat_least = 1\n\
                 [[achievements.tiers]]\nname = \"two\"\nid = 20\nat_least = 2\n";
    let text = monthly(3, VOTE).replace("id = 1\n", "") + tiers;
    let mut world = World::new(compiled(&text));
    let names = |world: &mut World, time| {
        let unlocks = world.apply_at(time, "dao.vote_cast", &ballot(1, 1, 1, "1"));
        let told = |it: &crate::rules::Unlock| {
            (it.request.achievement.to_string(), it.request.achievement_id.to_string())
        };
        unlocks.iter().map(told).collect::<Vec<_>>()
    };
    let pair = |name: &str, id: &str| (name.to_owned(), id.to_owned());
    assert_eq!(names(&mut world, JANUARY), [pair("a-one", "10")]);
    assert_eq!(names(&mut world, JANUARY), [pair("a-two", "20")]);
    assert_eq!(names(&mut world, FEBRUARY), [pair("a-one", "11")]);
    let close = text.replace("id = 20", "id = 12");
    assert!(refused(&close).contains("id 12 to 14 is taken"), "{}", refused(&close));
}

//! What users have: tokens, amounts, types of tokens, and the votes of others.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::U256;
use proptest::{collection::vec, prelude::*};
use serde_json::{Value as Json, json};

use super::{
    super::{Key, RuleSet, memory::State},
    world::{World, catalog, compiled, set_of, user, when},
};

fn refused(when: &str) -> String {
    let text = set_of(&format!("when = {{ {when} }}"));
    let errors = RuleSet::compile("rules.toml", &text, &catalog()).unwrap_err();
    errors.iter().map(|error| format!("{error}\n")).collect()
}

/// A move of a token; 0 is nobody.
fn moved(world: &mut World, contract: &str, (from, to): (u8, u8), what: &Json) -> usize {
    let address = |n: u8| json!(user(n).to_checksum(None));
    let mut fields = what.clone();
    let event = match (from, to) {
        (0, _) => "minted",
        (_, 0) => "burned",
        _ => "transferred",
    };
    if from != 0 {
        fields["from"] = address(from);
    }
    if to != 0 {
        fields["to"] = address(to);
    }
    world.apply(&format!("{contract}.{event}"), &fields).len()
}

fn pays(world: &mut World, from: u8, to: u8, value: &str) -> usize {
    moved(world, "token", (from, to), &json!({ "value": value }))
}

fn delegates(world: &mut World, delegator: u8, to: u8) -> usize {
    let fields = json!({
        "delegator": user(delegator).to_checksum(None),
        "from_delegate": user(0).to_checksum(None),
        "to_delegate": user(to).to_checksum(None),
    });
    world.apply("token.delegate_changed", &fields).len()
}

#[test]
fn an_amount_is_what_came_less_what_went() {
    let mut world = World::new(when("holds = { token = \"token\", at_least = \"10e18\" }"));
    let ether = |n: u64| format!("{n}000000000000000000");
    assert_eq!(pays(&mut world, 0, 1, &ether(9)), 0);
    assert_eq!(pays(&mut world, 1, 2, &ether(1)), 0);
    assert_eq!(pays(&mut world, 0, 1, &ether(1)), 0);
    assert_eq!(pays(&mut world, 1, 1, &ether(9)), 0, "to oneself");
    assert_eq!(pays(&mut world, 0, 1, &ether(1)), 1);
    assert_eq!(pays(&mut world, 7, 3, &ether(10)), 1, "whatever its sender had before");
}

#[test]
fn nothing_that_is_sent_leaves_nothing_behind() {
    let mut world = World::new(when("holds = { token = \"token\", at_least = 1 }"));
    assert_eq!(pays(&mut world, 2, 1, "0"), 0);
    assert_eq!(world.state.rows().count(), 0);
    pays(&mut world, 0, 1, "5");
    pays(&mut world, 1, 0, "5");
    assert!(world.state.all().all(|(key, _)| !matches!(key, Key::Token(..) | Key::Held(..))));
}

#[test]
fn an_amount_is_held_without_a_break_from_when_it_was_reached() {
    let mut world = World::new(when("holds = { token = \"token\", at_least = 5, for = \"100s\" }"));
    pays(&mut world, 0, 1, "6");
    world.pass(50);
    pays(&mut world, 1, 0, "2");
    pays(&mut world, 0, 1, "1");
    world.pass(90);
    assert_eq!(world.idle().len(), 0, "it was less for a moment");
    world.pass(10);
    assert_eq!(world.idle().len(), 1);
}

#[test]
fn a_certain_token_or_type_of_tokens_can_be_asked_for() {
    let mut world = World::new(when("holds = { nft = \"badge\", id = 7 }"));
    assert_eq!(world.badge(6, None, 1), 0);
    assert_eq!(world.badge(7, None, 1), 1);

    let mut world = World::new(when("holds = { nft = \"items\", id = 3, at_least = 4 }"));
    let item = |id: u64, value: u64| json!({ "id": id.to_string(), "value": value.to_string() });
    assert_eq!(moved(&mut world, "items", (0, 1), &item(2, 9)), 0);
    assert_eq!(moved(&mut world, "items", (0, 1), &item(3, 3)), 0);
    let batch = json!({
        "from": user(9).to_checksum(None), "to": user(1).to_checksum(None),
        "ids": ["2", "3", "3"], "values": ["5", "1", "1"],
    });
    let unlocks = world.apply("items.transferred_batch", &batch);
    assert_eq!(unlocks.len(), 1);
    let evidence = &unlocks[0].request.evidence;
    assert_eq!((evidence.items.len(), evidence.total), (1, 1), "the latest that came");
}

#[test]
fn delegators_are_others_who_have_something_to_vote_with() {
    let mut world = World::new(when("delegators = { of = \"token\", at_least = 2 }"));
    pays(&mut world, 0, 1, "5");
    pays(&mut world, 0, 2, "5");
    assert_eq!(delegates(&mut world, 1, 1), 0, "oneself");
    assert_eq!(delegates(&mut world, 2, 1), 0);
    assert_eq!(delegates(&mut world, 3, 1), 0, "with nothing");
    assert_eq!(pays(&mut world, 0, 3, "1"), 1, "with something now");
}

#[test]
fn whoever_goes_to_another_delegate_or_sells_is_a_delegator_no_more() {
    let mut world =
        World::new(when("delegators = { of = \"token\", at_least = 2, for = \"100s\" }"));
    for member in 2..5 {
        pays(&mut world, 0, member, "5");
        delegates(&mut world, member, 1);
    }
    world.pass(60);
    delegates(&mut world, 2, 9);
    pays(&mut world, 3, 8, "5");
    pays(&mut world, 8, 3, "5");
    world.pass(60);
    assert_eq!(world.idle().len(), 0, "for a moment there was one only");
    world.pass(40);
    let unlocks = world.idle();
    assert_eq!(unlocks.len(), 1);
    let evidence = &unlocks[0].request.evidence;
    let named: Vec<&str> = evidence.items.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(named, ["delegate_changed", "transferred"], "why each counts");
}

#[test]
fn an_attestation_counts_of_its_schema_by_its_attester_until_it_is_revoked() {
    let word = |n: u8| alloy::primitives::B256::repeat_byte(n).to_string();
    let rule = format!(
        "mode = \"while\"\nwhen = {{ attested = {{ of = \"eas\", schema = \"{}\", attester = \"{}\", at_least = 2 }} }}",
        word(5),
        user(9)
    );
    let mut world = World::new(compiled(&set_of(&rule)));
    let mut told = |event: &str, (schema, attester, uid): (u8, u8, u8)| {
        let fields = json!({
            "recipient": user(1).to_checksum(None),
            "attester": user(attester).to_checksum(None),
            "uid": word(uid),
            "schema_uid": word(schema),
        });
        let unlocks = world.apply(&format!("eas.{event}"), &fields);
        unlocks
            .iter()
            .map(|it| if it.lapsed.is_none() { "has" } else { "lost" })
            .collect::<String>()
    };
    assert_eq!(told("attested", (5, 9, 1)), "");
    assert_eq!(told("attested", (6, 9, 2)), "", "of another schema");
    assert_eq!(told("attested", (5, 1, 3)), "", "by oneself");
    assert_eq!(told("attested", (5, 9, 4)), "has");
    assert_eq!(told("revoked", (6, 9, 2)), "");
    assert_eq!(told("revoked", (5, 9, 1)), "lost");
}

#[test]
fn events_may_count_only_at_an_amount() {
    let mut world = World::new(when(
        "event = \"dao.vote_cast\"\nsubject = \"voter\"\nholding = { token = \"token\", at_least = 3 }",
    ));
    pays(&mut world, 0, 1, "2");
    assert_eq!(world.vote(1, 1, "1"), 0);
    pays(&mut world, 0, 1, "2");
    assert_eq!(world.vote(1, 1, "1"), 1);
}

#[test]
fn explain_says_how_much_more() {
    let said = |rule: &str| {
        let world = World::new(when(rule));
        let it = world.set.explain(&world.state, "a", user(1), 0).unwrap();
        it.missing.join("; ")
    };
    assert_eq!(said("holds = { token = \"token\", at_least = 3 }"), "3 more of token");
    assert_eq!(said("holds = { nft = \"items\", id = 3 }"), "1 more of items 3");
    assert_eq!(said("holds = { nft = \"badge\", id = 3 }"), "1 more token of badge 3");
    assert_eq!(
        said("delegators = { of = \"token\", at_least = 5 }"),
        "5 more of token's delegators"
    );
}

#[test]
fn each_mistake_is_named_with_the_way_out() {
    for (when, said) in [
        ("holds = { token = \"token\" }", "`at_least` is missing"),
        ("holds = { token = \"token\", at_least = 0 }", "0 is out of range"),
        ("holds = { token = \"token\", at_least = -1 }", "-1 is out of range"),
        ("holds = { token = \"token\", at_least = \"lots\" }", "`lots` is not an unsigned integer"),
        ("holds = { token = \"token\", at_least = \"1e78\" }", "out of range"),
        ("holds = { token = \"badge\", at_least = 1 }", "no field `value`"),
        (
            "holds = { token = \"token\", nft = \"badge\", at_least = 1 }",
            "`nft`, `token` can't stand",
        ),
        ("holds = { token = \"token\", id = 1, at_least = 1 }", "`id`, `token` can't stand"),
        ("holds = { nft = \"token\" }", "no field `token_id`"),
        ("holds = { nft = \"items\" }", "`id` is missing"),
        ("holds = { nft = \"items\", id = -1 }", "out of range"),
        ("holds = { nft = \"items\", id = \"x\" }", "not an unsigned integer"),
        ("holds = { at_least = 1 }", "`nft` is missing"),
        ("holds = { nft = 3 }", "expected text"),
        ("attested = { of = \"eas\", schema = \"0x01\" }", "`attester` is missing"),
        (
            "attested = { of = \"eas\", schema = \"0x01\", attester = \"0x12\" }",
            "`0x12` is not an address",
        ),
        (
            "attested = { of = \"eas\", schema = \"0x01\", attester = \"0x1111111111111111111111111111111111111111\" }",
            "1 bytes is out of range: 32 bytes",
        ),
        (
            "attested = { of = \"dao\", schema = \"0x01\", attester = \"0x1111111111111111111111111111111111111111\" }",
            "no event `attested`",
        ),
        ("attested = { schema = 3 }", "`attester` is missing"),
        ("delegators = 5", "expected a table"),
        ("delegators = { at_least = 5 }", "`of` is missing"),
        ("delegators = { of = \"badge\" }", "no event `delegate_changed`"),
        ("delegators = { of = \"tokens\" }", "did you mean `token`"),
        ("delegators = { of = \"token\", at_least = 0 }", "out of range"),
        ("delegators = { of = \"token\", kept = \"1d\" }", "unknown key `kept`"),
        ("delegators = { of = \"token\", for = \"1y\" }", "is no span"),
    ] {
        let told = refused(when);
        assert!(told.contains(said), "{when}: {told}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Pay(u8, u8, u64),
    Delegate(u8, u8),
}

proptest! {
    /// Who has how much and how many delegators, after each event, is what a look at
    /// all events before says.
    #[test]
    fn delegators_are_what_a_naive_count_finds(
        moves in vec(
            prop_oneof![
                (0..5_u8, 0..5_u8, 0..4_u64).prop_map(|(from, to, value)| Move::Pay(from, to, value)),
                (1..5_u8, 0..5_u8).prop_map(|(from, to)| Move::Delegate(from, to)),
            ],
            1..40,
        ),
    ) {
        let rule = "all = [{ delegators = { of = \"token\", at_least = 9 } }, \
                    { holds = { token = \"token\", at_least = 999 } }]";
        let mut world = World::new(when(rule));
        let (mut balances, mut trust) = (BTreeMap::<u8, u64>::new(), BTreeMap::new());
        for step in moves {
            match step {
                Move::Pay(from, to, value) => {
                    // Nobody pays more than there is, or from nobody to nobody.
                    let value = if from == 0 { value } else { value.min(balances.get(&from).copied().unwrap_or(0)) };
                    if from == 0 && to == 0 {
                        continue;
                    }
                    pays(&mut world, from, to, &value.to_string());
                    if from != 0 {
                        *balances.entry(from).or_default() -= value;
                    }
                    if to != 0 {
                        *balances.entry(to).or_default() += value;
                    }
                }
                Move::Delegate(from, to) => {
                    delegates(&mut world, from, to);
                    trust.insert(from, to);
                }
            }
            world.state = State::from_saved(world.state.rows()).unwrap();
            let leaf = |place: usize| {
                let explained = world.set.explain(&world.state, "a", user(1), 0).unwrap();
                let json = serde_json::to_value(&explained.condition).unwrap();
                json["members"][place]["have"].as_str().unwrap().parse::<U256>().unwrap()
            };
            let delegators: BTreeSet<&u8> = trust
                .iter()
                .filter(|(from, to)| **to == 1 && **from != 1)
                .filter(|(from, _)| balances.get(from).is_some_and(|it| *it > 0))
                .map(|(from, _)| from)
                .collect();
            prop_assert_eq!(leaf(0), U256::from(delegators.len()));
            prop_assert_eq!(leaf(1), U256::from(balances.get(&1).copied().unwrap_or(0)));
        }
    }
}

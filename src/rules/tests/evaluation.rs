//! One claim for each thing that a rule can say.

use alloy::primitives::{Address, U256};
use serde_json::json;

use super::{
    super::{OnRetract, RuleSet},
    world::{EXAMPLE, World, ballot, catalog, compiled, ether, name, set_of, user, when},
};
use crate::{
    domain::{Evidence, UnlockId},
    fold::{Fold, Kept as _},
    rules::memory::{Key, State},
};

const VOTE: &str = "event = \"dao.vote_cast\"\nsubject = \"voter\"";

#[test]
fn an_event_earns_once_and_only_for_its_subject() {
    let mut world = World::new(when(VOTE));
    let unlocks = world.apply("dao.vote_cast", &ballot(1, 7, 1, "5"));
    assert_eq!(unlocks.len(), 1);
    let request = &unlocks[0].request;
    assert_eq!(request.id, UnlockId::of(1, user(0xac), U256::from(1), user(1)));
    assert_eq!((request.user, &request.signer), (user(1), &name("awards")));
    assert_eq!(request.evidence.rule_version, world.set.version());
    assert_eq!((request.evidence.items.len(), request.evidence.total), (1, 1));
    assert_eq!(unlocks[0].request.on_retract, OnRetract::Revoke);
    assert_eq!(world.vote(1, 8, "5"), 0);
    assert_eq!(world.vote(2, 8, "5"), 1);
}

#[test]
fn several_signers_share_the_users_and_each_stays_with_its_own() {
    let set = |signers: &str| {
        compiled(&set_of(&format!("[achievements.when]\n{VOTE}")).replacen(
            "\"awards\"",
            signers,
            1,
        ))
    };
    let (one, two) = (set("\"awards\""), set("[\"treasury\", \"awards\", \"awards\"]"));
    assert_ne!(one.version(), two.version());
    assert_eq!(two.version(), set("[\"awards\", \"treasury\"]").version(), "order means nothing");
    let of = |set: &RuleSet, n: u8| {
        let id = UnlockId(alloy::primitives::B256::repeat_byte(n));
        set.achievements()[0].signer_of(id).unwrap().clone()
    };
    let shares = (0..=255).filter(|n| of(&two, *n) == name("awards")).count();
    assert!((96..160).contains(&shares), "{shares} of 256");
    assert!((0..=255).all(|n| of(&one, n) == name("awards")));
    let mut world = World::new(two);
    for voter in 1..20 {
        let unlocks = world.apply("dao.vote_cast", &ballot(voter, 7, 1, "5"));
        let expected = world.set.achievements()[0].signer_of(unlocks[0].request.id).cloned();
        assert_eq!(Some(unlocks[0].request.signer.clone()), expected);
    }
}

#[test]
fn the_zero_address_and_other_events_earn_nothing() {
    let mut world = World::new(when(VOTE));
    assert_eq!(world.vote(0, 7, "5"), 0);
    assert!(world.earned("dao.vote_cast_with_params", &ballot(1, 7, 1, "5")).is_empty());
}

#[test]
fn count_needs_so_many_events() {
    let mut world = World::new(when(&format!("{VOTE}\ncount = 3")));
    assert_eq!([world.vote(1, 7, "1"), world.vote(1, 7, "1"), world.vote(1, 7, "1")], [0, 0, 1]);
}

#[test]
fn distinct_counts_each_value_once() {
    let mut world = World::new(when(&format!("{VOTE}\ndistinct = \"proposal_id\"\ncount = 2")));
    assert_eq!(world.vote(1, 7, "1"), 0);
    assert_eq!(world.vote(1, 7, "2"), 0);
    let unlocks = world.apply("dao.vote_cast", &ballot(1, 8, 1, "1"));
    let blocks: Vec<u64> = unlocks[0].request.evidence.items.iter().map(|i| i.block).collect();
    assert_eq!(blocks, [1, 3], "the second vote on a proposal is no evidence");
}

#[test]
fn several_events_count_as_one_kind() {
    let events = "event = [\"dao.vote_cast\", \"dao.vote_cast_with_params\"]\nsubject = \"voter\"";
    let mut world = World::new(when(&format!("{events}\ncount = 2")));
    assert_eq!(world.vote(1, 7, "1"), 0);
    assert_eq!(world.earned("dao.vote_cast_with_params", &ballot(1, 7, 1, "5")).len(), 1);
}

#[test]
fn sum_adds_beyond_64_bits_and_saturates() {
    let sum = format!("{VOTE}\nsum = {{ field = \"weight\", gte = \"1000 ether\" }}");
    let mut world = World::new(when(&sum));
    assert_eq!(world.vote(1, 7, &ether(999)), 0);
    assert_eq!(world.vote(1, 7, &ether(1)), 1);
    let all = format!("{VOTE}\nsum = {{ field = \"weight\", gte = \"{}\" }}", U256::MAX);
    let mut world = World::new(when(&all));
    assert_eq!(world.vote(1, 7, &(U256::MAX - U256::from(1)).to_string()), 0);
    assert_eq!(world.vote(1, 7, "5"), 1);
}

#[test]
fn a_signed_sum_can_fall_again() {
    let sum = "event = \"contributions.rated\"\nsubject = \"member\"\n\
               sum = { field = \"points\", gte = 3 }";
    let mut world = World::new(when(sum));
    let mut rate = |points: &str| {
        let fields = json!({ "member": user(1), "points": points, "final": true });
        world.earned("contributions.rated", &fields).len()
    };
    assert_eq!([rate("2"), rate("-2"), rate("2"), rate("1")], [0, 0, 0, 1]);
}

#[test]
fn every_comparison_does_what_it_says() {
    let passes = |test: &str, weight: &str| {
        World::new(when(&format!("{VOTE}\nwhere = {{ weight = {test} }}"))).vote(1, 7, weight) == 1
    };
    for (test, yes, no) in [
        ("5", "5", "6"),
        ("{ eq = 5 }", "5", "4"),
        ("{ ne = 5 }", "4", "5"),
        ("{ gt = 5 }", "6", "5"),
        ("{ gte = 5 }", "5", "4"),
        ("{ lt = 5 }", "4", "5"),
        ("{ lte = 5 }", "5", "6"),
        ("{ in = [1, \"5\"] }", "5", "2"),
        ("{ gte = 5, lt = 8 }", "7", "8"),
        ("{ gt = \"1e18\" }", "1000000000000000001", "1000000000000000000"),
        ("0x10", "16", "10"),
    ] {
        assert!(passes(test, yes), "{test} passes {yes}");
        assert!(!passes(test, no), "{test} refuses {no}");
    }
}

#[test]
fn every_plain_field_can_be_compared() {
    let rated = "event = \"contributions.rated\"\nsubject = \"member\"";
    let given = "event = \"contributions.contributed\"\nsubject = \"member\"";
    let address = format!("{:#x}", user(1));
    let cases = [
        (rated, "final = true"),
        (rated, "points = -3"),
        (rated, "points = { lt = 0 }"),
        (given, "note = \"thank you\""),
        (given, "topic = \"0xABcd\""),
        (given, &format!("member = \"{address}\"")),
    ];
    for (event, test) in cases {
        let mut world = World::new(when(&format!("{event}\nwhere = {{ {test} }}")));
        let (kind, good, bad) = if event == rated {
            let fields = |points: &str, last: bool| json!({ "member": user(1), "points": points, "final": last });
            ("contributions.rated", fields("-3", true), fields("4", false))
        } else {
            let fields = |member: Address, topic: &str, note: &str| json!({ "member": member, "topic": topic, "amount": "1", "note": note });
            let good = fields(user(1), "0xabcd", "thank you");
            ("contributions.contributed", good, fields(user(2), "0xab", "Thank you"))
        };
        assert!(world.earned(kind, &bad).is_empty(), "{test}");
        assert_eq!(world.earned(kind, &good).len(), 1, "{test}");
    }
}

#[test]
fn a_field_that_is_not_as_promised_counts_for_nothing() {
    let mut world = World::new(when(&format!("{VOTE}\nwhere = {{ support = 1 }}")));
    let mut fields = ballot(1, 7, 1, "5");
    fields["support"] = json!(1);
    assert!(world.earned("dao.vote_cast", &fields).is_empty());
}

fn token(from: Option<u8>, to: Option<u8>, id: u8) -> (&'static str, serde_json::Value) {
    let mut fields = json!({ "token_id": id.to_string() });
    for (key, holder) in [("from", from), ("to", to)] {
        if let Some(holder) = holder {
            fields[key] = json!(user(holder));
        }
    }
    let event = match (from, to) {
        (None, _) => "badge.minted",
        (_, None) => "badge.burned",
        _ => "badge.transferred",
    };
    (event, fields)
}

#[test]
fn holds_follows_mints_transfers_and_burns() {
    let mut world = World::new(when("holds = { nft = \"badge\", at_least = 2 }"));
    let mut moved = |from, to, id| {
        let (event, fields) = token(from, to, id);
        world.earned(event, &fields)
    };
    assert!(moved(None, Some(1), 1).is_empty());
    assert!(moved(Some(1), Some(2), 1).is_empty());
    assert!(moved(None, Some(1), 2).is_empty());
    assert!(moved(Some(2), None, 1).is_empty());
    assert!(moved(None, Some(2), 3).is_empty());
    assert!(moved(Some(2), Some(2), 3).is_empty(), "a move to oneself adds nothing");
    // A token whose mint lies before the contract's start block.
    assert_eq!(moved(Some(9), Some(1), 4), [(user(1), "a".to_owned())]);
}

#[test]
fn all_needs_every_member_in_any_order() {
    let both = "all = [{ holds = { nft = \"badge\" } }, \
                { event = \"dao.vote_cast\", subject = \"voter\" }]";
    let (event, fields) = token(None, Some(1), 1);
    let mut world = World::new(when(both));
    assert_eq!(world.vote(1, 7, "1"), 0);
    let unlocks = world.apply(event, &fields);
    assert_eq!(unlocks[0].request.evidence.items.len(), 2);
    let mut world = World::new(when(both));
    assert!(world.earned(event, &fields).is_empty());
    assert_eq!(world.vote(1, 7, "1"), 1);
}

#[test]
fn any_needs_one_member_and_names_only_what_decided() {
    let nested = "any = [{ all = [{ holds = { nft = \"badge\" } }, \
                  { event = \"dao.vote_cast\", subject = \"voter\", count = 9 }] }, \
                  { event = \"dao.proposal_created\", subject = \"proposer\" }]";
    let mut world = World::new(when(nested));
    let (event, fields) = token(None, Some(1), 1);
    assert!(world.earned(event, &fields).is_empty());
    let unlocks = world.apply("dao.proposal_created", &json!({ "proposer": user(1) }));
    let items = &unlocks[0].request.evidence.items;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].name, name("proposal_created"));
}

#[test]
fn a_prerequisite_counts_once_it_is_on_chain() {
    let second = "[achievements.when]\nevent = \"dao.vote_cast\"\nsubject = \"voter\"\n\
                  [[achievements]]\nname = \"b\"\nid = 2\nrequires = [\"a\"]\n\
                  [achievements.when]\nevent = \"dao.vote_cast\"\nsubject = \"voter\"\ncount = 2";
    let mut world = World::new(compiled(&set_of(second)));
    assert!(world.set.sources().iter().any(|source| source.contract == name("achievements")));
    let on_chain = json!({ "user": user(1), "id": "1", "token_id": "4" });
    assert_eq!(world.vote(1, 7, "1"), 1, "a is requested");
    assert_eq!(world.vote(1, 8, "1"), 0, "requested is not unlocked");
    assert_eq!(world.vote(2, 8, "1"), 1);
    let unlocks = world.apply("achievements.achievement_unlocked", &on_chain);
    assert_eq!(unlocks[0].request.achievement, name("b"));
    let names: Vec<&str> =
        unlocks[0].request.evidence.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["vote_cast", "vote_cast", "achievement_unlocked"]);

    let on_chain = json!({ "user": user(2), "id": "1", "token_id": "5" });
    assert!(world.earned("achievements.achievement_unlocked", &on_chain).is_empty());
    assert!(world.earned("achievements.achievement_revoked", &on_chain).is_empty());
    assert_eq!(world.vote(2, 9, "1"), 0, "revoked is not unlocked");
    assert_eq!(world.earned("achievements.achievement_unlocked", &on_chain).len(), 1);
}

#[test]
fn an_achievement_may_crown_others_without_a_condition() {
    let crown = "[achievements.when]\nevent = \"dao.vote_cast\"\nsubject = \"voter\"\n\
                 [[achievements]]\nname = \"crown\"\nid = 2\nrequires = [\"a\"]";
    let mut world = World::new(compiled(&set_of(crown)));
    let on_chain = json!({ "user": user(1), "id": "1" });
    let earned = world.earned("achievements.achievement_unlocked", &on_chain);
    assert_eq!(earned, [(user(1), "crown".to_owned())]);
}

#[test]
fn evidence_names_the_latest_logs_in_order_and_counts_all() {
    let mut world = World::new(when(&format!("{VOTE}\ncount = 100")));
    for proposal in 0..99 {
        assert_eq!(world.vote(1, proposal, "1"), 0);
    }
    let unlocks = world.apply("dao.vote_cast", &ballot(1, 99, 1, "1"));
    let evidence = &unlocks[0].request.evidence;
    assert_eq!(evidence.total, 100);
    let blocks: Vec<u64> = evidence.items.iter().map(|item| item.block).collect();
    assert_eq!(blocks, (69..=100).collect::<Vec<_>>());
    assert_eq!(blocks.len(), Evidence::MAX_ITEMS);
}

#[test]
fn what_one_log_writes_does_not_grow_with_the_logs_before() {
    let mut world = World::new(when(&format!("{VOTE}\ncount = 1000")));
    let written = |world: &mut World| {
        let changes = world.state.take_changes();
        let values = changes.iter().filter_map(|(key, _)| world.state.value(key));
        values.map(|value| value.to_bytes().len()).sum::<usize>()
    };
    world.vote(1, 0, "1");
    let first = written(&mut world);
    // Up to so many logs are named, by their numbers.
    let most = first + Evidence::MAX_ITEMS * 5;
    for proposal in 0..200 {
        world.vote(1, proposal, "1");
        assert!(written(&mut world) < most);
    }
    let logs = world.state.all().filter(|(key, _)| matches!(key, Key::Log(..))).count();
    assert_eq!(logs, Evidence::MAX_ITEMS, "what nothing names any more is gone");
}

#[test]
fn once_requested_nothing_more_is_remembered() {
    let mut world = World::new(when(VOTE));
    world.vote(1, 0, "1");
    world.state.take_changes();
    world.vote(1, 1, "1");
    assert!(world.state.take_changes().is_empty());
}

#[test]
fn the_example_compiles_and_reads_the_demos_contracts() {
    let set = compiled(EXAMPLE);
    let names: Vec<&str> = set.achievements().iter().map(|a| a.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "badge-holder-voter",
            "contributor",
            "first-vote",
            "heavyweight",
            "pillar",
            "proposer",
            "steady-voice"
        ]
    );
    let read: Vec<String> = set.sources().iter().map(|s| s.contract.to_string()).collect();
    assert_eq!(read, ["achievements", "badge", "contributions", "dao"]);
}

#[test]
fn a_vote_on_the_example_earns_what_the_file_says() {
    let mut world = World::new(compiled(EXAMPLE));
    let earned = world.earned("dao.vote_cast", &ballot(1, 1, 1, &ether(200)));
    assert_eq!(earned, [(user(1), "first-vote".to_owned())]);
    assert!(world.earned("dao.vote_cast", &ballot(1, 2, 0, &ether(200))).is_empty());
    let earned = world.earned("dao.vote_cast", &ballot(1, 3, 2, &ether(200)));
    assert_eq!(earned, [(user(1), "heavyweight".into()), (user(1), "steady-voice".into())]);
}

#[test]
fn the_version_follows_the_meaning_and_not_the_layout() {
    let one = set_of(
        "[achievements.when]\nevent = [\"dao.vote_cast\", \"dao.vote_cast_with_params\"]\n\
         subject = \"voter\"\nwhere = { weight = { gte = \"1e18\" }, support = { in = [1, 2] } }\n\
         [[achievements]]\nname = \"b\"\nid = 2\nwhen = { holds = { nft = \"badge\" } }",
    );
    let same = "# a comment\nachievements_contract = 'achievements'\nid = \"set\"\n\
         signer = \"awards\"\n\
         [[achievements]]\nname = \"b\"\nid = \"2\"\non_retract = \"revoke\"\n\
         when = { holds = { nft = \"badge\", at_least = 1 } }\n\
         [[achievements]]\nid = 0x1\nname = \"a\"\n\
         when.event = [\"dao.vote_cast_with_params\", \"dao.vote_cast\"]\n\
         when.subject = \"voter\"\nwhen.count = 1\n\
         when.where.support.in = [2, \"1\", 1]\nwhen.where.weight.gte = \"1 ether\"\n";
    let version = compiled(&one).version();
    assert_eq!(version, compiled(same).version());
    for (from, to) in [
        ("1e18", "1000000000000000001"),
        ("in = [1, 2]", "in = [1]"),
        ("support", "proposal_id"),
        ("id = 2", "id = 3"),
        ("\"b\"", "\"c\""),
        ("\"awards\"", "\"treasury\""),
        (", \"dao.vote_cast_with_params\"", ""),
    ] {
        assert!(one.contains(from));
        assert_ne!(version, compiled(&one.replacen(from, to, 1)).version(), "{from} → {to}");
    }
    let mut moved = catalog();
    moved.contracts.get_mut("dao").unwrap().address = user(9);
    assert_ne!(Ok(version), RuleSet::compile("r", &one, &moved).map(|set| set.version()));
}

#[test]
fn the_canonical_form_of_a_version_does_not_drift() {
    // A change here makes every saved progress and published version stale.
    let text = "[achievements.when]\nany = [{ holds = { nft = \"badge\", at_least = 2 } }, \
         { all = [{ event = \"dao.vote_cast\", subject = \"voter\", distinct = \"proposal_id\", \
         where = { reason = { in = [\"a\", \"b\"] }, weight = { gt = 1, lt = 9 } } }, \
         { event = \"contributions.rated\", subject = \"member\", \
         sum = { field = \"points\", gte = -4 } }] }]\n\
         [[achievements]]\nname = \"b\"\nid = 2\nrequires = [\"a\"]\non_retract = \"keep\"";
    assert_eq!(
        compiled(&set_of(text)).version().to_string(),
        "0x5f7d9ff045bb135d77c4e6b3889d32ed2e9c8f2cc533798630025d2b904354b9"
    );
}

#[test]
fn a_block_without_events_changes_nothing() {
    let (set, mut state, mut output) = (when(VOTE), State::default(), Vec::new());
    set.begin_block(1, 5, 1_000, &mut state, &mut output);
    assert!(output.is_empty() && state.take_changes().is_empty());
}

#[test]
fn state_survives_its_bytes() {
    let mut world = World::new(when(&format!("{VOTE}\ncount = 2")));
    world.vote(1, 7, "1");
    world.state = State::from_saved(world.state.rows()).unwrap();
    assert_eq!(world.vote(1, 8, "1"), 1);
}

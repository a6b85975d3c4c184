//! What expressions mean, and what is refused of them.

use serde_json::json;

use super::{
    super::RuleSet,
    world::{World, catalog, set_of, user, when},
};

/// Whether an expression is met by a vote of this weight with support 1 on
/// proposal 7, for the reason "because", in block 1 at second 1001.
fn met(expression: &str, weight: &str) -> bool {
    let mut world = World::new(when(&rule(expression)));
    world.vote(1, 7, weight) == 1
}

fn rule(expression: &str) -> String {
    format!("event = \"dao.vote_cast\"\nsubject = \"voter\"\nwhere = '''{expression}'''")
}

/// What is said of a rule with this expression.
fn refused(expression: &str) -> String {
    let text = set_of(&format!("[achievements.when]\n{}", rule(expression)));
    match RuleSet::compile("rules.toml", &text, &catalog()) {
        Ok(_) => panic!("`{expression}` is no mistake"),
        Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
    }
}

const MAX: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

#[test]
fn each_expression_means_what_it_says() {
    for (expression, weight, expected) in [
        ("support == 1", "5", true),
        ("support != 1", "5", false),
        ("support == 1 && weight >= 5", "5", true),
        ("support == 0 || weight > 5", "5", false),
        ("!(support == 0) && weight <= 5", "5", true),
        ("proposal_id in [1, 7, \"9\"]", "5", true),
        ("proposal_id in [1, 9]", "5", false),
        ("weight >= \"100e18\"", "100000000000000000000", true),
        ("weight >= \"100e18\"", "99999999999999999999", false),
        ("weight == \"1.5 ether\"", "1500000000000000000", true),
        ("\"1 gwei\" <= weight", "1000000000", true),
        ("weight * 3 / 4 > proposal_id + 1 - 2 % 2", "12", true),
        ("weight % 5 == 2", "12", true),
        ("weight == support * 12u", "12", true),
        ("reason == \"because\"", "1", true),
        (
            "reason.startsWith(\"be\") && reason.endsWith(\"use\") && reason.contains(\"cau\")",
            "1",
            true,
        ),
        ("size(reason) == 7 && reason.size() > 6", "1", true),
        ("(weight > 3 ? proposal_id : support) == 7", "4", true),
        ("(weight > 3 ? proposal_id : support) == 7", "3", false),
        ("block.number == 1 && block.time == 1001", "1", true),
        ("voter == \"0x0101010101010101010101010101010101010101\"", "1", true),
        ("voter in [\"0x0202020202020202020202020202020202020202\"]", "1", false),
        ("int(weight) - 10 < -4", "5", true),
        ("uint(int(weight)) == weight", "5", true),
        ("true", "1", true),
        ("false || support == 1", "1", true),
    ] {
        assert_eq!(met(expression, weight), expected, "{expression} with weight {weight}");
    }
}

#[test]
fn numbers_have_all_of_256_bits() {
    assert!(met(&format!("weight == \"{MAX}\""), MAX));
    assert!(!met(&format!("weight < \"{MAX}\""), MAX));
    assert!(met("weight - 1 < weight", MAX));
}

#[test]
fn what_can_not_be_computed_is_not_met_and_decides_nothing() {
    for expression in ["weight + 1 > 0", "weight * 2 > 0", "!(weight + 1 > 0)", "int(weight) > 0"] {
        assert!(!met(expression, MAX), "{expression}");
    }
    for expression in ["weight - 2 >= 0", "proposal_id / (weight - 1) >= 0", "weight % 0 == 0"] {
        assert!(!met(expression, "1"), "{expression}");
    }
    assert!(met("weight + 1 > 0 || support == 1", MAX));
    assert!(met("!(weight + 1 > 0 && support == 0)", MAX));
    assert!(!met("weight + 1 > 0 && support == 1", MAX));
}

#[test]
fn lists_and_signed_fields_are_read() {
    let on = |event: &str, subject: &str, expression: &str| {
        let rule = format!("event = \"{event}\"\nsubject = \"{subject}\"\nwhere = '{expression}'");
        World::new(when(&rule))
    };
    let proposal = json!({
        "proposal_id": "1", "proposer": user(1).to_checksum(None), "vote_start": "1",
        "vote_end": "2", "description": "d",
        "targets": [user(5).to_checksum(None), user(6).to_checksum(None)],
    });
    let six = user(6).to_checksum(None);
    for (expression, expected) in [
        (format!("\"{six}\" in targets"), 1),
        (format!("targets[1] == \"{six}\""), 1),
        (format!("targets[2] == \"{six}\""), 0),
        ("size(targets) == 2".to_owned(), 1),
    ] {
        let mut world = on("dao.proposal_created", "proposer", &expression);
        assert_eq!(world.apply("dao.proposal_created", &proposal).len(), expected, "{expression}");
    }
    for (expression, expected) in [
        ("points < -3", 1),
        ("points == \"-4\"", 1),
        ("-points > 4", 0),
        ("final && points < 0", 1),
    ] {
        let mut world = on("contributions.rated", "member", expression);
        let rated = json!({ "member": user(1).to_checksum(None), "points": "-4", "final": true });
        assert_eq!(world.apply("contributions.rated", &rated).len(), expected, "{expression}");
    }
}

#[test]
fn each_mistake_is_named_with_the_way_out() {
    for (expression, said) in [
        ("suport == 1", "did you mean `support`"),
        ("support = 1", "cel.dev"),
        ("weight >= 100e18", "write \"100e18\""),
        ("weight >= 1.5", "write \"1.5\""),
        ("weight >= 99999999999999999999", "99999999999999999999"),
        ("weight >= \"a lot\"", "`a lot` is not an unsigned integer"),
        ("weight >= -1", "-1 is out of range"),
        ("weight", "`weight`: it is an unsigned integer, true or false is needed"),
        ("reason > \"a\"", "`reason`: it is text, a number is needed"),
        ("weight == reason", "`weight` is an unsigned integer and `reason` is text"),
        ("int(weight) == weight", "convert one of them by int(…) or uint(…)"),
        ("voter == \"ada\"", "`ada` is not an address"),
        ("weight in []", "nothing is in an empty list"),
        ("support in weight", "`weight`: it is an unsigned integer, a list is needed"),
        ("weight == null", "no field is ever null"),
        ("[1, 2] == [1, 2]", "a list stands after `in` only"),
        ("tx.origin == voter", "`tx`"),
        ("block.hash == \"0x\"", "a block has `block.number` and `block.time`"),
        ("matches(reason, \".*\")", "there are size, int, uint"),
        ("reason.exists(c, c == \"a\")", "only comparisons"),
        ("has(voter.name)", "only comparisons"),
        ("{\"a\": 1}.a == 1", "only comparisons"),
        ("", "cel.dev"),
        ("support == 1 &&", "cel.dev"),
        ("support == \"1", "cel.dev"),
    ] {
        let told = refused(expression);
        assert!(told.contains("rules.toml:"), "{told}");
        assert!(told.contains("achievements[0].when.where"), "{told}");
        assert!(told.contains(said), "{expression}: {told}");
    }
}

#[test]
fn hostile_expressions_are_refused_quickly() {
    for (expression, said) in [
        ("1".repeat(2_000), "2000 characters of an expression, more than 1024"),
        ("(".repeat(1_000), "1000 levels of an expression, more than 12"),
        ("(".repeat(12), "cel.dev"),
        (format!("{}true{}", "(".repeat(500), ")".repeat(500)), "500 levels"),
        (format!("{}true", "!".repeat(1_000)), "1000 levels"),
        (format!("{}1", "true ? 1 : ".repeat(90)), "90 levels"),
        (format!("1{} == 1", "+1".repeat(500)), ""),
        (format!("{}1{} == weight", "-(".repeat(300), ")".repeat(300)), ""),
        ("[".repeat(1_000), "1000 levels"),
        ("\u{0}\u{7f}💥".to_owned(), ""),
    ] {
        let text = set_of(&format!(
            "[achievements.when]\nevent = \"dao.vote_cast\"\nsubject = \"voter\"\nwhere = {}",
            toml::Value::from(expression.as_str())
        ));
        let began = std::time::Instant::now();
        let errors = RuleSet::compile("rules.toml", &text, &catalog()).unwrap_err();
        assert!(began.elapsed().as_secs() < 5, "{expression}");
        assert!(errors[0].to_string().contains(said), "{}", errors[0]);
    }
    let deep = format!("{}support == 1{}", "(".repeat(12), ")".repeat(12));
    assert!(met(&deep, "1"), "what is not too deep is evaluated");
}

#[test]
fn an_expression_and_a_table_of_the_same_tests_are_one_version() {
    let table = "event = \"dao.vote_cast\"\nsubject = \"voter\"\n\
                 where = { support = 1, weight = { gte = \"1e18\" } }";
    let version = |rule: &str| when(rule).version();
    assert_eq!(version(table), version(&rule("support == 1 && weight >= \"1 ether\"")));
    assert_ne!(version(table), version(&rule("support == 1 && weight > \"1 ether\"")));
}

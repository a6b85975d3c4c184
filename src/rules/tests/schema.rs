//! The JSON Schema that editors check rule files with.

use std::{collections::BTreeSet, fs, path::Path};

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::Value as Json;

use super::{
    property::rule,
    world::{EXAMPLE, compiled, set_of},
};
use crate::rules::{achievement, compile, signals};

const SCHEMA: &str = include_str!("../../../config/rules/schema.json");

fn schema() -> Json {
    serde_json::from_str(SCHEMA).unwrap()
}

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

/// A rule file as editors show it to the schema: times are text.
fn json(value: &toml::Value) -> Json {
    match value {
        toml::Value::String(text) => text.clone().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(truth) => (*truth).into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.iter().map(json).collect(),
        toml::Value::Table(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), json(value))).collect()
        }
    }
}

fn refusals(text: &str) -> Vec<String> {
    let file: toml::Table = text.parse().unwrap();
    let file = json(&toml::Value::Table(file));
    validator().iter_errors(&file).map(|error| error.to_string()).collect()
}

#[test]
fn the_shipped_sets_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules");
    let mut sets = 0;
    let shipped =
        fs::read_dir(&folder).unwrap().chain(fs::read_dir(folder.join("gallery")).unwrap());
    for file in shipped {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|it| it == "toml") {
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(refusals(&text), Vec::<String>::new(), "{}", path.display());
            sets += 1;
        }
    }
    assert!(sets > 12);
}

#[test]
fn it_has_the_keys_that_are_read_and_no_others() {
    let schema = schema();
    let keys = |at: &str| -> BTreeSet<String> {
        let object = schema.pointer(at).and_then(Json::as_object);
        object.unwrap_or_else(|| panic!("{at}")).keys().cloned().collect()
    };
    let known = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(keys("/properties"), known(&compile::SET_KEYS));
    assert_eq!(keys("/$defs/achievement/properties"), known(&achievement::ACHIEVEMENT_KEYS));
    let tier = "/$defs/achievement/properties/tiers/items/properties";
    assert_eq!(keys(tier), known(&achievement::TIER_KEYS));
    let forms = [
        "holds",
        "delegators",
        "attested",
        "listed",
        "not_listed",
        "all",
        "any",
        "at_least",
        "of",
        "not",
        "score",
        "ratio",
        "sequence",
    ];
    let condition = [signals::EVENT_KEYS.as_slice(), &forms].concat();
    assert_eq!(keys("/$defs/condition/properties"), known(&condition));
}

/// Each is wrong in its form alone, which an editor can know.
#[test]
fn what_has_no_right_form_is_refused() {
    let vote = "event = \"dao.vote_cast\", subject = \"voter\"";
    for when in [
        "when = {}".to_owned(),
        format!("when = {{ {vote}, holds = {{ nft = \"badge\" }} }}"),
        format!("when = {{ {vote}, counts = 3 }}"),
        format!("when = {{ {vote}, count = 0 }}"),
        format!("when = {{ {vote}, count = \"3\" }}"),
        format!("when = {{ {vote}, count = 3, sum = {{ field = \"weight\", gte = 1 }} }}"),
        format!("when = {{ {vote}, last = \"30\" }}"),
        format!("when = {{ {vote}, last = \"1 month\" }}"),
        format!("when = {{ {vote}, last = \"30d\", to = 2026-01-01 }}"),
        format!("when = {{ {vote}, max = {{ field = \"weight\", gte = 1, lte = 2 }} }}"),
        format!("when = {{ {vote}, sum = {{ field = \"weight\", gte = 1.5 }} }}"),
        format!("when = {{ {vote}, where = {{ support = {{ between = 1 }} }} }}"),
        format!("when = {{ {vote}, streak = {{ length = 3 }} }}"),
        format!("when = {{ {vote}, streak = {{ length = 3, per = \"year\" }} }}"),
        "when = { event = \"vote_cast\", subject = \"voter\" }".to_owned(),
        "when = { event = \"dao.vote_cast\" }".to_owned(),
        "when = { all = [] }".to_owned(),
        format!("when = {{ at_least = 2, all = [{{ {vote} }}] }}"),
        format!("when = {{ not = {{ {vote} }} }}"),
        format!(
            "when = {{ score = {{ gte = 3, of = [{{ points = 1, each = {{ {vote}, count = 2 }} }}] }} }}"
        ),
        format!("when = {{ {vote} }}\nurgency = \"urgent\""),
        format!("when = {{ {vote} }}\nfirst = 0"),
        "first = 3".to_owned(),
        format!(
            "when = {{ ratio = {{ of = {{ {vote} }}, over = \"dao.proposal_created\", gte = 75 }} }}"
        ),
        format!("when = {{ ratio = {{ of = {{ {vote} }}, gte = \"75%\" }} }}"),
        format!("when = {{ sequence = {{ of = [{{ {vote} }}] }} }}"),
        "when = { holds = { token = \"token\" } }".to_owned(),
        "when = { holds = { token = \"token\", at_least = 1, id = 3 } }".to_owned(),
        "when = { holds = { nft = \"badge\", token = \"token\", at_least = 1 } }".to_owned(),
        "when = { delegators = { at_least = 1 } }".to_owned(),
        format!("mode = \"while\"\nfirst = 3\nwhen = {{ {vote} }}"),
        format!("mode = \"while\"\non_retract = \"keep\"\nwhen = {{ {vote} }}"),
        format!("every = \"month\"\nwhen = {{ {vote} }}"),
        format!("every = \"month\"\ncap = 3\nfirst = 2\nwhen = {{ {vote} }}"),
        format!("when = {{ sequence = {{ of = [{{ {vote} }}, {{ {vote} }}], within = 3 }} }}"),
        format!("when = {{ sequence = {{ of = [{{ {vote} }}, {{ {vote}, count = 2 }}] }} }}"),
    ] {
        let text = set_of(&when);
        assert!(
            crate::rules::RuleSet::compile("r", &text, &super::world::catalog()).is_err(),
            "{when}"
        );
        assert!(!refusals(&text).is_empty(), "{when}");
    }
}

#[test]
fn what_may_be_said_in_several_ways_is_valid_in_each() {
    let vote = "event = [\"dao.vote_cast\", \"dao.vote_cast_with_params\"], subject = \"voter\"";
    for when in [
        format!("when = {{ {vote}, where = \"support == 1\" }}"),
        format!(
            "when = {{ {vote}, where = {{ support = 1, weight = {{ gte = \"1.5 ether\", lt = \"100e18\" }} }} }}"
        ),
        format!("when = {{ {vote}, from = 2026-01-01, to = 2026-06-01T12:00:00+02:00 }}"),
        format!("mode = \"while\"\non_retract = \"alert\"\nwhen = {{ {vote}, last = \"3d\" }}"),
        format!("every = \"month\"\ncap = 3\nwhen = {{ {vote}, count = 3 }}"),
        format!("when = {{ sequence = {{ of = [{{ {vote} }}, {{ {vote} }}], within = \"3d\" }} }}"),
        "when = { holds = { token = \"token\", at_least = \"1.5 ether\", for = \"3d\" } }"
            .to_owned(),
        "when = { holds = { nft = \"items\", id = 3, at_least = 5 } }".to_owned(),
        "when = { delegators = { of = \"token\", at_least = 5, for = \"30d\" } }".to_owned(),
        format!("when = {{ {vote}, streak = {{ per = \"month\", length = 3, grace = 1 }} }}"),
        format!("when = {{ {vote}, streak = {{ of = \"dao.proposal_created\", length = 3 }} }}"),
        format!(
            "signer = [\"awards\", \"treasury\"]\nfirst = 10\nwhen = {{ {vote}, last = \"1w 2d\" }}"
        ),
    ] {
        let text = set_of(&when);
        compiled(&text);
        assert_eq!(refusals(&text), Vec::<String>::new(), "{when}");
    }
    assert_eq!(refusals(EXAMPLE), Vec::<String>::new());
}

proptest! {
    #[test]
    fn any_rule_that_compiles_is_valid(rule in rule()) {
        let text = set_of(&format!("when = {{ {} }}", rule.toml()));
        compiled(&text);
        prop_assert_eq!(refusals(&text), Vec::<String>::new());
    }
}

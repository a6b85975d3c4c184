//! Every kind of mistake in a rule file: where it is, what it is, the way out.

use proptest::prelude::*;

use super::{
    super::{Problem, RuleError, RuleSet, limits},
    world::{EXAMPLE, catalog, compiled, name, set_of},
};

fn errors(text: &str) -> Vec<RuleError> {
    RuleSet::compile("rules.toml", text, &catalog()).unwrap_err()
}

/// The only error of a set of one achievement, without its file.
fn only(lines: &str) -> String {
    let errors = errors(&set_of(lines));
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors[0].to_string().strip_prefix("rules.toml:").unwrap().to_owned()
}

fn only_when(condition: &str) -> String {
    only(&format!("[achievements.when]\n{condition}"))
}

const VOTE: &str = "event = \"dao.vote_cast\"\nsubject = \"voter\"";

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    let errors = errors("id = \"a\"\nsigner = = 3\n");
    assert!(errors.iter().all(|error| matches!(error.problem, Problem::Syntax { .. })));
    assert_eq!(errors[0].line, 2);
}

#[test]
fn a_huge_file_is_refused_unread() {
    let text = "#".repeat(limits::FILE_BYTES + 1);
    assert!(matches!(errors(&text)[..], [RuleError { problem: Problem::TooLarge { .. }, .. }]));
}

#[test]
fn an_empty_file_lacks_everything_at_once() {
    let keys: Vec<String> = errors("").into_iter().map(|error| error.key).collect();
    assert_eq!(keys, ["id", "achievements_contract", "achievements"]);
}

#[test]
fn all_mistakes_are_told_in_the_order_of_lines() {
    let text = EXAMPLE
        .replace("id = \"participation\"", "id = \"Participation\"")
        .replace("\"proposer\"]", "\"proposr\"]")
        .replace("field = \"amount\"", "field = \"note\"");
    let errors = errors(&text);
    let keys: Vec<&str> = errors.iter().map(|error| error.key.as_str()).collect();
    assert_eq!(
        keys,
        ["id", "achievements[5].requires[1]", "achievements[6].when.sum.field"],
        "{errors:#?}"
    );
    for error in &errors {
        let line = text.lines().nth(error.line - 1).unwrap();
        assert!(line.contains(error.value.trim_matches('"')), "{error}");
    }
}

#[test]
fn unknown_keys_get_the_nearest() {
    assert_eq!(
        only_when(&format!("{VOTE}\ncuont = 3")),
        "10: achievements[0].when.cuont = 3: unknown key `cuont`; did you mean `count`?"
    );
    assert_eq!(
        only_when("holds = { nft = \"badge\", atleast = 2 }"),
        "8: achievements[0].when.holds.atleast = 2: unknown key `atleast`; \
         did you mean `at_least`?"
    );
    let text = set_of(&format!("[achievements.when]\n{VOTE}")).replace("signer", "singer");
    let told: Vec<String> = errors(&text).iter().map(|error| error.to_string()).collect();
    assert_eq!(
        told,
        [
            "rules.toml:2: singer = \"awards\": unknown key `singer`; did you mean `signer` or `since`?",
            "rules.toml:4: achievements[0].signer: `signer` is missing; \
             name the signer that lands this set's achievements"
        ]
    );
}

#[test]
fn unknown_contracts_events_and_fields_get_the_nearest() {
    assert_eq!(
        only_when("event = \"doa.vote_cast\"\nsubject = \"voter\""),
        "8: achievements[0].when.event = \"doa.vote_cast\": no contract `doa` is configured; \
         did you mean `dao`?"
    );
    assert_eq!(
        only_when("event = \"dao.vote_cst\"\nsubject = \"voter\""),
        "8: achievements[0].when.event = \"dao.vote_cst\": contract `dao` (governor) has no \
         event `vote_cst`; did you mean `vote_cast` or `vote_cast_with_params`?"
    );
    assert_eq!(
        only_when("event = \"dao.vote_cast\"\nsubject = \"votr\""),
        "9: achievements[0].when.subject = \"votr\": event `dao.vote_cast` has no field `votr`; \
         did you mean `voter`?"
    );
    assert_eq!(
        only_when("event = \"votes\"\nsubject = \"voter\""),
        "8: achievements[0].when.event = \"votes\": `votes` does not name an event; \
         write \"<contract>.<event>\", or a list of such"
    );
    assert_eq!(
        only_when(&format!("{VOTE}\ndistinct = \"zzz\"")),
        "10: achievements[0].when.distinct = \"zzz\": event `dao.vote_cast` has no field `zzz`; \
         there are `voter`, `proposal_id`, `support`, `weight`, `reason`"
    );
}

#[test]
fn fields_of_an_unfitting_type_are_refused_with_those_that_fit() {
    assert_eq!(
        only_when("event = \"dao.vote_cast\"\nsubject = \"weight\""),
        "9: achievements[0].when.subject = \"weight\": field `weight` of event `dao.vote_cast` \
         is an unsigned integer, an address is needed; fields that fit: `voter`"
    );
    assert_eq!(
        only_when(&format!("{VOTE}\nsum = {{ field = \"reason\", gte = 1 }}")),
        "10: achievements[0].when.sum.field = \"reason\": field `reason` of event \
         `dao.vote_cast` is text, an unsigned integer is needed; \
         fields that fit: `proposal_id`, `support`, `weight`"
    );
    for condition in [
        "event = \"dao.proposal_created\"\nsubject = \"proposer\"\ndistinct = \"targets\"",
        "event = \"dao.vote_cast\"\nsubject = \"voter\"\nwhere = { reason = { gt = 1 } }",
        "event = [\"dao.vote_cast\", \"contributions.contributed\"]\nsubject = \"voter\"",
        "holds = { nft = \"dao\" }",
    ] {
        let errors = errors(&set_of(&format!("[achievements.when]\n{condition}")));
        assert!(!errors.is_empty(), "{condition}");
    }
}

#[test]
fn literals_of_another_type_are_refused() {
    let told = |test: &str| only_when(&format!("{VOTE}\nwhere = {{ {test} }}"));
    assert_eq!(
        told("weight = 1.5"),
        "10: achievements[0].when.where.weight = 1.5: expected an unsigned integer, found float; \
         write digits, \"100e18\", \"1.5 ether\" or \"3 gwei\""
    );
    assert_eq!(
        told("weight = { gte = \"1.5\" }"),
        "10: achievements[0].when.where.weight.gte = \"1.5\": `1.5` is not an unsigned integer; \
         write digits, \"100e18\", \"1.5 ether\" or \"3 gwei\""
    );
    assert_eq!(
        told("voter = \"0x12\""),
        "10: achievements[0].when.where.voter = \"0x12\": `0x12` is not an address; \
         write 0x and 40 hex digits in quotes"
    );
    assert!(told("support = -1").contains("-1 is out of range: 0 to 1157920892"));
    assert!(told("weight = \"1e78\"").contains("out of range"));
    assert!(told("reason = true").contains("expected text, found boolean; put the text in quotes"));
    assert!(told("support = { in = [] }").contains("`in` has no entries"));
    assert!(told("support = { in = [1, \"x\"] }").contains("support.in[1] = \"x\""));
    assert!(told("support = {}").contains("`support` has no entries"));
    assert!(told("support = { equals = 1 }").contains("unknown key `equals`"));
}

#[test]
fn counts_stay_within_their_range() {
    assert_eq!(
        only_when(&format!("{VOTE}\ncount = 0")),
        "10: achievements[0].when.count = 0: 0 is out of range: 1 to 1000000000; \
         choose a number within"
    );
    assert!(only_when(&format!("{VOTE}\ncount = 99999999999999999999")).contains("out of range"));
    assert!(only_when(&format!("{VOTE}\ncount = -1")).contains("out of range"));
    assert!(only_when("holds = { nft = \"badge\", at_least = 0 }").contains("out of range"));
    assert!(only_when(&format!("{VOTE}\ncount = \"3\"")).contains("expected a whole number"));
}

#[test]
fn a_condition_has_exactly_one_form() {
    assert!(only_when("count = 3").contains("`event` is missing; give exactly one of"));
    let both = format!("{VOTE}\nholds = {{ nft = \"badge\" }}");
    assert!(only_when(&both).contains("`event`, `holds` can't stand together"));
    let sum = format!("{VOTE}\ncount = 2\nsum = {{ field = \"weight\", gte = 1 }}");
    assert!(only_when(&sum).contains("`count`, `sum` can't stand together"));
    assert!(only_when("all = []").contains("`all` has no entries"));
    assert!(only_when("event = \"dao.vote_cast\"").contains("`subject` is missing"));
    assert!(only("").contains("`when` is missing"));
    assert!(only("when = 3").contains("expected a table, found integer"));
}

#[test]
fn size_and_depth_are_bounded() {
    let leaf = "{ holds = { nft = \"badge\" } }";
    let deep = "{ all = [".repeat(limits::DEPTH + 1) + leaf + &"] }".repeat(limits::DEPTH + 1);
    assert!(only(&format!("when = {deep}")).contains("levels of `all` and `any`, more than 8"));
    let deepest = "{ all = [".repeat(limits::DEPTH) + leaf + &"] }".repeat(limits::DEPTH);
    assert!(RuleSet::compile("r", &set_of(&format!("when = {deepest}")), &catalog()).is_ok());
    let wide = vec![leaf; limits::LEAVES + 1].join(", ");
    assert!(only(&format!("when = {{ any = [{wide}] }}")).contains("65 conditions, more than 64"));
    let abyss = "[".repeat(100_000);
    assert!(!errors(&format!("id = {abyss}")).is_empty());
}

#[test]
fn names_ids_and_words_are_checked() {
    let when = "when = { holds = { nft = \"badge\" } }";
    let twice = format!("{when}\n[[achievements]]\nname = \"a\"\nid = \"1\"\n{when}");
    let told: Vec<String> =
        errors(&set_of(&twice)).into_iter().map(|e| e.problem.to_string()).collect();
    assert_eq!(told, ["name a is taken on line 5", "id 1 is taken on line 6"]);
    let leaf = "when = { holds = { nft = \"badge\" } }";
    let one_line = format!(
        "id = \"s\"\nsigner = \"awards\"\nachievements_contract = \"achievements\"\n\
         achievements = [{{ name = \"a\", id = 1, {leaf} }}, {{ name = \"a\", id = 2, {leaf} }}]"
    );
    assert_eq!(errors(&one_line).len(), 1);
    let replaced = |from: &str, to: &str| {
        let text = set_of(when).replace(from, to);
        let errors = errors(&text);
        assert_eq!(errors.len(), 1, "{errors:#?}");
        errors[0].to_string()
    };
    assert!(replaced("\"a\"", "\"A b\"").contains("`A b` is not a name"));
    assert!(replaced("id = 1", "id = \"one\"").contains("`one` is not an unsigned integer"));
    assert!(replaced("id = 1", "id = -1").contains("out of range"));
    assert!(replaced("\"awards\"", "\"award\"").contains("did you mean `awards`?"));
    assert!(replaced("= \"achievements\"", "= \"achievement\"").contains("did you mean"));
    assert!(replaced("= \"achievements\"", "= \"badge\"").contains("is of kind erc721, not"));
    assert_eq!(
        only(&format!("on_retract = \"burn\"\n{when}")),
        "7: achievements[0].on_retract = \"burn\": `burn` is not one of `revoke`, `alert`, \
         `keep`; choose \"revoke\", \"alert\" or \"keep\""
    );
    for (budget, says) in
        [("0", "0 is out of range"), ("\"1 eth\"", "`1 eth` is not"), ("0.5", "expected")]
    {
        let budget = format!("daily_budget = {budget}\nachievements_contract =");
        assert!(replaced("achievements_contract =", &budget).contains(says), "{says}");
    }
    assert!(replaced("\"awards\"", "[]").contains("has no entries"));
    assert!(replaced("\"awards\"", "[\"awards\", \"award\"]").contains("did you mean `awards`?"));
    assert!(replaced("\"awards\"", "[1]").contains("expected text"));
    assert!(only(&format!("urgency = \"now\"\n{when}")).contains("`now` is not one of `low`"));
}

#[test]
fn what_is_far_too_much_is_refused_quickly() {
    let began = std::time::Instant::now();
    let achievement = |n: usize| {
        format!(
            "[[achievements]]\nname = \"a{n}\"\nid = {n}\nwhen = {{ holds = {{ nft = \"badge\" }} }}\n"
        )
    };
    let head = "id = \"s\"\nsigner = \"awards\"\nachievements_contract = \"achievements\"\n";
    let many: String = (0..10_000).map(achievement).collect();
    let said = errors(&format!("{head}{many}"));
    assert!(said[0].to_string().contains("10000 achievements, more than 1000"), "{}", said[0]);
    assert_eq!(
        compiled(&format!("{head}{}", (0..1_000).map(achievement).collect::<String>()))
            .achievements()
            .len(),
        1_000
    );

    let mib = 1 << 20;
    for (begins, repeated) in
        [("x = ", "["), ("x = ", "{ a = "), ("", "[[a"), ("x", ".a"), ("x = \"", "y"), ("", "#")]
    {
        let times = (mib - begins.len()) / repeated.len();
        assert!(!errors(&format!("{begins}{}", repeated.repeat(times))).is_empty(), "{repeated}");
    }
    let deep = "{ all = [".repeat(100) + "{}" + &"] }".repeat(100);
    assert!(!errors(&set_of(&format!("when = {deep}"))).is_empty());
    let long = "x".repeat(mib + 1);
    assert!(errors(&long)[0].to_string().contains("1048577 bytes, more than 1048576"));
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

#[test]
fn prerequisites_exist_and_lead_somewhere() {
    let when = "when = { holds = { nft = \"badge\" } }";
    assert_eq!(
        only(&format!("requires = [\"b\"]\n{when}")),
        "7: achievements[0].requires[0] = \"b\": this set has no achievement `b`; there are `a`"
    );
    assert!(only(&format!("requires = [\"a\"]\n{when}")).contains("cycle: a → a"));
    assert!(only(&format!("requires = []\n{when}")).contains("`requires` has no entries"));
    let ring = "requires = [\"b\"]\n[[achievements]]\nname = \"b\"\nid = 2\nrequires = [\"c\"]\n\
                [[achievements]]\nname = \"c\"\nid = 3\nrequires = [\"a\"]";
    assert!(only(ring).contains("prerequisites form a cycle: a → b → c → a; remove one"));
    let twice = "when = { holds = { nft = \"badge\" } }\n[[achievements]]\nname = \"b\"\nid = 2\n\
                 requires = [\"a\", \"a\"]";
    assert!(only(twice).contains("prerequisite a is taken"));
}

#[test]
fn prerequisites_need_a_contract_that_says_what_is_unlocked() {
    let mut catalog = catalog();
    let contract = catalog.contracts.get_mut(&name("achievements")).unwrap();
    contract.events.retain(|schema| schema.name.as_str() != "achievement_revoked");
    let errors = RuleSet::compile("r", EXAMPLE, &catalog).unwrap_err();
    assert!(matches!(errors[..], [RuleError { problem: Problem::UnknownEvent { .. }, .. }]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn no_mutilation_of_a_file_goes_untold_or_panics(
        at in 0..EXAMPLE.len(),
        length in 0..40usize,
        put in "[a-z\\[\\]{}=\"., 0-9\n]{0,6}",
    ) {
        let end = (at + length).min(EXAMPLE.len());
        if EXAMPLE.is_char_boundary(at) && EXAMPLE.is_char_boundary(end) {
            let text = [&EXAMPLE[..at], &put, &EXAMPLE[end..]].concat();
            if let Err(errors) = RuleSet::compile("rules.toml", &text, &catalog()) {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(error.line <= text.lines().count() + 1 && !error.remedy.is_empty());
                }
            }
        }
    }
}

//! Rule files that name what is not there, or what can never be.

use super::place::{Place, WHOLE};

/// A rule set of one achievement with this condition.
fn with(condition: &str) -> String {
    format!(
        "id = \"r\"\nsigner = \"awards\"\nachievements_contract = \"achievements\"\n\n\
         [[achievements]]\nname = \"first\"\nid = 1\n[achievements.when]\n{condition}\n"
    )
}

fn refuses(rules: &str, parts: &[&str]) {
    let place = Place::new(WHOLE);
    place.write("rules/r.toml", rules);
    place.refused().says(2, parts);
}

#[test]
fn rules_that_fit_are_accepted() {
    let place = Place::new(WHOLE);
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/rules/participation.toml");
    place.write("rules/participation.toml", std::fs::read(shipped).unwrap());
    let ended = place.meritd(&["check", "--offline"]);
    ended.says(0, &[]);
    ended.prints(&["development: 4 contracts, 1 rule sets, 1 signers"]);
}

#[test]
fn an_event_that_the_abi_lacks_is_told_with_those_it_has() {
    refuses(
        &with("event = \"contributions.contributd\"\nsubject = \"member\""),
        &["rules/r.toml:9", "achievements[0].when.event", "contributd", "`contributed`"],
    );
    let place = Place::new(WHOLE);
    place
        .write("rules/r.toml", with("event = \"contributions.contributed\"\nsubject = \"member\""));
    place.write(
        "inbox.json",
        r#"[{"type": "event", "name": "Paid", "inputs": [], "anonymous": false}]"#,
    );
    place.refused().says(2, &["rules/r.toml:9", "has no event `contributed`", "paid"]);
}

#[test]
fn unknown_fields_contracts_achievements_and_signers_are_told_with_their_line() {
    refuses(
        &with("event = \"dao.vote_cast\"\nsubject = \"votr\""),
        &["rules/r.toml:10", "has no field `votr`", "`voter`"],
    );
    refuses(
        &with("event = \"dao.vote_cast\"\nsubject = \"voter\"\nwhere = { suport = 1 }"),
        &["rules/r.toml:11", "has no field `suport`", "`support`"],
    );
    refuses(
        &with("event = \"doa.vote_cast\"\nsubject = \"voter\""),
        &["rules/r.toml:9", "no contract `doa`", "`dao`"],
    );
    let vote = with("event = \"dao.vote_cast\"\nsubject = \"voter\"");
    refuses(
        &vote.replace("id = 1\n", "id = 1\nrequires = [\"frist\"]\n"),
        &["rules/r.toml:8", "no achievement `frist`", "`first`"],
    );
    refuses(
        &vote.replace("\"awards\"", "\"award\""),
        &["rules/r.toml:2", "no signer `award`", "`awards`"],
    );
    refuses(
        &vote.replace("subject =", "subjct ="),
        &["rules/r.toml:10", "unknown key `subjct`", "`subject`"],
    );
}

#[test]
fn a_value_of_a_wrong_type_is_told_with_its_line() {
    let vote = with("event = \"dao.vote_cast\"\nsubject = \"voter\"");
    let id = ["rules/r.toml:7", "achievements[0].id", "-1"];
    refuses(&vote.replace("id = 1\n", "id = -1\n"), &id);
    refuses(&vote.replace("\"awards\"", "[1]"), &["rules/r.toml:2", "signer", "expected"]);
    refuses(
        &with("event = \"dao.vote_cast\"\nsubject = \"voter\"\ncount = \"three\""),
        &["rules/r.toml:11", "achievements[0].when.count", "three"],
    );
    refuses("", &["rules/r.toml:1", "`id` is missing"]);
}

#[test]
fn prerequisites_in_a_circle_are_told_with_the_circle() {
    let member = |name: &str, id: u8, requires: &str| {
        format!(
            "[[achievements]]\nname = \"{name}\"\nid = {id}\nrequires = [\"{requires}\"]\n\
             [achievements.when]\nevent = \"dao.vote_cast\"\nsubject = \"voter\"\n"
        )
    };
    let head = "id = \"r\"\nsigner = \"awards\"\nachievements_contract = \"achievements\"\n";
    let circle = [member("a", 1, "b"), member("b", 2, "c"), member("c", 3, "a")].concat();
    refuses(&format!("{head}{circle}"), &["rules/r.toml:7", "cycle", "a → b → c → a"]);
    refuses(&format!("{head}{}", member("a", 1, "a")), &["rules/r.toml:7", "cycle", "a → a"]);
}

#[test]
fn two_files_with_one_id_are_refused() {
    let place = Place::new(WHOLE);
    let rules = with("event = \"dao.vote_cast\"\nsubject = \"voter\"");
    place.write("rules/a.toml", &rules);
    place.write("rules/b.toml", &rules);
    place.refused().says(2, &["rules/b.toml", "id = `r`", "give each its own"]);
}

/// A whole configuration with these keys of its achievements contract.
fn called(keys: &str) -> String {
    WHOLE.replace("kind = \"achievements\"\n", &format!("kind = \"achievements\"\n{keys}\n"))
}

#[test]
fn calls_that_can_not_be_made_are_refused() {
    let unlock = "unlock = \"mint(address user, uint256 id)\"";
    for (keys, says) in [
        (format!("calls = {{ {unlock} }}"), "contracts[3].calls.has: without `has` nothing tells"),
        (
            format!(
                "delivery = \"at-most-once\"\ncalls = {{ {unlock}, batch = \"mint(address user)\" }}"
            ),
            "contracts[3].calls.batch (`achievements`): argument `user` has no meaning",
        ),
        (
            "delivery = \"at-most-once\"\ncalls = { unlock = \"mint\" }".to_owned(),
            "not a signature",
        ),
        ("delivery = \"twice\"".to_owned(), "twice"),
        ("calls = { give = \"x\" }".to_owned(), "give"),
    ] {
        Place::new(called(&keys)).refused().says(2, &["development.toml", says]);
    }
    let badge =
        WHOLE.replace("kind = \"erc721\"\n", "kind = \"erc721\"\ndelivery = \"at-most-once\"\n");
    Place::new(badge).refused().says(2, &["contracts[1].delivery", "only kind `achievements`"]);

    let place = Place::new(called(&format!("delivery = \"at-most-once\"\ncalls = {{ {unlock} }}")));
    let rules = r#"
id = "a"
signer = "awards"
achievements_contract = "achievements"
[[achievements]]
name = "b"
id = 1
when = { holds = { nft = "badge" } }
"#;
    place.write("rules/a.toml", rules);
    place.refused().says(2, &["rules/a.toml", "achievement `b`", "no call to take it back"]);
    place.write("rules/a.toml", rules.replace("id = 1", "id = 1\non_retract = \"keep\""));
    place.meritd(&["check", "--offline"]).says(0, &[]);

    // Two achievements that the contract can't tell apart would be one there.
    let unlock = "unlock = \"setBonus(address user, uint256 bps = 12000)\"";
    let place = Place::new(called(&format!("delivery = \"at-most-once\"\ncalls = {{ {unlock} }}")));
    let one = rules.replace("id = 1", "id = 1\non_retract = \"keep\"");
    place.write("rules/a.toml", &one);
    place.meritd(&["check", "--offline"]).says(0, &[]);
    place.write("rules/b.toml", one.replace("\"a\"", "\"b\"").replace("id = 1\n", "id = 2\n"));
    place.refused().says(2, &["don't say which achievement", "(1, 2, …)", "an argument `id`"]);
}

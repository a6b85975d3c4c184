//! Governors that succeed each other, and contracts that a factory creates.

use super::{
    super::{Catalog, RuleSet},
    world::{World, ballot, catalog, name, set_of},
};

/// The usual contracts; before the dao there was another one, which knew no
/// votes with parameters; and a factory makes badges.
fn world() -> Catalog {
    let mut catalog = catalog();
    let mut before = catalog.contracts["dao"].clone();
    before.events.retain(|schema| schema.name.as_str() != "vote_cast_with_params");
    before.kind = "governor_bravo".to_owned();
    let mut badges = catalog.contracts["badge"].clone();
    badges.created = true;
    catalog.contracts.extend([(name("dao-before"), before), (name("badges"), badges)]);
    catalog.groups.insert(name("community"), vec![name("dao-before"), name("dao")]);
    catalog
}

fn compiled(condition: &str) -> Result<RuleSet, String> {
    let text = set_of(&format!("[achievements.when]\n{condition}"));
    RuleSet::compile("rules.toml", &text, &world()).map_err(|errors| errors[0].to_string())
}

#[test]
fn a_groups_event_is_that_of_whichever_governor_is_in_office() {
    let votes = "event = \"community.vote_cast\"\nsubject = \"voter\"\n\
                 distinct = \"proposal_id\"\ncount = 2";
    let mut world = World::new(compiled(votes).unwrap());
    assert_eq!(world.earned("dao-before.vote_cast", &ballot(1, 7, 1, "1")).len(), 0);
    assert_eq!(world.earned("dao-before.vote_cast", &ballot(1, 7, 1, "1")).len(), 0);
    assert_eq!(world.earned("dao.vote_cast", &ballot(1, 8, 1, "1")).len(), 1);
    // An event that only one of them has.
    let votes = "event = \"community.vote_cast_with_params\"\nsubject = \"voter\"";
    let mut world = World::new(compiled(votes).unwrap());
    assert_eq!(world.earned("dao.vote_cast_with_params", &ballot(1, 7, 1, "5")).len(), 1);
}

#[test]
fn what_no_member_has_and_names_that_are_near_a_groups_are_told() {
    let error = compiled("event = \"community.vote_cats\"\nsubject = \"voter\"").unwrap_err();
    assert!(error.contains("no event `vote_cats`") && error.contains("`vote_cast`"), "{error}");
    let error = compiled("event = \"comunity.vote_cast\"\nsubject = \"voter\"").unwrap_err();
    assert!(error.contains("did you mean `community`"), "{error}");
    let error = compiled("holds = { nft = \"community\" }").unwrap_err();
    assert!(error.contains("no contract `community`"), "{error}");
}

#[test]
fn tokens_of_contracts_that_a_factory_creates_are_not_held() {
    let error = compiled("holds = { nft = \"badges\" }").unwrap_err();
    assert!(error.contains("many addresses"), "{error}");
    assert!(compiled("event = \"badges.minted\"\nsubject = \"to\"").is_ok());
}

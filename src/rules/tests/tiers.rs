//! Achievements that come in tiers.

use super::{
    super::RuleSet,
    world::{World, ballot, catalog, compiled},
};

const HEAD: &str = "id = \"set\"\nsigner = \"awards\"\nachievements_contract = \"achievements\"\n\
                    [[achievements]]\nname = \"voice\"\n";
const VOTE: &str = "event = \"dao.vote_cast\", subject = \"voter\"";

fn tiers(when: &str, tiers: &str) -> String {
    format!("{HEAD}when = {{ {when} }}\n{tiers}")
}

fn tier(name: &str, id: u8, at_least: &str) -> String {
    format!("[[achievements.tiers]]\nname = \"{name}\"\nid = {id}\nat_least = {at_least}\n")
}

fn three() -> String {
    [tier("bronze", 1, "1"), tier("silver", 2, "2"), tier("gold", 3, "4")].concat()
}

fn refused(text: &str) -> String {
    let errors = RuleSet::compile("rules.toml", text, &catalog()).unwrap_err();
    errors.iter().map(|error| format!("{error}\n")).collect()
}

fn earned(world: &mut World, proposal: u64, weight: &str) -> Vec<String> {
    let earned = world.earned("dao.vote_cast", &ballot(1, proposal, 1, weight));
    earned.into_iter().map(|(_, name)| name).collect()
}

#[test]
fn each_tier_is_earned_when_it_is_reached() {
    let text = tiers(&format!("{VOTE}, distinct = \"proposal_id\""), &three());
    let mut world = World::new(compiled(&text));
    assert_eq!(earned(&mut world, 1, "1"), ["voice-bronze"]);
    assert_eq!(earned(&mut world, 1, "1"), [""; 0]);
    assert_eq!(earned(&mut world, 2, "1"), ["voice-silver"]);
    assert_eq!(earned(&mut world, 3, "1"), [""; 0]);
    assert_eq!(earned(&mut world, 4, "1"), ["voice-gold"]);
    assert_eq!(world.set.meters.len(), 1, "they look at one meter");
}

#[test]
fn tiers_that_are_passed_at_once_are_all_earned() {
    let when = format!("{VOTE}, sum = {{ field = \"weight\" }}");
    let list = [tier("b", 1, "\"1e18\""), tier("a", 2, "\"2 ether\""), tier("c", 3, "5")].concat();
    let mut world = World::new(compiled(&tiers(&when, &list)));
    assert_eq!(earned(&mut world, 1, "3000000000000000000"), ["voice-a", "voice-b", "voice-c"]);
}

#[test]
fn others_require_a_tier_by_its_name() {
    let crown = "[[achievements]]\nname = \"crown\"\nid = 9\nrequires = [\"voice-gold\"]\n";
    let text = format!("{}{crown}", tiers(VOTE, &three()));
    assert_eq!(compiled(&text).achievements().len(), 4);
    let wrong = text.replace("voice-gold", "voice-gild");
    assert!(refused(&wrong).contains("did you mean `voice-gold`"), "{}", refused(&wrong));
}

#[test]
fn each_mistake_is_named_with_the_way_out() {
    for (when, list, said) in [
        (VOTE.to_owned(), tier("bronze", 1, "0"), "0 is out of range"),
        (VOTE.to_owned(), tier("bronze", 1, "\"many\""), "expected a whole number"),
        (
            VOTE.to_owned(),
            tier("bronze", 1, "1").replace("at_least = 1\n", ""),
            "`at_least` is missing",
        ),
        (VOTE.to_owned(), tier("bronze", 1, "1").replace("id = 1\n", ""), "`id` is missing"),
        (VOTE.to_owned(), tier("bronze", 1, "1").replace("at_least", "gte"), "unknown key `gte`"),
        (VOTE.to_owned(), [tier("a", 1, "1"), tier("a", 2, "2")].concat(), "name voice-a is taken"),
        (VOTE.to_owned(), [tier("a", 1, "1"), tier("b", 1, "2")].concat(), "id 1 is taken"),
        (VOTE.to_owned(), tier(&"x".repeat(60), 1, "1"), "choose a shorter name"),
        (format!("{VOTE}, count = 2"), three(), "`count`, `tiers` can't stand together"),
        (format!("{VOTE}, sum = {{ field = \"weight\", gte = 1 }}"), three(), "unknown key `gte`"),
        (
            "holds = { nft = \"badge\" }".to_owned(),
            three(),
            "only what is counted of events comes in tiers",
        ),
        (VOTE.to_owned(), "tiers = []".to_owned(), "`tiers` has no entries"),
        (VOTE.to_owned(), "tiers = 3".to_owned(), "expected a list"),
        (VOTE.to_owned(), format!("id = 7\n{}", three()), "`id`, `tiers` can't stand together"),
    ] {
        let told = refused(&tiers(&when, &list));
        assert!(told.contains(said), "{when} {list}: {told}");
    }
    let without = format!("{HEAD}{}", three());
    assert!(refused(&without).contains("`when` is missing"), "{}", refused(&without));
}

//! Who is on a list.

use std::sync::Arc;

use super::{
    super::RuleSet,
    world::{World, catalog, compiled, name, set_of, user},
};

const VOTE: &str = "{ event = \"dao.vote_cast\", subject = \"voter\" }";

fn all(more: &str) -> String {
    set_of(&format!("when = {{ all = [{VOTE}, {{ {more} }}] }}"))
}

#[test]
fn a_list_lets_its_own_in_and_keeps_them_out() {
    let mut world = World::new(compiled(&all("listed = \"founders\"")));
    assert_eq!((world.vote(2, 1, "1"), world.vote(3, 1, "1")), (1, 0));
    let mut world = World::new(compiled(&all("not_listed = \"founders\"")));
    assert_eq!((world.vote(2, 1, "1"), world.vote(3, 1, "1")), (0, 1));
}

#[test]
fn who_is_on_a_list_is_part_of_the_version() {
    let text = all("listed = \"founders\"");
    let mut other = catalog();
    other.lists.insert(name("founders"), Arc::new([user(1), user(3)].into()));
    let compiled_with = |catalog| RuleSet::compile("r", &text, catalog).unwrap().version();
    assert_ne!(compiled_with(&catalog()), compiled_with(&other));
    assert_ne!(compiled(&text).version(), compiled(&all("not_listed = \"founders\"")).version());
}

#[test]
fn explain_says_that_no_deed_is_missing() {
    let world = World::new(compiled(&all("listed = \"founders\"")));
    let missing = world.set.explain(&world.state, "a", user(7), 0).unwrap().missing;
    assert_eq!(missing, ["1 more dao.vote_cast", "to be on the list founders"]);
}

#[test]
fn each_mistake_is_named_with_the_way_out() {
    for (text, said) in [
        (all("listed = \"founder\""), "there is no list `founder`; did you mean `founders`"),
        (all("listed = [\"founders\"]"), "expected text"),
        (all("listed = \"../../etc/passwd\""), "there is no list"),
        (set_of("when = { listed = \"founders\" }"), "add under `all` what the user does"),
        (set_of("when = { not_listed = \"founders\" }"), "add under `all` what the user does"),
        (
            set_of(&format!("when = {{ any = [{VOTE}, {{ listed = \"founders\" }}] }}")),
            "add under `all` what the user does",
        ),
    ] {
        let errors = RuleSet::compile("rules.toml", &text, &catalog()).unwrap_err();
        assert!(errors[0].to_string().contains(said), "{text}: {}", errors[0]);
    }
}

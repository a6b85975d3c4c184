//! How a set takes the place of an older version of it.

use super::{
    super::{OnChange, RuleSet},
    world::{World, ballot, catalog, compiled, set_of},
};

const VOTE: &str = "event = \"dao.vote_cast\", subject = \"voter\"";

/// A set that says something beside its achievement.
fn saying(more: &str, when: &str) -> String {
    set_of(&format!("when = {{ {when} }}")).replace("signer = ", &format!("{more}\nsigner = "))
}

#[test]
fn events_before_its_time_count_for_nothing() {
    let text = saying(
        "since = 1970-01-01T01:00:00Z",
        &format!("{VOTE}, distinct = \"proposal_id\", count = 2"),
    );
    let mut world = World::new(compiled(&text));
    let vote = |world: &mut World, time, proposal| {
        world.apply_at(time, "dao.vote_cast", &ballot(1, proposal, 1, "1")).len()
    };
    assert_eq!(vote(&mut world, 3_598, 1) + vote(&mut world, 3_599, 2), 0);
    assert_eq!(vote(&mut world, 3_600, 1), 0, "the first that counts");
    assert_eq!(vote(&mut world, 3_601, 2), 1);
}

#[test]
fn who_has_something_at_its_time_has_it_from_then_on() {
    let text = saying("since = 1970-01-01T01:00:00Z", "holds = { nft = \"badge\" }");
    let mut world = World::new(compiled(&text));
    assert_eq!(world.badge(1, None, 1) + world.badge(2, None, 2), 0);
    assert_eq!(world.badge(2, Some(2), 3), 0, "two has none any more");
    let unlocks = world.begin_at(5_000);
    let earned: Vec<(u8, u64)> = unlocks.iter().map(|it| (it.request.user[0], it.time)).collect();
    assert_eq!(earned, [(1, 3_600), (3, 3_600)]);
}

#[test]
fn how_it_takes_its_place_is_no_part_of_what_it_means() {
    let plain = compiled(&saying("", VOTE));
    assert_eq!((plain.on_change(), plain.since(), plain.is_shadow()), (None, 0, false));
    let carried = compiled(&saying("on_change = \"carry\"\nshadow = true", VOTE));
    assert_eq!((carried.on_change(), carried.is_shadow()), (Some(OnChange::Carry), true));
    assert_eq!(plain.version(), carried.version());
    let later = compiled(&saying("on_change = \"from-now\"\nsince = 2026-01-01", VOTE));
    assert_eq!(later.since(), 1_767_225_600);
    assert_ne!(plain.version(), later.version(), "other events count");
}

#[test]
fn what_is_told_and_never_lands_is_part_of_what_it_means() {
    let told = |notify: &str| set_of(&format!("notify = {notify}\nwhen = {{ {VOTE} }}"));
    let set = compiled(&told("true"));
    assert!(set.achievements()[0].notify);
    assert_eq!(World::new(set.clone()).vote(1, 1, "1"), 1, "it is earned like any other");
    let lands = compiled(&set_of(&format!("when = {{ {VOTE} }}")));
    assert_ne!(set.version(), lands.version());
    assert_eq!(compiled(&told("false")).version(), lands.version());
    let crown = "[[achievements]]\nname = \"crown\"\nid = 2\nrequires = [\"a\"]\n";
    for (text, said) in [
        (told("\"yes\""), "expected true or false"),
        (format!("{}{crown}", told("true")), "`a` is told and never lands"),
    ] {
        let errors = RuleSet::compile("rules.toml", &text, &catalog()).unwrap_err();
        assert!(errors[0].to_string().contains(said), "{}", errors[0]);
    }
}

#[test]
fn each_mistake_is_named_with_the_way_out() {
    for (more, said) in [
        ("on_change = \"keep\"", "`keep` is not one of `carry`, `recompute`, `from-now`"),
        ("on_change = true", "expected text"),
        ("on_change = \"from-now\"", "`since` is missing; say from when on events count"),
        ("since = \"2026-01-01\"", "expected a date or a time"),
        ("since = 1969-01-01", "no time since 1970-01-01"),
        ("shadow = \"yes\"", "expected true or false"),
    ] {
        let text = saying(more, VOTE);
        let errors = RuleSet::compile("rules.toml", &text, &catalog()).unwrap_err();
        assert!(errors[0].to_string().contains(said), "{more}: {}", errors[0]);
    }
}

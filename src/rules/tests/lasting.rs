//! Achievements that are lost when their condition is met no more.

use serde_json::json;

use super::{
    super::{RuleSet, Unlock, memory::State},
    world::{World, ballot, block, catalog, compiled, event_in, name, set_of, through, user},
};
use crate::{
    domain::Watermark,
    fold::{Emitted, Engine, Input},
};

const VOTE: &str = "event = \"dao.vote_cast\", subject = \"voter\"";
const BADGE: &str = "holds = { nft = \"badge\" }";

fn lasting(when: &str) -> World {
    World::new(compiled(&set_of(&format!("mode = \"while\"\nwhen = {{ {when} }}"))))
}

/// What happened: who, and whether it was gained.
fn told(unlocks: &[Unlock]) -> Vec<(u8, bool)> {
    unlocks.iter().map(|it| (it.request.user[0], it.lapsed.is_none())).collect()
}

fn give(world: &mut World, from: Option<u8>, to: u8) -> Vec<Unlock> {
    let to = user(to).to_checksum(None);
    match from.map(|from| user(from).to_checksum(None)) {
        None => world.apply("badge.minted", &json!({ "to": to, "token_id": "7" })),
        Some(from) => {
            let fields = json!({ "from": from, "to": to, "token_id": "7" });
            world.apply("badge.transferred", &fields)
        }
    }
}

#[test]
fn what_is_sold_is_lost_and_what_is_bought_is_earned_anew() {
    let mut world = lasting(BADGE);
    let first = give(&mut world, None, 1);
    assert_eq!(told(&first), [(1, true)]);
    let sold = give(&mut world, Some(1), 2);
    assert_eq!(told(&sold), [(1, false), (2, true)]);
    assert_eq!(sold[0].request, first[0].request, "the same request is over");
    let lapse = sold[0].lapsed.as_ref().unwrap();
    assert_eq!(
        lapse.to_string(),
        "its condition is met no more since badge.transferred in block 2 (log 0)"
    );
    world.state = State::from_saved(world.state.rows()).unwrap();
    let again = give(&mut world, Some(2), 1);
    assert_eq!(told(&again), [(1, true), (2, false)]);
    assert_ne!(again[0].request.evidence, first[0].request.evidence, "with what counts now");
    assert_eq!(again[0].request.id, first[0].request.id);
}

#[test]
fn nothing_is_kept_of_what_is_over() {
    let mut world = lasting(BADGE);
    give(&mut world, None, 1);
    let burned = json!({ "from": user(1).to_checksum(None), "token_id": "7" });
    assert_eq!(told(&world.apply("badge.burned", &burned)), [(1, false)]);
    assert_eq!(world.state.rows().count(), 1, "that the user has had logs");
}

#[test]
fn what_grows_old_is_lost_by_time_alone() {
    let mut world = lasting(&format!("{VOTE}, count = 2, last = \"30s\""));
    let vote = |world: &mut World, time| {
        told(&world.apply_at(time, "dao.vote_cast", &ballot(1, 1, 1, "1")))
    };
    assert_eq!(vote(&mut world, 1_000), []);
    assert_eq!(vote(&mut world, 1_010), [(1, true)]);
    assert_eq!(vote(&mut world, 1_020), [], "of the latest two the older one is from 1010");
    assert_eq!(told(&world.begin_at(1_039)), []);
    let lost = world.begin_at(1_200);
    assert_eq!(told(&lost), [(1, false)]);
    let lapse = lost[0].lapsed.as_ref().unwrap();
    assert_eq!((lost[0].time, &lapse.log), (1_040, &None), "not when it was looked at");
    assert_eq!(lapse.to_string(), "its condition is met no more, by time alone");
    assert_eq!(vote(&mut world, 1_200), []);
    assert_eq!(vote(&mut world, 1_201), [(1, true)]);
}

#[test]
fn a_streak_is_lost_when_what_it_is_of_happens_without_the_user() {
    let mut world =
        lasting(&format!("{VOTE}, streak = {{ of = \"contributions.rated\", length = 2 }}"));
    let rate = |world: &mut World| {
        let fields = json!({ "member": user(9).to_checksum(None), "points": "1", "final": true });
        told(&world.apply("contributions.rated", &fields))
    };
    rate(&mut world);
    assert_eq!(world.vote(1, 1, "1"), 0);
    rate(&mut world);
    assert_eq!(world.vote(1, 2, "1"), 1);
    assert_eq!(rate(&mut world), [], "its turn has begun, and is not missed yet");
    assert_eq!(rate(&mut world), [(1, false)]);
}

#[test]
fn a_streak_of_days_is_lost_when_one_was_missed() {
    let mut world = lasting(&format!("{VOTE}, streak = {{ per = \"day\", length = 2 }}"));
    let day = 86_400;
    world.apply_at(10 * day, "dao.vote_cast", &ballot(1, 1, 1, "1"));
    assert_eq!(
        told(&world.apply_at(11 * day, "dao.vote_cast", &ballot(1, 1, 1, "1"))),
        [(1, true)]
    );
    assert_eq!(told(&world.begin_at(13 * day - 1)), []);
    let lost = world.begin_at(14 * day);
    assert_eq!(told(&lost), [(1, false)]);
    assert_eq!(lost[0].time, 13 * day);
}

#[test]
fn a_part_is_lost_to_what_the_others_do() {
    let mut world = lasting(&format!(
        "ratio = {{ of = {{ {VOTE} }}, over = \"contributions.rated\", gte = \"50%\" }}"
    ));
    let rated = json!({ "member": user(9).to_checksum(None), "points": "1", "final": true });
    assert_eq!(told(&world.apply("contributions.rated", &rated)), []);
    assert_eq!(world.vote(1, 1, "1"), 1);
    assert_eq!(told(&world.apply("contributions.rated", &rated)), [], "half");
    assert_eq!(told(&world.apply("contributions.rated", &rated)), [(1, false)]);
}

#[test]
fn a_part_that_was_lost_is_found_again_by_forgetting_alone() {
    let mut world = lasting(&format!(
        "ratio = {{ of = {{ {VOTE} }}, over = \"contributions.rated\", gte = \"51%\", last = \"6s\" }}"
    ));
    let rate = |world: &mut World, time| {
        let fields = json!({ "member": user(9).to_checksum(None), "points": "1", "final": true });
        told(&world.apply_at(time, "contributions.rated", &fields))
    };
    assert_eq!(rate(&mut world, 1_000), []);
    let vote = world.apply_at(1_001, "dao.vote_cast", &ballot(1, 1, 1, "1"));
    assert_eq!(told(&vote), [(1, true)], "one of one");
    assert_eq!(rate(&mut world, 1_001), [(1, false)], "one of two");
    let later = world.begin_at(2_000);
    let times: Vec<u64> = later.iter().map(|it| it.time).collect();
    assert_eq!((told(&later), times), (vec![(1, true), (1, false)], vec![1_006, 1_007]));
}

#[test]
fn what_requires_something_is_lost_with_it() {
    let text = set_of(&format!(
        "when = {{ {VOTE} }}\n[[achievements]]\nname = \"crown\"\nid = 2\nmode = \"while\"\nrequires = [\"a\"]"
    ));
    let mut world = World::new(compiled(&text));
    let chain = |world: &mut World, event: &str, more: &str| {
        let mut fields = json!({
            "user": user(1).to_checksum(None), "id": "1", "token_id": "1",
        });
        fields[more] = "0x".into();
        told(&world.apply(&format!("achievements.{event}"), &fields))
    };
    assert_eq!(chain(&mut world, "achievement_unlocked", "proof_data"), [(1, true)]);
    assert_eq!(chain(&mut world, "achievement_revoked", "reason"), [(1, false)]);
}

/// A reorg of the block by which it was found to be over: it is said to be earned
/// as it was.
#[test]
fn a_reorg_gives_back_what_was_lost() {
    let text = set_of(&format!("mode = \"while\"\nwhen = {{ {VOTE}, last = \"3s\" }}"));
    let set = compiled(&text);
    let sources = set.sources();
    let mut engine = Engine::new(set, sources);
    let vote = |number: u64, branch: u8, voter: u8| {
        let fields = ballot(voter, number, 1, "1");
        Input::Event(event_in(block(number, branch), "dao.vote_cast", &fields))
    };
    let retraction = Input::Watermark(Watermark::Retraction {
        chain: name("local"),
        chain_id: 1,
        contract: name("dao"),
        from: 3,
        to: 9,
        common: block(2, 0),
        after: None,
    });
    let mut said = Vec::new();
    for input in [vote(1, 0, 1), through(2, 0), vote(9, 0, 2), through(9, 0), retraction] {
        engine.handle(input).unwrap();
        said.extend(engine.take_effects().emissions.into_iter().map(|emission| {
            match emission.emitted {
                Emitted::Says(it) => (true, it.request.user[0], it.lapsed.map(|_| it.time)),
                Emitted::TakesBack(it) => (false, it.request.user[0], it.lapsed.map(|_| it.time)),
            }
        }));
    }
    let end = Some(1_004);
    assert_eq!(
        said,
        [(true, 1, None), (true, 1, end), (true, 2, None), (false, 2, None), (false, 1, end)]
    );
}

#[test]
fn each_mistake_is_named_with_the_way_out() {
    let when = format!("when = {{ {VOTE} }}");
    for (more, said) in [
        ("mode = \"whilst\"", "`whilst` is not one of `once`, `while`"),
        ("mode = 3", "expected text"),
        ("mode = \"while\"\nfirst = 3", "`first`, `mode` can't stand together"),
        ("mode = \"while\"\nevery = \"day\"\ncap = 3", "`every`, `mode` can't stand together"),
        ("mode = \"while\"\non_retract = \"keep\"", "`mode`, `on_retract` can't stand together"),
    ] {
        let text = set_of(&format!("{more}\n{when}"));
        let errors = RuleSet::compile("rules.toml", &text, &catalog()).unwrap_err();
        assert!(errors[0].to_string().contains(said), "{more}: {}", errors[0]);
    }
    let plain = compiled(&set_of(&when)).version();
    let of = |mode: &str| compiled(&set_of(&format!("mode = \"{mode}\"\n{when}"))).version();
    assert_eq!(of("once"), plain);
    assert_ne!(of("while"), plain);
}

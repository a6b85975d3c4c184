//! A fold that must be told something before a block begins.

use super::{
    super::{Engine, Fold, Input, JsonPaths as _, SavedParts, Source, State},
    history::{Block, Speaker, block, genesis, name},
};
use crate::domain::Event;

/// Adds up what it is told before each block of odd number, and says the sum
/// with each event.
struct Told;

impl Fold for Told {
    type Output = serde_json::Value;
    type Key = String;

    fn waits(&self, _: u64, block: u64, _: u64, state: &State) -> bool {
        block % 2 == 1 && state.get::<u64>(&format!("told/{block}")).is_none()
    }

    fn begin_block(&self, _: u64, _: u64, _: u64, _: &mut State, _: &mut Vec<serde_json::Value>) {}

    fn apply(&self, _: &Event, state: &mut State, output: &mut Vec<serde_json::Value>) {
        let told: u64 = state.keys("told/").filter_map(|key| state.get::<u64>(key)).sum();
        output.push(told.into());
    }
}

fn source() -> Vec<Source> {
    vec![Source { chain_id: 1, contract: name("a") }]
}

fn grow(branch: &[Block], salt: u64, blocks: usize) -> Vec<Block> {
    let mut branch = branch.to_vec();
    for _ in 0..blocks {
        branch.push(block(&branch.last().unwrap().at, salt, 1, vec![(name("a"), 1)]));
    }
    branch
}

fn hear(engine: &mut Engine<Told>, speaker: &mut Speaker) {
    for input in speaker.said.drain(..) {
        engine.handle(input).unwrap();
    }
}

fn tell(engine: &mut Engine<Told>, block: u64, answer: u64) {
    engine.amend(|_, state| state.put(&format!("told/{block}"), &answer));
}

fn said(engine: &mut Engine<Told>, saved: &mut SavedParts) -> usize {
    let effects = engine.take_effects();
    saved.absorb(&effects.writes);
    effects.emissions.len()
}

#[test]
fn a_block_waits_for_what_must_be_learned_and_so_does_all_after_it() {
    let mut engine = Engine::new(Told, source());
    let mut a = Speaker::new(1, name("a"));
    a.poll(&grow(&[genesis(1)], 1, 4), 0, 0, false);
    hear(&mut engine, &mut a);
    let mut saved = SavedParts::default();
    assert_eq!(said(&mut engine, &mut saved), 0);
    assert_eq!(engine.observe().waits_for, Some((1, 1)));
    assert_eq!(engine.observe().pending[&name("a")], 4);
    tell(&mut engine, 1, 10);
    assert_eq!(engine.applied_through()[&1], 2);
    assert_eq!(engine.waits_for().map(|end| end.block), Some(3));
    said(&mut engine, &mut saved);

    let mut engine = Engine::restore(Told, source(), saved.clone()).unwrap();
    assert_eq!(engine.waits_for().map(|end| end.block), Some(3), "also after a restart");
    tell(&mut engine, 3, 5);
    assert_eq!((engine.applied_through()[&1], engine.waits_for()), (4, None));
    let said = engine.take_effects().emissions;
    let said = said.into_iter().map(|emission| serde_json::to_value(emission.emitted).unwrap());
    assert_eq!(said.collect::<Vec<_>>(), vec![serde_json::json!({ "says": 15 }); 2]);
}

/// Waits for two answers before block 2.
struct Twice;

impl Fold for Twice {
    type Output = serde_json::Value;
    type Key = String;

    fn waits(&self, _: u64, block: u64, _: u64, state: &State) -> bool {
        block == 2 && state.keys("told/").count() < 2
    }

    fn begin_block(&self, _: u64, _: u64, _: u64, _: &mut State, _: &mut Vec<serde_json::Value>) {}

    fn apply(&self, _: &Event, state: &mut State, _: &mut Vec<serde_json::Value>) {
        state.put("told/0", &state.get::<u64>("told/0").unwrap_or(0));
    }
}

/// The first answer stands under a key that block 1 wrote, too.
#[test]
fn half_of_what_must_be_learned_is_neither_written_down_nor_kept_over_a_reorg() {
    let told = |engine: &Engine<Twice>| engine.state().get::<u64>("told/0");
    let begun = || {
        let mut engine = Engine::new(Twice, source());
        let mut a = Speaker::new(1, name("a"));
        let shared = grow(&[genesis(1)], 1, 1);
        a.poll(&grow(&shared, 2, 1), 0, 0, false);
        for input in a.said.drain(..) {
            engine.handle(input).unwrap();
        }
        engine.amend(|_, state| state.put("told/0", &7_u64));
        assert_eq!((told(&engine), engine.observe().waits_for), (Some(7), Some((1, 2))));
        (engine, a, shared)
    };
    let (mut engine, _, _) = begun();
    let mut saved = SavedParts::default();
    saved.absorb(&engine.take_effects().writes);
    let mut engine = Engine::restore(Twice, source(), saved.clone()).unwrap();
    assert_eq!((told(&engine), engine.observe().waits_for), (Some(0), Some((1, 2))));
    engine.amend(|_, state| state.put("told/0", &7_u64));
    engine.amend(|_, state| state.put("told/1", &8_u64));
    saved.absorb(&engine.take_effects().writes);
    let engine = Engine::restore(Twice, source(), saved).unwrap();
    assert_eq!((told(&engine), engine.observe().waits_for), (Some(7), None));

    let (mut engine, mut a, shared) = begun();
    a.poll(&grow(&shared, 3, 1), 0, 0, false);
    for input in a.said.drain(..) {
        engine.handle(input).unwrap();
    }
    assert_eq!((told(&engine), engine.observe().waits_for), (Some(0), Some((1, 2))));
}

#[test]
fn what_was_learned_is_undone_with_its_block_and_asked_for_again() {
    let mut engine = Engine::new(Told, source());
    let mut a = Speaker::new(1, name("a"));
    let shared = grow(&[genesis(1)], 1, 2);
    a.poll(&grow(&shared, 2, 2), 0, 0, false);
    hear(&mut engine, &mut a);
    tell(&mut engine, 1, 1);
    tell(&mut engine, 3, 1);
    assert_eq!(engine.applied_through()[&1], 4);
    a.poll(&grow(&shared[..2], 3, 4), 0, 0, false);
    hear(&mut engine, &mut a);
    // What was told before block 3 began went with it.
    assert_eq!(engine.waits_for().map(|end| end.block), Some(3));
    a.poll(&shared[..2], 0, 0, false);
    for input in a.said.drain(..) {
        assert!(!matches!(input, Input::Event(_)));
        engine.handle(input).unwrap();
    }
    assert_eq!(engine.waits_for(), None, "a branch without that block waits for nothing");
}

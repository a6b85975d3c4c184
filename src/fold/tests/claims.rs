//! One claim a test, on histories small enough to read.

use alloy::primitives::B256;

use super::{
    super::{Emitted, Engine, Input, InputError, JsonPaths as _, RestoreError, SavedParts, Source},
    history::{Block, Speaker, block, events, genesis, name},
    tally::{Said, Tally},
};
use crate::domain::{BlockRef, Watermark};

/// A branch of one chain: a block per entry of `logs`, a second each.
fn grow(branch: &[Block], salt: u64, logs: &[&[(&str, u8)]]) -> Vec<Block> {
    let mut branch = branch.to_vec();
    for logs in logs {
        let logs = logs.iter().map(|(contract, amount)| (name(contract), *amount)).collect();
        branch.push(block(&branch.last().unwrap().at, salt, 1, logs));
    }
    branch
}

fn engine(sources: &[(u64, &str)]) -> Engine<Tally> {
    let source = |(chain_id, contract): &(u64, &str)| Source {
        chain_id: *chain_id,
        contract: name(contract),
    };
    Engine::new(Tally, sources.iter().map(source).collect())
}

fn hear(engine: &mut Engine<Tally>, speaker: &mut Speaker) {
    for input in speaker.said.drain(..) {
        engine.handle(input).unwrap();
    }
}

fn sum(engine: &Engine<Tally>, contract: &str) -> u64 {
    engine.state().get(&format!("sum/{contract}")).unwrap_or(0)
}

#[test]
fn a_source_without_a_watermark_holds_everything_back() {
    let mut engine = engine(&[(1, "a"), (1, "b")]);
    let branch = grow(&[genesis(1)], 1, &[&[("a", 3)]]);
    let (mut a, mut b) = (Speaker::new(1, name("a")), Speaker::new(1, name("b")));
    a.poll(&branch, 0, 0, false);
    b.poll(&branch, 0, 0, false);
    hear(&mut engine, &mut a);
    assert_eq!(sum(&engine, "a"), 0);
    let seen = engine.observe();
    assert_eq!(seen.pending[&name("a")], 1);
    assert_eq!(seen.slowest, Some(name("b")));
    hear(&mut engine, &mut b);
    assert_eq!(sum(&engine, "a"), 3);
    assert_eq!(engine.applied_through()[&1], 1);
}

#[test]
fn sources_on_different_branches_wait_at_the_fork() {
    let mut engine = engine(&[(1, "a"), (1, "b")]);
    let shared = grow(&[genesis(1)], 1, &[&[("a", 1)]]);
    let old = grow(&shared, 2, &[&[("a", 2)]]);
    let new = grow(&shared, 3, &[&[("b", 4)]]);
    let (mut a, mut b) = (Speaker::new(1, name("a")), Speaker::new(1, name("b")));
    a.poll(&old, 0, 0, false);
    b.poll(&new, 0, 0, false);
    hear(&mut engine, &mut a);
    hear(&mut engine, &mut b);
    assert_eq!((sum(&engine, "a"), sum(&engine, "b")), (1, 0));
    assert_eq!(engine.observe().disputed[&1], 2);
    a.poll(&new, 0, 0, false);
    hear(&mut engine, &mut a);
    assert_eq!((sum(&engine, "a"), sum(&engine, "b")), (1, 4));
    assert!(engine.observe().disputed.is_empty());
}

#[test]
fn an_event_of_a_block_that_others_know_by_another_hash_waits() {
    let mut engine = engine(&[(1, "a"), (1, "b")]);
    let shared = grow(&[genesis(1)], 1, &[&[]]);
    let old = grow(&shared, 2, &[&[("a", 2)], &[]]);
    let new = grow(&shared, 3, &[&[], &[]]);
    let (mut a, mut b) = (Speaker::new(1, name("a")), Speaker::new(1, name("b")));
    a.poll(&old, 0, 0, false);
    // Without recent hashes but the last, only the event tells a's branch.
    for input in &mut a.said {
        if let Input::Watermark(Watermark::Progress { recent, through, .. }) = input {
            through.hash = new[3].at.hash;
            *recent = vec![*through];
        }
    }
    b.poll(&new, 0, 0, false);
    hear(&mut engine, &mut a);
    hear(&mut engine, &mut b);
    assert_eq!(sum(&engine, "a"), 0);
    assert_eq!(engine.observe().disputed[&1], 2);
}

#[test]
fn a_retraction_takes_back_in_reverse_and_spares_other_sources_events() {
    let mut engine = engine(&[(1, "a"), (1, "b"), (2, "c")]);
    let shared = grow(&[genesis(1)], 1, &[&[]]);
    let old = grow(&shared, 2, &[&[("a", 5), ("a", 5)], &[("b", 5), ("b", 6)]]);
    let new = grow(&shared, 3, &[&[("b", 5)], &[("b", 6)], &[]]);
    let other = grow(&[genesis(2)], 4, &[&[], &[("c", 10)], &[], &[]]);
    let mut speakers = [(1, "a"), (1, "b"), (2, "c")].map(|(id, c)| Speaker::new(id, name(c)));
    let branches = [&old, &old, &other];
    for (speaker, branch) in speakers.iter_mut().zip(branches) {
        speaker.poll(branch, 0, 0, false);
        hear(&mut engine, speaker);
    }
    let said = |engine: &mut Engine<Tally>| -> Vec<(bool, String)> {
        let emissions = engine.take_effects().emissions;
        let line = |emitted: Emitted<Said>| match emitted {
            Emitted::Says(Said::ReachedTen { contract, .. }) => (true, contract),
            Emitted::TakesBack(Said::ReachedTen { contract, .. }) => (false, contract),
            other => panic!("{other:?}"),
        };
        emissions.into_iter().map(|emission| line(emission.emitted)).collect()
    };
    let to = |says: bool, contract: &str| (says, contract.to_owned());
    assert_eq!(said(&mut engine), [to(true, "a"), to(true, "c"), to(true, "b")]);
    for speaker in &mut speakers[..2] {
        speaker.poll(&new, 0, 0, false);
        hear(&mut engine, speaker);
    }
    // Chain 2's event keeps its place: between the blocks of the new branch.
    assert_eq!(
        said(&mut engine),
        [to(false, "b"), to(false, "c"), to(false, "a"), to(true, "c"), to(true, "b")]
    );
    assert_eq!(sum(&engine, "a"), 0);
}

#[test]
fn final_blocks_leave_inbox_and_journal() {
    let mut engine = engine(&[(1, "a")]);
    let mut a = Speaker::new(1, name("a"));
    let mut saved = SavedParts::default();
    let mut branch = vec![genesis(1)];
    for salt in 0..50 {
        branch = grow(&branch, salt, &[&[("a", 1)]]);
        a.poll(&branch, 0, (branch.len() as u64).saturating_sub(3), false);
        hear(&mut engine, &mut a);
        saved.absorb(&engine.take_effects().writes);
    }
    assert_eq!(sum(&engine, "a"), 50);
    assert_eq!((saved.inbox.len(), saved.journal.len()), (2, 2));
    assert_eq!(saved.meta.len(), 1 + 3 + 2, "a source, three known blocks, two counters");
}

#[test]
fn a_retraction_below_finality_is_refused_and_changes_nothing() {
    let mut engine = engine(&[(1, "a")]);
    let mut a = Speaker::new(1, name("a"));
    let shared = grow(&[genesis(1)], 1, &[&[("a", 1)]]);
    let old = grow(&shared, 2, &[&[("a", 2)], &[], &[]]);
    a.poll(&old, 0, 3, false);
    hear(&mut engine, &mut a);
    engine.take_effects();
    a.poll(&grow(&shared, 3, &[&[]]), 0, 3, false);
    let refused = engine.handle(a.said.remove(0));
    let contract = name("a");
    let expected = InputError::BelowFinality { contract, chain_id: 1, from: 2, final_block: 2 };
    assert_eq!(refused, Err(expected));
    assert_eq!(sum(&engine, "a"), 3);
    assert!(engine.take_effects().writes.is_empty());
}

#[test]
fn a_final_block_of_one_chain_stays_undoable_while_another_may_insert_before_it() {
    let mut engine = engine(&[(1, "a"), (2, "c")]);
    let (mut a, mut c) = (Speaker::new(1, name("a")), Speaker::new(2, name("c")));
    let fast = grow(&[genesis(1)], 1, &[&[], &[], &[("a", 1)], &[]]);
    let slow = grow(&[genesis(2)], 2, &[&[], &[], &[], &[]]);
    a.poll(&fast, 0, 4, false);
    c.poll(&slow, 0, 0, false);
    hear(&mut engine, &mut a);
    hear(&mut engine, &mut c);
    let before: B256 = engine.state().get("digest").unwrap();
    c.poll(&grow(&slow[..2], 3, &[&[("c", 1)], &[], &[]]), 0, 0, false);
    hear(&mut engine, &mut c);
    let after: B256 = engine.state().get("digest").unwrap();
    assert_ne!(before, after);
    assert_eq!((sum(&engine, "a"), sum(&engine, "c")), (1, 1));
}

#[test]
fn repetitions_are_counted_and_ignored() {
    let mut engine = engine(&[(1, "a")]);
    let mut a = Speaker::new(1, name("a"));
    a.poll(&grow(&[genesis(1)], 1, &[&[("a", 3)]]), 0, 0, false);
    let said = a.said.clone();
    for input in said.iter().chain(&said).cloned() {
        engine.handle(input).unwrap();
    }
    assert_eq!(sum(&engine, "a"), 3);
    assert_eq!(engine.observe().duplicates, 2);
}

#[test]
fn what_cannot_be_right_is_refused() {
    let mut engine = engine(&[(1, "a")]);
    let branch = grow(&[genesis(1)], 1, &[&[("a", 3)]]);
    let good = events(1, &branch[1]).remove(0);
    let refusal = |engine: &mut Engine<Tally>, change: &dyn Fn(&mut crate::domain::Event)| {
        let mut event = good.clone();
        change(&mut event);
        engine.handle(Input::Event(event)).unwrap_err().to_string()
    };
    assert_eq!(
        refusal(&mut engine, &|event| event.contract = name("z")),
        "contract `z` is no source of this fold"
    );
    assert_eq!(
        refusal(&mut engine, &|event| event.position.chain_id = 5),
        "contract `a` is on chain 1, the message says chain 5"
    );
    assert_eq!(
        refusal(&mut engine, &|event| event.position.block = 9),
        "a message of contract `a` contradicts itself: the event's position is not in its block"
    );
    let mut a = Speaker::new(1, name("a"));
    a.poll(&branch, 0, 0, false);
    hear(&mut engine, &mut a);
    let older = BlockRef { number: 2, time: 50, ..branch[1].at };
    let error = engine
        .handle(Input::Watermark(Watermark::Progress {
            chain: name("chain"),
            chain_id: 1,
            contract: name("a"),
            through: older,
            recent: vec![older],
            finalized: 0,
            events: None,
            digest: None,
            after: None,
        }))
        .unwrap_err();
    assert_eq!(error.to_string(), "block 2 of chain 1 has time 50, before its ancestor's 101");
}

#[test]
fn saved_parts_of_other_sources_or_shapes_are_refused() {
    let mut engine = engine(&[(1, "a")]);
    let mut saved = SavedParts::default();
    saved.absorb(&engine.take_effects().writes);
    let b = vec![Source { chain_id: 1, contract: name("b") }];
    let error = Engine::restore(Tally, b, saved.clone()).map(drop).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the sources changed since the fold was saved (then: a@1; now: b@1): \
         rebuild this fold from the stream"
    );
    saved.journal.insert(vec![1], b"{}".to_vec());
    let a = vec![Source { chain_id: 1, contract: name("a") }];
    let error = Engine::restore(Tally, a, saved).map(drop).unwrap_err();
    assert!(matches!(error, RestoreError::Unreadable { .. }), "{error}");
}

//! Any arrival gives what the canonical history gives.

use std::collections::{BTreeMap, VecDeque};

use proptest::{collection::vec, prelude::*};

use super::{
    super::{Emission, Emitted, Engine, Fold, Input, SavedParts, State},
    history::{Block, FINAL_DEPTH, Speaker, block, events, genesis, name},
    tally::{Said, Tally},
};
use crate::domain::{BlockRef, Event, Position, Watermark};

/// (contract, chain): two contracts on one chain, one on another.
const CONTRACTS: [(&str, u64); 3] = [("a", 1), ("b", 1), ("c", 2)];

#[derive(Clone, Debug)]
struct Growth {
    seconds: u64,
    logs: Vec<(bool, u8)>,
}

#[derive(Clone, Debug)]
struct Op {
    /// How many blocks are orphaned before these are added.
    orphan: u64,
    blocks: Vec<Growth>,
}

#[derive(Clone, Debug)]
struct Case {
    chains: [Vec<Op>; 2],
    /// For each source and version of its chain: the lag of a poll, if there
    /// is one.
    polls: [Vec<Option<usize>>; 3],
    sparse: bool,
    /// Which source is heard next.
    picks: Vec<u8>,
    /// What else happens before an input.
    nuisances: Vec<Nuisance>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Nuisance {
    None,
    /// The process stops and starts again from what it wrote.
    Restart,
    /// The last input comes again.
    Repeat,
    /// An event heard before comes again.
    Redeliver(usize),
}

fn growth() -> impl Strategy<Value = Growth> {
    let log = (any::<bool>(), 3..=9u8);
    (0..4u64, vec(log, 0..3)).prop_map(|(seconds, logs)| Growth { seconds, logs })
}

fn chain() -> impl Strategy<Value = Vec<Op>> {
    let orphan = prop_oneof![2 => Just(0), 1 => 1..=FINAL_DEPTH];
    let op = (orphan, vec(growth(), 1..4)).prop_map(|(orphan, blocks)| Op { orphan, blocks });
    vec(op, 1..6)
}

fn polls() -> impl Strategy<Value = Vec<Option<usize>>> {
    let lag = prop_oneof![3 => Just(0), 1 => 1..3usize];
    vec(proptest::option::weighted(0.8, lag), 6)
}

fn nuisance() -> impl Strategy<Value = Nuisance> {
    prop_oneof![
        4 => Just(Nuisance::None),
        1 => Just(Nuisance::Restart),
        1 => Just(Nuisance::Repeat),
        1 => (0..100usize).prop_map(Nuisance::Redeliver),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    (
        [chain(), chain()],
        [polls(), polls(), polls()],
        any::<bool>(),
        vec(0..3u8, 1..60),
        vec(nuisance(), 1..60),
    )
        .prop_map(|(chains, polls, sparse, picks, nuisances)| Case {
            chains,
            polls,
            sparse,
            picks,
            nuisances,
        })
}

/// The versions of a chain after each op, with the final height at the time.
fn versions(chain_id: u64, ops: &[Op]) -> Vec<(Vec<Block>, u64)> {
    let mut branch = vec![genesis(chain_id)];
    let (mut highest, mut salt) = (0, 0);
    let mut versions = Vec::new();
    for op in ops {
        let finalized = u64::saturating_sub(highest, FINAL_DEPTH);
        let head = branch.last().unwrap().at.number;
        branch.truncate(head.saturating_sub(op.orphan).max(finalized) as usize + 1);
        for growth in &op.blocks {
            salt += 1;
            let log = |(second, amount): &(bool, u8)| {
                let contract = if chain_id == 2 { "c" } else { ["a", "b"][usize::from(*second)] };
                (name(contract), *amount)
            };
            let logs = growth.logs.iter().map(log).collect();
            branch.push(block(&branch.last().unwrap().at, salt, growth.seconds, logs));
        }
        highest = highest.max(branch.last().unwrap().at.number);
        versions.push((branch.clone(), highest.saturating_sub(FINAL_DEPTH)));
    }
    versions
}

fn speakers(case: &Case) -> (Vec<Speaker>, BTreeMap<u64, Vec<Block>>) {
    let mut canonical = BTreeMap::new();
    let speakers = CONTRACTS.iter().zip(&case.polls).map(|((contract, chain_id), polls)| {
        let versions = versions(*chain_id, &case.chains[*chain_id as usize - 1]);
        let mut speaker = Speaker::new(*chain_id, name(contract));
        for ((branch, finalized), poll) in versions.iter().zip(polls) {
            if let Some(lag) = poll {
                speaker.poll(branch, *lag, *finalized, case.sparse);
            }
        }
        let (branch, finalized) = versions.last().unwrap();
        speaker.poll(branch, 0, *finalized, case.sparse);
        canonical.insert(*chain_id, branch.clone());
        speaker
    });
    (speakers.collect(), canonical)
}

/// One arrival of all that the speakers said.
fn arrival(case: &Case, speakers: &[Speaker]) -> Vec<Input> {
    let mut queues: Vec<VecDeque<Input>> =
        speakers.iter().map(|speaker| speaker.said.iter().cloned().collect()).collect();
    let mut inputs = Vec::new();
    for pick in case.picks.iter().cycle() {
        if queues.iter().all(VecDeque::is_empty) {
            return inputs;
        }
        let first = usize::from(*pick);
        inputs.extend((0..3).find_map(|offset| queues[(first + offset) % 3].pop_front()));
    }
    inputs
}

struct Run {
    saved: SavedParts,
    emissions: Vec<Emission<Said>>,
}

fn run(case: &Case, speakers: &[Speaker], restarts: bool) -> Run {
    let sources = || speakers.iter().map(|speaker| speaker.source.clone()).collect();
    let mut engine = Engine::new(Tally, sources());
    let mut saved = SavedParts::default();
    let mut emissions = Vec::new();
    let mut heard: Vec<Event> = Vec::new();
    let mut last = None;
    for (input, nuisance) in arrival(case, speakers).into_iter().zip(case.nuisances.iter().cycle())
    {
        match nuisance {
            Nuisance::Restart if restarts => {
                let effects = engine.take_effects();
                saved.absorb(&effects.writes);
                emissions.extend(effects.emissions);
                engine = Engine::restore(Tally, sources(), saved.clone()).unwrap();
            }
            Nuisance::Repeat => {
                if let Some(last) = last {
                    engine.handle(last).unwrap();
                }
            }
            Nuisance::Redeliver(n) if !heard.is_empty() => {
                engine.handle(Input::Event(heard[n % heard.len()].clone())).unwrap();
            }
            _ => {}
        }
        match &input {
            Input::Event(event) => heard.push(event.clone()),
            // Watermarks that don't name the hashes of final blocks can't
            // refute copies of events from an orphaned branch.
            Input::Watermark(Watermark::Retraction { contract, from, .. }) if case.sparse => {
                heard.retain(|e| e.contract != *contract || e.position.block < *from);
            }
            Input::Watermark(_) => {}
        }
        engine.handle(input.clone()).unwrap();
        last = Some(input);
    }
    let effects = engine.take_effects();
    saved.absorb(&effects.writes);
    emissions.extend(effects.emissions);
    Run { saved, emissions }
}

/// The final canonical history, sorted and applied by hand.
fn naive(
    speakers: &[Speaker],
    canonical: &BTreeMap<u64, Vec<Block>>,
) -> (BTreeMap<Vec<u8>, Vec<u8>>, Vec<Said>) {
    let end = |chain_id: u64, block: &BlockRef| {
        Position::end_of_block(chain_id, block.number, block.time)
    };
    let frontier = canonical
        .iter()
        .map(|(chain_id, branch)| end(*chain_id, &branch.last().unwrap().at))
        .min()
        .unwrap();
    let mut steps: BTreeMap<Position, Vec<Event>> = BTreeMap::new();
    for (chain_id, branch) in canonical {
        for block in branch.iter().filter(|block| !block.logs.is_empty()) {
            steps.insert(end(*chain_id, &block.at), events(*chain_id, block));
        }
    }
    for chain_id in canonical.keys() {
        let known = speakers
            .iter()
            .filter(|speaker| speaker.source.chain_id == *chain_id)
            .flat_map(|speaker| speaker.known.values())
            .map(|block| end(*chain_id, block))
            .filter(|end| *end <= frontier)
            .max();
        if let Some(end) = known {
            steps.entry(end).or_default();
        }
    }
    let (mut state, mut said) = (State::default(), Vec::new());
    for (end, events) in steps.range(..=frontier) {
        Tally.begin_block(end.chain_id, end.block, end.time, &mut state, &mut said);
        for event in events {
            Tally.apply(event, &mut state, &mut said);
        }
    }
    (state.rows().collect(), said)
}

/// What remains said; every withdrawal must be of the last thing still said.
fn net(emissions: &[Emission<Said>]) -> Vec<Said> {
    let mut said = Vec::new();
    for (index, emission) in emissions.iter().enumerate() {
        assert_eq!(emission.revision, index as u64 + 1);
        match &emission.emitted {
            Emitted::Says(output) => said.push(output.clone()),
            Emitted::TakesBack(output) => assert_eq!(said.pop().as_ref(), Some(output)),
        }
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_arrival_gives_what_the_canonical_history_gives(case in case()) {
        let (speakers, canonical) = speakers(&case);
        let run = run(&case, &speakers, true);
        let (state, said) = naive(&speakers, &canonical);
        prop_assert_eq!(net(&run.emissions), said);
        prop_assert_eq!(run.saved.state, state);
    }

    #[test]
    fn restarts_change_neither_revisions_nor_what_is_saved(case in case()) {
        let (speakers, _) = speakers(&case);
        let (with, without) = (run(&case, &speakers, true), run(&case, &speakers, false));
        prop_assert_eq!(with.emissions, without.emissions);
        prop_assert_eq!(with.saved, without.saved);
    }
}

#[test]
fn the_invented_histories_do_reorg_say_and_take_back() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut taken_back, mut decided, mut retracted) = (0, 0, 0);
    for _ in 0..200 {
        let case = case().new_tree(&mut runner).unwrap().current();
        let (speakers, _) = speakers(&case);
        retracted += arrival(&case, &speakers)
            .iter()
            .filter(|input| matches!(input, Input::Watermark(Watermark::Retraction { .. })))
            .count();
        for emission in run(&case, &speakers, true).emissions {
            match emission.emitted {
                Emitted::TakesBack(_) => taken_back += 1,
                Emitted::Says(Said::Decided { .. }) => decided += 1,
                Emitted::Says(_) => {}
            }
        }
    }
    assert!(
        taken_back > 20 && decided > 20 && retracted > 50,
        "{taken_back} taken back, {decided} decided, {retracted} retractions"
    );
}

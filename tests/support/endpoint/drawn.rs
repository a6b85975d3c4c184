//! A schedule of faults, drawn from a seed: the same seed gives the same.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{
    Batches, Branch, Cap, Edit, Fault, Lag, Reach, Script, When, Which,
    wording::{self, DENSITY, STRUCTURAL},
};

/// What an endpoint does, one after the other.
#[derive(Clone, Debug)]
pub struct Faults {
    pub acts: Vec<Act>,
}

/// A script, and how long it is played.
#[derive(Clone, Debug)]
pub struct Act {
    pub lasts: Duration,
    pub script: Script,
}

const ACTS: usize = 16;
const LASTS_MS: std::ops::RangeInclusive<u64> = 200..=800;

impl Faults {
    /// An endpoint that fails, but does not lie: alone it is enough for the
    /// right outcome. Its caps are the same throughout.
    pub fn drawn(seed: u64) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let caps = caps(&mut chance);
        let acts = (0..ACTS).map(|_| {
            let lasts = Duration::from_millis(chance.random_range(LASTS_MS));
            let script = Script::honest().seed(chance.random());
            let script = caps.iter().cloned().fold(script, Script::cap);
            Act { lasts, script: failing(script, &mut chance) }
        });
        Self { acts: acts.collect() }
    }

    /// One that lies as well, about blocks from `from` on: outvoted, it must
    /// do no harm.
    pub fn drawn_with_lies(seed: u64, from: u64) -> Self {
        let mut faults = Self::drawn(seed);
        let mut chance = StdRng::seed_from_u64(!seed);
        for act in &mut faults.acts {
            act.script = lying(act.script.clone(), from, &mut chance);
        }
        faults
    }
}

fn caps(chance: &mut StdRng) -> Vec<Cap> {
    let structural = *STRUCTURAL.choose(chance).unwrap();
    let density = *DENSITY.choose(chance).unwrap();
    vec![
        Cap::Blocks { most: chance.random_range(3..40), wording: structural },
        // At least as many as the story has in one block, or that block
        // could be had by its receipts only.
        Cap::Logs { most: chance.random_range(12..30), wording: density },
    ]
}

/// Adds something that fails; some acts are without.
fn failing(script: Script, chance: &mut StdRng) -> Script {
    let now_and_then = When::always().share(chance.random_range(0.05..0.4));
    match chance.random_range(0..12) {
        0 | 1 => script,
        2 => script.fault(When::always(), Fault::Delay(5..=150)),
        3 => script.fault(now_and_then, Fault::Cut),
        4 => script.fault(now_and_then, Fault::Truncated),
        5 => script.fault(now_and_then, Fault::html(*[200, 502, 503].choose(chance).unwrap())),
        6 => script.fault(now_and_then, Fault::rate_limited(Some(Duration::from_secs(1)))),
        7 => script.fault(now_and_then, Fault::rate_limited(None)),
        8 => script.fault(now_and_then, Fault::status(*[500, 503].choose(chance).unwrap())),
        9 => script.fault(now_and_then, Fault::Hang),
        10 => {
            let refusal = wording::too_often().choose(chance).unwrap().clone();
            script.refusal(now_and_then, refusal)
        }
        _ => {
            let refusal = wording::behind().choose(chance).unwrap().clone();
            script.refusal(now_and_then.on("eth_getLogs"), refusal)
        }
    }
    .batches(Batches::Shuffled)
}

/// Adds something that is not true; some acts are without.
fn lying(script: Script, from: u64, chance: &mut StdRng) -> Script {
    let which = Which::Share { share: chance.random_range(0.1..1.0), seed: chance.random() };
    let reach = *[Reach::Logs, Reach::Receipts, Reach::Bloom].choose(chance).unwrap();
    match chance.random_range(0..8) {
        0 => script.lag(Lag::by(chance.random_range(1..12))),
        1 => script.lag(Lag::frozen_at(from)),
        2 => script.lag(Lag::by(chance.random_range(1..12)).of_logs_only()),
        3 => script.branch(Branch::fork(from, "drawn")),
        4 => script.branch(Branch::fork(from, "drawn").edited(Edit::Withhold(which))),
        5 => script.lie(Edit::Withhold(which), reach),
        6 => script.lie(Edit::Alter(which), reach),
        _ => script,
    }
}

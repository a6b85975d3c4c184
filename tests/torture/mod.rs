//! The whole of meritd under everything at once: members do what they do, the chain
//! reorganises, and meanwhile the daemon is killed, its broker paused and killed, files
//! are lost, older or damaged, and endpoints fail and lie. When the last fault is over, the
//! chain must have exactly what an oracle says, who shares no code with the daemon.
//!
//! What is done is drawn from a seed. When exactly it meets what the processes are
//! doing is not: a seed that failed is to be run again several times.

mod acts;
mod beyond;
mod disk;
mod faults;
mod noticed;
mod scene;
mod verdict;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use meritd::cli::demo::{anvil::Mining, world::World};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde::Serialize;

use crate::support::{self, Daemon, endpoint::ScriptedEndpoint};

use acts::Acts;
use beyond::Beyond;
use faults::Faults;
use scene::Scene;

/// Endpoints of the chain. One of them fails at a time.
const ENDPOINTS: usize = 3;
/// Time between blocks, in milliseconds.
const BLOCK_MS: std::ops::RangeInclusive<u64> = 150..=400;
/// How long the daemon may take to come to rest after the last fault.
const PATIENCE: Duration = Duration::from_secs(120);

/// What came of a seed.
#[derive(Clone, Debug, Serialize)]
pub struct Seed {
    pub seed: u64,
    /// By their kinds.
    pub faults: BTreeMap<&'static str, u64>,
    /// What the daemon says that it noticed of them.
    pub noticed: BTreeMap<&'static str, u64>,
    /// Achievements that must be on chain and are not.
    pub lost: usize,
    /// Those that were unlocked twice.
    pub duplicate: usize,
    /// Those that must not be there.
    pub phantom: usize,
    /// What else is not as it must be.
    pub wrong: Vec<String>,
    pub seconds: f64,
}

impl Seed {
    pub fn is_right(&self) -> bool {
        self.lost + self.duplicate + self.phantom == 0 && self.wrong.is_empty()
    }
}

/// Plays a seed, with faults for so long.
pub async fn run(seed: u64, length: Duration) -> Seed {
    let began = Instant::now();
    let mut chance = StdRng::seed_from_u64(seed);
    let block_time = Duration::from_millis(chance.random_range(BLOCK_MS));
    let world = World::create(Mining::Every(block_time)).await.unwrap();
    let mut daemon = Daemon::of(&world).await;
    let mut endpoints = Vec::new();
    for _ in 0..ENDPOINTS {
        endpoints.push(ScriptedEndpoint::start(world.anvil.url()).await);
    }
    let all: Vec<&ScriptedEndpoint> = endpoints.iter().collect();
    let scene = Scene::set(&world, &mut daemon, &all, &mut chance);
    let story = support::story(&world);
    story.everybody_joins().await.unwrap();
    daemon.start().await;

    let end = Instant::now() + length;
    let mut acts = Acts::new(&world, chance.random());
    let mut faults = Faults::new(&world, &all, scene, chance.random());
    tokio::join!(acts.play(end), faults.play(&mut daemon, end));
    acts.settle().await;
    faults.mend(&mut daemon).await;
    let mut found = verdict::of(&world, &mut daemon, &mut faults, PATIENCE).await;
    if found.wrong.is_empty() {
        let beyond =
            if chance.random_bool(0.5) { Beyond::Disagreeing } else { Beyond::BelowFinality };
        found.wrong.extend(beyond.play(&world, &mut daemon, &all, PATIENCE).await);
        *faults.counts.entry(beyond.kind()).or_default() += 1;
    }
    verdict::keep(&daemon, seed, &mut found.wrong).await;
    let mut counts = faults.counts;
    *counts.entry("acts").or_default() += acts.done;
    Seed {
        seed,
        faults: counts,
        noticed: noticed::of(&daemon.log()),
        lost: found.lost,
        duplicate: found.duplicate,
        phantom: found.phantom,
        wrong: found.wrong.into_iter().chain(faults.wrong).collect(),
        seconds: began.elapsed().as_secs_f64(),
    }
}

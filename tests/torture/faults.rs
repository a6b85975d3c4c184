//! What goes wrong.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use meritd::cli::demo::world::World;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use rustix::process::{Signal, kill_process};

use crate::support::{
    Daemon,
    endpoint::{self, Script, ScriptedEndpoint},
};

const PAUSE_MS: std::ops::RangeInclusive<u64> = 100..=1_500;
/// Not every life is so long that the daemon gets ready.
const DOWN_MS: std::ops::RangeInclusive<u64> = 0..=600;
const BROKER_STANDS_MS: std::ops::RangeInclusive<u64> = 100..=2_500;
/// Blocks that a reorg replaces: less than the chain's finality.
const REORG_DEPTH: std::ops::RangeInclusive<u64> = 1..=12;

pub(super) struct Faults<'w> {
    world: &'w World,
    endpoints: &'w [&'w ScriptedEndpoint],
    chance: StdRng,
    /// How often each was.
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// What should never be.
    pub(super) wrong: Vec<String>,
}

impl<'w> Faults<'w> {
    pub(super) fn new(world: &'w World, endpoints: &'w [&'w ScriptedEndpoint], seed: u64) -> Self {
        let chance = StdRng::seed_from_u64(seed);
        Self { world, endpoints, chance, counts: BTreeMap::new(), wrong: Vec::new() }
    }

    pub(super) fn had_reorgs(&self) -> bool {
        self.counts.contains_key("reorg")
    }

    /// One endpoint after the other fails; everything else comes between.
    pub(super) async fn play(&mut self, daemon: &mut Daemon, end: Instant) {
        let seed: u64 = self.chance.random();
        let endpoints = self.endpoints;
        let failing = async {
            let mut chance = StdRng::seed_from_u64(seed);
            let mut played = 0_u64;
            while Instant::now() < end {
                let endpoint = endpoints[chance.random_range(0..endpoints.len())];
                let faults = endpoint::Faults::drawn(chance.random());
                let left = end.saturating_duration_since(Instant::now());
                let _ = tokio::time::timeout(left, endpoint.play(faults)).await;
                endpoint.set(Script::honest());
                endpoint.release();
                played += 1;
            }
            played
        };
        let others = self.others(daemon, end);
        let (played, ()) = tokio::join!(failing, others);
        *self.counts.entry("endpoint_schedule").or_default() += played;
    }

    async fn others(&mut self, daemon: &mut Daemon, end: Instant) {
        while Instant::now() < end {
            let pause = Duration::from_millis(self.chance.random_range(PAUSE_MS));
            tokio::time::sleep(pause).await;
            if daemon.has_ended() {
                self.wrong.push(ended(daemon));
                daemon.spawn();
            }
            let kind = self.one(daemon).await;
            *self.counts.entry(kind).or_default() += 1;
        }
    }

    async fn one(&mut self, daemon: &mut Daemon) -> &'static str {
        match self.chance.random_range(0..12) {
            0..=3 => {
                daemon.kill().await;
                self.down().await;
                daemon.spawn();
                "daemon_killed"
            }
            4 => {
                daemon.kill().await;
                let store = daemon.setting.data().join("meritd.redb");
                fs::remove_file(store).unwrap();
                self.down().await;
                daemon.spawn();
                "store_lost"
            }
            5 => {
                daemon.stop().await;
                self.down().await;
                daemon.spawn();
                "daemon_stopped"
            }
            6 | 7 => {
                self.signal_broker(daemon, Signal::STOP);
                let stands = self.chance.random_range(BROKER_STANDS_MS);
                tokio::time::sleep(Duration::from_millis(stands)).await;
                self.signal_broker(daemon, Signal::CONT);
                "broker_paused"
            }
            8 => {
                self.signal_broker(daemon, Signal::KILL);
                "broker_killed"
            }
            _ => {
                let depth = self.chance.random_range(REORG_DEPTH);
                // A chain that is too short refuses.
                let _ = self.world.anvil.reorg(depth).await;
                "reorg"
            }
        }
    }

    async fn down(&mut self) {
        let down = self.chance.random_range(DOWN_MS);
        tokio::time::sleep(Duration::from_millis(down)).await;
    }

    fn signal_broker(&self, daemon: &Daemon, signal: Signal) {
        for pid in daemon.broker() {
            // It may have ended since it was found.
            let _ = kill_process(pid, signal);
        }
    }

    /// Everything works again.
    pub(super) async fn mend(&mut self, daemon: &mut Daemon) {
        for endpoint in self.endpoints {
            endpoint.set(Script::honest());
            endpoint.release();
        }
        self.signal_broker(daemon, Signal::CONT);
        if daemon.has_ended() {
            self.wrong.push(ended(daemon));
            daemon.spawn();
        }
        daemon.wait_ready().await;
    }
}

/// Why it says that it ended: the last of its log.
fn ended(daemon: &Daemon) -> String {
    let log = daemon.log();
    let last: Vec<&str> = log.lines().rev().take(6).collect();
    format!("the daemon ended by itself: {}", last.join(" | "))
}

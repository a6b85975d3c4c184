//! What goes wrong: what kind when is drawn, one at a time, but for endpoints, which fail
//! and lie meanwhile.

mod broker;
mod chain;
mod daemon;
mod endpoint;
mod messages;

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use meritd::cli::demo::world::World;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::scene::{Scene, Staying};
use crate::support::{
    Daemon,
    endpoint::{Script, ScriptedEndpoint},
};

pub(super) use messages::Planted;

const PAUSE_MS: std::ops::RangeInclusive<u64> = 100..=1_200;
const DISK_FULL_MS: std::ops::RangeInclusive<u64> = 300..=3_000;
/// How often each seed kills the daemon at least.
const KILLS: u64 = 10;
/// What the daemon says of a broker that did not come to listen.
const KILLED_AT_START: &str = "nats-server ended at its start (signal";
/// In these of the log's last lines its own last words are looked for.
const LAST_LINES: usize = 80;
/// So many are shown when there are none.
const SHOWN_LINES: usize = 6;
/// Below the data folder.
const STORE: &str = "meritd.redb";

/// What can go wrong beside what ends the daemon.
#[derive(Clone, Copy)]
enum Kind {
    Broker,
    Files,
    Reorg,
    Market,
    Messages,
    Disk,
}

pub(super) struct Faults<'w> {
    world: &'w World,
    endpoints: &'w [&'w ScriptedEndpoint],
    pub(super) scene: Scene,
    chance: StdRng,
    /// The configuration as it is now.
    settings: String,
    /// Of the store and of the broker's files, as they were some time ago.
    copies: Option<TempDir>,
    kills: u64,
    /// How often each was.
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// What should never be.
    pub(super) wrong: Vec<String>,
    /// What was written into streams that is no message.
    pub(super) planted: Vec<Planted>,
    /// Of all lives of the daemon, in KiB.
    pub(super) peak_kib: u64,
}

impl<'w> Faults<'w> {
    pub(super) fn new(
        world: &'w World,
        endpoints: &'w [&'w ScriptedEndpoint],
        scene: Scene,
        seed: u64,
    ) -> Self {
        Self {
            world,
            endpoints,
            settings: scene.text.clone(),
            scene,
            chance: StdRng::seed_from_u64(seed),
            copies: None,
            kills: 0,
            counts: BTreeMap::new(),
            wrong: Vec::new(),
            planted: Vec::new(),
            peak_kib: 0,
        }
    }

    fn had(&self, kinds: &[&str]) -> bool {
        kinds.iter().any(|kind| self.counts.contains_key(kind))
    }

    pub(super) fn had_reorgs(&self) -> bool {
        self.had(&["reorg_lost", "reorg_same_order", "reorg_other_order"])
    }

    /// Had a stream lost anything?
    pub(super) fn lost_messages(&self) -> bool {
        self.had(&["stream_deleted", "bit_flipped", "broker_rolled_back", "broker_lost"])
    }

    /// Was the store lost, or an older copy of it restored?
    pub(super) fn lost_store(&self) -> bool {
        self.had(&["store_lost", "store_rolled_back"])
    }

    pub(super) async fn play(&mut self, daemon: &mut Daemon, end: Instant) {
        let (seed, receipts) = (self.chance.random(), self.scene.receipts);
        let failing = endpoint::play(self.world, self.endpoints, receipts, seed, end);
        let (failed, ()) = tokio::join!(failing, self.others(daemon, end));
        for (kind, count) in failed {
            *self.counts.entry(kind).or_default() += count;
        }
    }

    async fn others(&mut self, daemon: &mut Daemon, end: Instant) {
        let mut kinds = vec![Kind::Broker, Kind::Reorg, Kind::Market, Kind::Messages];
        kinds.retain(|_| self.chance.random_bool(0.8));
        // What loses messages hides what happens without it.
        if self.scene.staying == Staying::Store && self.chance.random_bool(0.8) {
            kinds.push(Kind::Files);
        }
        if self.scene.disk.is_some() {
            kinds.push(Kind::Disk);
        }
        while Instant::now() < end || self.kills < KILLS {
            let pause = Duration::from_millis(self.chance.random_range(PAUSE_MS));
            tokio::time::sleep(pause).await;
            self.look_after(daemon);
            let kind = match kinds.choose(&mut self.chance) {
                Some(kind) if Instant::now() < end && self.chance.random_bool(0.6) => {
                    self.one(*kind, daemon).await
                }
                _ if Instant::now() < end => self.end_daemon(daemon).await,
                _ => self.kill(daemon).await,
            };
            *self.counts.entry(kind).or_default() += 1;
        }
    }

    async fn one(&mut self, kind: Kind, daemon: &mut Daemon) -> &'static str {
        match kind {
            Kind::Broker => self.disturb_broker(daemon).await,
            Kind::Files => self.harm_broker(daemon).await,
            Kind::Reorg => chain::reorg(self.world, &mut self.chance).await,
            Kind::Market => {
                let signer = daemon.setting.signer();
                chain::market(self.world, signer, &mut self.chance).await
            }
            Kind::Messages if self.chance.random_bool(0.5) => {
                let planted = messages::plant(daemon, &mut self.chance).await;
                let kind = planted.as_ref().map_or("nothing", |_| "rogue_message");
                self.planted.extend(planted);
                kind
            }
            Kind::Messages => {
                let said = messages::repeat(self.world, daemon, &mut self.chance).await;
                said.map_or("nothing", |()| "duplicate_message")
            }
            Kind::Disk => self.fill_disk(daemon).await,
        }
    }

    async fn fill_disk(&mut self, daemon: &mut Daemon) -> &'static str {
        let Some(disk) = &self.scene.disk else { return "nothing" };
        disk.fill();
        let full = self.chance.random_range(DISK_FULL_MS);
        tokio::time::sleep(Duration::from_millis(full)).await;
        if let Some(disk) = &self.scene.disk {
            disk.make_room();
        }
        // Without a place to write it does not start: what keeps a service running starts
        // it again.
        if daemon.has_ended() {
            daemon.spawn();
            return "disk_full_at_start";
        }
        "disk_full"
    }

    /// It must not end by itself, but where its broker is killed as it starts: what keeps a
    /// service running starts it again.
    fn look_after(&mut self, daemon: &mut Daemon) {
        if daemon.has_ended() {
            self.note_end(daemon);
            daemon.spawn();
        }
    }

    fn note_end(&mut self, daemon: &Daemon) {
        let why = last_words(daemon);
        if why.contains(KILLED_AT_START) {
            *self.counts.entry("broker_killed_at_start").or_default() += 1;
        } else {
            self.wrong.push(format!("the daemon ended by itself: {why}"));
        }
    }

    /// The most memory that this life had.
    fn note_peak(&mut self, daemon: &mut Daemon) {
        let status = pid(daemon).map(|pid| format!("/proc/{}/status", pid.as_raw_nonzero()));
        let status = status.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|text| text.trim().trim_end_matches("kB").trim().parse().ok());
        self.peak_kib = self.peak_kib.max(peak.unwrap_or(0));
    }

    /// Everything works again.
    pub(super) async fn mend(&mut self, daemon: &mut Daemon) {
        for endpoint in self.endpoints {
            endpoint.set(Script::honest());
            endpoint.release();
        }
        if let Some(disk) = &self.scene.disk {
            disk.make_room();
        }
        broker::signal(daemon, Signal::CONT);
        chain::go_on(self.world).await;
        self.look_after(daemon);
        daemon.wait_ready().await;
        self.counts.remove("nothing");
    }

    /// What the last life needed, too.
    pub(super) fn peak_kib(&mut self, daemon: &mut Daemon) -> u64 {
        self.note_peak(daemon);
        self.peak_kib
    }
}

/// Its process, if it has not just ended by itself.
fn pid(daemon: &mut Daemon) -> Option<Pid> {
    daemon.running().id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
}

/// Why it says that it ended: the end of its log, from its own last words on, behind which
/// those of its broker may follow.
fn last_words(daemon: &Daemon) -> String {
    let log = daemon.log();
    let mut last: Vec<&str> = log.lines().rev().take(LAST_LINES).collect();
    let own = last.iter().position(|line| line.starts_with("meritd: "));
    last.truncate(own.map_or(SHOWN_LINES, |own| own + 1));
    last.reverse();
    last.join(" | ")
}

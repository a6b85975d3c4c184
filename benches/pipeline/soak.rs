//! A long time at far more than a chain's own pace: what grows?

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use meritd::cli::demo::child::DaemonProcess;
use serde_json::{Value as Json, json};

use super::{
    Outcome,
    heard::{Heard, id_of},
    latency::Latency,
    process::rss_mib,
    scene::Scene,
};

/// What is drawn of a soak.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Since the beginning.
    pub minutes: f64,
    /// Memory of daemon and broker, MiB.
    pub rss: [f64; 2],
    /// Open files of the daemon.
    pub files: usize,
    /// Store and streams on disk, MiB.
    pub disk: [f64; 2],
}

/// What came of it.
#[derive(Debug)]
pub struct Soak {
    pub blocks: u64,
    pub events: u64,
    pub reorgs: u64,
    pub samples: Vec<Sample>,
    /// From blocks to the unlocks that they earn.
    pub latency: Latency,
}

/// A hundred times as often as mainnet makes one.
const PERIOD: Duration = Duration::from_millis(120);
/// Of three contracts: a busy DAO's votes and transfers, every block.
const EVENTS: u64 = 3;
/// One of so many is orphaned, with two before it.
const REORGED: u64 = 2_500;
const SAMPLED: Duration = Duration::from_secs(10);
/// What fills at first is full: the store's cache, the broker's blocks, the members'
/// windows. Not part of a slope.
const SETTLED: f64 = 0.5;
const LIMIT: Duration = Duration::from_secs(60);

/// Runs for so long; one of `earning` blocks earns somebody new something.
pub async fn measure(
    scene: &mut Scene,
    daemon: &mut DaemonProcess,
    heard: &Heard,
    time: Duration,
    earning: u64,
) -> Outcome<Soak> {
    eprintln!("a soak of {:.1} minutes", time.as_secs_f64() / 60.0);
    let (mut samples, mut asked, mut reorgs) = (Vec::new(), Vec::new(), 0);
    let began = Instant::now();
    let mut sampled = began;
    let mut ticks = tokio::time::interval(PERIOD);
    let (mut blocks, mut events) = (0, 0);
    while began.elapsed() < time {
        ticks.tick().await;
        if blocks % REORGED == REORGED - 1 {
            scene.world.anvil.reorg(3).await?;
            reorgs += 1;
        }
        scene.fill(EVENTS).await?;
        blocks += 1;
        events += EVENTS;
        // What a reorg may take is not timed.
        let is_timed = blocks % earning == 0 && blocks % REORGED < REORGED - 50;
        let member = if is_timed { Some(scene.probe().await?) } else { None };
        let at = Instant::now();
        scene.mine().await?;
        asked.extend(member.map(|member| (id_of(scene.world.achievements, member), at)));
        if sampled.elapsed() >= SAMPLED || samples.is_empty() {
            sampled = Instant::now();
            if let Some(status) = daemon.ended() {
                return Err(format!("meritd ended with {status}").into());
            }
            samples.push(sample(scene, daemon, began));
        }
    }
    let mut took_ms = Vec::new();
    for (id, at) in asked {
        let sent = match heard.sent(&id) {
            Some(sent) => sent,
            None => {
                scene.mine().await?;
                heard.wait(&id, LIMIT).await?
            }
        };
        took_ms.push(sent.duration_since(at).as_secs_f64() * 1e3);
    }
    took_ms.sort_by(f64::total_cmp);
    let rate = EVENTS * 1_000 / u64::try_from(PERIOD.as_millis())?;
    Ok(Soak { blocks, events, reorgs, samples, latency: Latency { rate, took_ms } })
}

fn sample(scene: &Scene, daemon: &DaemonProcess, began: Instant) -> Sample {
    let data = scene.setting.data();
    let files = daemon.id().and_then(|pid| fs::read_dir(format!("/proc/{pid}/fd")).ok());
    Sample {
        minutes: began.elapsed().as_secs_f64() / 60.0,
        rss: [daemon.id(), scene.broker()].map(|pid| pid.map_or(0.0, rss_mib)),
        files: files.map_or(0, Iterator::count),
        disk: [size_but(&data, "nats"), size_but(&data.join("nats"), "")]
            .map(|bytes| bytes as f64 / 1_048_576.0),
    }
}

/// Bytes below a folder, except in what is called so.
fn size_but(folder: &Path, except: &str) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => size_but(&entry.path(), ""),
        Ok(about) => about.len(),
        // It is gone by now.
        Err(_) => 0,
    };
    entries.filter(|entry| entry.file_name() != *except).map(size).sum()
}

impl Soak {
    /// By how much something grows in an hour, once the start has settled: the slope of
    /// the line that fits best.
    pub fn an_hour(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        let end = self.samples.last().map_or(0.0, |last| last.minutes);
        let settled = self.samples.iter().filter(|it| it.minutes >= end * SETTLED);
        let points: Vec<(f64, f64)> = settled.map(|it| (it.minutes / 60.0, of(it))).collect();
        let count = points.len().max(1) as f64;
        let mean = |part: fn(&(f64, f64)) -> f64| points.iter().map(part).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let over: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
        let under: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        if under > 0.0 { over / under } else { 0.0 }
    }

    /// The table for people.
    pub fn table(&self) -> Vec<(String, String)> {
        let last = self.samples.last().copied().unwrap_or_default();
        let row = |what: &str, value: String| (what.to_owned(), value);
        let of = |part: usize| move |it: &Sample| it.rss[part];
        vec![
            row(
                "blocks, events, reorgs",
                format!("{}, {}, {}", self.blocks, self.events, self.reorgs),
            ),
            row("unlocks", self.latency.took_ms.len().to_string()),
            row(
                "from block to broadcast, median and p99",
                format!("{:.0} ms, {:.0} ms", self.latency.at(0.5), self.latency.at(0.99)),
            ),
            row(
                "memory at the end: daemon, broker",
                format!("{:.0} MiB, {:.0} MiB", last.rss[0], last.rss[1]),
            ),
            row(
                "its slope",
                format!("{:+.1} MiB/h, {:+.1} MiB/h", self.an_hour(of(0)), self.an_hour(of(1))),
            ),
            row("open files at the end", last.files.to_string()),
            row("their slope", format!("{:+.1} an hour", self.an_hour(|it| it.files as f64))),
            row(
                "on disk: store, streams",
                format!("{:.0} MiB, {:.0} MiB", last.disk[0], last.disk[1]),
            ),
            row(
                "their slope",
                format!(
                    "{:+.0} MiB/h, {:+.0} MiB/h",
                    self.an_hour(|it| it.disk[0]),
                    self.an_hour(|it| it.disk[1])
                ),
            ),
        ]
    }

    /// The line for programs.
    pub fn json(&self) -> Json {
        let last = self.samples.last().copied().unwrap_or_default();
        let tenths = |number: f64| (number * 10.0).round() / 10.0;
        json!({
            "bench": "soak",
            "minutes": tenths(last.minutes),
            "blocks": self.blocks,
            "events": self.events,
            "unlocks": self.latency.took_ms.len(),
            "p50_ms": tenths(self.latency.at(0.5)),
            "p99_ms": tenths(self.latency.at(0.99)),
            "rss_mib": tenths(last.rss[0]),
            "rss_mib_per_h": tenths(self.an_hour(|it| it.rss[0])),
            "broker_rss_mib_per_h": tenths(self.an_hour(|it| it.rss[1])),
            "files": last.files,
            "files_per_h": tenths(self.an_hour(|it| it.files as f64)),
            "store_mib_per_h": tenths(self.an_hour(|it| it.disk[0])),
            "streams_mib_per_h": tenths(self.an_hour(|it| it.disk[1])),
        })
    }
}

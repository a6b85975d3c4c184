//! A chain from its genesis to its head, as fast as it goes.

use std::{path::Path, time::Instant};

use super::{
    Args, Outcome,
    content::Shape,
    daemon::{Daemon, Wish, understands},
    disk,
    endpoint::{Endpoint, Throughput},
    limit::{self, IN_FLIGHT, Limit},
    process::{cpu_seconds, peak_rss_mib},
    server::Counters,
    stream::Watermarks,
};

/// What came of it.
pub struct Backfill {
    /// Events in the stream.
    pub events: u64,
    /// Bytes of the stream.
    pub bytes: u64,
    /// From the first contract's fence to the last watermark, by the broker's
    /// clock, seconds.
    pub seconds: f64,
    /// From the daemon's start to the last watermark, seconds.
    pub from_start_s: f64,
    /// Atomic batches that had a watermark.
    pub watermarks: u64,
    /// The daemon's most memory, MiB.
    pub peak_rss_mib: f64,
    /// The endpoint's most memory, MiB.
    pub endpoint_rss_mib: f64,
    /// Processor time of the daemon, its broker and the endpoint, seconds.
    pub cpu_s: [f64; 3],
    /// What the daemon asked.
    pub counters: Counters,
    /// What a bare client gets from the endpoint.
    pub endpoint: Throughput,
    /// How long 1 MiB took to be durable before, between and after the two
    /// halves, milliseconds.
    pub disk_ms: Vec<f64>,
    /// How fast the same messages can be published.
    pub limit: Option<Limit>,
}

impl Backfill {
    /// Events a second, durable.
    pub fn per_s(&self) -> f64 {
        self.events as f64 / self.seconds
    }

    /// Its rate and the limit's.
    pub fn rates(&self) -> Option<(f64, f64)> {
        self.limit.map(|limit| (self.per_s(), limit.per_s()))
    }
}

/// How often the head is asked for while there is much to read.
const POLL_MS: u64 = 1_000;
/// Blocks that a bare client reads to know how fast the endpoint is.
const PROBE_BLOCKS: u64 = 1_000;
/// Logs of a run at one level of completeness.
const LEVEL_LOGS: u64 = 200_000;

/// What to do.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// The chain.
    pub shape: Shape,
    /// Level of completeness; `None`: the daemon's default.
    pub level: Option<&'a str>,
    /// Whether the limit is measured afterwards.
    pub limit: bool,
    /// Where the streams lie.
    pub root: &'a Path,
}

/// Reads a chain.
pub async fn run(args: &Args, plan: Plan<'_>) -> Outcome<Backfill> {
    let Plan { shape, level, root, .. } = plan;
    eprintln!("a chain of {} logs in {} blocks", shape.logs_through(shape.blocks), shape.blocks);
    let endpoint = Endpoint::start(args, &shape, shape.blocks).await?;
    eprintln!("  generated within {:.1} s", endpoint.generated_in.as_secs_f64());
    let throughput = endpoint.throughput(&shape, PROBE_BLOCKS).await?;
    let served = cpu_seconds(endpoint.pid);
    let disk_ms = vec![disk::probe(root)?];
    let wish =
        Wish { url: &endpoint.url, shape: &shape, poll_ms: POLL_MS, root, completeness: level };
    let started = Instant::now();
    let mut daemon = Daemon::start(args, wish)?;
    let mut watermarks = Watermarks::follow(&mut daemon).await?;
    watermarks.reach(&mut daemon, shape.contracts, shape.blocks).await?;
    let from_start_s = started.elapsed().as_secs_f64();
    let broker = daemon.broker().unwrap_or_default();
    let cpu_s =
        [cpu_seconds(daemon.pid()), cpu_seconds(broker), cpu_seconds(endpoint.pid) - served];
    let peak = peak_rss_mib(daemon.pid());
    let counters = endpoint.counters().await?;
    let (events, bytes) = watermarks.size().await?;
    let expected = shape.logs_through(shape.blocks);
    if events != expected {
        return Err(format!("the stream has {events} events of {expected} logs").into());
    }
    let took_ns = watermarks.last_stored_ns - watermarks.first_stored_ns().await?;
    let mut backfill = Backfill {
        events,
        bytes,
        seconds: took_ns as f64 / 1e9,
        from_start_s,
        watermarks: watermarks.count,
        peak_rss_mib: peak,
        endpoint_rss_mib: peak_rss_mib(endpoint.pid),
        cpu_s,
        counters,
        endpoint: throughput,
        disk_ms,
        limit: None,
    };
    eprintln!("  {events} events in {:.1} s: {:.0}/s", backfill.seconds, backfill.per_s());
    drop((endpoint, watermarks));
    let folder = daemon.stop()?;
    backfill.disk_ms.push(disk::probe(root)?);
    if plan.limit {
        eprintln!("the same messages from a publisher alone");
        let limit = limit::measure(&folder.path().join("data"), root).await?;
        let (one, several) = (limit.one.per_s(), limit.several.per_s());
        eprintln!("  {one:.0}/s one by one, {several:.0}/s with {IN_FLIGHT} batches under way");
        backfill.limit = Some(limit);
        backfill.disk_ms.push(disk::probe(root)?);
    }
    Ok(backfill)
}

/// Throughput with proof by receipts against none; `None` when this daemon
/// has no such levels.
pub async fn receipts_ratio(args: &Args, root: &Path) -> Outcome<Option<f64>> {
    let shape = Shape::dense(args.logs.min(LEVEL_LOGS), args.per_block, args.contracts);
    let url = "http://127.0.0.1:1";
    let wish = Wish { url, shape: &shape, poll_ms: POLL_MS, root, completeness: Some("receipts") };
    if !understands(args, wish)? {
        eprintln!("this meritd has no levels of completeness");
        return Ok(None);
    }
    let plan = |level| Plan { shape, level: Some(level), limit: false, root };
    let none = run(args, plan("none")).await?;
    let receipts = run(args, plan("receipts")).await?;
    Ok(Some(receipts.per_s() / none.per_s()))
}

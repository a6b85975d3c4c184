//! Single blocks at the head: from the moment that the endpoint shows one to
//! the moment that a consumer sees all its events closed by watermarks.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::{
    Args, Outcome,
    content::{Shape, mix},
    daemon::{Daemon, Wish},
    endpoint::Endpoint,
    server::Counters,
    stream::Watermarks,
};

/// What came of it.
pub struct Head {
    /// Blocks shown one by one.
    pub blocks: u64,
    /// How often the daemon asked for the head, milliseconds.
    pub poll_ms: u64,
    /// Half of the blocks took no longer, milliseconds.
    pub p50_ms: f64,
    /// All but one of a hundred took no longer, milliseconds.
    pub p99_ms: f64,
    /// One small call, as a bare client has it, milliseconds.
    pub round_trip_ms: f64,
    /// What the daemon asked meanwhile, polls included.
    pub counters: Counters,
}

/// Blocks before the first single one.
const BEFORE: u64 = 100;
/// As often as the daemon may: what is measured is the way, not the wait.
const POLL_MS: u64 = 10;

/// Shows blocks one by one.
pub async fn run(args: &Args, root: &Path) -> Outcome<Head> {
    let blocks = if args.quick { 50 } else { 250 };
    eprintln!("{blocks} single blocks at the head");
    let logs = (BEFORE + blocks) * args.per_block;
    let shape = Shape::dense(logs, args.per_block, args.contracts);
    let endpoint = Endpoint::start(args, &shape, BEFORE).await?;
    let throughput = endpoint.throughput(&shape, BEFORE).await?;
    let level = args.completeness.as_deref();
    let wish =
        Wish { url: &endpoint.url, shape: &shape, poll_ms: POLL_MS, root, completeness: level };
    let mut daemon = Daemon::start(args, wish)?;
    let mut watermarks = Watermarks::follow(&mut daemon).await?;
    watermarks.reach(&mut daemon, shape.contracts, BEFORE).await?;
    // What else a start causes has calmed down.
    tokio::time::sleep(Duration::from_secs(2)).await;
    endpoint.counters().await?;
    let mut took = Vec::new();
    for block in BEFORE + 1..=BEFORE + blocks {
        // Anywhere between two polls.
        tokio::time::sleep(Duration::from_millis(30 + mix(block, 0, 0) % 30)).await;
        let shown = Instant::now();
        endpoint.show(block).await?;
        watermarks.reach(&mut daemon, shape.contracts, block).await?;
        took.push(shown.elapsed().as_secs_f64() * 1e3);
    }
    let counters = endpoint.counters().await?;
    daemon.stop()?;
    took.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (took.len() as f64 * share).ceil() as usize;
        took.get(index.saturating_sub(1)).copied().unwrap_or_default()
    };
    let (p50_ms, p99_ms) = (at(0.5), at(0.99));
    eprintln!("  median {p50_ms:.1} ms, p99 {p99_ms:.1} ms");
    let round_trip_ms = throughput.round_trip_ms;
    Ok(Head { blocks, poll_ms: POLL_MS, p50_ms, p99_ms, round_trip_ms, counters })
}

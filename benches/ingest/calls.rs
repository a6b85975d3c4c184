//! What a quiet chain costs where calls are paid for.

use std::path::Path;

use super::{
    Args, Outcome,
    content::Shape,
    daemon::{Daemon, Wish},
    endpoint::Endpoint,
    server::Counters,
    stream::Watermarks,
};

/// Blocks of the chain.
const BLOCKS: u64 = 10_000;
/// As shipped.
const POLL_MS: u64 = 1_000;

/// Counts what is asked until 10,000 blocks are read, with so many contracts.
pub async fn run(args: &Args, root: &Path, contracts: u64) -> Outcome<Counters> {
    eprintln!("a quiet chain of {BLOCKS} blocks, contracts: {contracts}");
    let shape = Shape::sparse(BLOCKS, contracts);
    let endpoint = Endpoint::start(args, &shape, BLOCKS).await?;
    let level = args.completeness.as_deref();
    let wish =
        Wish { url: &endpoint.url, shape: &shape, poll_ms: POLL_MS, root, completeness: level };
    let mut daemon = Daemon::start(args, wish)?;
    let mut watermarks = Watermarks::follow(&mut daemon).await?;
    watermarks.reach(&mut daemon, contracts, BLOCKS).await?;
    let counters = endpoint.counters().await?;
    daemon.stop()?;
    eprintln!("  {} calls in {} requests", counters.total(), counters.http_requests);
    Ok(counters)
}

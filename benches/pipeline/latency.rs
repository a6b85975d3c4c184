//! From a block to the unlock that it earns, while other events come at a rate.

use std::time::{Duration, Instant};

use super::{
    Outcome,
    heard::{Heard, id_of},
    scene::Scene,
};

/// What came of one rate.
#[derive(Clone, Debug)]
pub struct Latency {
    /// Events a second beside the probes.
    pub rate: u64,
    /// From before the node is told to make the block to when a consumer hears that a
    /// node has the unlock's transaction; milliseconds, in order.
    pub took_ms: Vec<f64>,
}

/// Between two blocks.
const PERIOD: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(60);

impl Latency {
    /// Of a share of the probes, none took longer, milliseconds.
    pub fn at(&self, share: f64) -> f64 {
        let index = (self.took_ms.len() as f64 * share).ceil() as usize;
        self.took_ms.get(index.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// A probe in each of so many blocks.
pub async fn measure(scene: &mut Scene, heard: &Heard, rate: u64, blocks: u64) -> Outcome<Latency> {
    eprintln!("{blocks} blocks at {rate} events/s");
    let per_block = rate * u64::try_from(PERIOD.as_millis())? / 1_000;
    let mut asked = Vec::new();
    let mut ticks = tokio::time::interval(PERIOD);
    for _ in 0..blocks {
        ticks.tick().await;
        scene.fill(per_block).await?;
        let member = scene.probe().await?;
        let began = Instant::now();
        scene.mine().await?;
        asked.push((id_of(scene.world.achievements, member), began));
    }
    let mut took_ms = Vec::new();
    for (id, began) in asked {
        // What waits for a transaction before it waits for a block.
        scene.mine().await?;
        let sent = heard.wait(&id, LIMIT).await?;
        took_ms.push(sent.duration_since(began).as_secs_f64() * 1e3);
    }
    took_ms.sort_by(f64::total_cmp);
    let latency = Latency { rate, took_ms };
    eprintln!("  median {:.0} ms, p99 {:.0} ms", latency.at(0.5), latency.at(0.99));
    Ok(latency)
}

//! Many requests at once, until all have landed.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use alloy::{
    eips::BlockNumberOrTag, providers::Provider as _, rpc::types::Filter, sol_types::SolEvent as _,
};
use meritd::{cli::demo::contracts::IAchievements, domain::Urgency};

use super::{Outcome, scene::Scene};

/// How a burst went.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    pub unlocks: u64,
    /// From the first block with unlocks to the last, both counted.
    pub seconds: u64,
    /// Gas of an unlock in a full batch.
    pub gas: u64,
    pub block_gas_limit: u64,
    /// Blocks between the first and the last that had no room for another full
    /// batch.
    pub full_blocks: u64,
    /// Most transactions in flight that were seen at once.
    pub in_flight: u64,
    /// Processor time of node, daemon and broker, seconds.
    pub cpu: [f64; 3],
    /// From the first publish to the last unlock, seconds.
    pub elapsed: f64,
}

impl Burst {
    /// Unlocks per second that blocks of a second could take.
    pub fn ceiling(&self) -> f64 {
        as_f64(self.block_gas_limit) / as_f64(self.gas.max(1))
    }

    pub fn per_second(&self) -> f64 {
        as_f64(self.unlocks) / as_f64(self.seconds.max(1))
    }
}

/// Counts are far below 2^53.
#[allow(clippy::cast_precision_loss)]
pub fn as_f64(count: u64) -> f64 {
    count as f64
}

pub async fn measure(scene: &mut Scene, count: u64) -> Outcome<Burst> {
    let first = scene.world.anvil.block_number().await? + 1;
    let requests = scene.requests(count, Urgency::Normal)?;
    let (before, began) = (scene.cpu(), Instant::now());
    let publishing = scene.publish(requests);
    publishing.await?;
    let filter = Filter::new()
        .address(scene.world.achievements)
        .event_signature(IAchievements::AchievementUnlocked::SIGNATURE_HASH);
    let (mut in_flight, mut next, mut logs) = (0, first, Vec::new());
    scene
        .until("all of the burst has landed", Duration::from_secs(600), async |scene| {
            in_flight = in_flight.max(scene.signer().await?["in_flight"].as_u64().unwrap_or(0));
            let head = scene.world.anvil.block_number().await?;
            // Each block once: the node has enough to do.
            if next <= head {
                let news = filter.clone().from_block(next).to_block(head);
                logs.extend(scene.world.anvil.provider().get_logs(&news).await?);
                next = head + 1;
            }
            Ok(logs.len() as u64 >= count)
        })
        .await?;
    let (after, elapsed) = (scene.cpu(), began.elapsed().as_secs_f64());
    let cpu = [0, 1, 2].map(|process| after[process] - before[process]);
    let provider = scene.world.anvil.provider();
    let mut by_transaction = BTreeMap::new();
    for log in &logs {
        *by_transaction.entry(log.transaction_hash.unwrap_or_default()).or_insert(0_u64) += 1;
    }
    let most = by_transaction.values().copied().max().unwrap_or(1);
    let (mut gas, mut full) = (0, 0);
    for (hash, _) in by_transaction.iter().filter(|(_, unlocks)| **unlocks == most) {
        let receipt = provider.get_transaction_receipt(*hash).await?.ok_or("a receipt is gone")?;
        gas += receipt.gas_used;
        full += 1;
    }
    let gas = gas / (full * most).max(1);
    let blocks = logs.iter().filter_map(|log| log.block_number);
    let (from, to) = (blocks.clone().min().unwrap_or(first), blocks.max().unwrap_or(first));
    let mut full_blocks = 0;
    let mut limit = 0;
    let mut times = (0, 0);
    for number in from..=to {
        let block = provider.get_block_by_number(BlockNumberOrTag::Number(number)).await?;
        let header = block.ok_or("a block is gone")?.header;
        limit = header.gas_limit;
        if number == from {
            times.0 = header.timestamp;
        }
        times.1 = header.timestamp;
        if header.gas_limit - header.gas_used < gas * most * 13 / 10 {
            full_blocks += 1;
        }
    }
    let seconds = times.1 - times.0 + 1;
    Ok(Burst {
        unlocks: count,
        seconds,
        gas,
        block_gas_limit: limit,
        full_blocks,
        in_flight,
        cpu,
        elapsed,
    })
}

//! From a request on the stream to a node that has its transaction.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use alloy::{primitives::B256, providers::Provider as _};
use futures::StreamExt as _;
use meritd::{cli::demo::broker, domain::Urgency};
use serde_json::Value as Json;

use super::{Outcome, scene::Scene};

/// What single requests take.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub p50: Duration,
    pub p99: Duration,
    /// Gas of an unlock alone.
    pub gas: u64,
}

/// Between two requests: slow enough that none waits for another.
const PAUSE: Duration = Duration::from_millis(250);
const LIMIT: Duration = Duration::from_secs(30);

pub async fn measure(scene: &mut Scene, count: u64) -> Outcome<Latency> {
    let mut heard = broker::listen(&scene.setting).await?;
    let mut times = Vec::new();
    let mut hashes = Vec::new();
    for request in scene.requests(count, Urgency::High)? {
        let id = request.id.to_string();
        let began = Instant::now();
        scene.publish_one(request).await?;
        let (hash, took) = tokio::time::timeout(LIMIT, async {
            while let Some(message) = heard.messages.next().await {
                if message.subject.as_str() != "merit.v1.transactions.awards.sent" {
                    continue;
                }
                let body: Json = serde_json::from_slice(&message.payload).unwrap_or_default();
                let unlocks = body["data"]["unlocks"].as_array().cloned().unwrap_or_default();
                if unlocks.iter().any(|unlock| unlock.as_str() == Some(&id)) {
                    return Ok((body["data"]["hash"].clone(), began.elapsed()));
                }
            }
            Err("the broker is gone")
        })
        .await??;
        times.push(took);
        hashes.push(serde_json::from_value::<B256>(hash)?);
        tokio::time::sleep(PAUSE).await;
    }
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len().saturating_sub(1)) * percent / 100);
    let gas = gas_of(scene, &hashes).await?;
    Ok(Latency {
        p50: at(50).copied().unwrap_or_default(),
        p99: at(99).copied().unwrap_or_default(),
        gas,
    })
}

/// The median gas of these transactions, once all are mined.
async fn gas_of(scene: &mut Scene, hashes: &[B256]) -> Outcome<u64> {
    let mut used: HashMap<B256, u64> = HashMap::new();
    scene
        .until("all singles are mined", Duration::from_secs(120), async |scene| {
            for hash in hashes {
                if used.contains_key(hash) {
                    continue;
                }
                let receipt = scene.world.anvil.provider().get_transaction_receipt(*hash).await?;
                let Some(receipt) = receipt else { return Ok(false) };
                used.insert(*hash, receipt.gas_used);
            }
            Ok(true)
        })
        .await?;
    let mut gas: Vec<u64> = used.into_values().collect();
    gas.sort_unstable();
    Ok(gas.get(gas.len() / 2).copied().unwrap_or_default())
}

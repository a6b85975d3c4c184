//! What the node takes from a client that does nothing else: each batch is
//! estimated and sent, one after the other, while blocks are mined.

use std::time::{Duration, Instant};

use alloy::{providers::Provider as _, rpc::types::TransactionRequest};
use meritd::{
    domain::Urgency,
    signing::calls::{Target, unlock},
};

use super::{Outcome, burst::as_f64, scene::Scene};

/// Batches that are sent.
const BATCHES: u64 = 60;
/// As the signer makes them.
const PER_BATCH: u64 = 50;
const LIMIT: Duration = Duration::from_secs(120);

/// Unlocks per second.
pub async fn measure(scene: &mut Scene) -> Outcome<f64> {
    let (from, contract) = (scene.world.anvil.account(9), scene.world.achievements);
    scene.world.appoint(from).await?;
    let mut batches = Vec::new();
    for _ in 0..BATCHES {
        let requests = scene.requests(PER_BATCH, Urgency::Normal)?;
        let targets: Vec<Target> = requests.iter().map(Target::from).collect();
        batches.push(unlock(&targets));
    }
    let began = Instant::now();
    let sending = async {
        for calldata in batches {
            let request = TransactionRequest::default()
                .from(from)
                .to(contract)
                .input(calldata.clone().into());
            scene.world.anvil.provider().estimate_gas(request).await?;
            scene.world.anvil.submit(from, Some(contract), calldata.to_vec()).await?;
        }
        Ok::<(), super::Failure>(())
    };
    tokio::time::timeout(LIMIT, sending).await??;
    Ok(as_f64(BATCHES * PER_BATCH) / began.elapsed().as_secs_f64())
}

//! Requests that wait, and what they take in memory.

use std::time::Duration;

use meritd::domain::Urgency;
use serde_json::json;

use super::{Outcome, scene::Scene};

/// A full queue.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    pub queued: u64,
    /// Resident memory before and with it, MiB.
    pub before_mib: u64,
    pub with_mib: u64,
}

pub async fn measure(scene: &mut Scene, count: u64) -> Outcome<Queue> {
    scene.post("/api/v1/pause", &json!({ "all": true })).await?;
    let before_mib = resident_mib(scene)?;
    let requests = scene.requests(count, Urgency::Normal)?;
    scene.publish(requests).await?;
    scene
        .until("all requests are queued", Duration::from_secs(600), async |scene| {
            Ok(scene.signer().await?["queued"].as_u64() == Some(count))
        })
        .await?;
    Ok(Queue { queued: count, before_mib, with_mib: resident_mib(scene)? })
}

fn resident_mib(scene: &Scene) -> Outcome<u64> {
    let pid = scene.daemon.id().ok_or("meritd has ended")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kib / 1024)
}

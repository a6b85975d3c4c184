//! What the stream of events says once what was taken back is gone, against the chain's
//! logs.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use meritd::cli::demo::world::World;

use super::logs;
use crate::support::{Daemon, truth};

/// Of every contract, and one more block for the head to be seen.
const CONFIRMATIONS: u64 = 3;

/// Where a log is: hash of its block, and index in it.
type Place = (B256, u64);

pub(super) async fn differs(world: &World, daemon: &Daemon) -> Vec<String> {
    let head = world.anvil.block_number().await.unwrap().saturating_sub(CONFIRMATIONS);
    let told = truth::told(daemon).await;
    let mut wrong = Vec::new();
    let mut ids = BTreeMap::new();
    for event in told.events.iter().chain(&told.void) {
        let place = (event.block.hash, event.position.log_index);
        if *ids.entry(event.id).or_insert(place) != place {
            wrong.push(format!("two events have the id {}", event.id));
        }
    }
    let watched = [
        ("dao", world.governor),
        ("badge", world.badge),
        ("contributions", world.inbox),
        ("achievements", world.achievements),
    ];
    for (name, address) in watched {
        let through = told.through.get(name).copied().unwrap_or(0);
        if through < head {
            wrong.push(format!("{name} is complete up to {through} only, not {head}"));
        }
        let theirs = logs(world, &[address]).await.into_iter();
        let theirs = theirs.filter(|log| log.block_number.unwrap_or(0) <= through);
        let theirs: BTreeSet<Place> =
            theirs.filter_map(|log| Some((log.block_hash?, log.log_index?))).collect();
        // What was said twice has the same id.
        let ours = told.events.iter().filter(|event| event.contract.as_str() == name);
        let ours: BTreeSet<Place> =
            ours.map(|event| (event.block.hash, event.position.log_index)).collect();
        let (missing, more) = (theirs.difference(&ours).count(), ours.difference(&theirs).count());
        if missing + more > 0 {
            wrong.push(format!("{name}: {missing} events are missing, {more} are too many"));
        }
    }
    wrong
}

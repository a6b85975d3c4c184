//! Why something was unlocked: the named logs are on the chain, and by them alone the
//! oracle says the same.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, B256},
    rpc::types::Log,
};
use meritd::{
    actors::messages,
    cli::demo::{
        oracle::{self, Award},
        outcome::Outcome,
        world::World,
    },
    domain::{EvidenceItem, UnlockMessage, UnlockState},
    streams::subjects::StreamId,
};

use super::{logs, places};
use crate::support::Daemon;

/// What an achievement requires to be there beside its own evidence.
const REQUIRED: [(u64, [u64; 2]); 1] = [(6, [1, 2])];

pub(super) async fn of(world: &World, daemon: &Daemon, outcome: &Outcome) -> Vec<String> {
    let at = places(world);
    let all = logs(world, &[at.governor, at.badge, at.inbox, at.achievements]).await;
    let place = |log: &Log| Some((log.block_hash?, log.log_index?));
    let by_place: BTreeMap<(B256, u64), &Log> =
        all.iter().filter_map(|log| Some((place(log)?, log))).collect();
    let named = last_named(daemon).await;
    let mut wrong = Vec::new();
    for award in &outcome.expected {
        let (who, id) = *award;
        let required = REQUIRED.iter().filter(|(of, _)| *of == id).flat_map(|(_, others)| others);
        let mut items: Vec<&EvidenceItem> = Vec::new();
        for id in required.chain([&id]) {
            items.extend(named.get(&(who, *id)).into_iter().flatten());
        }
        items.sort_by_key(|item| (item.block, item.log_index));
        items.dedup_by_key(|item| (item.block, item.log_index));
        let logs: Vec<&Log> = items
            .iter()
            .filter_map(|item| by_place.get(&(item.block_hash, item.log_index)).copied())
            .collect();
        if logs.len() < items.len() {
            let gone = items.len() - logs.len();
            wrong.push(format!("{gone} logs of the evidence of {who}:{id} are not on the chain"));
        } else if !oracle::expected_of(logs, &at).contains(award) {
            wrong.push(format!("the evidence of {who}:{id} is not enough: {items:?}"));
        }
    }
    wrong
}

/// The evidence of the last request for each award, unless it was taken back.
async fn last_named(daemon: &Daemon) -> BTreeMap<Award, Vec<EvidenceItem>> {
    let mut named: BTreeMap<(Address, u64), Vec<EvidenceItem>> = BTreeMap::new();
    for (_, body) in daemon.stream(StreamId::Unlocks).await {
        let Ok(message) = messages::read::<UnlockMessage>(&body) else { continue };
        let request = message.request;
        let award = (request.user, request.achievement_id.saturating_to());
        match message.state {
            UnlockState::Requested => drop(named.insert(award, request.evidence.items)),
            UnlockState::Retracted => drop(named.remove(&award)),
            _ => {}
        }
    }
    named
}

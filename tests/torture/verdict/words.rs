//! What consumers heard last of each unlock, against the chain.

use std::collections::BTreeMap;

use alloy::primitives::Address;
use meritd::{
    actors::messages,
    cli::demo::{
        oracle::{self, Award},
        world::{ACHIEVEMENTS, World},
    },
    domain::{UnlockMessage, UnlockState},
    streams::subjects::StreamId,
};

use crate::support::Daemon;

pub(super) async fn last(world: &World, daemon: &Daemon, members: &[Address]) -> Vec<String> {
    let mut last: BTreeMap<Award, bool> = BTreeMap::new();
    for (_, body) in daemon.stream(StreamId::Unlocks).await {
        let Ok(message) = messages::read::<UnlockMessage>(&body) else { continue };
        let is_there = match message.state {
            UnlockState::Unlocked => true,
            UnlockState::Revoked => false,
            _ => continue,
        };
        let request = message.request;
        last.insert((request.user, request.achievement_id.saturating_to()), is_there);
    }
    let unlocked = oracle::unlocked(world, members).await.unwrap();
    let all = members.iter().flat_map(|who| ACHIEVEMENTS.map(|id| (*who, id)));
    let differs =
        all.filter(|award| last.get(award).copied().unwrap_or(false) != unlocked.contains(award));
    differs
        .map(|(who, id)| {
            let there = unlocked.contains(&(who, id));
            format!("{who}:{id} is there: {there}, and the last word is another")
        })
        .collect()
}

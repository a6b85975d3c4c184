//! The end of the story: who has what and why, and whether that is right.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::Address;

use super::{
    DemoError, broker,
    child::DaemonProcess,
    oracle::{ACHIEVEMENT_NAMES, Award},
    setting::Setting,
    world::World,
};
use crate::{
    actors::messages,
    domain::{UnlockMessage, UnlockState},
    streams::{
        kv::Bucket,
        read::read_range,
        setup::BENEFITS_BUCKET,
        subjects::{self, StreamId},
    },
};

/// Most messages that are read back.
const READ_MAX: usize = 10_000;

fn shorten(hash: &impl ToString) -> String {
    let text = hash.to_string();
    text.get(..10).map(|head| format!("{head}…")).unwrap_or(text)
}

/// The table of unlocks, read from the stream: member, achievement,
/// transaction, evidence.
pub(super) async fn unlocks(
    setting: &Setting,
    members: &[(&'static str, Address)],
) -> Result<(), DemoError> {
    let connection = broker::connect(setting).await?;
    let filters =
        [subjects::unlocks_in(UnlockState::Unlocked), subjects::unlocks_in(UnlockState::Revoked)];
    let range = read_range(&connection, StreamId::Unlocks, &filters, 1, READ_MAX).await?;
    let mut held: BTreeMap<(String, String), UnlockMessage> = BTreeMap::new();
    for stored in range.messages {
        let Ok(message) = messages::read::<UnlockMessage>(&stored.payload) else { continue };
        let who = members
            .iter()
            .find(|(_, address)| *address == message.request.user)
            .map_or("somebody", |(name, _)| name);
        let key = (who.to_owned(), message.request.achievement.to_string());
        if message.state == UnlockState::Unlocked {
            held.insert(key, message);
        } else {
            held.remove(&key);
        }
    }
    println!("{:<6} {:<20} {:<13} evidence", "member", "achievement", "transaction");
    for ((who, achievement), message) in &held {
        let evidence = &message.request.evidence;
        let items: Vec<String> = evidence
            .items
            .iter()
            .map(|item| {
                format!("{}.{} #{}/{}", item.contract, item.name, item.block, item.log_index)
            })
            .collect();
        let transaction = message.transaction_hash.map_or_else(|| "-".to_owned(), |h| shorten(&h));
        println!("{who:<6} {achievement:<20} {transaction:<13} {}", items.join(", "));
    }
    println!();
    Ok(())
}

/// Whose votes count more, from the bucket.
pub(super) async fn benefits(
    setting: &Setting,
    members: &[(&'static str, Address)],
) -> Result<(), DemoError> {
    let connection = broker::connect(setting).await?;
    let bucket = Bucket::open(&connection, BENEFITS_BUCKET).await?;
    println!("{:<6} {:<6} benefits (bucket {BENEFITS_BUCKET})", "member", "votes");
    for (name, address) in members {
        let key = format!("dao.{}", address.to_checksum(None));
        let Some((_, value)) = bucket.get(&key).await? else { continue };
        let Some(benefits) = value.get("benefits") else { continue };
        let bps =
            benefits.get("multiplier_bps").and_then(serde_json::Value::as_u64).unwrap_or(10_000);
        let sources: Vec<String> = benefits
            .get("sources")
            .and_then(serde_json::Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|source| source.get("name")?.as_str().map(str::to_owned))
            .collect();
        let shown = format!("x{}.{:02}", bps / 10_000, bps % 10_000 / 100);
        let sources =
            if sources.is_empty() { "none any more".to_owned() } else { sources.join(", ") };
        println!("{name:<6} {shown:<6} {sources}");
    }
    println!();
    Ok(())
}

/// The check against the chain, in words.
pub(super) fn verdict(
    members: &[(&'static str, Address)],
    expected: &BTreeSet<Award>,
    unlocked: &BTreeSet<Award>,
    duplicate: usize,
) {
    let name = |(who, id): &Award| {
        let who = members.iter().find(|(_, address)| address == who).map_or("?", |(name, _)| name);
        let index = usize::try_from(*id).unwrap_or_default().saturating_sub(1);
        format!("{} of {who}", ACHIEVEMENT_NAMES.get(index).copied().unwrap_or("?"))
    };
    let list = |awards: Vec<&Award>| awards.into_iter().map(name).collect::<Vec<_>>().join(", ");
    let missing: Vec<&Award> = expected.difference(unlocked).collect();
    let phantom: Vec<&Award> = unlocked.difference(expected).collect();
    println!(
        "checked against the chain: {} of {} expected achievements are there, {duplicate} twice, {} that should not be",
        expected.intersection(unlocked).count(),
        expected.len(),
        phantom.len(),
    );
    if !missing.is_empty() {
        println!("missing: {}", list(missing));
    }
    if !phantom.is_empty() {
        println!("phantom: {}", list(phantom));
    }
}

/// Commands for a person who wants to look around.
pub(super) fn look_around(setting: &Setting, daemon: &DaemonProcess, world: &World) {
    let url = daemon.url();
    let config = setting.config();
    let first = world.anvil.account(1);
    println!();
    println!("everything stays up until Ctrl-C. Look around:");
    println!("  meritd status --api {url} --config {}", config.display());
    println!("  meritd explain steady-voice {first} --api {url}");
    println!("  curl {url}/readyz");
    println!("  curl {url}/metrics");
    println!(
        "  chain: {}   contracts: {}",
        world.anvil.url(),
        config.join("development.toml").display()
    );
    println!("  NATS: {}", setting.data().join(crate::daemon::CLIENT_FILE).display());
    println!("  log: {}", setting.log().display());
}

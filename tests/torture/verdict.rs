//! Whether all is as it must be, when nothing goes wrong any more.

use std::{collections::BTreeSet, fs, time::Duration};

use alloy::{
    primitives::{Address, U256},
    providers::Provider as _,
    rpc::types::TransactionRequest,
    sol,
    sol_types::SolCall as _,
};
use meritd::{
    cli::demo::{
        broker,
        oracle::{self, Award},
        outcome::Outcome,
        story::NAMES,
        world::World,
    },
    streams::{kv::Bucket, setup::BENEFITS_BUCKET, subjects::StreamId},
};
use serde_json::Value as Json;

use crate::support::{Daemon, until};

/// It requires two others to be on chain.
const PILLAR: u64 = 6;

sol! {
    function balanceOf(address owner) returns (uint256);
}

/// Of these rules an unlock stays when its evidence is orphaned: `alert`, `keep`.
const STAYING: [u64; 2] = [4, 7];

#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) lost: usize,
    pub(super) duplicate: usize,
    pub(super) phantom: usize,
    pub(super) wrong: Vec<String>,
}

pub(super) async fn of(
    world: &World,
    daemon: &mut Daemon,
    had_reorgs: bool,
    patience: Duration,
) -> Found {
    let members: Vec<Address> = (1..=NAMES.len()).map(|n| world.anvil.account(n)).collect();
    // What was orphaned may have been on chain, and taken back: whoever had both
    // prerequisites then has earned what they are for.
    let may_stay = |award: &Award| had_reorgs && (STAYING.contains(&award.1) || award.1 == PILLAR);
    let outcome = Outcome::settle_but(world, &members, patience, may_stay).await.unwrap();
    let ever = oracle::ever_unlocked(world).await.unwrap();
    let stays = |award: &Award| {
        let had = |id| ever.contains(&(award.0, id));
        may_stay(award) && (award.1 != PILLAR || had(1) && had(2))
    };
    let phantom: BTreeSet<Award> = outcome.phantom().into_iter().filter(|it| !stays(it)).collect();
    let mut found = Found {
        lost: outcome.missing().len(),
        duplicate: outcome.duplicate.len(),
        phantom: phantom.len(),
        wrong: Vec::new(),
    };
    let shown = |what: &str, awards: &BTreeSet<Award>| {
        let awards: Vec<String> = awards.iter().map(|(who, id)| format!("{who}:{id}")).collect();
        (!awards.is_empty()).then(|| format!("{what}: {}", awards.join(", ")))
    };
    found.wrong.extend(shown("missing", &outcome.missing()));
    found.wrong.extend(shown("twice", &outcome.duplicate));
    found.wrong.extend(shown("phantom", &phantom));
    found.wrong.extend(nonces(world, daemon).await);
    found.wrong.extend(benefits(world, daemon, &members, &outcome, patience).await);
    found.wrong.extend(letters(daemon).await);
    found.wrong.extend(secrets(daemon));
    if !found.wrong.is_empty() {
        let status = daemon.json("/api/v1/status").await;
        found.wrong.push(format!("not ready: {}", status["not_ready"]));
        for actor in status["actors"].as_array().into_iter().flatten() {
            let kept = std::env::var_os("MERITD_TORTURE_KEEP").is_some();
            if kept {
                found.wrong.push(format!("{}: {}", actor["name"], actor["observed"]));
            }
        }
        if let Some(kept) = std::env::var_os("MERITD_TORTURE_KEEP") {
            let _ = fs::copy(daemon.setting.log(), &kept);
            let mut said = String::new();
            for stream in [StreamId::Transactions, StreamId::Unlocks] {
                for (subject, body) in daemon.stream(stream).await {
                    said.push_str(&format!("{subject} {}\n", String::from_utf8_lossy(&body)));
                }
            }
            let _ = fs::write(std::path::Path::new(&kept).with_extension("said"), said);
        }
    }
    found
}

/// Every nonce that was taken has been used.
async fn nonces(world: &World, daemon: &Daemon) -> Option<String> {
    let provider = world.anvil.provider();
    let signer = daemon.setting.signer();
    let mined = provider.get_transaction_count(signer).await.unwrap();
    let pending = provider.get_transaction_count(signer).pending().await.unwrap();
    (mined != pending).then(|| format!("{} transactions still wait", pending - mined))
}

/// What the bucket says of each holder, against what the chain says.
async fn benefits(
    world: &World,
    daemon: &Daemon,
    members: &[Address],
    outcome: &Outcome,
    patience: Duration,
) -> Vec<String> {
    let connection = broker::connect(&daemon.setting).await.unwrap();
    let bucket = Bucket::open(&connection, BENEFITS_BUCKET).await.unwrap();
    let mut wrong = Vec::new();
    for member in members {
        let call = balanceOfCall { owner: *member };
        let request = TransactionRequest::default().to(world.badge);
        let request = request.input(call.abi_encode().into());
        let answer = world.anvil.provider().call(request).await.unwrap();
        let badges: U256 = balanceOfCall::abi_decode_returns(&answer).unwrap();
        let badge = if badges.is_zero() { 0 } else { 2_000 };
        let steady = if outcome.unlocked.contains(&(*member, 3)) { 5_000 } else { 0 };
        let expected = 10_000 + badge + steady;
        let key = format!("dao.{}", member.to_checksum(None));
        let read = async || {
            let value = bucket.get(&key).await.ok()?.map(|(_, value)| Json::Object(value));
            let multiplier = value.as_ref().and_then(|it| it.pointer("/benefits/multiplier_bps"));
            Some(multiplier.and_then(Json::as_u64).unwrap_or(10_000))
        };
        let look = async || read().await.filter(|found| *found == expected);
        let what = format!("{member} has its benefits");
        let agrees = until(&what, patience, look);
        if tokio::time::timeout(patience / 4, agrees).await.is_err() {
            let found = read().await;
            wrong.push(format!("{member} has {found:?} basis points, not {expected}"));
        }
    }
    wrong
}

/// Nothing was put aside: nothing that could not be processed was sent.
async fn letters(daemon: &Daemon) -> Option<String> {
    let letters = daemon.stream(StreamId::DeadLetters).await;
    let letters: Vec<Json> = letters
        .iter()
        .filter(|(subject, _)| subject.starts_with("merit.v1.dead_letters."))
        .filter_map(|(_, body)| serde_json::from_slice(body).ok())
        .collect();
    let first = letters.first()?;
    Some(format!("{} dead letters, the first: {}", letters.len(), first["data"]))
}

/// No secret in what the daemon wrote for people.
fn secrets(daemon: &Daemon) -> Option<String> {
    let log = fs::read_to_string(daemon.setting.log()).unwrap_or_default();
    log.contains(daemon.setting.passphrase()).then(|| "the passphrase is in the log".to_owned())
}

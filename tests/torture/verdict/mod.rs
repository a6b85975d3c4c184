//! Whether all is as it must be, when nothing goes wrong any more.

mod awards;
mod books;
mod bounds;
mod evidence;
mod letters;
mod output;
mod stream;
mod words;

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, U256},
    providers::Provider as _,
    rpc::types::{Filter, Log, TransactionRequest},
    sol,
    sol_types::SolCall as _,
};
use meritd::{
    cli::demo::{broker, oracle::Places, outcome::Outcome, story::NAMES, world::World},
    streams::{kv::Bucket, setup::BENEFITS_BUCKET, subjects::StreamId},
};
use serde_json::Value as Json;

use super::faults::Faults;
use crate::support::{Daemon, until};

sol! {
    function balanceOf(address owner) returns (uint256);
}

const LOOK_EVERY: Duration = Duration::from_millis(300);

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
    faults: &mut Faults<'_>,
    patience: Duration,
) -> Found {
    let members: Vec<Address> = (1..=NAMES.len()).map(|n| world.anvil.account(n)).collect();
    let (mut found, outcome) = awards::of(world, &members, faults.had_reorgs(), patience).await;
    let wrong = &mut found.wrong;
    wrong.extend(benefits(world, daemon, &members, &outcome, patience).await);
    let lost_messages = faults.lost_messages();
    // What is under way is done within the patience, or never.
    wrong.extend(settles(patience / 2, async || books::waiting(world, daemon).await).await);
    wrong.extend(settles(patience / 2, async || stream::differs(world, daemon).await).await);
    wrong.extend(settles(patience / 2, async || bounds::queues(daemon).await).await);
    wrong.extend(settles(patience / 4, async || evidence::of(world, daemon, &outcome).await).await);
    // Books that are new, or an older copy, don't know what was told of what a reorg takes
    // away and nobody wants any more.
    if !lost_messages && !faults.lost_store() {
        let look = async || words::last(world, daemon, &members).await;
        wrong.extend(settles(patience / 4, look).await);
    }
    let planted = &faults.planted;
    wrong.extend(
        settles(patience / 4, async || letters::of(daemon, planted, lost_messages).await).await,
    );
    wrong.extend(books::nonces(world, daemon, lost_messages).await);
    wrong.extend(books::spending(world, daemon).await);
    wrong.extend(bounds::memory(faults.peak_kib(daemon)));
    wrong.extend(output::secrets(daemon, &faults.scene.canaries).await);
    found
}

/// Looks until nothing is wrong, or for so long; then tells what still is.
pub(super) async fn settles(
    limit: Duration,
    mut look: impl AsyncFnMut() -> Vec<String>,
) -> Vec<String> {
    let deadline = Instant::now() + limit;
    loop {
        let wrong = look().await;
        if wrong.is_empty() || Instant::now() > deadline {
            return wrong;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What a person needs to find out why, in the folder that is named for it: the log, and
/// of a failure what the streams have.
pub(super) async fn keep(daemon: &Daemon, seed: u64, wrong: &mut Vec<String>) {
    let folder = std::env::var_os("MERITD_TORTURE_KEEP").map(PathBuf::from);
    let file = folder.map(|folder| folder.join(format!("seed-{seed}.log")));
    if let Some(file) = &file {
        // It is only for people.
        let _ = fs::copy(daemon.setting.log(), file);
        let broker = daemon.setting.data().join("nats/nats-server.log");
        let _ = fs::copy(broker, file.with_extension("broker"));
    }
    if wrong.is_empty() {
        return;
    }
    let status = daemon.json("/api/v1/status").await;
    wrong.push(format!("not ready: {}", status["not_ready"]));
    let Some(file) = file else { return };
    for actor in status["actors"].as_array().into_iter().flatten() {
        wrong.push(format!("{}: {}", actor["name"], actor["observed"]));
    }
    let mut said = String::new();
    for stream in [StreamId::Events, StreamId::Unlocks, StreamId::Transactions] {
        for (subject, body) in daemon.stream(stream).await {
            said.push_str(&format!("{subject} {}\n", String::from_utf8_lossy(&body)));
        }
    }
    let _ = fs::write(file.with_extension("said"), said);
}

fn places(world: &World) -> Places {
    Places {
        governor: world.governor,
        badge: world.badge,
        inbox: world.inbox,
        achievements: world.achievements,
    }
}

/// The chain's own logs of one contract, or of all.
async fn logs(world: &World, of: &[Address]) -> Vec<Log> {
    let filter = Filter::new().address(of.to_vec()).from_block(0);
    world.anvil.provider().get_logs(&filter).await.unwrap()
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

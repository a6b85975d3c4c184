//! Tells what meritd says: a consumer of its NATS subjects like any other.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use alloy::primitives::Address;
use futures::StreamExt as _;
use serde_json::Value as Json;
use tokio::{sync::watch, task::JoinHandle};

use super::{
    DemoError,
    broker::{self, Heard},
    setting::Setting,
};

/// Prints messages until it is dropped.
pub(super) struct Narrator {
    task: JoinHandle<()>,
    /// Unlocks that were asked for: user and achievement.
    requested: watch::Receiver<BTreeSet<(String, String)>>,
    last: Arc<Mutex<Instant>>,
}

impl Narrator {
    /// Subscribes to what people care about.
    pub(super) async fn start(
        setting: &Setting,
        members: &[(&'static str, Address)],
        began: Instant,
    ) -> Result<Self, DemoError> {
        let Heard { client, mut messages } = broker::listen(setting).await?;
        let names: BTreeMap<String, &'static str> =
            members.iter().map(|(name, who)| (who.to_checksum(None), *name)).collect();
        let (asked, requested) = watch::channel(BTreeSet::new());
        let last = Arc::new(Mutex::new(Instant::now()));
        let heard = Arc::clone(&last);
        let task = tokio::spawn(async move {
            // Keeps the subscription's connection alive.
            let _client = client;
            while let Some(message) = messages.next().await {
                *heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                let Ok(body) = serde_json::from_slice::<Json>(&message.payload) else { continue };
                let Some(data) = body.get("data") else { continue };
                if message.subject.ends_with(".requested")
                    && let (Some(user), Some(achievement)) =
                        (text(data, "/request/user"), text(data, "/request/achievement"))
                {
                    asked.send_modify(|all| {
                        all.insert((user.to_owned(), achievement.to_owned()));
                    });
                }
                if let Some(line) = line(&message.subject, data, &names) {
                    println!("{:>6.1}s    · {line}", began.elapsed().as_secs_f64());
                }
            }
        });
        Ok(Self { task, requested, last })
    }

    /// Waits until an unlock was asked for; false when it takes too long.
    pub(super) async fn wait_for_request(
        &self,
        user: Address,
        achievement: &str,
        limit: Duration,
    ) -> bool {
        let wanted = (user.to_checksum(None), achievement.to_owned());
        let mut requested = self.requested.clone();
        let seen = requested.wait_for(|all| all.contains(&wanted));
        matches!(tokio::time::timeout(limit, seen).await, Ok(Ok(_)))
    }

    /// Waits until nothing more is being said.
    pub(super) async fn catch_up(&self) {
        let quiet = Duration::from_millis(600);
        for _ in 0..20 {
            let heard = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if heard.elapsed() >= quiet {
                return;
            }
            tokio::time::sleep(quiet / 4).await;
        }
    }
}

impl Drop for Narrator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn text<'a>(json: &'a Json, pointer: &str) -> Option<&'a str> {
    json.pointer(pointer)?.as_str()
}

/// One message in words; `None` for what only machines care about.
fn line(subject: &str, data: &Json, names: &BTreeMap<String, &'static str>) -> Option<String> {
    let name = |address: &str| names.get(address).copied().unwrap_or("somebody").to_owned();
    let kind = subject.strip_prefix("merit.v1.")?;
    let (kind, _) = kind.split_once('.')?;
    match kind {
        "unlocks" => {
            let state = text(data, "/state")?;
            let achievement = text(data, "/request/achievement")?;
            let who = name(text(data, "/request/user")?);
            let why = text(data, "/reason").map(|why| format!(" ({why})")).unwrap_or_default();
            Some(format!("unlock {state}: {achievement} of {who}{why}"))
        }
        "governance" => {
            let what = data.get("what")?;
            let retracted = data.get("retracted") == Some(&Json::Bool(true));
            let mark = if retracted { "taken back: " } else { "" };
            if what.get("kind")?.as_str()? == "vote" {
                let who = name(text(what, "/voter")?);
                let multiplier = what.pointer("/benefits/multiplier_bps")?.as_u64()?;
                let bonus = if multiplier > 10_000 {
                    format!(
                        ", counted {}.{:02} times",
                        multiplier / 10_000,
                        multiplier % 10_000 / 100
                    )
                } else {
                    String::new()
                };
                return Some(format!("{mark}vote of {who}{bonus}"));
            }
            Some(format!("{mark}proposal \"{}\" is {}", text(what, "/title")?, text(what, "/to")?))
        }
        "benefits" => {
            let who = name(text(data, "/holder")?);
            let bps = data.pointer("/benefits/multiplier_bps")?.as_u64()?;
            Some(format!("{who}'s votes count {}.{:02} times", bps / 10_000, bps % 10_000 / 100))
        }
        "watermarks" if text(data, "/kind")? == "retraction" => {
            let (contract, from) = (text(data, "/contract")?, data.get("from")?);
            Some(format!("{contract} retracts its events since block {from}"))
        }
        "transactions" if text(data, "/state")? != "sent" => {
            let fee = text(data, "/fee_wei").map(|fee| format!(", {fee} wei")).unwrap_or_default();
            let (nonce, state) = (data.get("nonce")?, text(data, "/state")?);
            Some(format!("transaction {nonce} {state}{fee}"))
        }
        "dead_letters" => Some(format!("dead letter: {}", text(data, "/reason")?)),
        _ => None,
    }
}

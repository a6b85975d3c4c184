//! When consumers heard what.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use alloy::primitives::{Address, U256};
use futures::StreamExt as _;
use meritd::{
    cli::demo::{broker, setting::Setting},
    domain::UnlockId,
};
use serde_json::Value as Json;
use tokio::task::JoinHandle;

use super::Outcome;

/// Said when a node has the transaction of unlocks.
const SENT: &str = "merit.v1.transactions.awards.sent";

/// How long a broker may take to come up.
const STARTED_WITHIN: Duration = Duration::from_secs(20);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Listens as a consumer does, from when it is made until it is dropped.
pub struct Heard {
    sent: Arc<Mutex<HashMap<String, Instant>>>,
    task: JoinHandle<()>,
}

impl Heard {
    pub async fn listen(setting: &Setting) -> Outcome<Self> {
        let mut heard = broker::listen(setting).await?;
        let sent: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
        let told = Arc::clone(&sent);
        let task = tokio::spawn(async move {
            while let Some(message) = heard.messages.next().await {
                let now = Instant::now();
                if message.subject.as_str() != SENT {
                    continue;
                }
                let body: Json = serde_json::from_slice(&message.payload).unwrap_or_default();
                let unlocks = body["data"]["unlocks"].as_array().cloned().unwrap_or_default();
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                for id in unlocks.iter().filter_map(Json::as_str) {
                    told.entry(id.to_owned()).or_insert(now);
                }
            }
        });
        Ok(Self { sent, task })
    }

    /// The same of a daemon that has just been started: its broker comes up beside it.
    pub async fn listen_soon(setting: &Setting) -> Outcome<Self> {
        let deadline = Instant::now() + STARTED_WITHIN;
        loop {
            match Self::listen(setting).await {
                Err(failure) if Instant::now() > deadline => return Err(failure),
                Err(_) => tokio::time::sleep(LOOK).await,
                Ok(heard) => return Ok(heard),
            }
        }
    }

    /// When a node had the transaction of a member's unlock.
    pub fn sent(&self, id: &str) -> Option<Instant> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    /// The same, once it has.
    pub async fn wait(&self, id: &str, limit: Duration) -> Outcome<Instant> {
        let deadline = Instant::now() + limit;
        loop {
            match self.sent(id) {
                Some(at) => return Ok(at),
                None if Instant::now() > deadline => {
                    return Err(format!("no unlock was sent within {} s", limit.as_secs()).into());
                }
                None => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a probe's unlock is called.
pub fn id_of(achievements: Address, member: Address) -> String {
    UnlockId::of(31_337, achievements, U256::from(super::scene::PROBED), member).to_string()
}

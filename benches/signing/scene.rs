//! A chain, the contract, the daemon, and requests for it.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use alloy::primitives::{Address, B256, U256, keccak256};
use futures::{StreamExt as _, TryStreamExt as _};
use meritd::{
    actors::{messages, outbox::Outgoing},
    cli::demo::{anvil::Mining, broker, child::DaemonProcess, setting::Setting, world::World},
    domain::{
        Evidence, Name, OnRetract, UnlockId, UnlockMessage, UnlockRequest, UnlockState, Urgency,
    },
    streams::{
        connection::Connection,
        publish::{OutMessage, publish_one},
        subjects::StreamId,
    },
};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::{
    Outcome,
    process::{broker_pid, cpu_seconds},
};

/// The achievement that is asked for.
const ACHIEVEMENT: u64 = 7;
/// Publishes at once.
const AT_ONCE: usize = 64;
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Everything that runs.
pub struct Scene {
    pub world: World,
    pub daemon: DaemonProcess,
    pub setting: Setting,
    connection: Connection,
    http: reqwest::Client,
    users: u64,
    _folder: TempDir,
}

impl Scene {
    /// Deploys quickly, and then mines a block a second.
    pub async fn start(program: &Path) -> Outcome<Self> {
        let world = World::create(Mining::Every(Duration::from_millis(100))).await?;
        let folder = tempfile::Builder::new().prefix("meritd-signing-").tempdir()?;
        let setting = Setting::create_in(&world, folder.path().join("meritd")).await?;
        world.anvil.set_balance(setting.signer(), ether(1_000_000)).await?;
        let file = setting.config().join("development.toml");
        let text = fs::read_to_string(&file)?
            .replace("max_fee_gwei = 100", "max_fee_gwei = 100000")
            .replace("daily_budget_eth = \"5\"", "daily_budget_eth = \"900000\"")
            .replace("max_items = 20, max_wait_ms = 500", "max_items = 50, max_wait_ms = 200")
            .replace("bump_after_s = 20", "bump_after_s = 600\nmax_in_flight = 64");
        fs::write(&file, text)?;
        let daemon = DaemonProcess::start(&setting, program).await?;
        world.anvil.call::<Json>("evm_setIntervalMining", json!([1])).await?;
        let connection = broker::connect(&setting).await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { world, daemon, setting, connection, http, users: 0, _folder: folder })
    }

    pub async fn end(self) -> Outcome<()> {
        self.daemon.stop().await?;
        Ok(())
    }

    /// Requests for so many users that never asked before.
    pub fn requests(&mut self, count: u64, urgency: Urgency) -> Outcome<Vec<UnlockRequest>> {
        let first = self.users;
        self.users += count;
        (first..first + count).map(|number| self.request(number, urgency)).collect()
    }

    fn request(&self, number: u64, urgency: Urgency) -> Outcome<UnlockRequest> {
        let user = Address::from_word(keccak256(number.to_be_bytes()));
        let id = U256::from(ACHIEVEMENT);
        Ok(UnlockRequest {
            id: UnlockId::of(31_337, self.world.achievements, id, user),
            rule_set: Name::new("bench")?,
            achievement: Name::new("contributor")?,
            achievement_id: id,
            instance: None,
            contract: Name::new("achievements")?,
            signer: Name::new("awards")?,
            user,
            on_retract: OnRetract::Keep,
            urgency,
            evidence: Evidence { rule_version: B256::ZERO, items: Vec::new(), total: 0 },
        })
    }

    /// Publishes requests as a rule set does.
    pub async fn publish(&self, requests: Vec<UnlockRequest>) -> Outcome<()> {
        let sent = requests.into_iter().map(|request| self.publish_one(request));
        futures::stream::iter(sent).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    pub async fn publish_one(&self, request: UnlockRequest) -> Outcome<()> {
        let message = UnlockMessage {
            state: UnlockState::Requested,
            request,
            transaction_hash: None,
            code: None,
            reason: None,
        };
        let Outgoing::Publish { stream, id, subject, payload } =
            messages::unlock(&message, "bench")?
        else {
            return Err("an unlock is a message".into());
        };
        let out = OutMessage::new(subject, Default::default(), payload.into());
        debug_assert_eq!(stream, StreamId::Unlocks);
        publish_one(&self.connection, stream, &id, out, None).await?;
        Ok(())
    }

    /// The signer's state, as it shows it.
    pub async fn signer(&self) -> Outcome<Json> {
        let url = format!("{}/api/v1/status", self.daemon.url());
        let status: Json = self.http.get(url).send().await?.json().await?;
        let actors = status["actors"].as_array().cloned().unwrap_or_default();
        let signer = actors.into_iter().find(|actor| actor["name"] == "signer/awards");
        Ok(signer.ok_or("there is no signer")?["observed"].clone())
    }

    /// Processor time that node, daemon and broker have used, seconds.
    pub fn cpu(&self) -> [f64; 3] {
        let broker = broker_pid(&self.setting.data().join("nats"));
        [self.world.anvil.id(), self.daemon.id(), broker].map(|pid| pid.map_or(0.0, cpu_seconds))
    }

    pub async fn post(&self, path: &str, body: &Json) -> Outcome<()> {
        let url = format!("{}{path}", self.daemon.url());
        self.http.post(url).json(body).send().await?.error_for_status()?;
        Ok(())
    }

    /// Looks until something is so.
    pub async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut is: impl AsyncFnMut(&mut Self) -> Outcome<bool>,
    ) -> Outcome<()> {
        let deadline = Instant::now() + limit;
        while !is(self).await? {
            if let Some(status) = self.daemon.ended() {
                return Err(format!("meritd ended with {status}").into());
            }
            if Instant::now() > deadline {
                return Err(format!("not within {} s: {what}", limit.as_secs()).into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

fn ether(ether: u64) -> U256 {
    U256::from(ether) * U256::from(10).pow(U256::from(18))
}

//! A chain, the configuration, the daemon.

use std::{path::PathBuf, time::Duration};

use alloy::primitives::U256;
use meritd::cli::demo::{anvil::Mining, child::DaemonProcess, setting::Setting, world::World};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::{
    Outcome, emitter,
    emitter::{LOAD, PROBE},
    process::{broker_pid, cpu_seconds, peak_rss_mib},
};

/// What a probe earns.
pub const PROBED: u64 = 7;
/// How often the daemon asks for the head: what is measured is the way, not the wait.
const POLL_MS: u64 = 10;

/// Everything that runs.
pub struct Scene {
    pub world: World,
    pub setting: Setting,
    program: PathBuf,
    probes: u64,
    filled: u64,
    /// Those whose events fill blocks: each is somebody's state.
    members: u64,
    _folder: TempDir,
}

impl Scene {
    /// Deploys the contracts; from then on blocks are made when they are asked for.
    pub async fn prepare(program: PathBuf, members: u64) -> Outcome<Self> {
        let world = World::create(Mining::Every(Duration::from_millis(50))).await?;
        let folder = tempfile::Builder::new().prefix("meritd-pipeline-").tempdir()?;
        let setting = Setting::create_in(&world, folder.path().join("meritd")).await?;
        let ether = U256::from(10).pow(U256::from(18));
        world.anvil.set_balance(setting.signer(), U256::from(1_000_000) * ether).await?;
        emitter::install(&world.anvil).await?;
        setting.write("noted.json", emitter::ABI)?;
        setting.write("development.toml", &development(&world))?;
        setting.write("rules/participation.toml", &rules())?;
        world.anvil.call::<Json>("evm_setIntervalMining", json!([0])).await?;
        Ok(Self { world, setting, program, probes: 0, filled: 0, members, _folder: folder })
    }

    /// Starts the daemon, and does not wait for it.
    pub fn spawn(&self) -> Outcome<DaemonProcess> {
        Ok(DaemonProcess::spawn(&self.setting, &self.program)?)
    }

    /// Puts so many events that earn nobody anything into the next block.
    pub async fn fill(&mut self, events: u64) -> Outcome<()> {
        let mut left = events;
        while left > 0 {
            let some = left.min(emitter::MOST);
            let first = U256::from(1_000_000 + self.filled % self.members);
            emitter::emit(&self.world.anvil, LOAD, first, some).await?;
            self.filled += some;
            left -= some;
        }
        Ok(())
    }

    /// Puts an event that earns its member something into the next block. Returns whose.
    pub async fn probe(&mut self) -> Outcome<alloy::primitives::Address> {
        self.probes += 1;
        let first = U256::from(1_u64 << 40) + U256::from(self.probes);
        emitter::emit(&self.world.anvil, PROBE, first, 1).await?;
        Ok(emitter::member(first))
    }

    pub async fn mine(&self) -> Outcome<()> {
        Ok(self.world.anvil.call::<Json>("evm_mine", json!([])).await.map(drop)?)
    }

    /// The end of the daemon's log.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.setting.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
    }

    /// The broker's process.
    pub fn broker(&self) -> Option<u32> {
        broker_pid(&self.setting.data().join("nats"))
    }

    /// Processor seconds of daemon and broker.
    pub fn cpu(&self, daemon: &DaemonProcess) -> [f64; 2] {
        [daemon.id(), self.broker()].map(|pid| pid.map_or(0.0, cpu_seconds))
    }

    /// Their most memory so far, MiB.
    pub fn peak(&self, daemon: &DaemonProcess) -> [f64; 2] {
        [daemon.id(), self.broker()].map(|pid| pid.map_or(0.0, peak_rss_mib))
    }
}

/// Six achievements that are counted for everybody and reached by few, and one that a
/// single event earns.
fn rules() -> String {
    let mut text = "id = \"pipeline\"\nsigner = \"awards\"\n\
                    achievements_contract = \"achievements\"\non_change = \"carry\"\n"
        .to_owned();
    let never = [
        "count = 1000",
        "count = 2500",
        "sum = { field = \"amount\", gte = 1 }",
        "count = 100\nlast = \"30d\"",
        "count = 100\nlast = \"1h\"",
        "max = { field = \"amount\", gte = 1 }",
    ];
    for (index, when) in never.iter().enumerate() {
        let id = index + 1;
        text += &format!(
            "\n[[achievements]]\nname = \"never-{id}\"\nid = {id}\n[achievements.when]\n\
             event = \"load.noted\"\nsubject = \"member\"\n{when}\n"
        );
    }
    text + &format!(
        "\n[[achievements]]\nname = \"probed\"\nid = {PROBED}\nurgency = \"high\"\n\
         [achievements.when]\nevent = \"probe.noted\"\nsubject = \"member\"\n"
    )
}

fn development(world: &World) -> String {
    format!(
        r#"environment = "development"

[api]
listen = "127.0.0.1:0"

[[chains]]
name = "local"
chain_id = 31337
endpoints = [{{ url = "{url}" }}]
confirmations = 0
finality_depth = 64
poll_interval_ms = {POLL_MS}

[[contracts]]
name = "load"
chain = "local"
kind = "abi"
abi = "noted.json"
address = "{load}"

[[contracts]]
name = "probe"
chain = "local"
kind = "abi"
abi = "noted.json"
address = "{probe}"

[[contracts]]
name = "achievements"
chain = "local"
kind = "achievements"
address = "{achievements}"

[[signers]]
name = "awards"
chain = "local"
key = {{ keystore = "keys/awards.json", passphrase = "env:MERITD_DEMO_PASSPHRASE" }}
max_fee_gwei = 100000
daily_budget_eth = "900000"
confirmations = 1
batch = {{ max_items = 50, max_wait_ms = 200 }}
max_in_flight = 64
"#,
        url = world.anvil.url(),
        load = LOAD,
        probe = PROBE,
        achievements = world.achievements,
    )
}

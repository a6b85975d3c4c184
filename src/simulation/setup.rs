//! The configuration that simulations run: what a person would write for this world.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use alloy::{
    primitives::Address,
    signers::local::{LocalSignerError, PrivateKeySigner},
};

use super::chain::Deployment;
use crate::{
    config::{self, Config, ConfigError},
    daemon::{Plan, PlanError, plan},
};

/// Confirmations of every contract, in blocks.
pub const CONFIRMATIONS: u64 = 2;
/// How deep a reorg may be, in blocks.
pub const FINALITY: u64 = 24;
/// The chain's id: one of those on which keys may lie open.
pub const CHAIN_ID: u64 = 31_337;
/// Endpoints of the chain.
pub const ENDPOINTS: usize = 3;
/// Members that act.
pub const MEMBERS: u8 = 8;

/// Anybody knows it: the first key of development chains.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/// Its address.
#[cfg(test)]
const SIGNER: Address = alloy::primitives::address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
const RULES: &str = include_str!("../../config/rules/participation.toml");
const DEFAULT: &str = include_str!("../../config/default.toml");
const INBOX: &str = include_str!("../../contracts/artifacts/Inbox.json");

/// What all seeds share: the configuration, read and compiled once.
pub struct Setup {
    /// With blooms, and with receipts.
    levels: [(Config, Plan); 2],
    pub(super) signer: Address,
    pub(super) deployment: Deployment,
    folder: PathBuf,
}

/// There is no setup.
#[derive(Debug, thiserror::Error)]
pub enum NoSetup {
    /// A file can't be written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// The configuration is not accepted.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It means nothing.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The signer's key is none.
    #[error(transparent)]
    Key(#[from] LocalSignerError),
}

impl Setup {
    /// Writes the configuration into a folder of its own below `parent`, and reads it as
    /// the daemon would. The folder goes with the setup.
    ///
    /// # Errors
    /// See [`NoSetup`].
    pub fn make(parent: &Path) -> Result<Self, NoSetup> {
        let folder = parent.join(format!("meritd-simulation-{:016x}", rand::random::<u64>()));
        let rules = folder.join("rules");
        fs::create_dir_all(&rules)?;
        let deployment = Deployment::usual();
        let key = folder.join("key");
        fs::write(&key, KEY)?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        fs::write(folder.join("default.toml"), DEFAULT)?;
        fs::write(folder.join("inbox.json"), INBOX)?;
        fs::write(rules.join("participation.toml"), RULES)?;
        let signer = KEY.parse::<PrivateKeySigner>()?.address();
        let level = |completeness: &str| {
            let text = development(&deployment, completeness);
            fs::write(folder.join("development.toml"), text)?;
            let config = config::load(&folder, Some("development"))?;
            let plan = plan(&config)?;
            Ok::<_, NoSetup>((config, plan))
        };
        let levels = [level("bloom")?, level("receipts")?];
        Ok(Self { levels, signer, deployment, folder })
    }

    /// The configuration, where logs are checked by blooms or by receipts.
    pub(super) fn level(&self, receipts: bool) -> &(Config, Plan) {
        let [bloom, proven] = &self.levels;
        if receipts { proven } else { bloom }
    }

    /// The members.
    #[must_use]
    pub fn members(&self) -> Vec<Address> {
        (1..=MEMBERS).map(Address::repeat_byte).collect()
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        // What is left among temporary files harms nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The time between blocks that the configuration expects.
pub const BLOCK_TIME: Duration = Duration::from_secs(2);

/// Where an endpoint is.
pub(super) fn url(endpoint: usize) -> String {
    format!("http://endpoint-{endpoint}.simulated:8545")
}

fn development(at: &Deployment, completeness: &str) -> String {
    let urls: Vec<String> = (0..ENDPOINTS).map(|i| format!("{{ url = {:?} }}", url(i))).collect();
    format!(
        r#"environment = "development"

[[chains]]
name = "local"
chain_id = {CHAIN_ID}
endpoints = [{urls}]
confirmations = {CONFIRMATIONS}
finality_depth = {FINALITY}
poll_interval_ms = {poll}
completeness = "{completeness}"

[[contracts]]
name = "dao"
chain = "local"
kind = "governor"
address = "{governor}"

[[contracts]]
name = "badge"
chain = "local"
kind = "erc721"
address = "{badge}"

[[contracts]]
name = "contributions"
chain = "local"
kind = "abi"
abi = "inbox.json"
address = "{inbox}"

[[contracts]]
name = "achievements"
chain = "local"
kind = "achievements"
address = "{achievements}"

[[signers]]
name = "awards"
chain = "local"
key = {{ raw = "file:key" }}
max_fee_gwei = 100
daily_budget_eth = "5"
confirmations = {CONFIRMATIONS}
batch = {{ max_items = 5, max_wait_ms = 3000 }}
bump_after_s = 20

[[benefits]]
name = "badge-bonus"
nft = "badge"
weight_multiplier = "1.2"

[[benefits]]
name = "steady-bonus"
nft = "achievements"
achievement_ids = [3]
weight_multiplier = "1.5"
stack = "sum"
"#,
        urls = urls.join(", "),
        poll = BLOCK_TIME.as_millis() / 2,
        governor = at.governor,
        badge = at.badge,
        inbox = at.inbox,
        achievements = at.achievements,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_configuration_is_accepted_and_the_signer_known() {
        let setup = Setup::make(&std::env::temp_dir()).unwrap();
        assert_eq!(setup.signer, SIGNER);
        assert_eq!(setup.level(true).1.rule_sets.len(), 1);
    }
}

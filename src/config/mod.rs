//! Typed configuration: `default.toml`, then `<environment>.toml`, then
//! `MERITD__SECTION__KEY` variables, read from one folder.
//!
//! [`load`] gives either a [`Config`] whose every value is checked and whose
//! references (a contract's chain, a signer's chain, an ABI file) exist, or
//! all [`Problem`]s at once, each naming file, key, value and the way out.
//! Relative paths are relative to the configuration folder. It knows nothing
//! of chains beyond the shape of an address: what the chain itself must
//! confirm is `meritd check`'s.

pub(crate) mod abi;
mod amount;
mod chain;
mod confirmations;
mod contract;
mod files;
mod kinds;
mod lists;
mod load;
mod number;
mod presets;
mod problem;
mod raw;
mod secret;
mod secrets;
mod signers;
mod validate;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use alloy::primitives::{Address, U256};

pub use amount::{parse_decimal, parse_units};
pub use chain::{Chain, Endpoint, Rate};
pub use confirmations::Confirmations;
pub use contract::{Calls, Contract, Creation, Place};
pub use files::RuleFile;
pub use kinds::{ContractKind, GovernorClock, GovernorCounting};
pub use lists::List;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use lists::read as read_list;
pub use load::load;
pub use presets::Preset;
pub use problem::{ConfigError, Problem};
pub use raw::{Completeness, Delivery, LogFormat, StackKind};
pub use secret::{Secret, SecretError, SecretRef};
pub use signers::{KmsService, KmsSource, Signer, SignerKeySource};

use crate::{
    domain::{EventSchema, Name},
    failpoints::Doom,
};

/// Everything the daemon is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which `<environment>.toml` was read.
    pub environment: Name,
    /// The folder that the configuration came from.
    pub dir: PathBuf,
    /// Where the store and the managed broker live.
    pub data_dir: PathBuf,
    /// HTTP address.
    pub listen: SocketAddr,
    /// How logs are written.
    pub log: Log,
    /// The broker.
    pub nats: Nats,
    /// Restarts and heartbeats.
    pub supervisor: Supervisor,
    /// Watched chains.
    pub chains: Vec<Chain>,
    /// Watched contracts.
    pub contracts: Vec<Contract>,
    /// Governors that succeed each other.
    pub governor_groups: Vec<GovernorGroup>,
    /// Keys that land achievements.
    pub signers: Vec<Signer>,
    /// What held tokens change in governance.
    pub benefits: Vec<Benefit>,
    /// Who says facts that no chain has.
    pub facts: Vec<Facts>,
    /// Rule files as they were read, not yet compiled.
    pub rules: Vec<RuleFile>,
    /// Lists of people that rules can name.
    pub lists: Vec<List>,
    /// Whether actors may be crashed on request. Refused in production.
    pub fault_injection: bool,
    /// Where the process dies on purpose.
    pub failpoint: Option<Doom>,
    /// Who says each section that later checks may find fault with.
    said_by: BTreeMap<&'static str, String>,
}

/// How logs are written.
#[derive(Clone, Debug)]
pub struct Log {
    /// Text, JSON, or by whether stderr is a terminal.
    pub format: LogFormat,
    /// A `tracing` filter, like `info,meritd=debug`.
    pub filter: String,
}

/// The broker.
#[derive(Clone, Debug)]
pub enum Nats {
    /// meritd starts and supervises its own `nats-server`.
    Managed {
        /// Path of the binary; searched on PATH when absent.
        binary: Option<PathBuf>,
    },
    /// A server or cluster that somebody else runs.
    External {
        /// `nats://host:port` each.
        urls: Vec<String>,
        /// A credentials file of the NATS operator.
        credentials: Option<PathBuf>,
        /// User and password.
        login: Option<(String, SecretRef)>,
        /// Copies of each stream.
        replicas: usize,
    },
}

/// Restarts and heartbeats.
#[derive(Clone, Copy, Debug)]
pub struct Supervisor {
    /// Restarts of one actor within `restart_window` before it is given up.
    pub max_restarts: u32,
    /// See `max_restarts`.
    pub restart_window: Duration,
    /// An actor that does not answer for so long is replaced.
    pub freeze_after: Duration,
    /// How long a shutdown may take.
    pub drain_deadline: Duration,
}

/// Who says facts that no chain has.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its name, as rules name contracts.
    pub name: Name,
    /// Whose signatures are taken.
    pub signers: Vec<Address>,
    /// Where the secret of its webhook's HMAC is.
    pub hmac: Option<SecretRef>,
    /// Longest time without a watermark.
    pub heartbeat: Duration,
    /// What it tells.
    pub events: Vec<EventSchema>,
}

/// Governors of one community, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GovernorGroup {
    /// As rules name it.
    pub name: Name,
    /// The contracts, the first one first.
    pub members: Vec<Name>,
}

/// What held tokens change in governance.
#[derive(Clone, Debug)]
pub struct Benefit {
    /// Its name.
    pub name: Name,
    /// The `erc721` or `achievements` contract whose tokens give it.
    pub nft: Name,
    /// For `achievements`: only these ids.
    pub achievement_ids: Option<Vec<U256>>,
    /// So many of them, at least 1.
    pub at_least: u64,
    /// What the holder may do.
    pub grants: Vec<Name>,
    /// Multiplies voting weight; basis points, 10,000 is 1.
    pub weight_multiplier_bps: u32,
    /// How it adds to others.
    pub stack: StackKind,
    /// Highest multiplier that may result, basis points.
    pub cap_bps: Option<u32>,
}

impl Config {
    /// The file (or variable) that says `chains`, `nats`, `contracts` or
    /// `signers`.
    #[must_use]
    pub fn said_by(&self, section: &str) -> &str {
        self.said_by.get(section).map_or("", String::as_str)
    }

    /// A chain by name.
    #[must_use]
    pub fn chain(&self, name: &Name) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.name == *name)
    }

    /// A contract by name.
    #[must_use]
    pub fn contract(&self, name: &Name) -> Option<&Contract> {
        self.contracts.iter().find(|contract| contract.name == *name)
    }

    /// A contract's address; of one that a factory creates, that of the
    /// factory, or the factory's factory, that has one.
    #[must_use]
    pub fn root_of(&self, contract: &Contract) -> Option<Address> {
        match &contract.place {
            Place::At(address) => Some(*address),
            Place::CreatedBy(creation) => self.root_of(self.contract(&creation.contract)?),
        }
    }
}

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
mod files;
mod lists;
mod load;
mod presets;
mod problem;
mod raw;
mod secret;
mod signers;
mod validate;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use alloy::{
    json_abi::JsonAbi,
    primitives::{Address, U256},
};

pub use amount::{parse_decimal, parse_units};
pub use files::RuleFile;
pub use lists::List;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use lists::read as read_list;
pub use load::load;
pub use presets::Preset;
pub use problem::{ConfigError, Problem};
pub use raw::{
    Completeness, Confirmations, ContractKind, Delivery, GovernorClock, GovernorCounting,
    LogFormat, StackKind,
};
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

/// One chain.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Its name in subjects and metrics.
    pub name: Name,
    /// EIP-155 id; endpoints that say otherwise are not used.
    pub chain_id: u64,
    /// A private or test node's chain, where nothing is worth anything.
    pub is_development: bool,
    /// Where it is reached.
    pub endpoints: Vec<Endpoint>,
    /// How deep a block must be before its events are published.
    pub confirmations: Confirmations,
    /// Blocks so deep are final: a reorg below them stops the chain.
    pub finality_depth: u64,
    /// Whether the chain's own `finalized` tag says what is final.
    pub finality_tag: bool,
    /// How often the head is asked for; `None`: as blocks come.
    pub poll_interval: Option<Duration>,
    /// Time between blocks, until enough of them were seen.
    pub block_time: Duration,
    /// Largest block range of one `eth_getLogs`.
    pub max_range: u64,
    /// Ranges of history that are asked for at once.
    pub backfill_calls: usize,
    /// How far an endpoint's answer about logs is believed.
    pub completeness: Completeness,
    /// A read that takes so long is asked of a second endpoint, too.
    pub hedge_after: Option<Duration>,
    /// Of a rollup that charges for the data that it posts: the contract that
    /// says how much.
    pub l1_fee_oracle: Option<Address>,
}

impl Chain {
    /// How long to wait before looking again for what comes with the blocks:
    /// as configured, else a part of the time between blocks.
    #[must_use]
    pub fn look_every(&self) -> Duration {
        let part = self.block_time / 4;
        let within = part.clamp(Duration::from_millis(50), Duration::from_secs(1));
        self.poll_interval.unwrap_or(within)
    }
}

/// One RPC endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its URL; may carry a key, so it is never shown whole.
    pub url: SecretRef,
    /// Limit of one call.
    pub call_timeout: Duration,
    /// Its WebSocket URL: new heads on it wake the polling up.
    pub ws: Option<SecretRef>,
    /// Calls at once.
    pub max_concurrent: u32,
    /// What its plan allows, if it is limited.
    pub rate: Option<Rate>,
}

/// What a plan allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Credits per second; without `costs` a call costs one, so that these are
    /// calls per second.
    pub per_second: u32,
    /// Credits that may be spent at once after a rest.
    pub burst: u32,
    /// Credits of a method's call; others cost `default_cost`.
    pub costs: BTreeMap<String, u32>,
    /// See `costs`.
    pub default_cost: u32,
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

/// One watched contract.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its name in subjects, rules and metrics.
    pub name: Name,
    /// The chain it is on.
    pub chain: Name,
    /// Where it is.
    pub place: Place,
    /// What it is.
    pub kind: ContractKind,
    /// Its ABI, for kind `abi`.
    pub abi: Option<JsonAbi>,
    /// First block of interest.
    pub start_block: u64,
    /// Overrides the chain's.
    pub confirmations: Confirmations,
    /// How a governor counts time (ERC-6372).
    pub clock: GovernorClock,
    /// How a governor decides.
    pub counting: GovernorCounting,
    /// Seconds after its eta at which what a governor queued expires, if anything does.
    pub grace_period_s: Option<u64>,
    /// Whose votes a governor counts: a watched contract with votes (ERC-5805).
    pub votes: Option<Name>,
    /// Whether events of blocks that are not confirmed yet are told, too, on
    /// subjects of their own.
    pub provisional: bool,
    /// How it is called to keep achievements, where it is not the reference.
    pub calls: Option<Calls>,
    /// What is done when nothing tells whether an unlock landed.
    pub delivery: Delivery,
}

/// Signatures of the calls that keep achievements, as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calls {
    /// Gives one.
    pub unlock: String,
    /// Gives several.
    pub batch: Option<String>,
    /// Answers whether a user has one.
    pub has: Option<String>,
    /// Takes one back.
    pub revoke: Option<String>,
}

impl Contract {
    /// Its address; none where a factory creates as many as it likes.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        match &self.place {
            Place::At(address) => Some(*address),
            Place::CreatedBy(_) => None,
        }
    }
}

/// Where a watched contract is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At this address.
    At(Address),
    /// At each address that an event of another watched contract names, from
    /// the block of the event on.
    CreatedBy(Creation),
}

/// The event by which a factory says that it created a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// The factory, a contract of the same chain.
    pub contract: Name,
    /// Its event.
    pub event: Name,
    /// The event's field that holds the address.
    pub field: String,
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

    /// Fetches every secret and drops it again: what is missing is told
    /// before anything starts.
    ///
    /// # Errors
    /// All that are missing, or hold no endpoint URL where one is needed.
    pub fn check_secrets(&self) -> Result<(), ConfigError> {
        let problems: Vec<Problem> =
            self.secrets().filter_map(|secret| self.refuse(secret)).collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }

    /// Where each secret is named, and of a URL the schemes that it may have.
    fn secrets(&self) -> impl Iterator<Item = (String, &SecretRef, &'static [&'static str])> {
        let urls = self.chains.iter().enumerate().flat_map(|(i, chain)| {
            chain.endpoints.iter().enumerate().flat_map(move |(j, endpoint)| {
                let key = |part| format!("chains[{i}].endpoints[{j}].{part}");
                let ws = endpoint.ws.as_ref().map(|ws| (key("ws"), ws, WS));
                std::iter::once((key("url"), &endpoint.url, HTTP)).chain(ws)
            })
        });
        let login = match &self.nats {
            Nats::External { login: Some((_, password)), .. } => Some(password),
            Nats::External { login: None, .. } | Nats::Managed { .. } => None,
        };
        let login = login.map(|password| ("nats.password".to_owned(), password, NO_URL));
        let keys = self.signers.iter().enumerate().filter_map(|(i, signer)| match &signer.key {
            SignerKeySource::Keystore { passphrase, .. } => {
                Some((format!("signers[{i}].key.passphrase"), passphrase, NO_URL))
            }
            SignerKeySource::Raw(raw) => Some((format!("signers[{i}].key.raw"), raw, NO_URL)),
            // Credentials are the service's own affair.
            SignerKeySource::Kms(_) => None,
        });
        urls.chain(login).chain(keys)
    }

    fn refuse(
        &self,
        (key, secret, schemes): (String, &SecretRef, &'static [&'static str]),
    ) -> Option<Problem> {
        let said = match secret.resolve() {
            Ok(url) if !schemes.is_empty() && !is_url(url.expose(), schemes) => {
                let schemes: Vec<_> =
                    schemes.iter().map(|scheme| format!("{scheme}://…")).collect();
                format!("not an endpoint URL; let it hold {}", schemes.join(" or "))
            }
            Ok(_) => return None,
            Err(error) => error.to_string(),
        };
        // A secret's error ends with its remedy.
        let (why, remedy) = said.split_once("; ").unwrap_or((&said, "put the secret there"));
        Some(Problem {
            file: self.said_by(key.split(['.', '[']).next().unwrap_or_default()).to_owned(),
            key,
            value: Some(secret.to_string()),
            why: why.to_owned(),
            remedy: remedy.to_owned(),
        })
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

const HTTP: &[&str] = &["http", "https"];
const WS: &[&str] = &["ws", "wss"];
const NO_URL: &[&str] = &[];

fn is_url(text: &str, schemes: &[&str]) -> bool {
    text.parse::<reqwest::Url>().is_ok_and(|url| schemes.contains(&url.scheme()))
}

//! The daemon: reads the configuration's words, builds the parts in order,
//! and takes them down again in order.
//!
//! Start: store, HTTP, broker, endpoints, heads, contracts, folds, signers.
//! What needs somebody else (a chain, an external broker) does not keep the
//! daemon from starting: it is not ready, says why, and goes on trying.

mod broker;
mod build;
mod contracts;
mod facts;
mod letters;
mod mute;
mod operator;
mod pauses;
mod plan;
mod proofs;
mod quotes;
mod reach;
mod repair;
mod replay;
mod series;
#[cfg(feature = "simulation")]
pub mod simulated;
mod tree_metrics;

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    api::{Api, ApiError},
    config::Config,
    failpoints,
    store::OpenError,
    streams::{ProgramError, StreamError, managed::ManagedError, setup::SetupError},
    supervisor::{NotSpawned, Tree, TreeLimits},
    telemetry::Metrics,
};

pub use operator::DaemonState;
pub use plan::{Plan, PlanError, plan, references};
pub use reach::{CLIENT_FILE, NotReachable, broker_of, external, managed};

/// In the data folder: the HTTP address that the running daemon got.
pub const ADDRESS_FILE: &str = "api-address";
/// The store's file within the data folder.
pub const STORE_FILE: &str = "meritd.redb";

/// A running daemon.
pub struct Daemon {
    api: Api,
    state: Arc<DaemonState>,
    tree: Tree,
    broker: broker::Broker,
    drain_deadline: Duration,
}

/// Why the daemon can't start, or can't go on.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration's parts don't fit together.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The data folder can't be made.
    #[error("data_dir = {path}: {source}; make it writable for the user that runs meritd")]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The HTTP address can't be had.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// There is no usable `nats-server`.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The configured `nats-server` can't be used.
    #[error("nats.binary = {path}: {source}")]
    Binary {
        /// As configured.
        path: PathBuf,
        /// What is wrong with it.
        source: ProgramError,
    },
    /// The managed broker does not start.
    #[error(transparent)]
    Managed(#[from] ManagedError),
    /// The broker can't be used.
    #[error(transparent)]
    Broker(#[from] StreamError),
    /// The streams are not as they must be.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// An actor was not spawned.
    #[error(transparent)]
    Spawn(#[from] NotSpawned),
    /// A guard or a thread could not be had.
    #[error("{0}")]
    Internal(String),
}

/// Order of the shutdown: what takes work in goes first, what others write
/// to goes last.
const DRAIN_ORDER: [&str; 10] = [
    "wake/",
    "head/",
    "provisional/",
    "contract/",
    "rule_set/",
    "governance/",
    "tx/",
    "signer/",
    "endpoint/",
    "store",
];

impl Daemon {
    /// Builds and starts everything. Must be called within an actix system,
    /// whose runtime then carries the broker's connection.
    ///
    /// # Errors
    /// When something that is the daemon's own can't be had. What others
    /// provide is waited for.
    pub async fn start(config: Config, plan: Plan, metrics: Metrics) -> Result<Self, StartError> {
        if let Some(doom) = config.failpoint {
            tracing::warn!(failpoint = %doom.at, hit = doom.nth, "the process will die on purpose");
            failpoints::arm(doom);
        }
        std::fs::create_dir_all(&config.data_dir)
            .map_err(|source| StartError::DataDir { path: config.data_dir.clone(), source })?;
        let database = crate::store::Database::open(config.data_dir.join(STORE_FILE))?;
        let observer = Arc::new(tree_metrics::TreeMetrics::new(metrics.clone()));
        let tree = Tree::start(TreeLimits::default(), observer)
            .map_err(|error| StartError::Internal(error.to_string()))?;
        let drain_deadline = config.supervisor.drain_deadline;
        let listen = config.listen;
        let state = Arc::new(DaemonState::new(&config, tree.clone(), metrics.clone()));
        let api = Api::start(listen, Arc::clone(&state) as Arc<dyn crate::api::Operator>)?;
        let address_file = config.data_dir.join(ADDRESS_FILE);
        if let Err(error) = std::fs::write(&address_file, api.address().to_string()) {
            tracing::warn!("{}: {error}", address_file.display());
        }
        tracing::info!(address = %api.address(), "HTTP is up");
        series::start(&config, &plan, &metrics);
        let broker = broker::Broker::start(&config, &state, &metrics).await?;
        build::spawn_all(&config, plan, &tree, database, &broker, &state, metrics)?;
        state.started();
        Ok(Self { api, state, tree, broker, drain_deadline })
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        self.api.address()
    }

    /// What it shows of itself.
    #[must_use]
    pub fn state(&self) -> &Arc<DaemonState> {
        &self.state
    }

    /// Takes everything down in order, within the configured deadline.
    /// Returns the actors that did not finish in time.
    pub async fn drain(self) -> Vec<String> {
        self.state.draining();
        let report = self.tree.drain(&DRAIN_ORDER, self.drain_deadline).await;
        self.api.stop().await;
        self.broker.stop().await;
        report.undrained.into_iter().map(|left| format!("{}: {}", left.name, left.why)).collect()
    }
}

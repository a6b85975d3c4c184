//! The RPC endpoints of one chain as one: chosen by health, failed over.
//!
//! A call goes to the healthiest endpoint and on to the next when that one
//! fails, or where a read may be hedged, when it is slow. Answers about the
//! request itself (a revert, a nonce too low) are the result, whoever gives
//! them. Before its first call an endpoint must name the chain's id; one that
//! names another, or gives a wrong answer, is quarantined.

mod asking;
mod batch;
mod block_logs;
mod calls;
mod denied;
mod follow;
mod hedge;
mod inclusion;
mod logs;
mod probe;
mod proven;
mod receipts;
mod second;
mod status;
mod trust;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus::IntCounter;
use tokio::{sync::mpsc, time::Instant};

use super::{
    health::{Gate, Health, order},
    ranges::RangePolicy,
};
use crate::{
    actors::endpoint::{Endpoint, EndpointHandle},
    breakers::{BreakerState, Priority},
    domain::Name,
    telemetry::Metrics,
};

pub use block_logs::BloomHint;
pub use calls::{FullReceipt, SendOutcome};
pub use follow::{FollowError, Followed, Follower};
pub use logs::LogRange;
pub use proven::ProvenLogs;
pub use status::{EndpointState, EndpointStatus};
pub use trust::{Lie, LieKind};

use hedge::HedgeBudget;

/// Bounds of a chain's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Longest time of one call at one endpoint: more than it takes with
    /// waiting for its rate, queueing and all retries.
    pub call: Duration,
    /// Most blocks of one call for logs.
    pub range_blocks_max: u64,
    /// A read that takes so long is asked of a second endpoint, too.
    pub hedge_after: Option<Duration>,
}

/// Calls to one chain. Clones share what is known of the endpoints.
#[derive(Clone)]
pub struct ChainClient {
    shared: Arc<Shared>,
    /// The one endpoint that it asks, if it is narrowed to one.
    only: Option<usize>,
    priority: Priority,
}

struct Shared {
    chain: Name,
    chain_id: u64,
    limits: ClientLimits,
    started: Instant,
    endpoints: Vec<EndpointHandle>,
    names: Vec<Arc<str>>,
    health: Mutex<Vec<Health>>,
    ranges: Mutex<Vec<RangePolicy>>,
    /// Calls that each endpoint takes in one batch.
    batches: Mutex<Vec<usize>>,
    blooms: Mutex<proven::Blooms>,
    hedges: Mutex<HedgeBudget>,
    hedged: Vec<IntCounter>,
    metrics: Metrics,
    lies: Option<mpsc::Sender<Lie>>,
}

impl ChainClient {
    /// A client of a chain's endpoints, the preferred first. Lies that are
    /// found are put into `lies` as long as there is room.
    #[must_use]
    pub fn new(
        chain: Name,
        chain_id: u64,
        endpoints: Vec<EndpointHandle>,
        limits: ClientLimits,
        metrics: &Metrics,
        lies: Option<mpsc::Sender<Lie>>,
    ) -> Self {
        let count = endpoints.len();
        let names: Vec<Arc<str>> =
            endpoints.iter().map(|handle| Arc::clone(handle.endpoint.name())).collect();
        let hedged = |name: &Arc<str>| metrics.endpoint_hedges_total.with_label_values(&[name]);
        for name in &names {
            // Makes the series exist before the first lie.
            metrics.endpoint_quarantined.with_label_values(&[name]).set(0);
            for kind in LieKind::ALL {
                drop(metrics.endpoint_lies_total.with_label_values(&[name, kind.as_str()]));
            }
        }
        Self {
            shared: Arc::new(Shared {
                chain,
                chain_id,
                limits,
                started: Instant::now(),
                hedged: names.iter().map(hedged).collect(),
                names,
                endpoints,
                health: Mutex::new(vec![Health::default(); count]),
                ranges: Mutex::new(vec![RangePolicy::new(limits.range_blocks_max); count]),
                batches: Mutex::new(vec![batch::FIRST_SIZE; count]),
                blooms: Mutex::default(),
                hedges: Mutex::default(),
                metrics: metrics.clone(),
                lies,
            }),
            only: None,
            priority: Priority::Normal,
        }
    }

    /// A client of the same chain that asks one endpoint alone, for answers
    /// that must agree with each other. It does not hedge, and fails while
    /// that endpoint is quarantined.
    #[must_use]
    pub fn only(&self, endpoint: usize) -> Self {
        Self { only: Some(endpoint), ..self.clone() }
    }

    /// Which endpoint it asks, of one that [`Self::only`] made.
    #[must_use]
    pub fn endpoint(&self) -> Option<usize> {
        self.only
    }

    /// A client for each endpoint that may be asked now, the best first; all
    /// of the same chain, each like [`Self::only`].
    #[must_use]
    pub fn singly(&self) -> Vec<Self> {
        let order = self.order();
        // Who asks then hears why there is nobody.
        if order.is_empty() {
            vec![self.clone()]
        } else {
            order.into_iter().map(|it| self.only(it)).collect()
        }
    }

    /// A client of the same chain whose calls can wait: those of others go
    /// first, and always find a place and a rest of the rate.
    #[must_use]
    pub fn backfill(&self) -> Self {
        Self { priority: Priority::Low, ..self.clone() }
    }

    /// The endpoints that may be asked now, by their place in the
    /// configuration, the best first.
    #[must_use]
    pub fn ranking(&self) -> Vec<usize> {
        self.order()
    }

    /// The chain's configured name.
    #[must_use]
    pub fn chain(&self) -> &Name {
        &self.shared.chain
    }

    /// The chain's configured id, which every endpoint that is asked has named.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.shared.chain_id
    }

    fn order(&self) -> Vec<usize> {
        let now = self.now();
        let gates: Vec<_> = self.shared.endpoints.iter().map(|it| gate(&it.endpoint)).collect();
        let mut health = self.health();
        self.welcome_back(&mut health, now);
        let mut order = order(&health, &gates, now);
        if let Some(only) = self.only {
            order.retain(|index| *index == only);
        }
        order
    }

    fn name(&self, index: usize) -> &Arc<str> {
        static NOBODY: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(|| "?".into());
        self.shared.names.get(index).unwrap_or(&NOBODY)
    }

    /// The clock of all that is known of the endpoints.
    fn now(&self) -> Duration {
        self.shared.started.elapsed()
    }

    fn health(&self) -> MutexGuard<'_, Vec<Health>> {
        lock(&self.shared.health)
    }

    fn ranges(&self) -> MutexGuard<'_, Vec<RangePolicy>> {
        lock(&self.shared.ranges)
    }
}

/// A panic can't leave these half-written: nothing panics while they are held.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gate(endpoint: &Endpoint) -> Gate {
    Gate { open: endpoint.guard().state() == BreakerState::Open, wait: endpoint.pacer().wait() }
}

#[cfg(test)]
mod tests;

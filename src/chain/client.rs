//! The RPC endpoints of one chain as one: chosen by health, failed over.
//!
//! A call goes to the healthiest endpoint and on to the next when that one
//! fails. Answers about the request itself (a revert, a nonce too low) are the
//! result, whoever gives them. Before its first call an endpoint must name the
//! chain's id; one that names another is quarantined.

mod calls;
mod follow;
mod logs;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy::primitives::U64;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{
    health::{ChainCheck, Health, order},
    ranges::RangePolicy,
    rpc::RpcError,
    rpc_errors::RpcErrorClass,
};
use crate::{
    actors::endpoint::{Call, EndpointActor},
    breakers::{Classify, FailureClass},
    domain::Name,
    supervisor::ActorRef,
};

pub use calls::SendOutcome;
pub use follow::{FollowError, Followed, Follower};
pub use logs::LogRange;

/// Bounds of a chain's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Longest time of one call at one endpoint: more than its guard takes
    /// with queueing and all its retries.
    pub call: Duration,
    /// Most blocks of one call for logs.
    pub range_blocks_max: u64,
}

/// Calls to one chain. Clones share what is known of the endpoints.
#[derive(Clone)]
pub struct ChainClient {
    shared: Arc<Shared>,
    /// The one endpoint that it asks, if it is narrowed to one.
    only: Option<usize>,
}

struct Shared {
    chain: Name,
    chain_id: u64,
    limits: ClientLimits,
    started: Instant,
    endpoints: Vec<ActorRef<EndpointActor>>,
    names: Vec<Arc<str>>,
    health: Mutex<Vec<Health>>,
    ranges: Mutex<Vec<RangePolicy>>,
}

/// An endpoint as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointStatus {
    /// Its actor's name.
    pub name: Arc<str>,
    /// Whether it serves this chain.
    pub chain: ChainCheck,
    /// Its head, when it was last asked.
    pub head: Option<u64>,
    /// Blocks behind the best endpoint, when all were last asked at one time.
    pub lag_blocks: u64,
    /// Failures in a row.
    pub failures: u32,
    /// Smoothed time of its answers, in milliseconds.
    pub latency_ms: Option<u64>,
    /// Blocks that it is asked for at once.
    pub range_blocks: u64,
}

impl ChainClient {
    /// A client of a chain's endpoints, the preferred first.
    #[must_use]
    pub fn new(
        chain: Name,
        chain_id: u64,
        endpoints: Vec<ActorRef<EndpointActor>>,
        limits: ClientLimits,
    ) -> Self {
        let count = endpoints.len();
        Self {
            shared: Arc::new(Shared {
                chain,
                chain_id,
                limits,
                started: Instant::now(),
                names: endpoints.iter().map(|endpoint| endpoint.name().into()).collect(),
                endpoints,
                health: Mutex::new(vec![Health::default(); count]),
                ranges: Mutex::new(vec![RangePolicy::new(limits.range_blocks_max); count]),
            }),
            only: None,
        }
    }

    /// A client of the same chain that asks one endpoint alone, for answers
    /// that must agree with each other.
    #[must_use]
    pub fn only(&self, endpoint: usize) -> Self {
        Self { shared: Arc::clone(&self.shared), only: Some(endpoint) }
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

    /// What is known of the endpoints.
    #[must_use]
    pub fn status(&self) -> Vec<EndpointStatus> {
        let health = self.health().clone();
        let ranges = self.ranges().clone();
        let known = health.into_iter().zip(ranges);
        self.shared
            .names
            .iter()
            .zip(known)
            .map(|(name, (health, range))| EndpointStatus {
                name: Arc::clone(name),
                chain: health.chain,
                head: health.head,
                lag_blocks: health.lag_blocks,
                failures: health.failures,
                latency_ms: health
                    .latency
                    .map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
                range_blocks: range.width(),
            })
            .collect()
    }

    /// A call that any endpoint may answer.
    async fn any<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: impl Serialize,
    ) -> Result<T, RpcError> {
        self.any_checked(method, params, |_: &T| Ok(())).await
    }

    /// A call that any endpoint may answer, whose answer must pass `check`.
    async fn any_checked<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: impl Serialize,
        check: impl Fn(&T) -> Result<(), String>,
    ) -> Result<T, RpcError> {
        let params = self.raw(method, params)?;
        let mut failure = None;
        for index in self.order() {
            match self.at(index, method, &params).await {
                Ok(answer) => match check(&answer) {
                    Ok(()) => return Ok(answer),
                    Err(reason) => failure = Some(self.wrong(index, method, reason)),
                },
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| self.no_endpoint()))
    }

    /// A call to one endpoint; its health is noted.
    async fn at<T: DeserializeOwned>(
        &self,
        index: usize,
        method: &'static str,
        params: &RawValue,
    ) -> Result<T, RpcError> {
        self.ensure_chain(index).await?;
        let answer = self.send(index, method, params, true).await?;
        serde_json::from_str(answer.get()).map_err(|error| self.wrong(index, method, error))
    }

    /// The bare call. `retried` has effect only where no other endpoint could
    /// be asked instead.
    async fn send(
        &self,
        index: usize,
        method: &'static str,
        params: &RawValue,
        retried: bool,
    ) -> Result<Box<RawValue>, RpcError> {
        let Shared { endpoints, limits, .. } = &*self.shared;
        let Some(endpoint) = endpoints.get(index) else { return Err(self.no_endpoint()) };
        let call = Call {
            method: method.into(),
            params: params.to_owned(),
            retried: retried && endpoints.len() == 1,
        };
        let asked = Instant::now();
        let result = match endpoint.send(call, limits.call).await {
            Ok(result) => result,
            Err(error) => Err(RpcError::from_actor(self.name(index), method, error)),
        };
        self.note(index, asked.elapsed(), result.as_ref().err());
        result
    }

    async fn ensure_chain(&self, index: usize) -> Result<(), RpcError> {
        let check = self.health().get(index).map(|health| health.chain).unwrap_or_default();
        let (expected, endpoint) = (self.shared.chain_id, Arc::clone(self.name(index)));
        match check {
            ChainCheck::Right => return Ok(()),
            ChainCheck::Wrong(found) => {
                return Err(RpcError::OtherChain { endpoint, expected, found });
            }
            ChainCheck::Unknown => {}
        }
        let method = "eth_chainId";
        let params = self.raw(method, ())?;
        let answer = self.send(index, method, &params, true).await?;
        let found: U64 =
            serde_json::from_str(answer.get()).map_err(|error| self.wrong(index, method, error))?;
        let found = found.to();
        let right = found == expected;
        if let Some(health) = self.health().get_mut(index) {
            health.chain = if right { ChainCheck::Right } else { ChainCheck::Wrong(found) };
        }
        if right {
            return Ok(());
        }
        tracing::error!(
            chain = %self.shared.chain, %endpoint, expected, found,
            "endpoint quarantined: it serves another chain"
        );
        Err(RpcError::OtherChain { endpoint, expected, found })
    }

    /// What an outcome says about the endpoint.
    fn note(&self, index: usize, took: Duration, error: Option<&RpcError>) {
        let now = self.shared.started.elapsed();
        let mut health = self.health();
        let Some(health) = health.get_mut(index) else { return };
        let Some(error) = error else { return health.succeeded(took) };
        match error.class() {
            FailureClass::Fault => health.failed(now, None),
            FailureClass::Overloaded { retry_after } => health.failed(now, retry_after),
            FailureClass::Answer => match error.refusal().map(|refusal| &refusal.class) {
                // Asking again won't help; others may have another plan.
                Some(RpcErrorClass::PlanRefused) => health.failed(now, None),
                Some(RpcErrorClass::Lagging) | None => {}
                Some(_) => health.succeeded(took),
            },
        }
    }

    /// An answer that can't be true: the endpoint is set aside for a while.
    fn wrong(&self, index: usize, method: &str, reason: impl ToString) -> RpcError {
        let error = RpcError::wrong(self.name(index), method, reason);
        tracing::warn!(chain = %self.shared.chain, %error, "an endpoint's answer was refused");
        self.note(index, Duration::ZERO, Some(&error));
        error
    }

    fn no_endpoint(&self) -> RpcError {
        RpcError::NoEndpoint { chain: self.shared.chain.to_string() }
    }

    /// Parameters as JSON.
    fn raw(&self, method: &str, params: impl Serialize) -> Result<Box<RawValue>, RpcError> {
        serde_json::value::to_raw_value(&params).map_err(|error| RpcError::Failed {
            endpoint: self.shared.chain.as_str().into(),
            method: method.to_owned(),
            reason: error.to_string(),
        })
    }

    fn order(&self) -> Vec<usize> {
        let mut order = order(&self.health(), self.shared.started.elapsed());
        if let Some(only) = self.only {
            order.retain(|index| *index == only);
        }
        order
    }

    fn name(&self, index: usize) -> &Arc<str> {
        static NOBODY: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(|| "?".into());
        self.shared.names.get(index).unwrap_or(&NOBODY)
    }

    fn health(&self) -> MutexGuard<'_, Vec<Health>> {
        self.shared.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ranges(&self) -> MutexGuard<'_, Vec<RangePolicy>> {
        self.shared.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether asking another endpoint would give the same.
fn is_final(error: &RpcError) -> bool {
    error.refusal().is_some_and(|refusal| {
        matches!(
            refusal.class,
            RpcErrorClass::Semantic
                | RpcErrorClass::TooManyAddresses
                | RpcErrorClass::RangeTooLarge { .. }
        )
    })
}

#[cfg(test)]
mod tests;

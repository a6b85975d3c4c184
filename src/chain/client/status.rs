//! What is known of the endpoints, for people.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{ChainClient, lock};
use crate::{
    actors::endpoint::Endpoint,
    breakers::BreakerState,
    chain::health::{ChainCheck, Health, Standing},
    clock,
};

/// How an endpoint stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum EndpointState {
    /// Nothing is against it.
    Healthy,
    /// It fails, lags, or its breaker is not closed: others are asked first.
    Degraded,
    /// It asked for fewer calls, and is asked less.
    Limited,
    /// It gave a wrong answer, and is not asked.
    Quarantined {
        /// The wrong answer.
        reason: Arc<str>,
        /// Until when, Unix seconds.
        until_unix_s: u64,
    },
    /// It gave a wrong answer some time ago, and is watched.
    Probation {
        /// The wrong answer.
        reason: Arc<str>,
    },
}

/// An endpoint as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointStatus {
    /// Its name.
    pub name: Arc<str>,
    /// How it stands.
    #[serde(flatten)]
    pub state: EndpointState,
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
    /// Credits (or calls) per second that it is asked for at most.
    pub rate_per_second: Option<u64>,
    /// Blocks that it is asked for at once.
    pub range_blocks: u64,
    /// Calls that it is given in one batch.
    pub batch_calls: usize,
}

impl ChainClient {
    /// What is known of the endpoints.
    #[must_use]
    pub fn status(&self) -> Vec<EndpointStatus> {
        let now = self.now();
        let health = {
            let mut health = self.health();
            self.welcome_back(&mut health, now);
            health.clone()
        };
        let ranges = self.ranges().clone();
        let batches = lock(&self.shared.batches).clone();
        let known = health.into_iter().zip(ranges).zip(batches);
        let endpoints = self.shared.endpoints.iter().map(|handle| &handle.endpoint);
        endpoints
            .zip(known)
            .map(|(endpoint, ((health, range), batch_calls))| EndpointStatus {
                name: Arc::clone(endpoint.name()),
                state: state(endpoint, &health, now),
                chain: health.chain,
                head: health.head,
                lag_blocks: health.lag_blocks,
                failures: health.failures,
                latency_ms: health
                    .latency
                    .map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
                // Whole numbers tell enough.
                rate_per_second: endpoint.pacer().rate().map(|rate| rate.ceil() as u64),
                range_blocks: range.width(),
                batch_calls,
            })
            .collect()
    }
}

fn state(endpoint: &Endpoint, health: &Health, now: Duration) -> EndpointState {
    match health.trust.standing(now) {
        Standing::Quarantined { reason, until } => {
            let until_unix_s = (clock::unix_now() + until.saturating_sub(now)).as_secs();
            EndpointState::Quarantined { reason, until_unix_s }
        }
        Standing::Probation { reason } => EndpointState::Probation { reason },
        Standing::Trusted if endpoint.pacer().is_cut() => EndpointState::Limited,
        Standing::Trusted
            if !health.is_well(now) || endpoint.guard().state() != BreakerState::Closed =>
        {
            EndpointState::Degraded
        }
        Standing::Trusted => EndpointState::Healthy,
    }
}

//! The bounds of each dependency, and the endpoints within theirs.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use crate::{
    actors::endpoint::{Endpoint, EndpointError},
    breakers::{BreakerSpec, GuardSpec, RetrySpec},
    chain::{
        rate::Plan as RatePlan,
        transport::{EndpointUrl, HttpLimits},
    },
    config::{self, SecretError},
    telemetry::Metrics,
};

/// Largest answer of an endpoint: some 100,000 logs.
const RESPONSE_BYTES_MAX: usize = 64 << 20;
/// Failures in a row that open a breaker.
const BREAKER_FAILURES: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);

/// Bounds for what is one of a kind: waiting takes as long as a call may.
pub(super) fn guard_spec(dependency: &str, concurrent: usize, limit: Duration) -> GuardSpec {
    GuardSpec {
        dependency: dependency.to_owned(),
        max_concurrent: NonZeroUsize::new(concurrent).unwrap_or(NonZeroUsize::MIN),
        max_queued: concurrent * 8,
        queue_timeout: limit,
        call_timeout: limit,
        breaker: BreakerSpec {
            consecutive_failures: BREAKER_FAILURES,
            cooldown_min: Duration::from_millis(500),
            cooldown_max: Duration::from_secs(15),
        },
        retry: RetrySpec {
            max_attempts: NonZeroU32::MIN.saturating_add(2),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(1),
            budget_percent: 20,
        },
    }
}

pub(super) fn endpoint_of(
    name: &str,
    endpoint: &config::Endpoint,
    metrics: &Metrics,
) -> Result<Endpoint, EndpointProblem> {
    let url: EndpointUrl = endpoint.url.resolve()?.expose().parse()?;
    let concurrent = usize::try_from(endpoint.max_concurrent).unwrap_or(1);
    let guard = guard_spec(name, concurrent, endpoint.call_timeout);
    let limits = HttpLimits {
        connect_timeout: endpoint.call_timeout,
        // The guard's limit comes first; this one frees the connection.
        total_timeout: endpoint.call_timeout * 2,
        response_bytes_max: RESPONSE_BYTES_MAX,
    };
    let plan = endpoint.rate.as_ref().map(|rate| RatePlan {
        per_second: rate.per_second,
        burst: rate.burst,
        costs: rate.costs.clone(),
        default_cost: rate.default_cost,
    });
    Ok(Endpoint::new(url, guard, limits, plan, metrics)?)
}

#[derive(Debug, thiserror::Error)]
pub(super) enum EndpointProblem {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Url(#[from] crate::chain::transport::InvalidEndpointUrl),
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

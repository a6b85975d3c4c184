//! The one way to call out: bulkhead ▸ breaker ▸ timeout, with retries.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use super::{
    breaker::{Breaker, BreakerState, Verdict},
    bulkhead::{Bulkhead, Full},
    classify::{Classify, FailureClass},
    counts::{Attempt, Counts},
    retry::{RetryBudget, pause},
    spec::{GuardSpec, GuardSpecError, RetrySpec, Terms},
};
use crate::teeth::{Tooth, is_planted};
use crate::telemetry::Metrics;

/// Guards the calls to one dependency. Clones share all of it.
#[derive(Clone, Debug)]
pub struct Guard {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dependency: Arc<str>,
    call_timeout: Duration,
    retry: RetrySpec,
    bulkhead: Bulkhead,
    breaker: Arc<Breaker>,
    budget: Mutex<RetryBudget>,
    counts: Counts,
}

/// Why a guarded call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError<E> {
    /// The dependency failed too often of late and is left alone. It was not called.
    #[error("`{dependency}` is left alone for now: its circuit breaker is open")]
    Open {
        /// The dependency's name.
        dependency: Arc<str>,
    },
    /// Too many calls are under way or waiting. It was not called.
    #[error("`{dependency}` is busy: all places for calls and in their queue are taken")]
    Full {
        /// The dependency's name.
        dependency: Arc<str>,
    },
    /// No answer within the limit. The call may have had its effect.
    #[error("`{dependency}` did not answer within {after_ms} ms")]
    TimedOut {
        /// The dependency's name.
        dependency: Arc<str>,
        /// The limit of one attempt.
        after_ms: u64,
    },
    /// The dependency's own error.
    #[error(transparent)]
    Inner(E),
}

/// A guard as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuardSnapshot {
    /// The dependency's name.
    pub dependency: String,
    /// The breaker's state.
    pub state: BreakerState,
    /// Attempts under way.
    pub in_flight: usize,
    /// Attempts waiting for a place.
    pub queued: usize,
    /// Attempts rejected since the start, by the breaker or the bulkhead.
    pub rejected: u64,
    /// Retries since the start.
    pub retries: u64,
}

impl Guard {
    /// A guard whose state and counts are in `metrics` under the dependency's name.
    ///
    /// # Errors
    /// When a value of the specification bounds nothing or contradicts another.
    pub fn new(spec: GuardSpec, metrics: &Metrics) -> Result<Self, GuardSpecError> {
        spec.validate()?;
        let labels = &[spec.dependency.as_str()];
        let shared = Shared {
            bulkhead: Bulkhead::new(
                spec.max_concurrent.get(),
                spec.max_queued,
                spec.queue_timeout,
                metrics.guard_in_flight.with_label_values(labels),
                metrics.guard_queued.with_label_values(labels),
            ),
            breaker: Breaker::new(&spec.breaker, metrics.breaker_state.with_label_values(labels)),
            budget: Mutex::new(RetryBudget::new(spec.retry.budget_percent)),
            counts: Counts::new(&spec.dependency, metrics),
            dependency: spec.dependency.into(),
            call_timeout: spec.call_timeout,
            retry: spec.retry,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Calls, and calls again after faults, timeouts and requests to slow
    /// down. Only for what may happen twice.
    ///
    /// Each attempt enters the bulkhead anew: a pause holds no place. When
    /// the breaker or the bulkhead rejects a retry, the error is the one that
    /// led to the retry.
    ///
    /// # Errors
    /// See [`GuardError`].
    pub async fn call<T, E, F, Fut>(&self, op: F) -> Result<T, GuardError<E>>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Classify,
    {
        self.call_on(Terms::default(), op).await
    }

    /// As [`Self::call`], on terms of its own.
    ///
    /// # Errors
    /// See [`GuardError`].
    pub async fn call_on<T, E, F, Fut>(&self, terms: Terms, mut op: F) -> Result<T, GuardError<E>>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Classify,
    {
        let mut failure = match self.first_attempt(terms, &mut op).await {
            Err(failure) => failure,
            done => return done,
        };
        let spec = &self.shared.retry;
        for retry in 1..spec.max_attempts.get() {
            let Some(hint) = retry_hint(&failure) else { break };
            let Some(pause) = pause(spec, retry, hint, crate::chance::random()) else { break };
            if !self.with_budget(RetryBudget::spend) {
                break;
            }
            sleep(pause).await;
            self.shared.counts.retries.inc();
            match self.attempt(terms, &mut op).await {
                Err(GuardError::Open { .. } | GuardError::Full { .. }) => break,
                Err(again) => failure = again,
                done => return done,
            }
        }
        Err(failure)
    }

    /// Calls without a retry: for what must not happen twice.
    ///
    /// # Errors
    /// See [`GuardError`].
    pub async fn call_once<T, E, F, Fut>(&self, op: F) -> Result<T, GuardError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Classify,
    {
        self.call_once_on(Terms::default(), op).await
    }

    /// As [`Self::call_once`], on terms of its own.
    ///
    /// # Errors
    /// See [`GuardError`].
    pub async fn call_once_on<T, E, F, Fut>(&self, terms: Terms, op: F) -> Result<T, GuardError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Classify,
    {
        self.first_attempt(terms, op).await
    }

    /// The breaker's state now.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.shared.breaker.state()
    }

    /// What `status` shows.
    #[must_use]
    pub fn snapshot(&self) -> GuardSnapshot {
        let shared = &self.shared;
        GuardSnapshot {
            dependency: shared.dependency.to_string(),
            state: self.state(),
            in_flight: shared.bulkhead.in_flight(),
            queued: shared.bulkhead.queued(),
            rejected: shared.counts.rejected_open.get() + shared.counts.rejected_full.get(),
            retries: shared.counts.retries.get(),
        }
    }

    async fn first_attempt<T, E, Fut>(
        &self,
        terms: Terms,
        op: impl FnOnce() -> Fut,
    ) -> Result<T, GuardError<E>>
    where
        Fut: Future<Output = Result<T, E>>,
        E: Classify,
    {
        let result = self.attempt(terms, op).await;
        // Calls that never left earn no retries: an outage must not fill the budget.
        if !matches!(result, Err(GuardError::Open { .. } | GuardError::Full { .. })) {
            self.with_budget(RetryBudget::earn);
        }
        result
    }

    async fn attempt<T, E, Fut>(
        &self,
        terms: Terms,
        op: impl FnOnce() -> Fut,
    ) -> Result<T, GuardError<E>>
    where
        Fut: Future<Output = Result<T, E>>,
        E: Classify,
    {
        let Shared { dependency, counts, breaker, .. } = &*self.shared;
        // Asked before queueing too: who would be rejected need not wait for it.
        if breaker.state() == BreakerState::Open {
            counts.rejected_open.inc();
            return Err(GuardError::Open { dependency: Arc::clone(dependency) });
        }
        let Ok(_place) = self.shared.bulkhead.enter(terms.priority).await.map_err(|Full| {
            counts.rejected_full.inc();
        }) else {
            return Err(GuardError::Full { dependency: Arc::clone(dependency) });
        };
        let Some(admission) = breaker.admit() else {
            counts.rejected_open.inc();
            return Err(GuardError::Open { dependency: Arc::clone(dependency) });
        };
        let mut attempt = Attempt { counts, outcome: &counts.dropped, since: Instant::now() };
        let most = self.shared.call_timeout;
        let limit = terms.limit.map_or(most, |limit| limit.min(most));
        let (verdict, outcome, result) = match timeout(limit, op()).await {
            Ok(Ok(value)) => (Verdict::Works, &counts.ok, Ok(value)),
            Ok(Err(error)) => {
                let (verdict, outcome) = match error.class() {
                    FailureClass::Fault => (Verdict::AtFault, &counts.fault),
                    FailureClass::Overloaded { .. } => (Verdict::Unclear, &counts.overloaded),
                    FailureClass::Barred => (Verdict::Barred, &counts.fault),
                    FailureClass::Answer if is_planted(Tooth::BreakerCountsReverts) => {
                        (Verdict::Barred, &counts.answer)
                    }
                    FailureClass::Answer => (Verdict::Works, &counts.answer),
                };
                (verdict, outcome, Err(GuardError::Inner(error)))
            }
            Err(_) => {
                let after_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
                let error = GuardError::TimedOut { dependency: Arc::clone(dependency), after_ms };
                (Verdict::AtFault, &counts.timeout, Err(error))
            }
        };
        attempt.outcome = outcome;
        admission.settle(verdict);
        result
    }

    fn with_budget<R>(&self, step: impl FnOnce(&mut RetryBudget) -> R) -> R {
        step(&mut self.shared.budget.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// None: not to be retried. Some: with the dependency's own wish, if any.
fn retry_hint<E: Classify>(failure: &GuardError<E>) -> Option<Option<Duration>> {
    match failure {
        GuardError::Open { .. } | GuardError::Full { .. } => None,
        GuardError::TimedOut { .. } => Some(None),
        GuardError::Inner(error) => match error.class() {
            FailureClass::Fault => Some(None),
            FailureClass::Overloaded { retry_after } => Some(retry_after),
            FailureClass::Barred | FailureClass::Answer => None,
        },
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;

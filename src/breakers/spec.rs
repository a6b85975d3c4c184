//! The bounds without which no guard can be built.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

/// Nothing here takes longer. Keeps sums of limits far from the clock's range.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Who goes first when places are short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// What somebody waits for.
    #[default]
    Normal,
    /// What can wait: it never takes the last quarter of places.
    Low,
}

/// How one call differs from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// See [`Priority`].
    pub priority: Priority,
    /// Longest time of an attempt, where it is less than the guard's.
    pub limit: Option<Duration>,
}

/// Everything a guard bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardSpec {
    /// The dependency's name, in metrics and errors.
    pub dependency: String,
    /// Attempts that may be under way at once.
    pub max_concurrent: NonZeroUsize,
    /// Attempts that may wait for a place; more are rejected at once.
    pub max_queued: usize,
    /// Longest wait for a place.
    pub queue_timeout: Duration,
    /// Longest time of one attempt.
    pub call_timeout: Duration,
    /// When the dependency is left alone.
    pub breaker: BreakerSpec,
    /// When an attempt is repeated.
    pub retry: RetrySpec,
}

/// When the breaker opens and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerSpec {
    /// Faults in a row that open it.
    pub consecutive_failures: NonZeroU32,
    /// First time open; doubles with each failed probe.
    pub cooldown_min: Duration,
    /// Longest time open.
    pub cooldown_max: Duration,
}

/// How often and how fast an attempt is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrySpec {
    /// Attempts of one call, the first included.
    pub max_attempts: NonZeroU32,
    /// Upper bound of the first pause; doubles with each retry.
    pub backoff_min: Duration,
    /// Longest pause. A dependency that asks for a longer one isn't retried.
    pub backoff_max: Duration,
    /// Retries per hundred calls, beyond a small reserve: 1 to 100. May be 0
    /// where `max_attempts` is 1.
    pub budget_percent: u32,
}

/// Why a guard can't be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("guard of `{dependency}`: `{key}` is {given}; use {remedy}")]
pub struct GuardSpecError {
    /// The guard's dependency.
    pub dependency: String,
    /// The field of the specification.
    pub key: &'static str,
    /// Its value.
    pub given: String,
    /// What it may be.
    pub remedy: &'static str,
}

impl GuardSpec {
    /// Finds the first value that bounds nothing.
    pub(super) fn validate(&self) -> Result<(), GuardSpecError> {
        let refuse = |key, given, remedy| {
            Err(GuardSpecError { dependency: self.dependency.clone(), key, given, remedy })
        };
        if self.dependency.is_empty() {
            return refuse("dependency", "empty".to_owned(), "the dependency's name");
        }
        if self.max_concurrent.get() > tokio::sync::Semaphore::MAX_PERMITS {
            return refuse("max_concurrent", self.max_concurrent.to_string(), "a smaller number");
        }
        let mut durations = vec![
            ("call_timeout", self.call_timeout),
            ("breaker.cooldown_min", self.breaker.cooldown_min),
            ("breaker.cooldown_max", self.breaker.cooldown_max),
            ("retry.backoff_min", self.retry.backoff_min),
            ("retry.backoff_max", self.retry.backoff_max),
        ];
        if self.max_queued > 0 {
            durations.push(("queue_timeout", self.queue_timeout));
        }
        for (key, given) in durations {
            if given.is_zero() || given > LONGEST {
                return refuse(key, format!("{given:?}"), "more than 0 and at most 24 h");
            }
        }
        if self.breaker.cooldown_min > self.breaker.cooldown_max {
            let given = format!("{:?}", self.breaker.cooldown_min);
            return refuse("breaker.cooldown_min", given, "at most `breaker.cooldown_max`");
        }
        if self.retry.backoff_min > self.retry.backoff_max {
            let given = format!("{:?}", self.retry.backoff_min);
            return refuse("retry.backoff_min", given, "at most `retry.backoff_max`");
        }
        let percent = self.retry.budget_percent;
        let needed = u32::from(self.retry.max_attempts.get() > 1);
        if !(needed..=100).contains(&percent) {
            return refuse("retry.budget_percent", percent.to_string(), "1 to 100");
        }
        Ok(())
    }
}

//! Whether and when an attempt is repeated. Pure: random numbers are inputs.

use std::time::Duration;

use super::spec::RetrySpec;

/// Retries that a quiet dependency may use before calls have earned any, and
/// the most that are saved up.
const RESERVE: u32 = 10;
/// A retry's price; a call earns `budget_percent` of it.
const RETRY: u32 = 100;

/// A token bucket of retries: calls fill it, retries empty it. When most
/// calls fail, retries stay below the stated share of calls instead of
/// multiplying the load on what is already down.
#[derive(Debug)]
pub(super) struct RetryBudget {
    percent: u32,
    tokens: u32,
}

impl RetryBudget {
    pub(super) fn new(percent: u32) -> Self {
        Self { percent, tokens: if percent == 0 { 0 } else { RESERVE * RETRY } }
    }

    /// A call's first attempt was made.
    pub(super) fn earn(&mut self) {
        self.tokens = (self.tokens + self.percent).min(RESERVE * RETRY);
    }

    /// Takes a retry out, if there is one.
    pub(super) fn spend(&mut self) -> bool {
        let left = self.tokens.checked_sub(RETRY);
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }
}

/// The pause before retry number `retry` (from 1), or none when the
/// dependency asked for a longer one than this caller may wait. `random` is
/// from 0 to 1.
///
/// Full jitter (anywhere from 0 to the exponential bound) spreads callers that
/// failed together best. After a hint the jitter comes on top: not a moment
/// earlier than told, and not all at once.
pub(super) fn pause(
    spec: &RetrySpec,
    retry: u32,
    hint: Option<Duration>,
    random: f64,
) -> Option<Duration> {
    let bound = spec
        .backoff_min
        .saturating_mul(1_u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX))
        .min(spec.backoff_max);
    match hint {
        None => Some(bound.mul_f64(random.clamp(0.0, 1.0))),
        Some(hint) if hint <= spec.backoff_max => {
            Some(hint + spec.backoff_min.mul_f64(random.clamp(0.0, 1.0)))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    fn spec(min_ms: u64, max_ms: u64) -> RetrySpec {
        RetrySpec {
            max_attempts: NonZeroU32::MIN,
            backoff_min: Duration::from_millis(min_ms),
            backoff_max: Duration::from_millis(max_ms),
            budget_percent: 10,
        }
    }

    proptest! {
        #[test]
        fn retries_never_exceed_the_reserve_and_the_share_of_calls(
            percent in 1_u32..=100,
            steps in prop::collection::vec(any::<bool>(), 0..2_000),
        ) {
            let mut budget = RetryBudget::new(percent);
            let (mut calls, mut retries) = (0_u32, 0_u32);
            for is_call in steps {
                if is_call {
                    budget.earn();
                    calls += 1;
                } else {
                    retries += u32::from(budget.spend());
                }
                prop_assert!(retries <= RESERVE + calls * percent / 100);
            }
        }

        #[test]
        fn a_pause_grows_within_its_bounds(
            min in 1_u64..1_000, more in 0_u64..100_000, retry in 1_u32..200, random in 0.0..1.0,
        ) {
            let spec = spec(min, min + more);
            let longest = pause(&spec, retry, None, 1.0).unwrap();
            prop_assert!(longest >= spec.backoff_min && longest <= spec.backoff_max);
            prop_assert!(pause(&spec, retry + 1, None, 1.0).unwrap() >= longest);
            prop_assert!(pause(&spec, retry, None, random).unwrap() <= longest);
        }

        #[test]
        fn a_hint_is_never_undercut(hint in 0_u64..5_000, random in 0.0..1.0) {
            let hint = Duration::from_millis(hint);
            match pause(&spec(100, 2_000), 1, Some(hint), random) {
                Some(pause) => prop_assert!(pause >= hint && hint <= Duration::from_secs(2)),
                None => prop_assert!(hint > Duration::from_secs(2)),
            }
        }
    }

    #[test]
    fn without_a_share_there_is_no_reserve_either() {
        let mut budget = RetryBudget::new(0);
        budget.earn();
        assert!(!budget.spend());
    }
}

//! Which of a chain's endpoints to ask first.
//!
//! A failure sets an endpoint aside for a time that doubles with each further
//! one; after it, it is asked again like any other. One that serves another
//! chain is never asked.

use std::time::Duration;

use serde::Serialize;

/// First time aside.
const ASIDE_MIN: Duration = Duration::from_millis(250);
/// Longest time aside.
const ASIDE_MAX: Duration = Duration::from_secs(60);
/// Heads that far behind the best of one sampling count as lagging.
const LAG_BLOCKS: u64 = 2;

/// Whether an endpoint serves the chain it is configured for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainCheck {
    /// Not asked yet.
    #[default]
    Unknown,
    /// It does.
    Right,
    /// It serves this chain id: quarantined.
    Wrong(u64),
}

/// What is known of one endpoint.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// See [`ChainCheck`].
    pub chain: ChainCheck,
    /// Its head, when it was last asked.
    pub head: Option<u64>,
    /// Blocks behind the best head, when all were last asked at one time.
    pub lag_blocks: u64,
    /// Failures in a row.
    pub failures: u32,
    /// Smoothed time of its answers.
    pub latency: Option<Duration>,
    aside_until: Duration,
}

impl Health {
    /// It answered, after `took`.
    pub fn succeeded(&mut self, took: Duration) {
        self.failures = 0;
        self.aside_until = Duration::ZERO;
        self.latency = Some(self.latency.map_or(took, |before| (before * 7 + took) / 8));
    }

    /// It failed at `now` (any clock that never goes back), asking to be left
    /// alone for `wish`.
    pub fn failed(&mut self, now: Duration, wish: Option<Duration>) {
        let aside = ASIDE_MIN.saturating_mul(1 << self.failures.min(16)).min(ASIDE_MAX);
        self.failures = self.failures.saturating_add(1);
        self.aside_until = now + aside.max(wish.unwrap_or_default()).min(ASIDE_MAX);
    }

    /// Its head is at this height now; it may have been higher.
    pub fn saw(&mut self, head: u64) {
        self.head = Some(head);
    }

    fn rank(&self, now: Duration) -> (bool, bool, u32) {
        // Within a factor of two, latencies are alike: the order of the
        // configuration decides, and the choice does not flap.
        let latency = self.latency.map_or(0, |latency| latency.as_millis().max(1).ilog2());
        (self.aside_until > now, self.lag_blocks > LAG_BLOCKS, latency)
    }
}

/// Indexes of the endpoints in the order in which to ask them at `now`. Those
/// set aside come last rather than never: when all fail, one must be tried.
#[must_use]
pub fn order(endpoints: &[Health], now: Duration) -> Vec<usize> {
    let mut order: Vec<_> = endpoints
        .iter()
        .enumerate()
        .filter(|(_, health)| !matches!(health.chain, ChainCheck::Wrong(_)))
        .map(|(index, health)| (health.rank(now), index))
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, index)| index).collect()
}

/// Notes heads that were asked for at one time (`None`: no answer).
pub fn compare_heads(endpoints: &mut [Health], heads: &[Option<u64>]) {
    let best = heads.iter().flatten().max().copied().unwrap_or(0);
    for (health, head) in endpoints.iter_mut().zip(heads) {
        if let Some(head) = head {
            health.saw(*head);
            health.lag_blocks = best - head;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_failed_endpoint_is_set_aside_and_comes_back() {
        let mut all = vec![Health::default(), Health::default()];
        assert_eq!(order(&all, ms(0)), [0, 1]);
        all[0].failed(ms(0), None);
        assert_eq!(order(&all, ms(100)), [1, 0]);
        assert_eq!(order(&all, ms(250)), [0, 1]);
        all[0].failed(ms(250), None);
        assert_eq!(order(&all, ms(740)), [1, 0], "the second time it is longer");
        all[0].succeeded(ms(1));
        assert_eq!(order(&all, ms(740)), [0, 1]);
    }

    #[test]
    fn a_wish_to_be_left_alone_is_honoured_within_reason() {
        let mut all = vec![Health::default(), Health::default()];
        all[0].failed(ms(0), Some(Duration::from_secs(5)));
        assert_eq!(order(&all, ms(4_999)), [1, 0]);
        all[0].failed(ms(5_000), Some(Duration::from_secs(86_400)));
        assert_eq!(order(&all, ms(65_000)), [0, 1]);
    }

    #[test]
    fn a_lagging_or_slow_endpoint_comes_later_and_a_foreign_one_never() {
        let mut all = vec![Health::default(); 4];
        for (health, latency) in all.iter_mut().zip([10, 300, 12, 10]) {
            health.succeeded(ms(latency));
        }
        all[3].chain = ChainCheck::Wrong(5);
        compare_heads(&mut all, &[Some(90), Some(100), Some(99), Some(100)]);
        assert_eq!(order(&all, ms(0)), [2, 1, 0]);
        assert_eq!(all[0].lag_blocks, 10);
    }
}

//! Which of a chain's endpoints to ask first.
//!
//! A failure sets an endpoint aside for a time that doubles with each further
//! one; after it, it is asked again like any other. One that lied is not asked
//! at all for a while: see [`trust`](Trust). Among those that are well, the
//! one that fails less, waits less and answers faster goes first; what is
//! known of that fades, so that one that was slow is tried again.

mod trust;

use std::time::Duration;

use serde::Serialize;

pub(crate) use trust::COMPARED;
pub use trust::{Standing, Trust};

/// First time aside.
const ASIDE_MIN: Duration = Duration::from_millis(250);
/// Longest time aside.
const ASIDE_MAX: Duration = Duration::from_secs(60);
/// Heads that far behind the best of one sampling count as lagging.
const LAG_BLOCKS: u64 = 2;
/// What is known of speed and failures is worth half after this time.
const FADES: Duration = Duration::from_secs(60);
/// Weight of one call in the share of failures.
const SMOOTHING: f64 = 0.1;
/// Shares of failures from which an endpoint counts as bad, and as worse.
const BAD: f64 = 0.25;
const WORSE: f64 = 0.6;

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
    /// Whether it is believed.
    pub trust: Trust,
    /// When its answers may be compared with another's again.
    pub compared_until: Duration,
    faults: f64,
    known_at: Duration,
    aside_until: Duration,
}

/// What others know of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// Its breaker is open.
    pub open: bool,
    /// A call would wait so long for its rate.
    pub wait: Duration,
}

/// What makes one endpoint worse than another, the weightiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    probation: bool,
    aside: bool,
    lags: bool,
    faults: u8,
    waits: u8,
    latency: u32,
}

impl Health {
    /// It answered at `now` (any clock that never goes back), after `took`.
    pub fn succeeded(&mut self, now: Duration, took: Duration) {
        self.failures = 0;
        self.aside_until = Duration::ZERO;
        self.know(now, 0.0);
        self.latency = Some(self.latency.map_or(took, |before| (before * 7 + took) / 8));
    }

    /// It failed at `now`.
    pub fn failed(&mut self, now: Duration) {
        self.set_aside(now, None);
        self.know(now, 1.0);
    }

    /// It is not to be asked for a while, as long as it wishes or longer.
    pub fn set_aside(&mut self, now: Duration, wish: Option<Duration>) {
        let aside = ASIDE_MIN.saturating_mul(1 << self.failures.min(16)).min(ASIDE_MAX);
        self.failures = self.failures.saturating_add(1);
        self.aside_until = now + aside.max(wish.unwrap_or_default()).min(ASIDE_MAX);
    }

    /// It had not answered after `took`, when nobody waited any longer.
    pub fn slower_than(&mut self, now: Duration, took: Duration) {
        if self.latency.is_none_or(|latency| latency < took) {
            self.know(now, self.faults_at(now));
            self.latency = Some(took);
        }
    }

    /// Its head is at this height now; it may have been higher.
    pub fn saw(&mut self, head: u64) {
        self.head = Some(head);
    }

    /// Whether there is nothing against asking it at `now`.
    #[must_use]
    pub fn is_well(&self, now: Duration) -> bool {
        self.aside_until <= now
            && self.faults_at(now) < BAD
            && self.lag_blocks <= LAG_BLOCKS
            && self.trust.standing(now) == Standing::Trusted
    }

    /// Smoothed time of its answers, as far as that still tells something.
    #[must_use]
    pub fn latency_at(&self, now: Duration) -> Option<Duration> {
        self.latency.map(|latency| latency.mul_f64(self.worth(now)))
    }

    fn know(&mut self, now: Duration, fault: f64) {
        self.faults = self.faults_at(now) * (1.0 - SMOOTHING) + fault * SMOOTHING;
        self.latency = self.latency_at(now);
        self.known_at = now;
    }

    fn faults_at(&self, now: Duration) -> f64 {
        self.faults * self.worth(now)
    }

    /// From 1 for what was learnt just now towards 0.
    fn worth(&self, now: Duration) -> f64 {
        (-now.saturating_sub(self.known_at).div_duration_f64(FADES)).exp2()
    }

    fn rank(&self, now: Duration, gate: Gate) -> Rank {
        let latency = self.latency_at(now).map_or(0, |latency| latency.as_millis().max(1).ilog2());
        let faults = self.faults_at(now);
        Rank {
            probation: self.trust.is_on_probation(now),
            aside: self.aside_until > now || gate.open,
            lags: self.lag_blocks > LAG_BLOCKS,
            faults: u8::from(faults >= BAD) + u8::from(faults >= WORSE),
            waits: u8::from(!gate.wait.is_zero()) + u8::from(gate.wait >= Duration::from_secs(1)),
            // Within a factor of two, latencies are alike: the order of the
            // configuration decides, and the choice does not flap.
            latency,
        }
    }
}

/// Indexes of the endpoints in the order in which to ask them at `now`. Those
/// set aside come last rather than never: when all fail, one must be tried.
/// Those that lied are left out.
#[must_use]
pub fn order(endpoints: &[Health], gates: &[Gate], now: Duration) -> Vec<usize> {
    let gates = gates.iter().copied().chain(std::iter::repeat(Gate::default()));
    let mut order: Vec<_> = endpoints
        .iter()
        .zip(gates)
        .enumerate()
        .filter(|(_, (health, _))| !health.trust.is_quarantined(now))
        .map(|(index, (health, gate))| (health.rank(now, gate), index))
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

    fn order(endpoints: &[Health], now: Duration) -> Vec<usize> {
        super::order(endpoints, &[], now)
    }

    #[test]
    fn a_failed_endpoint_is_set_aside_and_comes_back() {
        let mut all = vec![Health::default(), Health::default()];
        assert_eq!(order(&all, ms(0)), [0, 1]);
        all[0].failed(ms(0));
        assert_eq!(order(&all, ms(100)), [1, 0]);
        assert_eq!(order(&all, ms(250)), [0, 1]);
        all[0].failed(ms(250));
        assert_eq!(order(&all, ms(740)), [1, 0], "the second time it is longer");
        all[0].succeeded(ms(740), ms(1));
        assert_eq!(order(&all, ms(740)), [0, 1]);
    }

    #[test]
    fn a_wish_to_be_left_alone_is_honoured_within_reason() {
        let mut all = vec![Health::default(), Health::default()];
        all[0].set_aside(ms(0), Some(Duration::from_secs(5)));
        assert_eq!(order(&all, ms(4_999)), [1, 0]);
        all[0].set_aside(ms(5_000), Some(Duration::from_secs(86_400)));
        assert_eq!(order(&all, ms(65_000)), [0, 1]);
    }

    #[test]
    fn a_lagging_or_slow_endpoint_comes_later_and_one_that_lied_not_at_all() {
        let mut all = vec![Health::default(); 4];
        for (health, latency) in all.iter_mut().zip([10, 300, 12, 10]) {
            health.succeeded(ms(0), ms(latency));
        }
        all[3].trust.lied(ms(0), "it lied");
        compare_heads(&mut all, &[Some(90), Some(100), Some(99), Some(100)]);
        assert_eq!(order(&all, ms(0)), [2, 1, 0]);
        assert_eq!(all[0].lag_blocks, 10);
        let later = Duration::from_secs(61);
        assert_eq!(order(&all, later), [2, 1, 0, 3], "on probation it comes last");
    }

    #[test]
    fn one_that_often_fails_comes_after_one_that_does_not() {
        let mut all = vec![Health::default(), Health::default()];
        for call in 0..100 {
            all[1].succeeded(ms(call), ms(40));
            match call % 2 {
                0 => all[0].failed(ms(call)),
                _ => all[0].succeeded(ms(call), ms(1)),
            }
        }
        assert_eq!(order(&all, ms(99)), [1, 0]);
        assert!(!all[0].is_well(ms(99)));
        // What is long ago is forgotten.
        assert_eq!(order(&all, Duration::from_secs(300)), [0, 1]);
    }

    #[test]
    fn a_slow_one_is_tried_again_after_a_while() {
        let mut all = vec![Health::default(), Health::default()];
        all[0].slower_than(ms(0), ms(800));
        all[1].succeeded(ms(0), ms(50));
        assert_eq!(order(&all, ms(0)), [1, 0]);
        for second in 0..600 {
            all[1].succeeded(Duration::from_secs(second), ms(50));
        }
        assert_eq!(order(&all, Duration::from_secs(600)), [0, 1]);
    }

    #[test]
    fn an_open_breaker_or_a_spent_rate_sends_calls_elsewhere() {
        let all = vec![Health::default(); 3];
        let open = Gate { open: true, wait: Duration::ZERO };
        let waits = |wait| Gate { open: false, wait: ms(wait) };
        assert_eq!(super::order(&all, &[open, waits(1), waits(0)], ms(0)), [2, 1, 0]);
        assert_eq!(super::order(&all, &[waits(2_000), waits(20), open], ms(0)), [1, 0, 2]);
    }
}

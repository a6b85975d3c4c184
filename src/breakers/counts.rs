//! A dependency's counts.

use prometheus::{Histogram, IntCounter};
use tokio::time::Instant;

use crate::telemetry::Metrics;

/// The dependency's metrics, looked up once.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) ok: IntCounter,
    pub(super) answer: IntCounter,
    pub(super) overloaded: IntCounter,
    pub(super) fault: IntCounter,
    pub(super) timeout: IntCounter,
    pub(super) dropped: IntCounter,
    pub(super) rejected_open: IntCounter,
    pub(super) rejected_full: IntCounter,
    pub(super) retries: IntCounter,
    seconds: Histogram,
}

impl Counts {
    pub(super) fn new(dependency: &str, metrics: &Metrics) -> Self {
        let outcome = |outcome| metrics.guard_calls_total.with_label_values(&[dependency, outcome]);
        Self {
            ok: outcome("ok"),
            answer: outcome("answer"),
            overloaded: outcome("overloaded"),
            fault: outcome("fault"),
            timeout: outcome("timeout"),
            dropped: outcome("dropped"),
            rejected_open: outcome("rejected_open"),
            rejected_full: outcome("rejected_full"),
            retries: metrics.guard_retries_total.with_label_values(&[dependency]),
            seconds: metrics.guard_call_seconds.with_label_values(&[dependency]),
        }
    }
}

/// Counts an attempt that reached the dependency, even when its future is dropped.
pub(super) struct Attempt<'a> {
    pub(super) counts: &'a Counts,
    pub(super) outcome: &'a IntCounter,
    pub(super) since: Instant,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.outcome.inc();
        self.counts.seconds.observe(self.since.elapsed().as_secs_f64());
    }
}

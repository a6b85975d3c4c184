//! What happens in the tree of actors, as metrics.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    supervisor::{EndReason, TreeObserver},
    telemetry::Metrics,
};

/// Turns what happens in the tree into metrics.
pub(super) struct TreeMetrics {
    metrics: Metrics,
    transactions: Arc<Mutex<i64>>,
}

impl TreeMetrics {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { metrics, transactions: Arc::new(Mutex::new(0)) }
    }

    /// Transaction actors come and go with their nonces: as one series per
    /// signer, or labels would grow without bound.
    fn label(actor: &str) -> &str {
        match actor.strip_prefix("tx/") {
            Some(rest) => rest.split_once('/').map_or(actor, |(signer, _)| {
                actor.get(.."tx/".len() + signer.len()).unwrap_or(actor)
            }),
            None => actor,
        }
    }
}

impl TreeObserver for TreeMetrics {
    fn up(&self, actor: &str, up: bool) {
        let label = Self::label(actor);
        if label == actor {
            self.metrics.actor_up.with_label_values(&[label]).set(i64::from(up));
            // Makes the series exist before the first failure.
            self.metrics.actor_failed.with_label_values(&[label]).set(0);
        } else {
            let mut count = self.transactions.lock().unwrap_or_else(PoisonError::into_inner);
            *count += if up { 1 } else { -1 };
            self.metrics.actor_up.with_label_values(&[label]).set((*count).max(0));
        }
    }

    fn restarted(&self, actor: &str, reason: EndReason) {
        self.metrics
            .actor_restarts_total
            .with_label_values(&[Self::label(actor), reason.as_str()])
            .inc();
    }

    fn failed(&self, actor: &str) {
        self.metrics.actor_failed.with_label_values(&[Self::label(actor)]).set(1);
    }

    fn forgotten(&self, actor: &str) {
        if Self::label(actor) == actor {
            let _ = self.metrics.actor_up.remove_label_values(&[actor]);
            let _ = self.metrics.actor_failed.remove_label_values(&[actor]);
        }
    }
}

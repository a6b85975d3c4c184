//! What a signer's metrics show.

use alloy::primitives::U256;

use super::{SignerActor, books::Books, unix_ms};
use crate::signing::ledger::NonceRecord;

impl SignerActor {
    pub(super) fn measure(&self, books: &Books) {
        let metrics = &self.spec.shared.metrics;
        let label = [self.name().as_str()];
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        metrics
            .signer_queued_unlocks
            .with_label_values(&label)
            .set(count(books.ledger.ready().len()));
        metrics
            .signer_in_flight_transactions
            .with_label_values(&label)
            .set(count(books.ledger.live_nonces().count()));
        metrics
            .signer_next_nonce
            .with_label_values(&label)
            .set(i64::try_from(books.ledger.next_nonce()).unwrap_or(i64::MAX));
        let signed_at = |record: &NonceRecord| Some(record.attempts.first()?.signed_at_unix_s);
        let oldest = books.ledger.live_nonces().filter_map(signed_at).min();
        let age = oldest.map_or(0, |at| (unix_ms() / 1000).saturating_sub(at));
        metrics
            .signer_oldest_transaction_seconds
            .with_label_values(&label)
            .set(i64::try_from(age).unwrap_or(i64::MAX));
        if let Some((wei, _)) = self.balance {
            metrics.signer_balance_ether.with_label_values(&label).set(ether(wei));
        }
        let now = unix_ms() / 1000;
        metrics
            .signer_spent_today_ether
            .with_label_values(&label)
            .set(ether(books.spending.spent_wei(now)));
        for (set, wei) in books.spending.spent_by_set_wei(now) {
            let labels = [self.name().as_str(), set.as_str()];
            metrics.rule_set_spent_today_ether.with_label_values(&labels).set(ether(wei));
        }
    }
}

/// Wei as ether, for gauges: a float is good enough there and nowhere else.
fn ether(wei: U256) -> f64 {
    f64::from(wei) / 1e18
}

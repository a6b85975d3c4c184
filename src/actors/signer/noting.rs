//! What transaction actors report, taken into the books.

use std::{collections::BTreeSet, time::Duration};

use alloy::primitives::U256;

use super::{
    FromTransaction, Reported, SignerActor, Trouble, books::Books, reopening::ORPHANED, unix_ms,
};
use crate::{
    domain::{TransactionMessage, TransactionState},
    signing::{
        gas::GasReceipt,
        ledger::{AttemptKind, Changes, Execution, Fate, Mined, NonceRecord, Outcome, Purpose},
        retold::DISPLACED,
    },
};

/// Reports that one commit takes in.
const AT_ONCE: usize = 32;

/// What reports that came together changed.
#[derive(Default)]
struct Noted {
    changes: Changes,
    told: Vec<TransactionMessage>,
    nonces: BTreeSet<u64>,
}

/// The record of a nonce whose fate is not final.
fn live(books: &Books, nonce: u64) -> Option<NonceRecord> {
    books.ledger.nonce(nonce).filter(|record| record.is_live()).cloned()
}

impl SignerActor {
    /// Takes what transaction actors report into the ledger, what came together
    /// with one commit.
    pub(super) async fn note_reports(&mut self, books: &mut Books) -> Result<(), Trouble> {
        while let Some(report) = self.reports.front().cloned() {
            if let Reported::Wants(what) = report.what {
                // Asked again by who still wants it: signing twice for one wish
                // would only raise the price.
                self.reports.pop_front();
                if let Some(record) = live(books, report.nonce) {
                    self.replace(books, &record, what).await?;
                }
                continue;
            }
            let wants = |report: &FromTransaction| matches!(report.what, Reported::Wants(_));
            let together = self.reports.iter().take_while(|report| !wants(report));
            let together: Vec<FromTransaction> = together.take(AT_ONCE).cloned().collect();
            let mut noted = Noted::default();
            for report in &together {
                self.note(books, report, &mut noted)?;
            }
            if !noted.nonces.is_empty() {
                self.commit(books, noted.changes, noted.told).await?;
            }
            self.reports.drain(..together.len());
            for nonce in noted.nonces {
                if live(books, nonce).is_some() {
                    self.show(books, nonce);
                } else {
                    self.records.remove(&nonce);
                    self.actors.remove(&nonce);
                    self.estimates.remove(&nonce);
                }
            }
        }
        Ok(())
    }

    fn note(
        &mut self,
        books: &mut Books,
        report: &FromTransaction,
        noted: &mut Noted,
    ) -> Result<(), Trouble> {
        let nonce = report.nonce;
        let Some(record) = live(books, nonce) else { return Ok(()) };
        let told = &mut noted.told;
        let changes = match &report.what {
            Reported::Sent(hash) => {
                told.push(self.transaction(&record, TransactionState::Sent, Some(*hash)));
                books.ledger.sent(nonce, *hash)?
            }
            Reported::Mined { mined, gas_used, price, l1_fee } => {
                let mut message =
                    self.transaction(&record, TransactionState::Mined, Some(mined.hash));
                let cost = (U256::from(*gas_used) * U256::from(*price)).saturating_add(*l1_fee);
                message.block = Some(mined.block.number);
                message.gas_used = Some(*gas_used);
                message.fee_wei = Some(cost.to_string());
                if let Execution::Reverted { code, reason } = &mined.execution {
                    message.state = TransactionState::Reverted;
                    message.code = Some(code.clone());
                    message.reason = Some(reason.clone());
                }
                told.push(message);
                books.spending.settle(nonce, cost, unix_ms() / 1000);
                self.forget_balance();
                self.learn(books, &record, mined, *gas_used);
                self.spec
                    .shared
                    .metrics
                    .transaction_gas_used_ratio
                    .with_label_values(&[self.name().as_str()])
                    .observe(ratio(*gas_used, record.call.gas_limit));
                books.ledger.mined(nonce, mined.clone())?
            }
            Reported::Unmined(hash) => {
                let mut message = self.transaction(&record, TransactionState::Reorged, Some(*hash));
                message.reason = Some(ORPHANED.into());
                told.push(message);
                books.ledger.unmined(nonce)?
            }
            Reported::Confirmed => {
                self.measure_latency(books, &record);
                let hash = match &record.fate {
                    Fate::Mined(mined) => Some(mined.hash),
                    _ => None,
                };
                let kind = hash.and_then(|hash| record.attempt(hash)).map(|attempt| attempt.kind);
                let state = match kind {
                    Some(AttemptKind::Cancel) => TransactionState::Cancelled,
                    _ => TransactionState::Confirmed,
                };
                told.push(self.transaction(&record, state, hash));
                books.ledger.confirmed(nonce)?
            }
            Reported::Displaced => {
                let mut message = self.transaction(&record, TransactionState::Dropped, None);
                message.code = Some(DISPLACED.into());
                message.reason =
                    Some("a foreign transaction of the same key used the nonce".into());
                told.push(message);
                books.spending.settle(nonce, U256::ZERO, unix_ms() / 1000);
                books.ledger.displaced(nonce, None)?
            }
            Reported::Dropped(hash) => {
                let mut message = self.transaction(&record, TransactionState::Dropped, Some(*hash));
                message.reason = Some("no pool holds it any more; it is sent again".into());
                told.push(message);
                Changes::default()
            }
            Reported::Gap => {
                self.reconcile = true;
                return Ok(());
            }
            Reported::Stuck(reason) => {
                tracing::warn!(signer = %self.name(), nonce, ?reason, "transaction does not move");
                return Ok(());
            }
            Reported::Refused(outcome) => {
                tracing::error!(signer = %self.name(), nonce, ?outcome, "transaction refused");
                return Ok(());
            }
            // Signed by itself.
            Reported::Wants(_) => return Ok(()),
        };
        noted.changes.then(changes);
        noted.nonces.insert(nonce);
        Ok(())
    }

    /// What the receipt teaches of estimates and items.
    fn learn(&mut self, books: &mut Books, record: &NonceRecord, mined: &Mined, used: u64) {
        let is_effect =
            record.attempt(mined.hash).is_some_and(|attempt| attempt.kind == AttemptKind::Effect);
        if !is_effect || record.purpose.effect().is_none() {
            return;
        }
        let items = match &mined.execution {
            Execution::Succeeded { outcomes }
                if outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Unlocked) =>
            {
                outcomes.len() as u64
            }
            Execution::Succeeded { .. } | Execution::Reverted { .. } => 0,
        };
        let reverted = matches!(mined.execution, Execution::Reverted { .. });
        books.gas.learn(&GasReceipt {
            estimate: self.estimates.get(&record.nonce).copied(),
            used,
            items,
            ran_out: reverted && used >= record.call.gas_limit,
        });
    }

    /// How long the unlocks of a nonce waited, from request to confirmation.
    fn measure_latency(&self, books: &Books, record: &NonceRecord) {
        let Purpose::Unlock { items } = &record.purpose else { return };
        for item in items.iter().filter_map(|id| books.ledger.item(*id)) {
            let waited = Duration::from_millis(unix_ms().saturating_sub(item.since_unix_ms));
            self.spec
                .shared
                .metrics
                .unlock_latency_seconds
                .with_label_values(&[item.request().rule_set.as_str()])
                .observe(waited.as_secs_f64());
        }
    }
}

/// Share of the limit that was used.
fn ratio(used: u64, limit: u64) -> f64 {
    // Gas is far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    let (used, limit) = (used as f64, limit.max(1) as f64);
    used / limit
}

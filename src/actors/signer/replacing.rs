//! A dearer attempt for a nonce that does not move, or an empty one for a
//! call that no node takes.

use alloy::primitives::U256;

use super::{Replace, SignerActor, Trouble, books::Books, unix_ms};
use crate::{
    domain::TransactionState,
    signing::{
        fees::{Decision, Fees, Market},
        ledger::{AttemptKind, Fate, NonceRecord},
    },
};

impl SignerActor {
    /// Signs a replacement, or tells the transaction actor that there is none
    /// under the cap and the budget.
    pub(super) async fn replace(
        &mut self,
        books: &mut Books,
        record: &NonceRecord,
        what: Replace,
    ) -> Result<(), Trouble> {
        let nonce = record.nonce;
        let (Some(newest), Fate::Open) = (record.newest(), &record.fate) else { return Ok(()) };
        if self.spec.shared.pauses.now().signer(self.name()) {
            self.refuse(nonce);
            return Ok(());
        }
        let Ok(market) = self.market().await else {
            self.refuse(nonce);
            return Ok(());
        };
        let old = match market {
            Market::Dynamic { .. } => Fees::Dynamic {
                max_fee_per_gas: newest.max_fee_per_gas,
                max_priority_fee_per_gas: newest.max_priority_fee_per_gas,
            },
            Market::Legacy { .. } => Fees::Legacy { gas_price: newest.max_fee_per_gas },
        };
        let Decision::Pay(fees) = self.policy().replace(old, &market) else {
            self.refuse(nonce);
            return Ok(());
        };
        let worst = U256::from(record.call.gas_limit) * U256::from(fees.max_per_gas());
        let budget = self.spec.config.daily_budget;
        if let Err(over) = books.spending.reserve(nonce, worst, budget, unix_ms() / 1000) {
            tracing::warn!(signer = %self.name(), nonce, "{over}");
            self.refuse(nonce);
            return Ok(());
        }
        // A cancelled nonce stays cancelled.
        let kind = match (what, newest.kind) {
            (Replace::Bump, AttemptKind::Effect) => AttemptKind::Effect,
            (Replace::Cancel, _) | (_, AttemptKind::Cancel) => AttemptKind::Cancel,
        };
        let changes = self.sign(books, nonce, kind, fees)?;
        self.write_down(books, nonce, changes, TransactionState::Replaced).await?;
        if let Some(actor) = self.actors.get(&nonce) {
            actor.nudge();
        }
        Ok(())
    }
}

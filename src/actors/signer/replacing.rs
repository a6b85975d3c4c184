//! A dearer attempt for a nonce that does not move, or an empty one for a
//! call that no node takes.

use alloy::primitives::U256;

use super::{Replace, SignerActor, Trouble, books::Books, sending::urgency};
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
        // Without an answer it asks again, as patiently as before. Refused is only
        // what is too dear: that may be given up for good.
        if self.spec.shared.pauses.now().signer(self.name()) || self.key_rests() {
            return Ok(());
        }
        let urgency = urgency(books, record.purpose.items());
        let Ok(market) = self.market(urgency).await else { return Ok(()) };
        let old = match market {
            Market::Dynamic { .. } => Fees::Dynamic {
                max_fee_per_gas: newest.max_fee_per_gas,
                max_priority_fee_per_gas: newest.max_priority_fee_per_gas,
            },
            Market::Legacy { .. } => Fees::Legacy { gas_price: newest.max_fee_per_gas },
        };
        // A cancelled nonce stays cancelled.
        let kind = match (what, newest.kind) {
            (Replace::Bump, AttemptKind::Effect) => AttemptKind::Effect,
            (Replace::Cancel, _) | (_, AttemptKind::Cancel) => AttemptKind::Cancel,
        };
        let decision = match kind {
            AttemptKind::Effect => self.policy().replace(old, &market),
            AttemptKind::Cancel => self.policy().cancel(old, &market),
        };
        let Decision::Pay(fees) = decision else {
            self.refuse(nonce);
            return Ok(());
        };
        let attempt = match self.signed(nonce, kind, &record.call, fees).await {
            Ok(attempt) => attempt,
            Err(trouble) => {
                // The older attempt stands.
                tracing::warn!(signer = %self.name(), nonce, "no replacement: {trouble}");
                return Ok(());
            }
        };
        // Whichever attempt is mined: the effect's gas may still be used.
        let worst = U256::from(record.call.gas_limit) * U256::from(fees.max_per_gas());
        if let Err(over) = self.reserve(books, nonce, worst, record.purpose.items()) {
            tracing::warn!(signer = %self.name(), nonce, "{over}");
            self.refuse(nonce);
            return Ok(());
        }
        let changes = books.ledger.record_attempt(nonce, attempt)?;
        self.write_down(books, nonce, changes, TransactionState::Replaced).await?;
        if let Some(actor) = self.actors.get(&nonce) {
            actor.nudge();
        }
        Ok(())
    }
}

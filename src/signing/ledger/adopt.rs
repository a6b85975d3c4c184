//! Nonces that an earlier life of the ledger signed, and that this one does
//! not know: its store was lost, or an old copy was restored.

use super::{Changes, Fate, Ledger, LedgerError, NonceRecord, Step, fates::bind};

impl Ledger {
    /// Takes over a nonce as the transactions stream tells of it: its attempts
    /// may be in pools or blocks, so its items must not get another nonce
    /// while that is open. Items that are not in memory, or are bound already,
    /// stay as they are; items that are asked for later are bound then. Of a
    /// nonce that is known the missing attempts are taken over.
    ///
    /// # Errors
    /// When a change can't be written down, or an attempt is not the nonce's.
    pub fn adopt(&mut self, record: NonceRecord) -> Result<Changes, LedgerError> {
        let nonce = record.nonce;
        if nonce < self.settled_below || record.attempts.is_empty() {
            return Ok(Changes::default());
        }
        if let Some(known) = self.nonces.get(&nonce) {
            // An older copy of the books: whatever was signed since competes too.
            if !known.is_live() {
                return Ok(Changes::default());
            }
            let mut all = Changes::default();
            for attempt in record.attempts {
                all.then(self.record_attempt(nonce, attempt)?);
            }
            return Ok(all);
        }
        let mut step = Step { meta: true, ..Step::of_nonce(nonce) };
        if let Some(effect) = record.purpose.effect() {
            for id in record.purpose.items() {
                if let Some(item) = self.items.get_mut(id).filter(|item| item.bound.is_none()) {
                    bind(item, nonce, effect);
                    step.items.insert(*id);
                }
            }
        }
        self.next_nonce = self.next_nonce.max(nonce + 1);
        self.nonces.insert(nonce, NonceRecord { fate: Fate::Open, ..record });
        self.finish(step)
    }
}

//! The ledger against the chain's own count of nonces.

use alloy::primitives::B256;

use super::{Changes, Fate, Ledger, LedgerError, Step};

/// What a comparison calls for. Nothing is changed by asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReconcileAction {
    /// The chain is past this nonce, or was: ask for receipts of all attempts.
    CheckReceipts {
        /// The nonce.
        nonce: u64,
        /// Hashes of its attempts.
        hashes: Vec<B256>,
    },
    /// No pool is known to hold it: send the newest attempt's bytes again.
    Rebroadcast {
        /// The nonce.
        nonce: u64,
    },
    /// Allocated but never signed, as a crash leaves it: sign its effect, or
    /// release it.
    Sign {
        /// The nonce.
        nonce: u64,
    },
    /// Nothing of ours and nothing pending there, and later nonces are
    /// signed: [`Ledger::fill_gap`].
    FillGap {
        /// The nonce.
        nonce: u64,
    },
    /// Foreign transactions of the same key used nonces that we had not given
    /// out: [`Ledger::move_next_nonce`].
    AdoptForeign {
        /// The next nonce to give out.
        next_nonce: u64,
    },
    /// Our counter is ahead of the chain and of all that was ever signed:
    /// [`Ledger::move_next_nonce`].
    Rewind {
        /// The next nonce to give out.
        next_nonce: u64,
    },
}

impl Ledger {
    /// Compares with `eth_getTransactionCount` at `latest` and `pending`, as
    /// the best endpoint answers it. A lagging answer costs refused sends, no
    /// effects.
    #[must_use]
    pub fn reconcile(&self, latest: u64, pending: u64) -> Vec<ReconcileAction> {
        let used = latest.max(pending);
        let mut actions = Vec::new();
        for record in self.live_nonces() {
            let nonce = record.nonce;
            if nonce < latest || matches!(record.fate, Fate::Mined(_)) {
                let hashes = record.attempts.iter().map(|attempt| attempt.hash).collect();
                actions.push(ReconcileAction::CheckReceipts { nonce, hashes });
            } else if record.attempts.is_empty() {
                actions.push(ReconcileAction::Sign { nonce });
            } else if nonce >= pending {
                actions.push(ReconcileAction::Rebroadcast { nonce });
            }
        }
        // What was given out and finished is never given out again, however
        // far the answer lags; retained records count, since a reorg may open
        // them again.
        let above_records = self.nonces.last_key_value().map_or(0, |(last, _)| last + 1);
        let floor = used.max(self.settled_below).max(above_records);
        if floor > self.next_nonce {
            actions.push(ReconcileAction::AdoptForeign { next_nonce: floor });
        } else if floor < self.next_nonce {
            actions.push(ReconcileAction::Rewind { next_nonce: floor });
        }
        let above_live = self.live_nonces().last().map_or(0, |record| record.nonce + 1);
        for nonce in used.max(self.settled_below)..above_live {
            if !self.nonces.contains_key(&nonce) {
                actions.push(ReconcileAction::FillGap { nonce });
            }
        }
        // What somebody else had used may be orphaned like our own, and nobody sends it
        // again for us.
        let foreign = self.nonces.range(used.min(above_live)..above_live).map(|(_, record)| record);
        let foreign = foreign.filter(|record| matches!(record.fate, Fate::Foreign { .. }));
        actions.extend(foreign.map(|record| ReconcileAction::FillGap { nonce: record.nonce }));
        actions
    }

    /// Moves the counter as [`ReconcileAction::AdoptForeign`] or
    /// [`ReconcileAction::Rewind`] say.
    ///
    /// # Errors
    /// When a nonce at or above `next_nonce` was given out and has, or had, a record.
    pub fn move_next_nonce(&mut self, next_nonce: u64) -> Result<Changes, LedgerError> {
        if let Some((nonce, _)) = self.nonces.range(next_nonce..).next() {
            return Err(LedgerError::Signed { nonce: *nonce });
        }
        if next_nonce < self.settled_below {
            return Err(LedgerError::Signed { nonce: self.settled_below - 1 });
        }
        if next_nonce == self.next_nonce {
            return Ok(Changes::default());
        }
        self.next_nonce = next_nonce;
        self.finish(Step { meta: true, ..Step::default() })
    }
}

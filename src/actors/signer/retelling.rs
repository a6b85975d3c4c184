//! What the signer's own stream knows and its books don't: after the store
//! was lost, or an old copy of it was restored.

use std::collections::HashSet;

use alloy::eips::BlockNumberOrTag;

use super::{SignerActor, Trouble, books::Books};
use crate::{
    actors::messages,
    domain::{TransactionMessage, UnlockId, UnlockMessage, UnlockState},
    signing::{ledger::Changes, retold::open_nonces},
    streams::{
        read::{Stored, for_each, tail},
        subjects::{self, StreamId},
    },
};

/// Sequences read back: far more than the messages of all transactions that
/// can be in flight.
const TAIL_SEQUENCES: u64 = 20_000;

impl SignerActor {
    /// Notes what was said to be there by books that are lost: nobody else will say that it
    /// is not, once a reorg took it away and nobody wants it any more.
    pub(super) async fn hear_own_words(&mut self, books: &mut Books) -> Result<(), Trouble> {
        let mut all = Changes::default();
        for id in self.said_there().await? {
            self.recall(books, id, &all).await?;
            let can_ask = self.keeper(books, id).is_some_and(|keeper| keeper.calls.can_ask());
            all.then(books.ledger.said_there(id, can_ask)?);
        }
        if !all.is_empty() {
            self.commit(books, all, Vec::new()).await?;
        }
        Ok(())
    }

    /// What this signer said last to be there, as the stream has it.
    async fn said_there(&self) -> Result<HashSet<UnlockId>, Trouble> {
        let states = [UnlockState::Unlocked, UnlockState::Revoked];
        let filters = states.map(subjects::unlocks_in);
        let mut there = HashSet::new();
        let each = |stored: &Stored| {
            let Ok(told) = messages::read::<UnlockMessage>(&stored.payload) else { return };
            let id = told.request.id;
            if told.request.signer != *self.name() {
                return;
            }
            if told.state == UnlockState::Unlocked {
                there.insert(id);
            } else {
                there.remove(&id);
            }
        };
        for_each(&self.spec.shared.connection, StreamId::Unlocks, &filters, each).await?;
        Ok(there)
    }

    /// Adopts every nonce that the stream says was signed and may still be
    /// under way, before anything new is allocated: its effects must not get
    /// another nonce. To be called when all wishes in the unlocks stream were
    /// heard, so that the items exist.
    pub(super) async fn adopt_retold(&mut self, books: &mut Books) -> Result<(), Trouble> {
        let connection = &self.spec.shared.connection;
        let filter = subjects::transactions_of(self.name());
        let stored = tail(connection, StreamId::Transactions, &filter, TAIL_SEQUENCES).await?;
        let told = stored.iter().filter_map(|stored| {
            let message = messages::read::<TransactionMessage>(&stored.payload).ok()?;
            Some((message, stored.stored_at_ns / 1_000_000_000))
        });
        let orphanable_from = match books.fresh {
            true => {
                let head = self.spec.link.block(BlockNumberOrTag::Latest).await?.block.number;
                Some(head.saturating_sub(self.spec.finality_depth))
            }
            false => None,
        };
        let own = self.spec.key.address();
        let told: Vec<_> = told.filter(|(message, _)| message.from == own).collect();
        // The highest first: it has the last word on what it carries.
        for record in open_nonces(told, orphanable_from).into_iter().rev() {
            for id in record.purpose.items() {
                self.recall(books, *id, &Changes::default()).await?;
            }
            let nonce = record.nonce;
            let changes = books.ledger.adopt(record)?;
            if !changes.is_empty() {
                // Books that did not know it may lack more: an older copy, or none.
                if !books.fresh {
                    self.mark_fresh().await?;
                    books.fresh = true;
                    self.reconcile = true;
                }
                tracing::warn!(signer = %self.name(), nonce, "adopted from the stream: the books did not know it");
                self.commit(books, changes, Vec::new()).await?;
            }
        }
        books.retold = true;
        self.man_nonces(books);
        Ok(())
    }
}

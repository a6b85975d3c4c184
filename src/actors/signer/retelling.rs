//! What the signer's own stream knows and its books don't: after the store
//! was lost, or an old copy of it was restored.

use alloy::eips::BlockNumberOrTag;

use super::{SignerActor, Trouble, books::Books};
use crate::{
    actors::messages,
    domain::TransactionMessage,
    signing::{ledger::Changes, retold::open_nonces},
    streams::{
        read::tail,
        subjects::{self, StreamId},
    },
};

/// Sequences read back: far more than the messages of all transactions that
/// can be in flight.
const TAIL_SEQUENCES: u64 = 20_000;

impl SignerActor {
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

//! Reorgs deeper than our confirmations: a nonce whose fate was final is open
//! again, or every later one would wait for it for ever.

use alloy::eips::BlockNumberOrTag;

use super::{Books, SignerActor, Trouble};
use crate::{
    actors::outbox::owned_key,
    domain::{TransactionState, UnlockId},
    signing::ledger::{Changes, Fate, Mined, NonceRecord, item_key},
    store::Table,
    teeth::{Tooth, is_planted},
};

/// Why a transaction that was on the chain is not any more.
pub(super) const ORPHANED: &str = "a reorg took it off the chain; it is sent again";

impl SignerActor {
    /// Opens the nonces whose confirmed transaction is in a block that the
    /// chain no longer has. Known headers tell where to look; with `ask` the
    /// chain is asked about what they don't reach, as after a start.
    pub(super) async fn reopen_orphaned(
        &mut self,
        books: &mut Books,
        ask: bool,
    ) -> Result<(), Trouble> {
        if is_planted(Tooth::ConfirmedForGood) {
            return Ok(());
        }
        let link = self.spec.link.clone();
        let view = link.view.borrow().clone();
        let head = match &view {
            Some(view) => view.latest.number,
            None if ask => Box::pin(link.block(BlockNumberOrTag::Latest)).await?.block.number,
            None => return Ok(()),
        };
        // A window that begins elsewhere than before says nothing of what it had: it was
        // too young to reach a fork.
        let begins = view.as_ref().and_then(|view| view.window.oldest()).map(|block| block.hash);
        let ask = ask || begins != self.window_began;
        let oldest = head.saturating_sub(self.spec.finality_depth);
        let suspects: Vec<(NonceRecord, Mined)> = books
            .ledger
            .retained_nonces()
            .filter_map(|record| match &record.fate {
                Fate::Confirmed(mined) if mined.block.number >= oldest => Some((record, mined)),
                _ => None,
            })
            .filter(|(_, mined)| {
                let known = view.as_ref().and_then(|view| view.header(mined.block.number));
                known.map_or(ask, |header| header.hash != mined.block.hash)
            })
            .map(|(record, mined)| (record.clone(), mined.clone()))
            .collect();
        if ask || !suspects.is_empty() {
            tracing::debug!(signer = %self.name(), ask, oldest, suspects = suspects.len(), "looking for orphaned transactions");
        }
        for (record, mined) in suspects {
            // One endpoint may lag, or be on a branch of its own, and this is not asked for
            // long: who is not told now never hears of it.
            let now = Box::pin(link.client.hash_of_most(mined.block.number)).await?;
            if now != mined.block.hash {
                Box::pin(self.reopen(books, &record, &mined)).await?;
            }
        }
        self.window_began = begins;
        Ok(())
    }

    async fn reopen(
        &mut self,
        books: &mut Books,
        record: &NonceRecord,
        mined: &Mined,
    ) -> Result<(), Trouble> {
        tracing::warn!(
            signer = %self.name(),
            nonce = record.nonce,
            block = mined.block.number,
            "a reorg took a confirmed transaction off the chain"
        );
        for id in record.purpose.items() {
            self.recall(books, *id, &Changes::default()).await?;
        }
        let mut message = self.transaction(record, TransactionState::Reorged, Some(mined.hash));
        message.reason = Some(ORPHANED.into());
        let changes = books.ledger.unmined(record.nonce)?;
        self.commit(books, changes, vec![message]).await?;
        self.show(books, record.nonce);
        Ok(())
    }

    /// Takes an item that is settled back into memory.
    /// `uncommitted` are changes that the store does not have yet.
    pub(super) async fn recall(
        &self,
        books: &mut Books,
        id: UnlockId,
        uncommitted: &Changes,
    ) -> Result<(), Trouble> {
        if books.ledger.is_archived(id) {
            let key = item_key(id);
            let fresh = uncommitted.writes.iter().rev().find(|write| write.key == key);
            let record = match fresh {
                Some(write) => write.value.clone(),
                None => {
                    let key = owned_key(&self.owner(), &key);
                    self.spec.shared.store.get(Table::Ledger, &key).await?
                }
            };
            if let Some(record) = record {
                books.ledger.recall(id, &record)?;
            }
        }
        Ok(())
    }
}

//! Looking at the chain: the balance, the nonces and the rights of the key.

use std::sync::atomic::Ordering;

use alloy::eips::BlockNumberOrTag;

use super::{SignerActor, Trouble, books::Books, unix_ms};

/// How often balance and nonces are compared with the chain, seconds.
const RECONCILE_EVERY_S: u64 = 60;

impl SignerActor {
    /// Compares nonces and balance with the chain, now and then, and looks for
    /// orphaned transactions each time.
    pub(super) async fn look_at_chain(&mut self, books: &mut Books) -> Result<(), Trouble> {
        let now = unix_ms() / 1000;
        // Where the clock was set back it tells nothing.
        let is_old = |at: u64| now.checked_sub(at).is_none_or(|age| age >= RECONCILE_EVERY_S);
        let stale = self.balance.is_none_or(|(_, at)| is_old(at));
        let roles = self.spec.shared.role_events.load(Ordering::Relaxed);
        let due = self.reconcile || stale || roles != self.roles_seen;
        self.reopen_orphaned(books, due).await?;
        if due { Box::pin(self.ask_chain(books, now, roles)).await } else { Ok(()) }
    }

    async fn ask_chain(&mut self, books: &mut Books, now: u64, roles: u64) -> Result<(), Trouble> {
        let client = self.spec.link.client.clone();
        let address = self.spec.key.address();
        let balance = client.balance(address, BlockNumberOrTag::Latest).await?;
        self.balance = Some((balance, now));
        if books.fresh {
            self.require_all_final(books).await?;
        }
        self.check_rights().await?;
        self.roles_seen = roles;
        let latest = client.transaction_count(address, BlockNumberOrTag::Latest).await?;
        let pending = client.transaction_count(address, BlockNumberOrTag::Pending).await?;
        self.reconcile(books, latest, pending).await?;
        self.reconcile = false;
        Ok(())
    }

    /// Books that begin anew can't know what an earlier life signed, beyond
    /// what the stream still tells. Once every transaction of the key is final,
    /// the contract's own answer is the whole truth.
    async fn require_all_final(&mut self, books: &mut Books) -> Result<(), Trouble> {
        let link = self.spec.link.clone();
        let address = self.spec.key.address();
        let (_, place) = link.confirmed(self.spec.config.confirmations).await?;
        let settled = link.transactions_of(address, place).await?;
        let pending = link.transactions_of(address, BlockNumberOrTag::Pending).await?;
        if settled < pending {
            return Err(Trouble::Held(format!(
                "these books are new and {} earlier transactions of {address} are not final yet",
                pending - settled
            )));
        }
        self.hear_own_words(books).await?;
        if settled > 0 {
            self.doubt_all(books).await?;
            self.recheck_unwanted(books).await?;
        }
        self.unmark_fresh(books).await
    }
}

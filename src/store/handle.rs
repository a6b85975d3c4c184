//! How all other parts reach the store.

use std::{future::Future, sync::Arc, time::Duration};

use super::{Page, SCAN_PAGE_MAX, StoreError, Table, Write};
use crate::{
    actors::store::{Commit, Get, Scan, StoreActor},
    breakers::Guard,
    supervisor::ActorRef,
};

/// How long the store may take, waiting in its mailbox and for a restart under
/// way included. Each should be at most the guard's limit of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// For a commit.
    pub commit: Duration,
    /// For a read.
    pub read: Duration,
}

/// The store, behind its guard and whichever incarnation of its actor lives.
#[derive(Clone)]
pub struct StoreHandle {
    actor: ActorRef<StoreActor>,
    guard: Guard,
    limits: StoreLimits,
}

impl StoreHandle {
    /// Reaches `actor` within `limits`.
    #[must_use]
    pub fn new(actor: ActorRef<StoreActor>, guard: Guard, limits: StoreLimits) -> Self {
        Self { actor, guard, limits }
    }

    /// Does all of the writes or none; they are durable when this returns.
    /// Several commits under way at once share one transaction.
    ///
    /// After an error the writes may have been done all the same. Doing them
    /// again is safe.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        let writes: Arc<[Write]> = writes.into();
        let limit = self.limits.commit;
        self.guarded(|| self.actor.send(Commit { writes: Arc::clone(&writes) }, limit)).await
    }

    /// A key's value.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let limit = self.limits.read;
        self.guarded(|| self.actor.send(Get { table, key: key.to_vec() }, limit)).await
    }

    /// The first rows whose key starts with `prefix` and lies behind `after`:
    /// as many as there are, up to `limit` and [`SCAN_PAGE_MAX`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn scan_prefix(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let scan = Scan { table, prefix: prefix.to_vec(), after, limit };
        self.guarded(|| self.actor.send(scan.clone(), self.limits.read)).await
    }

    /// All rows whose key starts with `prefix`, read page by page: what is
    /// committed meanwhile may be seen or not.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn scan_all(&self, table: Table, prefix: &[u8]) -> Result<Page, StoreError> {
        let mut rows = Page::new();
        loop {
            let after = rows.last().map(|(key, _)| key.clone());
            let page = self.scan_prefix(table, prefix, after, SCAN_PAGE_MAX).await?;
            let more = page.len() == SCAN_PAGE_MAX;
            rows.extend(page);
            if !more {
                return Ok(rows);
            }
        }
    }

    /// The guard, for `status`.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    async fn guarded<T, F>(&self, mut ask: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<Result<T, StoreError>, crate::supervisor::Unreachable>>,
    {
        let answer = self
            .guard
            .call(|| {
                let answer = ask();
                async { answer.await? }
            })
            .await;
        answer.map_err(StoreError::from)
    }
}

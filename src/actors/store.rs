//! The store actor: the one thread that reads and writes the store's file.
//!
//! Meant to have an arbiter of its own: redb blocks. Commits are made in
//! groups: those that wait in the mailbox share one transaction and one
//! `fsync`, 1,288 for 38,400 commits of 64 waiting writers.

use std::{mem, sync::Arc, time::Instant};

use actix::{Actor, AsyncContext, Context, Handler, Message, ResponseFuture};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::{
    store::{Database, Page, Session, StoreError, Table, Write},
    supervisor::{Draining, Observation, Observe, Supervise},
    telemetry::Metrics,
};

/// Messages that may wait. Senders beyond it wait for a place.
const MAILBOX: usize = 256;
/// Commits of one transaction: bounds what one slow `fsync` holds up.
const GROUP_COMMITS_MAX: usize = 1_024;
/// Bytes of one commit, and about those of one transaction.
const COMMIT_BYTES_MAX: usize = 64 << 20;

/// Owns the file's session and the commits that wait for the next transaction.
pub struct StoreActor {
    session: Session,
    metrics: Metrics,
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
    commits: u64,
    transactions: u64,
}

struct Waiting {
    writes: Arc<[Write]>,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// Does all of the writes or none, and answers when they are durable.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct Commit {
    /// In this order.
    pub writes: Arc<[Write]>,
}

/// Asks for a key's value, as of the last finished transaction.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Option<Vec<u8>>, StoreError>")]
pub struct Get {
    /// Where.
    pub table: Table,
    /// Which key.
    pub key: Vec<u8>,
}

/// Asks for rows, as [`Session::scan_prefix`] does.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Page, StoreError>")]
pub struct Scan {
    /// Where.
    pub table: Table,
    /// What keys start with.
    pub prefix: Vec<u8>,
    /// The last key of the page before.
    pub after: Option<Vec<u8>>,
    /// Rows, at most.
    pub limit: usize,
}

/// Told by the actor to itself: the mailbox is empty, commit what waits.
#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

/// What it shows of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreObservation {
    /// Commits that wait for the next transaction.
    pub waiting: usize,
    /// Commits of this incarnation.
    pub commits: u64,
    /// Transactions that they took.
    pub transactions: u64,
    /// Size of the file.
    pub file_bytes: u64,
}

impl StoreActor {
    /// An incarnation. It takes the shared file over from the one before,
    /// whatever state a panic left that in.
    #[must_use]
    pub fn new(database: &Arc<Database>, metrics: Metrics) -> Self {
        Self {
            session: database.session(),
            metrics,
            waiting: Vec::new(),
            waiting_bytes: 0,
            commits: 0,
            transactions: 0,
        }
    }

    /// Its observable state.
    #[must_use]
    pub fn observation(&self) -> StoreObservation {
        StoreObservation {
            waiting: self.waiting.len(),
            commits: self.commits,
            transactions: self.transactions,
            file_bytes: self.session.file_bytes(),
        }
    }

    fn flush(&mut self) {
        let group = mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        if group.is_empty() {
            return;
        }
        let start = Instant::now();
        let writes = || group.iter().flat_map(|waiting| waiting.writes.iter());
        let result = self.session.commit(writes());
        match &result {
            Ok(()) => {
                self.transactions += 1;
                self.metrics.store_commit_seconds.observe(start.elapsed().as_secs_f64());
                #[expect(clippy::cast_precision_loss, reason = "a group has far fewer writes")]
                self.metrics.store_commit_writes.observe(writes().count() as f64);
                self.show_file_bytes();
            }
            Err(error) => {
                let commits = group.len();
                tracing::error!(error = %Chain(error), commits, "store commit failed");
            }
        }
        for Waiting { done, .. } in group {
            // Whoever no longer waits will ask again or read what is there.
            let _ = done.send(result.clone());
        }
    }

    fn show_file_bytes(&self) {
        let bytes = i64::try_from(self.session.file_bytes()).unwrap_or(i64::MAX);
        self.metrics.store_file_bytes.set(bytes);
    }
}

impl Actor for StoreActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.show_file_bytes();
    }
}

impl Supervise for StoreActor {
    const MAILBOX: usize = MAILBOX;

    fn drain(&mut self, _: &mut Self::Context) -> Draining<Self> {
        self.flush();
        Box::pin(actix::fut::ready(()))
    }
}

impl Handler<Observe> for StoreActor {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Observation {
        serde_json::to_value(self.observation()).unwrap_or_default().into()
    }
}

impl Handler<Commit> for StoreActor {
    type Result = ResponseFuture<Result<(), StoreError>>;

    fn handle(&mut self, Commit { writes }: Commit, context: &mut Self::Context) -> Self::Result {
        let bytes = writes.iter().map(Write::bytes).sum::<usize>();
        if bytes > COMMIT_BYTES_MAX {
            // Refused alone: in a group its failure would be that of all others.
            let refused = StoreError::TooLarge { bytes, limit: COMMIT_BYTES_MAX };
            return Box::pin(async { Err(refused) });
        }
        if self.waiting.len() >= GROUP_COMMITS_MAX || self.waiting_bytes + bytes > COMMIT_BYTES_MAX
        {
            self.flush();
        }
        if self.waiting.is_empty() {
            // Handled once the mailbox is empty: actix polls it before its own notifications.
            context.notify(Flush);
        }
        let (done, answer) = oneshot::channel();
        self.waiting.push(Waiting { writes, done });
        self.waiting_bytes += bytes;
        self.commits += 1;
        Box::pin(async { answer.await.unwrap_or(Err(StoreError::Interrupted)) })
    }
}

impl Handler<Flush> for StoreActor {
    type Result = ();

    fn handle(&mut self, Flush: Flush, _: &mut Self::Context) {
        self.flush();
    }
}

impl Handler<Get> for StoreActor {
    type Result = Result<Option<Vec<u8>>, StoreError>;

    fn handle(&mut self, Get { table, key }: Get, _: &mut Self::Context) -> Self::Result {
        // A read must not overtake a commit that was given up by its sender.
        self.flush();
        self.session.get(table, &key)
    }
}

impl Handler<Scan> for StoreActor {
    type Result = Result<Page, StoreError>;

    fn handle(&mut self, scan: Scan, _: &mut Self::Context) -> Self::Result {
        self.flush();
        self.session.scan_prefix(scan.table, &scan.prefix, scan.after.as_deref(), scan.limit)
    }
}

/// An error with its causes, on one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;

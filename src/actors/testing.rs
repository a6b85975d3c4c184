//! The daemon's shared parts with a real store and a real broker.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use super::shared::Shared;
use crate::{
    breakers::{BreakerSpec, Guard, GuardSpec, RetrySpec},
    store::{
        Database,
        testing::{Detached, reopen},
    },
    streams::{
        read,
        setup::{self, Replicas},
        subjects::StreamId,
        testing::TestServer,
    },
    telemetry::Metrics,
};

pub(super) struct Rig {
    pub(super) server: TestServer,
    pub(super) shared: Shared,
    store: Detached,
    folder: tempfile::TempDir,
}

impl Rig {
    pub(super) async fn start() -> Self {
        let server = TestServer::start().await;
        let connection = server.connect().await;
        setup::declare(&connection, Replicas::ONE).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let database = Database::open(folder.path().join("meritd.redb")).unwrap();
        let store = Detached::start(database, &metrics);
        let guard = Guard::new(guard_spec(), &metrics).unwrap();
        let handle = store.handle.clone();
        let shared = Shared::new(metrics, handle, connection, guard, BTreeMap::new(), "run");
        Self { server, shared, store, folder }
    }

    /// The same parts as another daemon has them.
    pub(super) fn other_run(&self, run: &str) -> Shared {
        let mut shared = self.shared.clone();
        shared.run = run.into();
        shared
    }

    /// The bodies of what a stream has below a subject, in order.
    pub(super) async fn said(&self, stream: StreamId, filter: &str) -> Vec<serde_json::Value> {
        let filters = [filter.to_owned()];
        let range =
            read::read_range(&self.shared.connection, stream, &filters, 1, 10_000).await.unwrap();
        let read = |message: read::Stored| serde_json::from_slice(&message.payload).unwrap();
        range.messages.into_iter().map(read).collect()
    }

    pub(super) async fn redeclare(&self, stream: StreamId) {
        self.server.delete_stream(&self.shared.connection, stream).await;
        setup::declare(&self.shared.connection, Replicas::ONE).await.unwrap();
    }

    pub(super) async fn stop(self) {
        self.store.stop().await;
        drop(reopen(&self.folder.path().join("meritd.redb")).await);
        self.server.stop().await;
    }
}

fn guard_spec() -> GuardSpec {
    let limit = Duration::from_secs(10);
    GuardSpec {
        dependency: "nats".to_owned(),
        max_concurrent: NonZeroUsize::new(8).unwrap(),
        max_queued: 8,
        queue_timeout: limit,
        call_timeout: limit,
        breaker: BreakerSpec {
            consecutive_failures: NonZeroU32::MAX,
            cooldown_min: limit,
            cooldown_max: limit,
        },
        retry: RetrySpec {
            max_attempts: NonZeroU32::MIN,
            backoff_min: Duration::from_millis(1),
            backoff_max: Duration::from_millis(1),
            budget_percent: 0,
        },
    }
}

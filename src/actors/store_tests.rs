//! The promises of the store actor, each told through its handle.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{io, sync::mpsc};

use futures::{FutureExt, future::join_all};

use super::*;
use crate::store::testing::{Detached, Faults, faulty, reopen};

fn put(key: &str, value: &str) -> Vec<Write> {
    vec![Write::put(Table::State, key, value)]
}

fn store(faults: &Faults) -> (tempfile::TempDir, Metrics, Detached) {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let database = faulty(&folder.path().join("meritd.redb"), faults);
    let store = Detached::start(database, &metrics);
    (folder, metrics, store)
}

async fn value(store: &Detached, key: &str) -> Option<String> {
    let value = store.handle.get(Table::State, key.as_bytes()).await.unwrap();
    value.map(|value| String::from_utf8(value).unwrap())
}

/// The next transaction waits in its `fsync`: says when it got there, and goes on when told.
fn gate(faults: &Faults) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (arrived, arrival) = mpsc::channel();
    let (release, released) = mpsc::channel();
    faults.at_next_sync(move || {
        arrived.send(()).map_err(io::Error::other)?;
        released.recv().map_err(io::Error::other)
    });
    (arrival, release)
}

#[actix::test]
async fn a_commit_is_durable_when_it_returns() {
    let faults = Faults::default();
    let (folder, metrics, store) = store(&faults);
    store.handle.commit(put("a", "1")).await.unwrap();
    store.handle.commit(Vec::new()).await.unwrap();
    assert_eq!(value(&store, "a").await.as_deref(), Some("1"));
    assert_eq!(metrics.store_commit_seconds.get_sample_count(), 1);
    assert!(metrics.store_file_bytes.get() > 0);
    store.stop().await;
    let session = reopen(&folder.path().join("meritd.redb")).await.session();
    assert_eq!(session.get(Table::State, b"a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[actix::test]
async fn waiting_for_the_store_is_allowed_on_any_thread() {
    fn sendable<F: Send>(future: F) -> F {
        future
    }
    let faults = Faults::default();
    let (_folder, _metrics, store) = store(&faults);
    sendable(store.handle.commit(put("a", "1"))).await.unwrap();
    sendable(store.handle.scan_all(Table::State, b"")).await.unwrap();
}

#[actix::test]
async fn commits_that_wait_share_one_transaction() {
    let faults = Faults::default();
    let (_folder, metrics, store) = store(&faults);
    // An actor that has answered takes messages within one poll.
    assert_eq!(value(&store, "any").await, None);
    let (arrival, release) = gate(&faults);
    let mut first = Box::pin(store.handle.commit(put("first", "1")));
    assert!(first.as_mut().now_or_never().is_none());
    arrival.recv().unwrap();
    let keys: Vec<_> = (0..60).map(|number| format!("key {number}")).collect();
    let mut others: Vec<_> =
        keys.iter().map(|key| Box::pin(store.handle.commit(put(key, "1")))).collect();
    for other in &mut others {
        assert!(other.as_mut().now_or_never().is_none());
        // Within one poll tokio lets a task do only so much.
        tokio::task::yield_now().await;
    }
    release.send(()).unwrap();
    first.await.unwrap();
    for result in join_all(others).await {
        result.unwrap();
    }
    for key in &keys {
        assert_eq!(value(&store, key).await.as_deref(), Some("1"));
    }
    let transactions = metrics.store_commit_seconds.get_sample_count();
    assert!(transactions < 10, "{transactions} transactions for 61 commits");
    assert!((metrics.store_commit_writes.get_sample_sum() - 61.0).abs() < f64::EPSILON);
}

#[actix::test]
async fn a_failed_transaction_is_told_to_all_who_shared_it_and_leaves_nothing() {
    let faults = Faults::default();
    let (_folder, _metrics, store) = store(&faults);
    faults.at_next_sync(|| Err(io::ErrorKind::StorageFull.into()));
    let keys = ["a", "b", "c"];
    let results = join_all(keys.map(|key| store.handle.commit(put(key, "1")))).await;
    let failed: Vec<_> = keys.iter().zip(&results).filter(|(_, result)| result.is_err()).collect();
    assert!(!failed.is_empty());
    for (key, result) in failed {
        assert!(matches!(result, Err(StoreError::Storage { .. })), "{result:?}");
        assert_eq!(value(&store, key).await, None);
    }
    store.handle.commit(put("a", "2")).await.unwrap();
    assert_eq!(value(&store, "a").await.as_deref(), Some("2"));
}

#[actix::test]
async fn a_commit_too_large_for_a_transaction_is_refused_alone() {
    let faults = Faults::default();
    let (_folder, _metrics, store) = store(&faults);
    let large = vec![Write::put(Table::State, "large", vec![0; COMMIT_BYTES_MAX])];
    let (large, small) =
        futures::join!(store.handle.commit(large), store.handle.commit(put("small", "1")));
    assert!(matches!(large, Err(StoreError::TooLarge { .. })), "{large:?}");
    small.unwrap();
    assert_eq!(value(&store, "small").await.as_deref(), Some("1"));
}

#[actix::test]
async fn after_a_panic_in_a_commit_the_next_incarnation_goes_on_with_the_same_file() {
    let faults = Faults::default();
    let (_folder, _metrics, store) = store(&faults);
    store.handle.commit(put("before", "1")).await.unwrap();
    for round in 0..3 {
        faults.at_next_sync(|| panic!("injected"));
        let poisoned = store.handle.commit(put("poisoned", "1")).await;
        assert!(
            matches!(poisoned, Err(StoreError::Interrupted | StoreError::Unreachable(_))),
            "{poisoned:?}"
        );
        let round = format!("after {round}");
        store.handle.commit(put(&round, "1")).await.unwrap();
        assert_eq!(value(&store, &round).await.as_deref(), Some("1"));
    }
    assert_eq!(value(&store, "before").await.as_deref(), Some("1"));
    assert_eq!(value(&store, "poisoned").await, None);
}

#[actix::test]
async fn a_scan_of_all_goes_beyond_one_page() {
    let faults = Faults::default();
    let (_folder, _metrics, store) = store(&faults);
    let rows = crate::store::SCAN_PAGE_MAX + 1;
    let writes = (0..rows)
        .map(|row| Write::put(Table::Inbox, format!("dao/{row:08}"), Vec::new()))
        .chain([Write::put(Table::Inbox, "other/1", Vec::new())]);
    store.handle.commit(writes.collect()).await.unwrap();
    let all = store.handle.scan_all(Table::Inbox, b"dao/").await.unwrap();
    assert_eq!(all.len(), rows);
    assert!(all.is_sorted());
    let page = store
        .handle
        .scan_prefix(Table::Inbox, b"dao/", Some(b"dao/00000004".to_vec()), 2)
        .await
        .unwrap();
    assert_eq!(page[0].0, b"dao/00000005");
    assert_eq!(page.len(), 2);
}

#![allow(clippy::unwrap_used)]

use std::net::TcpListener;

use super::*;
use crate::streams::{
    connection::Connection,
    setup,
    testing::{TestServer, nats_server, wait_until},
};

#[tokio::test]
async fn a_restarted_server_is_found_again_on_its_port() {
    let mut server = TestServer::start().await;
    let connection = server.connect().await;
    setup::declare(&connection, setup::Replicas::ONE).await.unwrap();
    let port = server.managed.port();
    let mut reconnects = connection.reconnects();
    assert_eq!(*reconnects.borrow_and_update(), 0);

    let pid = Pid::from_raw(server.managed.pid().unwrap().cast_signed()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    let status = server.managed.wait().await.unwrap();
    assert!(!status.success());
    server.managed.restart().await.unwrap();

    assert_eq!(server.managed.port(), port);
    reconnects.wait_for(|count| *count == 1).await.unwrap();
    connection.probe().await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_server_is_told_how_much_memory_to_take() {
    let server = TestServer::start().await;
    let pid = server.managed.pid().unwrap();
    let variables = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let told: Vec<_> = variables.split(|byte| *byte == 0).collect();
    // What the tests were told themselves it has of them.
    for (name, value) in memory::variables() {
        assert!(told.contains(&format!("{name}={value}").as_bytes()), "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_server_left_behind_is_ended_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let spec = ManagedSpec { folder: folder.path().to_path_buf(), program: nats_server() };
    let first = ManagedServer::start(spec.clone()).await.unwrap();
    let connection = Connection::open(first.connect_spec("test")).await.unwrap();
    let before = setup::declare(&connection, setup::Replicas::ONE).await.unwrap();
    // As after a SIGKILL of the daemon: the lock is free, the child lives.
    let ManagedServer { mut child, _lock: lock, .. } = first;
    drop(lock);

    let mut second = ManagedServer::start(spec).await.unwrap();

    let status = child.try_wait().unwrap();
    assert!(status.is_some(), "the first server must be gone before the second starts");
    let connection = Connection::open(second.connect_spec("test")).await.unwrap();
    let after = setup::declare(&connection, setup::Replicas::ONE).await.unwrap();
    assert_eq!(before, after, "the second server has the first one's streams");
    second.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_folder_in_use_is_refused_and_its_server_spared() {
    let server = TestServer::start().await;
    let connection = server.connect().await;
    let spec = ManagedSpec { folder: server.folder(), program: nats_server() };
    let error = ManagedServer::start(spec).await.unwrap_err();
    assert!(matches!(error, ManagedError::FolderInUse { .. }), "{error}");
    connection.probe().await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_port_taken_between_two_runs_is_named() {
    let mut server = TestServer::start().await;
    server.managed.stop(Duration::from_secs(5)).await;
    let port = server.managed.port();
    let squatter = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let error = server.managed.restart().await.unwrap_err();
    assert!(matches!(error, ManagedError::PortTaken { port: taken } if taken == port), "{error}");
    drop(squatter);
    wait_until(async || server.managed.restart().await.is_ok()).await;
    server.stop().await;
}

#[tokio::test]
async fn a_missing_program_names_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let spec = ManagedSpec {
        folder: folder.path().to_path_buf(),
        program: folder.path().join("nats-server"),
    };
    let error = ManagedServer::start(spec).await.unwrap_err();
    assert!(error.to_string().contains("scripts/install-tools.sh"), "{error}");
}

#[tokio::test]
async fn an_unusable_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let spec = ManagedSpec { folder: file.join("nats"), program: nats_server() };
    let error = ManagedServer::start(spec).await.unwrap_err();
    assert!(error.to_string().contains("file/nats"), "{error}");
}

//! A private server for each test of this module.

#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    connection::{Connection, Link, Nats},
    find_nats_server,
    managed::{ManagedServer, ManagedSpec},
    setup,
    subjects::StreamId,
};

/// The program under test's `nats-server`, from the environment or from the
/// checkout's own tools.
pub(crate) fn nats_server() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/bin");
    find_nats_server(&[own]).unwrap()
}

pub(crate) struct TestServer {
    pub(crate) managed: ManagedServer,
    folder: tempfile::TempDir,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spec = ManagedSpec { folder: folder.path().to_path_buf(), program: nats_server() };
        Self { managed: ManagedServer::start(spec).await.unwrap(), folder }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.managed.connect_spec("test")).await.unwrap()
    }

    /// Gives up on an answer soon, for tests in which none comes.
    pub(crate) async fn connect_impatient(&self) -> Connection {
        let mut spec = self.managed.connect_spec("test");
        spec.request_timeout = Duration::from_millis(500);
        Connection::open(spec).await.unwrap()
    }

    /// What an operator's mistake, or a lost disk, does.
    pub(crate) async fn delete_stream(&self, connection: &Connection, stream: StreamId) {
        connection.jetstream().delete_stream(stream.name()).await.unwrap();
    }

    /// Takes a message out of a stream, as a damaged file does.
    pub(crate) async fn lose(&self, connection: &Connection, stream: StreamId, sequence: u64) {
        let stream = connection.jetstream().get_stream(stream.name()).await.unwrap();
        assert!(stream.delete_message(sequence).await.unwrap());
    }

    /// Leaves a stream room for so many bytes in all.
    pub(crate) async fn limit(&self, connection: &Connection, stream: StreamId, max_bytes: i64) {
        let info = setup::info((connection, connection.nats()), stream).await.unwrap();
        let config = async_nats::jetstream::stream::Config { max_bytes, ..info.config };
        connection.jetstream().update_stream(config).await.unwrap();
    }

    /// Lets a stream take no message beyond so many bytes.
    pub(crate) async fn limit_messages(
        &self,
        connection: &Connection,
        stream: StreamId,
        max_message_size: i32,
    ) {
        let info = setup::info((connection, connection.nats()), stream).await.unwrap();
        let config = async_nats::jetstream::stream::Config { max_message_size, ..info.config };
        connection.jetstream().update_stream(config).await.unwrap();
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = self.managed.pid().unwrap().cast_signed();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal)
            .unwrap();
    }

    /// The server itself, for who keeps it alive; its folder goes with the second.
    pub(crate) fn into_parts(self) -> (ManagedServer, tempfile::TempDir) {
        (self.managed, self.folder)
    }

    pub(crate) async fn stop(mut self) {
        self.managed.stop(Duration::from_secs(5)).await;
    }
}

impl Connection {
    /// The client of the server that a test started.
    pub(super) fn nats(&self) -> &Nats {
        match self.link() {
            Link::Nats(nats) => nats,
            #[cfg(feature = "simulation")]
            Link::Simulated(_) => unreachable!("a test server is a real one"),
        }
    }

    pub(crate) fn jetstream(&self) -> &async_nats::jetstream::Context {
        &self.nats().jetstream
    }
}

/// Lets a stream answer no write, as one whose file could not be written, or again.
pub(crate) async fn answer(connection: &Connection, stream: StreamId, answers: bool) {
    let info = setup::info((connection, connection.nats()), stream).await.unwrap();
    let config = async_nats::jetstream::stream::Config { no_ack: !answers, ..info.config };
    connection.jetstream().update_stream(config).await.unwrap();
}

/// Tries until it holds; panics after 20 s.
pub(crate) async fn wait_until(mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "it never held");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

//! The limit: the very messages of a stream, published once more in atomic
//! batches by a publisher that has nothing else to do.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use meritd::{
    streams::{
        batch::{BATCH_MAX, publish_atomic},
        connection::Connection,
        find_nats_server,
        managed::{ManagedServer, ManagedSpec},
        publish::OutMessage,
        read::read_range,
        setup::{Replicas, declare},
        subjects::StreamId,
    },
    tools,
};

use super::{Outcome, process::cpu_seconds};

/// How fast it can go.
#[derive(Clone, Copy, Default)]
pub struct Limit {
    /// Messages published.
    pub messages: u64,
    /// Time spent publishing, without reading them back.
    pub seconds: f64,
    /// The broker's processor time in that.
    pub broker_cpu_s: f64,
}

impl Limit {
    /// Messages a second.
    pub fn per_s(&self) -> f64 {
        self.messages as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }
}

/// Batches that are held in memory.
const BATCHES_AT_ONCE: usize = 50;
/// Enough for a rate; more would take minutes for nothing.
const MESSAGES_MAX: u64 = 1_000_000;
const GRACE: Duration = Duration::from_secs(10);

/// Publishes the stream of a daemon that has ended to a fresh broker of the
/// same configuration.
pub async fn measure(data: &Path) -> Outcome<Limit> {
    let program = match tools::find("nats-server") {
        Some(program) => program,
        None => find_nats_server(&[])?,
    };
    let folder = tempfile::Builder::new().prefix("meritd-ingest-").tempdir()?;
    let spec =
        |folder: &Path| ManagedSpec { folder: folder.join("nats"), program: program.clone() };
    let mut from = ManagedServer::start(spec(data)).await?;
    let mut to = ManagedServer::start(spec(folder.path())).await?;
    let source = Connection::open(from.connect_spec("bench-source")).await?;
    let target = Connection::open(to.connect_spec("bench-limit")).await?;
    declare(&target, Replicas::ONE).await?;
    let limit = republish(&source, &target, to.pid().unwrap_or_default()).await?;
    from.stop(GRACE).await;
    to.stop(GRACE).await;
    Ok(limit)
}

async fn republish(source: &Connection, target: &Connection, broker: u32) -> Outcome<Limit> {
    let filters = ["merit.v1.events.>".to_owned(), "merit.v1.watermarks.>".to_owned()];
    let (mut limit, mut next) = (Limit::default(), 1);
    loop {
        let most = BATCH_MAX * BATCHES_AT_ONCE;
        let range = read_range(source, StreamId::Events, &filters, next, most).await?;
        let Some(last) = range.messages.last() else { return Ok(limit) };
        next = last.sequence + 1;
        let mut messages: Vec<OutMessage> = Vec::with_capacity(range.messages.len());
        for stored in range.messages {
            // What the first publishing expected is not the message.
            let mut headers = async_nats::HeaderMap::new();
            if let Some(kind) = stored.headers.get("content-type") {
                headers.insert("content-type", kind.clone());
            }
            messages.push(OutMessage::new(stored.subject, headers, stored.payload));
        }
        let (started, used) = (Instant::now(), cpu_seconds(broker));
        limit.messages += messages.len() as u64;
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            let batch: Vec<OutMessage> = messages.by_ref().take(BATCH_MAX).collect();
            publish_atomic(target, StreamId::Events, batch, None).await?;
        }
        limit.seconds += started.elapsed().as_secs_f64();
        limit.broker_cpu_s += cpu_seconds(broker) - used;
        if range.caught_up || limit.messages >= MESSAGES_MAX {
            return Ok(limit);
        }
    }
}

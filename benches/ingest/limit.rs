//! The limit: the very messages of a stream, published once more in atomic
//! batches by a publisher that has nothing else to do.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, TryStreamExt as _};
use meritd::{
    streams::{
        batch::{BATCH_MAX, publish_atomic},
        connection::Connection,
        envelope::headers,
        find_nats_server,
        managed::{ManagedServer, ManagedSpec},
        publish::OutMessage,
        read::{Stored, read_range},
        setup::{Replicas, declare},
        subjects::StreamId,
    },
    tools,
};

use super::{Outcome, process::cpu_seconds};

/// How fast it can go with a number of batches under way at a time.
#[derive(Clone, Copy, Default)]
pub struct Rate {
    /// Messages published.
    pub messages: u64,
    /// Time spent publishing, without reading them back.
    pub seconds: f64,
    /// The broker's processor time in that.
    pub broker_cpu_s: f64,
}

impl Rate {
    /// Messages a second.
    pub fn per_s(&self) -> f64 {
        self.messages as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }
}

/// How fast it can go.
#[derive(Clone, Copy, Default)]
pub struct Limit {
    /// One batch after the other.
    pub one: Rate,
    /// [`IN_FLIGHT`] batches at a time.
    pub several: Rate,
}

impl Limit {
    /// Messages a second, the better way.
    pub fn per_s(&self) -> f64 {
        self.one.per_s().max(self.several.per_s())
    }
}

/// Batches under way in the second way.
pub const IN_FLIGHT: usize = 4;
/// Batches that are held in memory.
const BATCHES_AT_ONCE: usize = 50;
/// Enough for a rate; more would take minutes for nothing.
const MESSAGES_MAX: u64 = 1_000_000;
const GRACE: Duration = Duration::from_secs(10);

/// Publishes the stream of a daemon that has ended to a fresh broker of the
/// same configuration, whose folder lies in `root`.
pub async fn measure(data: &Path, root: &Path) -> Outcome<Limit> {
    let program = match tools::find("nats-server") {
        Some(program) => program,
        None => find_nats_server(&[])?,
    };
    let folder = tempfile::Builder::new().prefix("meritd-ingest-").tempdir_in(root)?;
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
    let (mut limit, mut next, mut total) = (Limit::default(), 1, 0);
    // In turn, so that what else the machine does meets both ways alike.
    for in_flight in [1, IN_FLIGHT].into_iter().cycle() {
        let most = BATCH_MAX * BATCHES_AT_ONCE;
        let range = read_range(source, StreamId::Events, &filters, next, most).await?;
        let Some(last) = range.messages.last() else { break };
        next = last.sequence + 1;
        total += range.messages.len() as u64;
        let batches = batches(range.messages);
        let rate = if in_flight == 1 { &mut limit.one } else { &mut limit.several };
        publish(target, batches, in_flight, broker, rate).await?;
        if range.caught_up || total >= MESSAGES_MAX {
            break;
        }
    }
    Ok(limit)
}

/// The messages as they were before they were published.
fn batches(stored: Vec<Stored>) -> Vec<Vec<OutMessage>> {
    let message = |stored: Stored| OutMessage::new(stored.subject, headers(None), stored.payload);
    let messages = stored.into_iter().map(message);
    let mut batches = vec![Vec::with_capacity(BATCH_MAX)];
    for message in messages {
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_MAX => batch.push(message),
            _ => batches.push(vec![message]),
        }
    }
    batches
}

async fn publish(
    target: &Connection,
    batches: Vec<Vec<OutMessage>>,
    in_flight: usize,
    broker: u32,
    rate: &mut Rate,
) -> Outcome<()> {
    let count: usize = batches.iter().map(Vec::len).sum();
    let (started, used) = (Instant::now(), cpu_seconds(broker));
    futures::stream::iter(batches)
        .map(|batch| publish_atomic(target, StreamId::Events, batch, None))
        .buffered(in_flight)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await?;
    rate.seconds += started.elapsed().as_secs_f64();
    rate.broker_cpu_s += cpu_seconds(broker) - used;
    rate.messages += count as u64;
    Ok(())
}

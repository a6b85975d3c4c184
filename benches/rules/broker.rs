//! The same through a real broker, as a fold of the daemon gets its messages: by the same
//! inbox, in batches of the same size, acknowledged with each commit.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, TryStreamExt as _};
use meritd::{
    streams::{
        batch::{BATCH_MAX, publish_atomic},
        connection::Connection,
        consume::{Delivered, Inbox, InboxSpec},
        find_nats_server,
        managed::{ManagedServer, ManagedSpec},
        publish::OutMessage,
        setup::{Replicas, declare},
        subjects::StreamId,
    },
    tools,
};

use super::{BATCH, CHUNK, Folded, Outcome, history::History, is_event, read};

/// Messages that an inbox asks for at once, as a fold's does.
const FETCH: usize = 500;
const WAIT: Duration = Duration::from_millis(200);
const ACK_WAIT: Duration = Duration::from_secs(120);
/// Batches on their way while the stream is made.
const IN_FLIGHT: usize = 4;
const GRACE: Duration = Duration::from_secs(10);

/// How long it took to read the same messages without rules, and with them.
#[derive(Clone, Copy, Default)]
pub struct Took {
    pub reading: Duration,
    pub folding: Duration,
}

/// The same messages in both ways of reading.
pub struct Compared {
    /// As folds do.
    pub ahead: Took,
    /// A batch is asked for when the one before it is handled.
    pub in_turn: Took,
    pub events: u64,
}

/// Reads a stream of so many events without rules and with them, by turns.
pub fn measure(events: u64, users: u64) -> Outcome<Compared> {
    tokio::runtime::Runtime::new()?.block_on(compared(events, users))
}

async fn compared(events: u64, users: u64) -> Outcome<Compared> {
    let program = match tools::find("nats-server") {
        Some(program) => program,
        None => find_nats_server(&[])?,
    };
    let folder = tempfile::Builder::new().prefix("meritd-rules-").tempdir()?;
    let spec = ManagedSpec { folder: folder.path().join("nats"), program };
    let mut server = ManagedServer::start(spec).await?;
    let connection = Connection::open(server.connect_spec("bench-rules")).await?;
    let compared = by_turns(&connection, events, users).await;
    server.stop(GRACE).await;
    compared
}

async fn by_turns(connection: &Connection, events: u64, users: u64) -> Outcome<Compared> {
    declare(connection, Replicas::ONE).await?;
    let mut history = History::new(users);
    let mut published = 0;
    while published < events {
        published += publish(connection, &mut history).await?;
    }
    let (mut ahead, mut in_turn) =
        (Pair::open(connection, true).await?, Pair::open(connection, false).await?);
    // Side by side, so that a noisy machine is as noisy for all.
    while ahead.plain.pending > 0 || in_turn.plain.pending > 0 {
        ahead.part().await?;
        in_turn.part().await?;
    }
    Ok(Compared { ahead: ahead.took, in_turn: in_turn.took, events: published })
}

/// A reader without rules and one with them.
struct Pair {
    plain: Reader,
    ruled: Reader,
    folded: Folded,
    took: Took,
}

impl Pair {
    async fn open(connection: &Connection, reads_ahead: bool) -> Outcome<Self> {
        Ok(Self {
            plain: Reader::open(connection, "reading", reads_ahead).await?,
            ruled: Reader::open(connection, "folding", reads_ahead).await?,
            folded: Folded::new()?,
            took: Took::default(),
        })
    }

    /// Both go on by what one commit has.
    async fn part(&mut self) -> Outcome<()> {
        let began = Instant::now();
        let last = self
            .plain
            .part(|delivered| {
                black_box(read(&delivered.subject, &delivered.payload)?);
                Ok(())
            })
            .await?;
        self.plain.inbox.ack_through(last).await?;
        self.took.reading += began.elapsed();
        let began = Instant::now();
        let engine = &mut self.folded.engine;
        let last = self
            .ruled
            .part(|delivered| Ok(engine.handle(read(&delivered.subject, &delivered.payload)?)?))
            .await?;
        let effects = engine.take_effects();
        self.ruled.inbox.ack_through(last).await?;
        self.took.folding += began.elapsed();
        self.folded.keep(&effects);
        Ok(())
    }
}

/// As the daemon publishes. How many events.
async fn publish(connection: &Connection, history: &mut History) -> Outcome<u64> {
    let said = history.blocks(CHUNK)?;
    let events = said.iter().filter(|it| is_event(&it.subject)).count();
    let batches: Vec<Vec<OutMessage>> = said.chunks(BATCH_MAX).map(<[_]>::to_vec).collect();
    futures::stream::iter(batches)
        .map(|batch| publish_atomic(connection, StreamId::Events, batch, None))
        .buffered(IN_FLIGHT)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await?;
    Ok(events as u64)
}

struct Reader {
    inbox: Inbox,
    /// What is known to wait; something, until it was asked.
    pending: u64,
}

impl Reader {
    async fn open(connection: &Connection, what: &str, reads_ahead: bool) -> Outcome<Self> {
        let spec = InboxSpec {
            stream: StreamId::Events,
            durable: format!("bench-{what}-{}", if reads_ahead { "ahead" } else { "in-turn" }),
            filters: ["merit.v1.events.>", "merit.v1.watermarks.>"].map(str::to_owned).into(),
            max_batch: FETCH,
            ack_wait: ACK_WAIT,
            reads_ahead,
            resume_after: None,
        };
        let (inbox, _) = Inbox::open(connection, spec).await?;
        Ok(Self { inbox, pending: 1 })
    }

    /// Shows what one commit has. The last of it.
    async fn part(&mut self, mut see: impl FnMut(&Delivered) -> Outcome<()>) -> Outcome<u64> {
        let (mut seen, mut last) = (0, 0);
        while seen < BATCH && self.pending > 0 {
            let delivered = self.inbox.fetch(FETCH, WAIT).await?;
            delivered.iter().try_for_each(&mut see)?;
            seen += delivered.len();
            if let Some(newest) = delivered.last() {
                (self.pending, last) = (newest.pending, newest.sequence);
            }
        }
        Ok(last)
    }
}

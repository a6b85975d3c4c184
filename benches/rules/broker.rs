//! The same through a real broker, as a fold of the daemon gets its messages: by the same
//! inbox, in batches of the same size, acknowledged with each commit.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, TryStreamExt as _};
use meritd::{
    fold::{Input, Write},
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

use tokio::task::JoinHandle;

use super::{BATCH, CHUNK, Folded, Outcome, history::History, is_event, read};

/// Messages that an inbox asks for at once, as a fold's does.
const FETCH: usize = 500;
const WAIT: Duration = Duration::from_millis(200);
/// Commits of a fold's round that is behind.
const COMMITS: usize = 5;
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
    /// As folds do: the next batch is under way, and what is committed is written down
    /// meanwhile.
    pub ahead: Took,
    /// One thing after the other, as a plain consumer does.
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
        ahead.round().await?;
        in_turn.round().await?;
    }
    Ok(Compared { ahead: ahead.took, in_turn: in_turn.took, events: published })
}

/// A reader without rules and one with them.
struct Pair {
    plain: Reader,
    ruled: Reader,
    folded: Folded,
    reads_ahead: bool,
    took: Took,
}

impl Pair {
    async fn open(connection: &Connection, reads_ahead: bool) -> Outcome<Self> {
        Ok(Self {
            plain: Reader::open(connection, "reading", reads_ahead).await?,
            ruled: Reader::open(connection, "folding", reads_ahead).await?,
            folded: Folded::new()?,
            reads_ahead,
            took: Took::default(),
        })
    }

    /// Both go on by what a round of a fold has. What is under way for one is there before
    /// the other begins.
    async fn round(&mut self) -> Outcome<()> {
        let began = Instant::now();
        for _ in 0..COMMITS {
            let see = |told: Told| {
                black_box(told?);
                Ok(())
            };
            let last = self.plain.part(see).await?;
            self.plain.inbox.ack_through(last).await?;
        }
        self.took.reading += began.elapsed();
        let began = Instant::now();
        let (mut writing, mut made) = (None, Vec::new());
        for _ in 0..COMMITS {
            let engine = &mut self.folded.engine;
            let last = self.ruled.part(|told| Ok(engine.handle(told?)?)).await?;
            let (unwritten, emissions) = engine.take_unwritten();
            self.folded.said += emissions.len() as u64;
            made.extend(self.written(writing.take()).await?);
            writing = Some((last, tokio::task::spawn_blocking(|| unwritten.into_writes())));
            if !self.reads_ahead {
                made.extend(self.written(writing.take()).await?);
            }
        }
        made.extend(self.written(writing).await?);
        self.took.folding += began.elapsed();
        made.iter().for_each(|writes| self.folded.saved.absorb(writes));
        Ok(())
    }

    /// Waits for what is written down, and acknowledges what it is of.
    async fn written(&mut self, writing: Option<Writing>) -> Outcome<Option<Vec<Write>>> {
        let Some((last, writing)) = writing else { return Ok(None) };
        let writes = writing.await?;
        self.ruled.inbox.ack_through(last).await?;
        Ok(Some(writes))
    }
}

/// Up to which message, and what a commit has of it.
type Writing = (u64, JoinHandle<Vec<Write>>);

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

/// What stands in a message.
type Told = Outcome<Input>;

struct Reader {
    inbox: Inbox<Told>,
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
            reads: read,
        };
        let (inbox, _) = Inbox::open(connection, spec).await?;
        Ok(Self { inbox, pending: 1 })
    }

    /// Shows what one commit has. The last of it.
    async fn part(&mut self, mut see: impl FnMut(Told) -> Outcome<()>) -> Outcome<u64> {
        let (mut seen, mut last) = (0, 0);
        while seen < BATCH && self.pending > 0 {
            let delivered = self.inbox.fetch(FETCH, WAIT).await?;
            seen += delivered.len();
            for Delivered { sequence, read, pending, .. } in delivered {
                see(read)?;
                (self.pending, last) = (pending, sequence);
            }
        }
        Ok(last)
    }
}

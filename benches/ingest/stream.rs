//! The daemon's stream as any consumer sees it: watermarks as they become
//! durable, and how much there is.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use async_nats::{
    Client, ConnectOptions,
    jetstream::{
        self,
        consumer::{DeliverPolicy, push},
        stream::Stream,
    },
};
use futures::StreamExt as _;
use meritd::daemon::CLIENT_FILE;
use serde::Deserialize;

use super::{
    Outcome,
    daemon::{CHAIN, Daemon},
};

/// The daemon's note of how to reach its broker.
#[derive(Deserialize)]
struct Note {
    urls: Vec<String>,
    user: String,
    password: String,
}

/// The watermarks, from the stream's beginning on.
pub struct Watermarks {
    stream: Stream,
    messages: push::Ordered,
    through: BTreeMap<String, u64>,
    /// How many there were.
    pub count: u64,
    /// When the server stored the last one, nanoseconds since the Unix epoch.
    pub last_stored_ns: i128,
}

/// How long a daemon may take to have its streams.
const READY_WITHIN: Duration = Duration::from_secs(40);
/// How long nothing may happen.
const SILENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Watermarks {
    /// Waits for the daemon's stream and follows it.
    pub async fn follow(daemon: &mut Daemon) -> Outcome<Self> {
        let deadline = Instant::now() + READY_WITHIN;
        let (client, stream) = loop {
            daemon.check()?;
            match open(&daemon.data()).await {
                Ok(found) => break found,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        };
        let config = push::OrderedConfig {
            deliver_subject: client.new_inbox(),
            filter_subject: format!("merit.v1.watermarks.{CHAIN}.>"),
            deliver_policy: DeliverPolicy::All,
            ..push::OrderedConfig::default()
        };
        let messages = stream.create_consumer(config).await?.messages().await?;
        let through = BTreeMap::new();
        Ok(Self { stream, messages, through, count: 0, last_stored_ns: 0 })
    }

    /// Waits until that many contracts are complete through a block.
    pub async fn reach(&mut self, daemon: &mut Daemon, contracts: u64, block: u64) -> Outcome<()> {
        let mut told = Instant::now();
        while (self.through.len() as u64) < contracts
            || self.through.values().any(|through| *through < block)
        {
            daemon.check()?;
            let Ok(next) = tokio::time::timeout(SILENCE, self.messages.next()).await else {
                let told = daemon.last_words();
                return Err(format!("no watermark for {SILENCE:?}; its log:\n{told}").into());
            };
            let message = next.ok_or("the stream's consumer ended")??;
            self.last_stored_ns = message.info()?.published.unix_timestamp_nanos();
            self.count += 1;
            let envelope: serde_json::Value = serde_json::from_slice(&message.payload)?;
            let number = envelope.pointer("/data/through/number").and_then(|n| n.as_u64());
            let number = number.ok_or("a watermark without a block: a retraction?")?;
            self.through.insert(message.subject.to_string(), number);
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                let lowest = self.through.values().min().copied().unwrap_or_default();
                eprintln!("  at block {lowest} of {block}");
            }
        }
        Ok(())
    }

    /// When the server stored the stream's first message: a contract's actor
    /// began. Nanoseconds since the Unix epoch.
    pub async fn first_stored_ns(&self) -> Outcome<i128> {
        Ok(self.stream.get_raw_message(1).await?.time.unix_timestamp_nanos())
    }

    /// Events in the stream, and the bytes of all its messages.
    pub async fn size(&self) -> Outcome<(u64, u64)> {
        let mut subjects = self.stream.info_with_subjects("merit.v1.events.>").await?;
        let bytes = subjects.info.state.bytes;
        let mut events = 0;
        while let Some(subject) = subjects.next().await {
            events += subject?.1 as u64;
        }
        Ok((events, bytes))
    }
}

async fn open(data: &Path) -> Outcome<(Client, Stream)> {
    let note: Note = serde_json::from_str(&fs::read_to_string(data.join(CLIENT_FILE))?)?;
    let options = ConnectOptions::new().user_and_password(note.user, note.password);
    let client = options.connect(note.urls).await?;
    let stream = jetstream::new(client.clone()).get_stream("MERIT_EVENTS").await?;
    Ok((client, stream))
}

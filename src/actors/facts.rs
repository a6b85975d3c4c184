//! Takes facts in, one source each: puts them into their order and publishes them.
//!
//! The stream is their truth. Which ids it has is noted in the store, so that a fact is
//! taken once however often it is sent; what the store lacks is read back from the
//! stream before anything is taken.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::timeout,
};

use super::{
    messages::{self, MessageError},
    outbox::owned_key,
    shared::Shared,
    transaction::unix_s,
};
use crate::{
    domain::{Event, EventId, Name, Watermark, off_chain::off_chain},
    facts::{Fact, FactChain, ID_FIELD},
    store::{StoreError, Table, Write},
    streams::{
        PublishError, StreamError,
        fence::{Fence, FenceError},
        publish::OutMessage,
        read::{last_by_subject, read_range},
        setup::{self, StreamIncarnation},
        subjects::{self, StreamId, Writer, WriterKind},
    },
    supervisor::{Next, Steps},
};

/// Facts of one block.
const AT_ONCE: usize = 256;
/// How long a step waits for a fact.
const WAIT: Duration = Duration::from_millis(500);
/// Pause after something did not work.
const RETRY: Duration = Duration::from_secs(1);
/// Messages that are read back at once.
const PAGE: usize = 1_000;

/// A fact that waits, and who waits for the answer.
pub struct Pending {
    /// What was said.
    pub fact: Fact,
    /// Dropped when it is not known whether the fact was taken: it can be sent again.
    pub answer: oneshot::Sender<Taken>,
}

/// What became of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is in the stream, as this event.
    New(EventId),
    /// It was before.
    Known(EventId),
    /// Another one has its id.
    Differs(EventId),
}

/// Facts on their way in; the queue outlives the actor's incarnations.
pub type Queue = Arc<Mutex<mpsc::Receiver<Pending>>>;

/// Takes the facts of one source.
pub struct FactsActor {
    shared: Shared,
    source: Name,
    /// Longest time without a word, so that nobody waits long for facts that don't come.
    heartbeat: Duration,
    queue: Queue,
    /// Names this incarnation.
    holder: String,
    open: Option<Open>,
    trouble: Option<String>,
    taken: u64,
}

/// What is known while the stream is at hand.
struct Open {
    fence: Fence,
    chain: FactChain,
    /// Sequence of the last watermark in the stream; 0 if there is none.
    watermark: u64,
    incarnation: StreamIncarnation,
    reconnects: u64,
}

/// Up to where ids are noted.
#[derive(Serialize, Deserialize)]
struct Noted {
    incarnation: StreamIncarnation,
    sequence: u64,
}

/// What the store has of a fact that was taken.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Note {
    digest: B256,
    event: EventId,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Fence(#[from] FenceError),
    #[error(transparent)]
    Read(#[from] StreamError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a fact that can't be written as a message: {0}")]
    Message(#[from] MessageError),
}

impl FactsActor {
    /// Takes what is put into the queue.
    #[must_use]
    pub fn new(shared: Shared, source: Name, heartbeat: Duration, queue: Queue) -> Self {
        let holder = shared.incarnation();
        Self { shared, source, heartbeat, queue, holder, open: None, trouble: None, taken: 0 }
    }

    fn writer(&self) -> Writer {
        Writer::new(WriterKind::Facts, self.source.clone())
    }

    /// Takes the fence, finds the end of the chain, and notes what the store lacks.
    async fn open(&self) -> Result<Open, Trouble> {
        let connection = &self.shared.connection;
        let reconnects = *connection.reconnects().borrow();
        let fence =
            Fence::acquire(connection, StreamId::Events, &self.writer(), &self.holder).await?;
        let incarnation = setup::incarnation(connection, StreamId::Events).await?;
        let subject = subjects::watermark(&off_chain(), &self.source);
        let last = last_by_subject(connection, StreamId::Events, &subject).await?;
        let read = |payload: &[u8]| messages::read::<Watermark>(payload).ok();
        let through = last.as_ref().and_then(|it| Some(*read(&it.payload)?.complete_through()));
        let open = Open {
            fence,
            chain: FactChain::after(self.source.clone(), through),
            watermark: last.map_or(0, |last| last.sequence),
            incarnation,
            reconnects,
        };
        self.note_tail(&open).await?;
        Ok(open)
    }

    /// Notes the facts of the stream that the store does not have.
    async fn note_tail(&self, open: &Open) -> Result<(), Trouble> {
        let owner = self.writer().to_string();
        let noted = self.shared.store.get(Table::Positions, owner.as_bytes()).await?;
        let noted: Option<Noted> = noted.and_then(|noted| serde_json::from_slice(&noted).ok());
        // Of a stream that is gone, or lost its end, nothing is known.
        let noted =
            noted.filter(|it| it.incarnation == open.incarnation && it.sequence <= open.watermark);
        let mut sequence = noted.map_or(0, |it| it.sequence);
        if sequence == 0 {
            self.forget(&owner).await?;
        }
        let filters = [subjects::events_of(&off_chain(), &self.source)];
        while sequence < open.watermark {
            let connection = &self.shared.connection;
            let read =
                read_range(connection, StreamId::Events, &filters, sequence + 1, PAGE).await?;
            let events = read.messages.iter();
            let events = events.filter_map(|stored| messages::read::<Event>(&stored.payload).ok());
            let mut rows: Vec<Write> = events
                .filter_map(|event| {
                    let digest = event.origin.transaction_hash;
                    Some(self.note(fact_id(&event)?, Note { digest, event: event.id }))
                })
                .collect();
            sequence = match (read.messages.last(), read.caught_up) {
                (Some(last), false) => last.sequence,
                _ => open.watermark,
            };
            rows.push(self.noted(open.incarnation, sequence));
            self.shared.store.commit(rows).await?;
        }
        Ok(())
    }

    async fn forget(&self, owner: &str) -> Result<(), StoreError> {
        loop {
            let prefix = owned_key(owner, b"f");
            let store = &self.shared.store;
            let page = store.scan_prefix(Table::State, &prefix, None, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            let rows = page.into_iter().map(|(key, _)| Write::delete(Table::State, key));
            store.commit(rows.collect()).await?;
        }
    }

    fn key(&self, id: &str) -> Vec<u8> {
        owned_key(&self.writer().to_string(), &[b"f", id.as_bytes()].concat())
    }

    fn note(&self, id: &str, note: Note) -> Write {
        // Hashes: they serialise to memory.
        Write::put(Table::State, self.key(id), serde_json::to_vec(&note).unwrap_or_default())
    }

    fn noted(&self, incarnation: StreamIncarnation, sequence: u64) -> Write {
        let noted = serde_json::to_vec(&Noted { incarnation, sequence }).unwrap_or_default();
        Write::put(Table::Positions, self.writer().to_string(), noted)
    }

    /// The facts that wait: as many as fit into a block, or none after a while.
    async fn waiting(&self) -> Vec<Pending> {
        let mut queue = self.queue.lock().await;
        let Ok(Some(first)) = timeout(WAIT, queue.recv()).await else { return Vec::new() };
        let mut waiting = vec![first];
        while waiting.len() < AT_ONCE
            && let Ok(next) = queue.try_recv()
        {
            waiting.push(next);
        }
        waiting
    }

    async fn round(&mut self) -> Result<(), Trouble> {
        let reconnects = *self.shared.connection.reconnects().borrow();
        let mut open = match self.open.take() {
            Some(open) if open.reconnects == reconnects => open,
            _ => self.open().await?,
        };
        let waiting = self.waiting().await;
        let now = unix_s();
        let is_silent = open.chain.time() + self.heartbeat.as_secs() <= now;
        if !waiting.is_empty() || is_silent {
            self.take(&mut open, waiting, now).await?;
        }
        self.open = Some(open);
        Ok(())
    }

    /// Publishes what is new as one block, and answers.
    async fn take(
        &mut self,
        open: &mut Open,
        waiting: Vec<Pending>,
        now: u64,
    ) -> Result<(), Trouble> {
        let mut fresh: Vec<(Fact, Vec<oneshot::Sender<Taken>>)> = Vec::new();
        let mut by_id: BTreeMap<String, usize> = BTreeMap::new();
        for Pending { fact, answer } in waiting {
            if let Some(at) = by_id.get(&fact.id) {
                // Sent twice at once: answered with the first, if it is the same.
                match fresh.get_mut(*at) {
                    Some((first, answers)) if first.digest == fact.digest => answers.push(answer),
                    _ => drop(answer),
                }
                continue;
            }
            let known = self.shared.store.get(Table::State, &self.key(&fact.id)).await?;
            let known = known.and_then(|known| serde_json::from_slice::<Note>(&known).ok());
            match known {
                Some(Note { digest, event }) => {
                    let same = digest == fact.digest;
                    self.answer(
                        answer,
                        if same { Taken::Known(event) } else { Taken::Differs(event) },
                    );
                }
                None => {
                    by_id.insert(fact.id.clone(), fresh.len());
                    fresh.push((fact, vec![answer]));
                }
            }
        }
        let (facts, answers): (Vec<Fact>, Vec<_>) = fresh.into_iter().unzip();
        if facts.is_empty() && open.chain.time() + self.heartbeat.as_secs() > now {
            return Ok(());
        }
        let (events, watermark) = open.chain.next(&facts, now);
        let mut out: Vec<OutMessage> =
            events.iter().map(messages::event).collect::<Result<_, _>>()?;
        let closing = messages::watermark(&off_chain(), &watermark)?;
        out.push(closing.expecting(open.watermark));
        let ack = self.shared.publish_all(StreamId::Events, out, Some(&open.fence)).await?;
        open.watermark = ack.last_sequence;
        open.chain.advance(&watermark);
        let notes = facts.iter().zip(&events).map(|(fact, event)| {
            self.note(&fact.id, Note { digest: fact.digest, event: event.id })
        });
        let mut rows: Vec<Write> = notes.collect();
        if !facts.is_empty() {
            rows.push(self.noted(open.incarnation, open.watermark));
            self.shared.store.commit(rows).await?;
        }
        self.taken += facts.len() as u64;
        for (event, answers) in events.iter().zip(answers) {
            for (at, answer) in answers.into_iter().enumerate() {
                let taken = if at == 0 { Taken::New(event.id) } else { Taken::Known(event.id) };
                self.answer(answer, taken);
            }
        }
        Ok(())
    }

    fn answer(&self, answer: oneshot::Sender<Taken>, taken: Taken) {
        let outcome = match taken {
            Taken::New(_) => "taken",
            Taken::Known(_) => "known",
            Taken::Differs(_) => "differs",
        };
        let labels = [self.source.as_str(), outcome];
        self.shared.metrics.facts_total.with_label_values(&labels).inc();
        // Whoever asked may have gone; the fact is taken all the same.
        let _ = answer.send(taken);
    }
}

fn fact_id(event: &Event) -> Option<&str> {
    event.fields.get(ID_FIELD)?.as_str()
}

impl Steps for FactsActor {
    type Failure = std::convert::Infallible;

    async fn started(&mut self) -> Result<(), Self::Failure> {
        Ok(())
    }

    async fn step(&mut self) -> Result<Next, Self::Failure> {
        match self.round().await {
            Ok(()) => {
                if self.trouble.take().is_some() {
                    tracing::info!(facts = %self.source, "works again");
                }
                Ok(Next::Again)
            }
            Err(trouble) => {
                let why = trouble.to_string();
                if self.trouble.as_ref() != Some(&why) {
                    tracing::warn!(facts = %self.source, "{why}");
                }
                self.trouble = Some(why);
                Ok(Next::After(RETRY))
            }
        }
    }

    async fn drain(&mut self) {}

    fn observe(&self) -> Json {
        json!({
            "not_ready": self.trouble,
            "taken": self.taken,
            "last_time": self.open.as_ref().map(|open| open.chain.time()),
        })
    }
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;

//! What rule-set and governance actors have in common: reading events and
//! watermarks from the stream, folding them, and saying what follows.
//!
//! One round reads a batch, folds it, commits position, state, undo log and
//! outgoing messages in one store transaction, publishes, and only then
//! acknowledges. Whatever a crash interrupts is done again with the same
//! result, because the fold is a function of the stream's order.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{
    messages::{self, MessageError},
    outbox::{Outbox, OutboxError, Outgoing, owned_key},
    shared::Shared,
};
use crate::{
    chain::rpc::RpcError,
    domain::{Event, Watermark},
    fold::{Area, Effects, Emission, Engine, Fold, Input, InputError, SavedParts, Source},
    store::{StoreError, Table, Write},
    streams::{
        PublishError, StreamError,
        consume::{Cursor, Inbox, InboxSpec, Resumption},
        fence::{Fence, FenceError},
        subjects::{self, StreamId, Writer},
    },
    supervisor::{Next, Steps},
};

/// What makes a fold an actor: its name, its sources and its messages.
pub trait Folding: 'static {
    /// The pure part.
    type Fold: Fold + Clone;

    /// Who writes.
    fn writer(&self) -> Writer;
    /// The stream it writes to.
    fn stream(&self) -> StreamId;
    /// What it folds.
    fn fold(&self) -> Self::Fold;
    /// What of the fold decides its results: other results are rebuilt.
    fn version(&self) -> String;
    /// The contracts it reads, with the names of their chains.
    fn sources(&self) -> Vec<(crate::domain::Name, Source)>;
    /// What to say about an emission.
    ///
    /// # Errors
    /// When it can't be written as a message.
    fn say(
        &self,
        shared: &Shared,
        emission: &Emission<<Self::Fold as Fold>::Output>,
    ) -> Result<Vec<Outgoing>, MessageError>;
    /// Learns from the chain what events don't tell. Returns whether it did.
    fn learn(
        &self,
        shared: &Shared,
        engine: &mut Engine<Self::Fold>,
    ) -> impl Future<Output = Result<bool, RpcError>>;
    /// What was emitted is durable and said; no emissions: the fold was opened.
    fn settled(
        &self,
        shared: &Shared,
        engine: &Engine<Self::Fold>,
        emissions: &[Emission<<Self::Fold as Fold>::Output>],
    );
    /// Adds to what `status` shows.
    fn observe(&self, engine: &Engine<Self::Fold>) -> Json;
}

/// The actor around a [`Folding`].
pub struct FoldActor<F: Folding> {
    pub(super) folding: F,
    shared: Shared,
    holder: String,
    pub(super) open: Option<Open<F::Fold>>,
    trouble: Option<String>,
    frozen: Option<String>,
}

/// What one commit keeps in agreement.
pub(super) struct Open<F: Fold> {
    pub(super) engine: Engine<F>,
    inbox: Inbox,
    outbox: Outbox,
    fence: Fence,
    reconnects: u64,
    pending: u64,
    undone_blocks: u64,
}

/// What is saved beside the fold's own parts.
#[derive(Serialize, Deserialize)]
struct Standing {
    version: String,
    cursor: Option<Cursor>,
}

/// Why a round did not get through; all of it is tried again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Fence(#[from] FenceError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

/// Why an incarnation ends.
#[derive(Debug, thiserror::Error)]
pub enum FoldFailure {
    /// Another daemon folds this now.
    #[error(transparent)]
    Fenced(PublishError),
}

/// Messages of one round.
const BATCH: usize = 500;
/// How long a round waits for messages; the mailbox is read in between.
const WAIT: Duration = Duration::from_millis(200);
/// Longer than a round may take.
const ACK_WAIT: Duration = Duration::from_secs(120);
/// Pause after a round that did not get through.
const RETRY: Duration = Duration::from_millis(500);
/// Pause of a fold that waits for a person.
const FROZEN_PAUSE: Duration = Duration::from_secs(10);
/// Rows removed in one commit when a fold is rebuilt.
const FORGET_AT_ONCE: usize = 4000;

impl<F: Folding> FoldActor<F> {
    /// An actor that will read its state from the store.
    #[must_use]
    pub fn new(shared: Shared, folding: F) -> Self {
        let holder = shared.incarnation();
        Self { folding, shared, holder, open: None, trouble: None, frozen: None }
    }

    fn owner(&self) -> String {
        self.folding.writer().to_string()
    }

    /// Reads the saved fold, or forgets it when it is another version's.
    async fn open(&self) -> Result<Open<F::Fold>, Trouble> {
        let connection = &self.shared.connection;
        let reconnects = *connection.reconnects().borrow();
        let owner = self.owner();
        let stream = self.folding.stream();
        let fence =
            Fence::acquire(connection, stream, &self.folding.writer(), &self.holder).await?;
        let sources = self.folding.sources();
        let filters: Vec<String> = sources
            .iter()
            .flat_map(|(chain, source)| {
                [
                    subjects::events_of(chain, &source.contract),
                    subjects::watermark(chain, &source.contract),
                ]
            })
            .collect();
        let saved = self.shared.store.get(Table::Positions, owner.as_bytes()).await?;
        let standing: Option<Standing> =
            saved.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let version = self.folding.version();
        let sources: Vec<Source> = sources.into_iter().map(|(_, source)| source).collect();
        let restored = match standing {
            Some(standing) if standing.version == version => {
                let parts = self.saved_parts(&owner).await?;
                match Engine::restore(self.folding.fold(), sources.clone(), parts) {
                    Ok(engine) => Some((engine, standing.cursor)),
                    Err(error) => {
                        tracing::warn!(actor = owner, "rebuilding from the stream: {error}");
                        None
                    }
                }
            }
            Some(_) => {
                tracing::info!(actor = owner, "its definition changed: rebuilding from the stream");
                None
            }
            None => None,
        };
        let (mut engine, cursor) = match restored {
            Some(restored) => restored,
            None => {
                self.forget(&owner).await?;
                (Engine::new(self.folding.fold(), sources.clone()), None)
            }
        };
        let spec = |resume_after| InboxSpec {
            stream: StreamId::Events,
            durable: owner.clone(),
            filters: Vec::clone(&filters),
            max_batch: BATCH,
            ack_wait: ACK_WAIT,
            resume_after,
        };
        let (mut inbox, resumed) = Inbox::open(connection, spec(cursor)).await?;
        if matches!(resumed, Resumption::NewIncarnation | Resumption::TailLost { .. }) {
            // Its sequences mean other messages now: the fold starts again
            // with the stream. What it says again is known by its effects.
            tracing::warn!(actor = owner, ?resumed, "the stream is another: rebuilding");
            self.forget(&owner).await?;
            engine = Engine::new(self.folding.fold(), sources);
            (inbox, _) = Inbox::open(connection, spec(None)).await?;
        }
        let outbox = Outbox::restore(&self.shared, &owner).await?;
        self.folding.settled(&self.shared, &engine, &[]);
        tracing::info!(actor = owner, ?resumed, "fold opened");
        Ok(Open { engine, inbox, outbox, fence, reconnects, pending: 0, undone_blocks: 0 })
    }

    async fn saved_parts(&self, owner: &str) -> Result<SavedParts, StoreError> {
        let prefix = owned_key(owner, &[]);
        let mut parts = SavedParts::default();
        for (table, area) in AREAS {
            let rows = self.shared.store.scan_all(table, &area_key(owner, area, &[])).await?;
            let skip = prefix.len() + 1;
            let rows = rows
                .into_iter()
                .map(|(key, value)| (key.get(skip..).unwrap_or_default().to_vec(), value));
            match area {
                Area::State => parts.state = rows.collect(),
                Area::Inbox => parts.inbox = rows.collect(),
                Area::Journal => parts.journal = rows.collect(),
                Area::Meta => parts.meta = rows.collect(),
            }
        }
        Ok(parts)
    }

    async fn forget(&self, owner: &str) -> Result<(), StoreError> {
        for (table, area) in AREAS {
            let rows = self.shared.store.scan_all(table, &area_key(owner, area, &[])).await?;
            for rows in rows.chunks(FORGET_AT_ONCE) {
                let writes =
                    rows.iter().map(|(key, _)| Write { table, key: key.clone(), value: None });
                self.shared.store.commit(writes.collect()).await?;
            }
        }
        Ok(())
    }

    async fn round(&mut self) -> Result<Next, Trouble> {
        let reconnects = *self.shared.connection.reconnects().borrow();
        let mut open = match self.open.take() {
            Some(open) if open.reconnects == reconnects => open,
            _ => self.open().await?,
        };
        self.flush(&mut open).await?;
        let learned = match self.folding.learn(&self.shared, &mut open.engine).await {
            Ok(learned) => learned,
            Err(error) => {
                // Events go on being folded; what is to be learned waits.
                self.trouble = Some(error.to_string());
                false
            }
        };
        if learned {
            self.settle(&mut open, None).await?;
        }
        let deliveries = open.inbox.fetch(BATCH, WAIT).await?;
        let Some(last) = deliveries.last() else {
            self.open = Some(open);
            return Ok(Next::Again);
        };
        let (mut through, pending) = (last.sequence, last.pending);
        let before_first = deliveries.first().map_or(0, |first| first.sequence.saturating_sub(1));
        let mut handled = before_first;
        let mut frozen = None;
        let writer = self.folding.writer();
        let mut events = 0_u64;
        for delivery in &deliveries {
            let input = if delivery.subject.starts_with("merit.v1.watermarks.") {
                messages::read::<Watermark>(&delivery.payload).map(Input::Watermark)
            } else {
                events += 1;
                messages::read::<Event>(&delivery.payload).map(Input::Event)
            };
            let why = match input.map(|input| open.engine.handle(input)) {
                Ok(Ok(())) => {
                    handled = delivery.sequence;
                    continue;
                }
                Ok(Err(error @ InputError::BelowFinality { .. })) => {
                    frozen = Some(error.to_string());
                    break;
                }
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            let id = format!("{writer}/{}", delivery.sequence);
            let origin = json!({ "subject": delivery.subject, "sequence": delivery.sequence });
            self.shared.bury(&writer, &id, &why, origin).await?;
            handled = delivery.sequence;
        }
        if frozen.is_some() {
            through = handled;
        }
        let cursor = open.inbox.cursor_at(through);
        self.settle(&mut open, Some(cursor)).await?;
        open.inbox.ack_through(through).await?;
        open.pending = pending;
        self.measure(&mut open, events);
        if frozen.is_none() {
            self.frozen = None;
            self.open = Some(open);
            return Ok(Next::Again);
        }
        // Its message stays unhandled: whoever restarts the daemon is told
        // again, and nothing after it is folded into a state that the chain
        // does not support.
        if self.frozen != frozen {
            tracing::error!(actor = self.owner(), "{}", frozen.as_deref().unwrap_or_default());
        }
        self.frozen = frozen;
        Ok(Next::After(FROZEN_PAUSE))
    }

    /// Commits what the engine changed, what follows from it, and the cursor;
    /// then says it.
    async fn settle(
        &self,
        open: &mut Open<F::Fold>,
        cursor: Option<Cursor>,
    ) -> Result<(), Trouble> {
        let Effects { writes, emissions } = open.engine.take_effects();
        let owner = self.owner();
        let mut outgoing = Vec::new();
        for emission in &emissions {
            outgoing.extend(self.folding.say(&self.shared, emission)?);
        }
        let mut rows: Vec<Write> = writes
            .into_iter()
            .map(|write| Write {
                table: table_of(write.area),
                key: area_key(&owner, write.area, &write.key),
                value: write.value,
            })
            .collect();
        if let Some(cursor) = cursor {
            let standing = Standing { version: self.folding.version(), cursor: Some(cursor) };
            rows.push(Write {
                table: Table::Positions,
                key: owner.into_bytes(),
                value: serde_json::to_vec(&standing).ok(),
            });
        }
        rows.extend(open.outbox.add(outgoing));
        self.shared.store.commit(rows).await?;
        self.flush(open).await?;
        self.folding.settled(&self.shared, &open.engine, &emissions);
        Ok(())
    }

    async fn flush(&self, open: &mut Open<F::Fold>) -> Result<(), Trouble> {
        let fences = [(self.folding.stream(), open.fence.clone())];
        open.outbox.flush(&self.shared, &fences).await?;
        Ok(())
    }

    fn measure(&self, open: &mut Open<F::Fold>, events: u64) {
        let metrics = &self.shared.metrics;
        let owner = self.owner();
        metrics.fold_events_total.with_label_values(&[&owner]).inc_by(events);
        let undone = open.engine.undone_blocks();
        metrics
            .fold_undone_steps_total
            .with_label_values(&[&owner])
            .inc_by(undone.saturating_sub(open.undone_blocks));
        open.undone_blocks = undone;
        metrics
            .consumer_pending_messages
            .with_label_values(&[&owner])
            .set(i64::try_from(open.pending).unwrap_or(i64::MAX));
        for (chain, source) in self.folding.sources() {
            if let Some(block) = open.engine.applied_through().get(&source.chain_id) {
                metrics
                    .fold_block
                    .with_label_values(&[owner.as_str(), chain.as_str()])
                    .set(super::head::to_gauge(*block));
            }
        }
    }
}

const AREAS: [(Table, Area); 4] = [
    (Table::State, Area::State),
    (Table::Inbox, Area::Inbox),
    (Table::Journal, Area::Journal),
    (Table::State, Area::Meta),
];

fn table_of(area: Area) -> Table {
    match area {
        Area::State | Area::Meta => Table::State,
        Area::Inbox => Table::Inbox,
        Area::Journal => Table::Journal,
    }
}

/// An owner's key within an area. State and Meta share a table and are told
/// apart by the byte after the owner.
fn area_key(owner: &str, area: Area, key: &[u8]) -> Vec<u8> {
    let mark = match area {
        Area::State => b's',
        Area::Inbox => b'i',
        Area::Journal => b'j',
        Area::Meta => b'm',
    };
    owned_key(owner, &[&[mark], key].concat())
}

impl<F: Folding> Steps for FoldActor<F> {
    type Failure = FoldFailure;

    async fn started(&mut self) -> Result<(), FoldFailure> {
        Ok(())
    }

    async fn step(&mut self) -> Result<Next, FoldFailure> {
        let before = self.trouble.take();
        match self.round().await {
            Ok(next) => {
                if before.is_some() && self.trouble.is_none() {
                    tracing::info!(actor = self.owner(), "works again");
                }
                Ok(next)
            }
            Err(Trouble::Outbox(OutboxError::Publish(fenced @ PublishError::Fenced { .. }))) => {
                Err(FoldFailure::Fenced(fenced))
            }
            Err(trouble) => {
                let why = trouble.to_string();
                if before.as_ref() != Some(&why) {
                    tracing::warn!(actor = self.owner(), "{why}");
                }
                self.trouble = Some(why);
                Ok(Next::After(RETRY))
            }
        }
    }

    async fn drain(&mut self) {
        if let Some(mut open) = self.open.take() {
            // Everything that matters is committed; this only spares a repetition.
            let _ = self.flush(&mut open).await;
            let _ = self.shared.store.commit(open.outbox.forget_said()).await;
        }
    }

    fn observe(&self) -> Json {
        let mut shown = json!({
            "pending_messages": self.open.as_ref().map(|open| open.pending),
            "unsaid": self.open.as_ref().map(|open| open.outbox.len()),
            "not_ready": self.frozen.as_ref().or(self.trouble.as_ref()),
        });
        if let (Some(object), Some(open)) = (shown.as_object_mut(), &self.open) {
            object.insert("fold".into(), json!(open.engine.observe()));
            if let Json::Object(more) = self.folding.observe(&open.engine) {
                object.extend(more);
            }
        }
        shown
    }
}

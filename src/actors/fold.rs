//! What rule-set and governance actors have in common: reading events and
//! watermarks from the stream, folding them, and saying what follows.
//!
//! One round reads a batch, folds it, commits position, state, undo log and
//! outgoing messages in one store transaction, publishes, and only then
//! acknowledges. Whatever a crash interrupts is done again with the same
//! result, because the fold is a function of the stream's order.

mod comparing;
mod live;
mod opening;
mod remaking;
mod taking;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::Instant;

use comparing::LastWords;
use live::Live;
pub(super) use live::meaning_of_said;
use opening::{Standing, area_key, table_of};
pub(super) use opening::{standing, state_key};
use remaking::{Making, Mark};
use taking::{Stop, Taken};

use super::{
    messages::{self, MessageError},
    outbox::{Outbox, OutboxError, Outgoing},
    shared::Shared,
};
use crate::{
    chain::rpc::RpcError,
    fold::{Account, Effects, Emission, Engine, Fold, Source},
    store::{StoreError, Write},
    streams::{
        PublishError, StreamError,
        consume::{Cursor, Inbox},
        fence::{Fence, FenceError},
        read::Stored,
        setup::StreamIncarnation,
        subjects::{StreamId, Writer},
    },
    supervisor::{Next, Steps},
};

/// What makes a fold an actor: its name, its sources and its messages.
pub trait Folding: 'static {
    /// The pure part.
    type Fold: Fold + Clone;
    /// What learning remembers while the actor lives.
    type Asking: Default;

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
        emission: &Emission<<Self::Fold as Fold>::Output>,
    ) -> Result<Vec<Outgoing>, MessageError>;
    /// Learns from the chain what events don't tell. Returns whether it did.
    /// Called each round; `asking` is what it remembers of earlier ones.
    fn learn(
        &self,
        asking: &mut Self::Asking,
        engine: &mut Engine<Self::Fold>,
    ) -> impl Future<Output = Result<bool, RpcError>>;
    /// What it means, where that decides what becomes of what was said before; `None`
    /// where nothing is said, or nothing depends on it.
    fn meaning(&self) -> Option<String> {
        None
    }

    /// What must be done about what was said when it meant this, and something else
    /// than now.
    fn on_change(&self, older: &str) -> Change {
        let _ = older;
        Change::Rebuild
    }

    /// How often something was taken back because it meant something else: told
    /// before anything is said. As long as that is 0, what it says has the ids that it
    /// would have from nothing: a store that was lost repeats nothing then.
    fn generation(&self, taken_back: u64) {
        let _ = taken_back;
    }

    /// What tells the stream that is read from others before and after it, in which the
    /// same sequence is another message: told before anything is said.
    fn reads(&self, era: u64) {
        let _ = era;
    }

    /// What is to be kept of an emission, whatever becomes of the fold.
    fn keep(&self, emission: &Emission<<Self::Fold as Fold>::Output>) -> Option<Keep> {
        let _ = emission;
        None
    }

    /// Where its words about what it keeps are: streams, each with filters that don't
    /// overlap.
    fn words(&self) -> Vec<(StreamId, Vec<String>)> {
        Vec::new()
    }

    /// A word of its own, as it is on a stream; `None` if it is none.
    fn word(&self, stored: &Stored) -> Option<Keep> {
        let _ = stored;
        None
    }

    /// Says what is kept. `mark` tells the message from every other.
    ///
    /// # Errors
    /// When it can't be written as a message.
    fn say_kept(&self, said: &[u8], mark: &str) -> Result<Option<Outgoing>, MessageError> {
        let _ = (said, mark);
        Ok(None)
    }

    /// What is to be said about something that was said before, and that a fold which was
    /// made anew does not say; of an older version it is taken back only if `older`
    /// says so. `mark` tells the message from every other.
    ///
    /// # Errors
    /// When it can't be written as a message.
    fn drop_kept(
        &self,
        kept: &[u8],
        older: bool,
        mark: &str,
    ) -> Result<Option<Outgoing>, MessageError> {
        let _ = (kept, older, mark);
        Ok(None)
    }

    /// Words of [`Folding::say_kept`] are durable: told once, whatever it takes to say
    /// them.
    fn settled_kept(&self, shared: &Shared, said: &[Vec<u8>]) {
        let _ = (shared, said);
    }

    /// What else is to be said once a fold that was made anew has come as far as the one
    /// before it. `generation` is the present one; see [`Mended`].
    fn mend(
        &self,
        shared: &Shared,
        engine: &Engine<Self::Fold>,
        generation: u64,
    ) -> impl Future<Output = Result<Mended, NotMended>> {
        let _ = (shared, engine);
        std::future::ready(Ok(Mended { outgoing: Vec::new(), generation }))
    }

    /// The fold was opened, with this state.
    fn opened(&self, shared: &Shared, engine: &Engine<Self::Fold>);
    /// What was emitted is durable: told once, whatever it takes to say it.
    fn settled(
        &self,
        shared: &Shared,
        engine: &Engine<Self::Fold>,
        emissions: &[Emission<<Self::Fold as Fold>::Output>],
    );
    /// Adds to what `status` shows.
    fn observe(&self, engine: &Engine<Self::Fold>) -> Json;
}

/// What was said of something, in short.
#[derive(Debug)]
pub struct Keep {
    /// Of what.
    pub key: Vec<u8>,
    /// Enough to say it again, and to take it back.
    pub said: Vec<u8>,
    /// It holds; else it was taken back.
    pub holds: bool,
}

/// It can't be looked at now.
#[derive(Debug, thiserror::Error)]
pub enum NotMended {
    /// The broker does not answer.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// What follows can't be written.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// What follows from a look at what was said before.
#[derive(Debug, Default)]
pub struct Mended {
    /// To be said.
    pub outgoing: Vec<Outgoing>,
    /// From now on.
    pub generation: u64,
}

/// What a changed definition asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The fold is made anew from the stream.
    Rebuild,
    /// And what it does not say again is taken back.
    Recompute,
    /// Nothing goes on before a person has decided: why.
    Wait(String),
}

/// The actor around a [`Folding`].
pub struct FoldActor<F: Folding> {
    pub(super) folding: F,
    shared: Shared,
    holder: String,
    pub(super) open: Option<Box<Open<F::Fold>>>,
    asking: F::Asking,
    trouble: Option<String>,
    /// The trouble of the round before.
    trouble_before: Option<String>,
    /// Until when another daemon is left alone with the fence.
    yields_until: Option<Instant>,
    frozen: Option<String>,
}

/// What one commit keeps in agreement.
pub(super) struct Open<F: Fold> {
    pub(super) engine: Engine<F>,
    account: Account,
    inbox: Inbox,
    outbox: Outbox,
    fence: Fence,
    /// Of the stream that has what was said.
    output: StreamIncarnation,
    /// What was said before is to be looked at.
    mark: Option<Mark>,
    /// Until then nothing is said of what is kept.
    withholds: bool,
    /// The last word on each stream.
    words: LastWords,
    /// Which making of the fold it is.
    making: Making,
    /// What was taken back, and may wait to be said.
    taken_back: Vec<Vec<u8>>,
    /// What it means is not written down yet as what the last word was said by.
    live: Option<Live>,
    /// Something that it said may hold.
    has_said: bool,
    /// Fetches in a row that brought nothing.
    empty_fetches: u32,
    reconnects: u64,
    pending: u64,
    undone_blocks: u64,
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
    #[error(transparent)]
    Mend(#[from] NotMended),
    #[error("{0}")]
    Changed(String),
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
/// How long another daemon that took the fence is left alone with it: two
/// that take it from each other all the time do nothing else.
const RIVAL_PAUSE: Duration = Duration::from_secs(30);

impl<F: Folding> FoldActor<F> {
    /// An actor that will read its state from the store.
    #[must_use]
    pub fn new(shared: Shared, folding: F) -> Self {
        let holder = shared.incarnation();
        Self {
            folding,
            shared,
            holder,
            open: None,
            asking: F::Asking::default(),
            trouble: None,
            trouble_before: None,
            yields_until: None,
            frozen: None,
        }
    }

    fn owner(&self) -> String {
        self.folding.writer().to_string()
    }

    /// What most rounds do not do has a future of its own on the heap: a round's is moved when
    /// it is made, with all that is in it.
    async fn round(&mut self) -> Result<Next, Trouble> {
        let reconnects = *self.shared.connection.reconnects().borrow();
        let mut open = match self.open.take() {
            Some(open) if open.reconnects == reconnects => open,
            _ => Box::new(Box::pin(self.open()).await?),
        };
        if !open.outbox.is_empty() {
            Box::pin(self.flush(&mut open)).await?;
        }
        let learned = match self.folding.learn(&mut self.asking, &mut open.engine).await {
            Ok(learned) => learned,
            Err(error) => {
                // Events go on being folded; what is to be learned waits.
                self.trouble = Some(error.to_string());
                false
            }
        };
        if learned {
            Box::pin(self.settle(&mut open, None)).await?;
        }
        let Taken { handled, pending, events, stop } = self.take_batches(&mut open).await?;
        let Some(handled) = handled else {
            open.empty_fetches = open.empty_fetches.saturating_add(1);
            // A fetch may come back empty early: once is no proof.
            let pending = if open.empty_fetches > 1 { 0 } else { 1 };
            self.recompute_if_due(&mut open, pending).await?;
            self.open = Some(open);
            return Ok(Next::Again);
        };
        let frozen = match stop {
            None => None,
            Some(Stop::Rewound(rewind)) => return Box::pin(self.rebuild(&rewind)).await,
            // As its last commit left it, it is read again.
            Some(Stop::Broken(broken)) => return Box::pin(self.broken(&broken)).await,
            Some(Stop::Hole(hole)) => {
                let cursor = open.inbox.cursor_at(handled);
                Box::pin(self.settle(&mut open, Some(cursor))).await?;
                return Box::pin(self.wait_for_repair(&hole)).await;
            }
            Some(Stop::BelowFinality(why)) => Some(why),
        };
        let cursor = open.inbox.cursor_at(handled);
        Box::pin(self.settle(&mut open, Some(cursor))).await?;
        open.inbox.ack_through(handled).await?;
        (open.pending, open.empty_fetches) = (pending, 0);
        self.recompute_if_due(&mut open, pending).await?;
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
        let (emissions, withheld) = self.withheld(open, emissions);
        for emission in &emissions {
            outgoing.extend(self.say(emission)?);
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
            let standing = Standing {
                version: self.folding.version(),
                cursor: Some(cursor),
                output: Some(open.output),
                counts: open.account.counts(),
                applied_time: open.engine.applied_time(),
                applied_through: open.engine.applied_through().clone(),
            };
            rows.push(standing.write(&owner));
            rows.extend(open.live.take().map(|live| live.write(&owner)));
        }
        let kept = emissions.iter().filter_map(|emission| self.folding.keep(emission));
        rows.extend(open.keep(&owner, kept));
        rows.extend(withheld.iter().map(|keep| comparing::withhold(&owner, keep)));
        rows.extend(self.note_words(open, &outgoing));
        rows.extend(open.outbox.add(outgoing));
        self.shared.store.commit(rows).await?;
        self.folding.settled(&self.shared, &open.engine, &emissions);
        self.flush(open).await
    }

    /// What to say about an emission: its messages, or why it has none.
    fn say(
        &self,
        emission: &Emission<<F::Fold as Fold>::Output>,
    ) -> Result<Vec<Outgoing>, MessageError> {
        self.folding.say(emission).or_else(|error| {
            let (writer, why) = (self.folding.writer(), error.to_string());
            let id = format!("{writer}/{}/{}", self.folding.version(), emission.revision);
            tracing::error!(actor = %writer, id, "dead letter: {why}");
            let origin = json!({ "revision": emission.revision });
            Ok(vec![messages::dead_letter(&writer, &id, &why, &origin)?])
        })
    }

    /// Somebody else has the fence. A newer incarnation of this actor replaces
    /// it; another daemon is told of and left alone for a while; a stream that
    /// was lost with its fence is opened anew.
    async fn fenced(&mut self, fenced: PublishError) -> Result<Next, FoldFailure> {
        let (stream, writer) = (self.folding.stream(), self.folding.writer());
        let (why, pause) = match Fence::holder(&self.shared.connection, stream, &writer).await {
            Ok(Some(holder)) => {
                let run = holder.rsplit_once('-').map_or(holder.as_str(), |(run, _)| run);
                if *run == *self.shared.run {
                    return Err(FoldFailure::Fenced(fenced));
                }
                // The epoch of the old name is known to the broker, and passed.
                self.holder = self.shared.incarnation();
                self.yields_until = Some(Instant::now() + RIVAL_PAUSE);
                let why = format!(
                    "another daemon (run {run}) writes for {writer}; stop one of the two, or give \
                     each streams of its own"
                );
                (why, RIVAL_PAUSE)
            }
            Ok(None) => (format!("{stream} was made anew: {fenced}"), RETRY),
            Err(_) => return Err(FoldFailure::Fenced(fenced)),
        };
        tracing::error!(actor = %writer, "{why}");
        self.trouble = Some(why);
        Ok(Next::After(pause))
    }

    /// How long another daemon is still left alone; messages wake this actor.
    fn yields_for(&mut self) -> Option<Duration> {
        let left = self.yields_until?.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.yields_until = None;
            return None;
        }
        Some(left)
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

impl<F: Folding> Steps for FoldActor<F> {
    type Failure = FoldFailure;

    async fn started(&mut self) -> Result<(), FoldFailure> {
        Ok(())
    }

    async fn step(&mut self) -> Result<Next, FoldFailure> {
        if let Some(left) = self.yields_for() {
            return Ok(Next::After(left));
        }
        let before = self.trouble.take();
        self.trouble_before.clone_from(&before);
        match self.round().await {
            Ok(next) => {
                if before.is_some() && self.trouble.is_none() {
                    tracing::info!(actor = self.owner(), "works again");
                }
                Ok(next)
            }
            Err(Trouble::Outbox(OutboxError::Publish(fenced @ PublishError::Fenced { .. }))) => {
                Box::pin(self.fenced(fenced)).await
            }
            Err(trouble) => {
                let why = trouble.to_string();
                if before.as_ref() != Some(&why) {
                    tracing::warn!(actor = self.owner(), "{why}");
                }
                self.trouble = Some(why);
                // A person takes longer.
                let waits = matches!(trouble, Trouble::Changed(_));
                Ok(Next::After(if waits { FROZEN_PAUSE } else { RETRY }))
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
            "has_said": self.open.as_ref().map(|open| open.has_said),
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

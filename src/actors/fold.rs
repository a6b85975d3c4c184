//! What rule-set and governance actors have in common: reading events and
//! watermarks from the stream, folding them, and saying what follows.
//!
//! One round reads a batch, folds it, commits position, state, undo log and
//! outgoing messages in one store transaction, publishes, and only then
//! acknowledges. Whatever a crash interrupts is done again with the same
//! result, because the fold is a function of the stream's order.
//!
//! **A fold that is behind** takes the next messages in while a commit is being made, a few
//! times in a round. What the commit has was taken from the engine before: it is of the
//! messages up to its cursor and of no other, and what follows from it is told once it is
//! durable. When it fails, engine and inbox are thrown away with what was folded ahead.

mod comparing;
mod folding;
mod live;
mod opening;
mod remaking;
mod settling;
mod taking;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::Instant;

use comparing::LastWords;
pub use folding::{Change, Folding, Keep, Mended, NotMended};
use live::Live;
pub(super) use live::meaning_of_said;
pub(super) use opening::{standing, state_key};
use remaking::{Making, Mark};
use taking::{Stop, Taken};

use super::{
    hearing::Message,
    messages::MessageError,
    outbox::{Outbox, OutboxError},
    shared::Shared,
};
use crate::{
    chain::rpc::RpcError,
    fold::{Account, Engine, Fold},
    store::StoreError,
    streams::{
        PublishError, StreamError,
        consume::Inbox,
        fence::{Fence, FenceError},
        setup::{self, StreamIncarnation},
    },
    supervisor::{Next, Steps},
};

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
    inbox: Inbox<Result<Message, MessageError>>,
    outbox: Outbox,
    fence: Fence,
    /// Of the stream that has what was said.
    output: StreamIncarnation,
    /// When that was looked at last.
    output_seen: Instant,
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
    #[error("the daemon is ending")]
    Ending,
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
/// Commits of a round that is behind, besides its last: the mailbox is read in between.
const COMMITS_MAX: usize = 4;
/// How often a fold looks whether the stream of what it says was made anew.
const OUTPUT_SEEN: Duration = Duration::from_secs(10);
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
        if open.output_seen.elapsed() >= OUTPUT_SEEN && !Box::pin(self.has_output(&mut open)).await
        {
            return Ok(Next::Again);
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
        let mut taken = self.take_batches(&mut open).await?;
        for _ in 0..COMMITS_MAX {
            // What is to be learned is asked for between rounds.
            let behind = taken.is_behind().filter(|_| open.engine.waits_for().is_none());
            let Some(handled) = behind else { break };
            let (events, pending) = (taken.events, taken.pending);
            let Some(next) = self.settle_and_take(&mut open, handled).await? else {
                return Ok(Next::Again);
            };
            taken = next;
            (open.pending, open.empty_fetches) = (pending, 0);
            self.measure(&mut open, events);
        }
        let Taken { handled, pending, events, stop } = taken;
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

    /// Whether the stream on which things were said is the one that is there, as far as anybody
    /// answers. Whoever has nothing more to say would not notice that somebody deleted it.
    async fn has_output(&self, open: &mut Open<F::Fold>) -> bool {
        let stream = self.folding.stream();
        open.output_seen = Instant::now();
        match setup::incarnation(&self.shared.connection, stream).await {
            Ok(incarnation) => incarnation == open.output,
            Err(StreamError::NoStream { .. }) => false,
            // It is looked for again; until then events go on being folded.
            Err(_) => true,
        }
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

//! The contract actor, one per watched contract: reads its logs in block
//! order, publishes them as events behind watermarks, and retracts what a
//! reorg orphaned.
//!
//! Its cursor is the stream itself: the last watermark says how far the
//! contract is complete, and each batch expects that very watermark to be
//! the last (compare and set), so that a batch whose fate is unknown, a
//! crash or a second daemon can neither skip nor repeat an event. It needs
//! no local store.
//!
//! The chain's feed reads for it. While one batch of history is published, the
//! next is made; what may still be orphaned is published as soon as it is
//! confirmed.

mod ahead;
mod bury;
pub mod census;
pub(super) mod fetch;
mod history;
mod progress;
mod publish;
mod recover;
pub mod replay;
mod spec;
mod trouble;
mod truth;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value as Json, json};
use tokio::{sync::watch, time::Instant};

use ahead::Ahead;
use census::{Created, Keeper};
use progress::Progress;
use replay::Replay;
pub use spec::ContractSpec;
pub use trouble::ContractFailure;
pub(super) use trouble::Trouble;
use truth::Scrub;

use super::{
    feed::FeedActor,
    head::to_gauge,
    shared::{ChainLink, Shared},
};
use crate::{
    chain::{
        adapters::Adapter,
        cursor::{ChainView, Confirmations, Cursor, Limits, Plan},
        feed::share::Watched,
    },
    config,
    domain::{BlockRef, Name},
    streams::{
        PublishError,
        fence::Fence,
        subjects::{Writer, WriterKind},
    },
    supervisor::{ActorRef, Next, Steps},
};

/// How long the feed may take to answer. It tells a contract to ask again long
/// before; blocks near the head take as long as the endpoints do.
const TAKE_LIMIT: Duration = Duration::from_secs(30);
/// Longest time that it waits for the head to move before it reads its mailbox.
const LOOK_UP: Duration = Duration::from_millis(250);

/// What it owns: the cursor, while the stream agrees with it.
pub struct ContractActor {
    shared: Shared,
    holder: String,
    link: ChainLink,
    name: Name,
    feed: ActorRef<FeedActor>,
    watched: Arc<Watched>,
    /// Where a factory creates it: which addresses it has.
    created: Option<Created>,
    /// What its own events create.
    keepers: Vec<Keeper>,
    /// Blocks of creations, and whether they are the chain's, while the
    /// censuses are read back.
    compared: BTreeMap<(u64, alloy::primitives::B256), bool>,
    start_block: u64,
    confirmations: Confirmations,
    completeness: config::Completeness,
    adapter: Adapter,
    limits: Limits,
    pause: Duration,
    reading: Option<Box<Reading>>,
    /// Read, and not yet published: follows the cursor.
    ahead: Option<Ahead>,
    views: watch::Receiver<Option<ChainView>>,
    older: BTreeMap<u64, BlockRef>,
    trouble: Option<String>,
    frozen: Option<String>,
    scrub: Option<Scrub>,
    published: u64,
    began: Instant,
    last_published: Instant,
    progress: Option<Progress>,
    progress_events: u64,
    told: Instant,
    replay: Replay,
}

/// The cursor together with what proves that it may write.
struct Reading {
    cursor: Cursor,
    fence: Fence,
    /// Sequence of the last watermark, 0 before the first.
    watermark: u64,
    /// The block that it named.
    after: Option<BlockRef>,
    reconnects: u64,
    /// All that stands in the stream was read since it was opened.
    scrubbed: bool,
    /// When it was last asked whether the stream lacks anything.
    examined: Instant,
}

impl Reading {
    /// A watermark that names `block` stands at `sequence` now.
    fn closed(&mut self, sequence: u64, block: BlockRef) {
        self.watermark = sequence;
        self.after = Some(block);
    }
}

impl ContractActor {
    /// An actor that will find its cursor in the stream.
    #[must_use]
    pub fn new(shared: Shared, spec: ContractSpec) -> Self {
        let ContractSpec { link, chain, contract, adapter, feed, watched, created, keepers } = spec;
        let holder = shared.incarnation();
        Self {
            shared,
            holder,
            views: link.view.subscribe(),
            link,
            name: contract.name.clone(),
            feed,
            start_block: contract.start_block,
            confirmations: watched.confirmations,
            completeness: chain.completeness,
            watched,
            created,
            keepers,
            compared: BTreeMap::new(),
            adapter,
            limits: Limits { blocks: chain.max_range, unfinalized_blocks: chain.max_range.min(64) },
            pause: chain.look_every(),
            reading: None,
            ahead: None,
            older: BTreeMap::new(),
            trouble: None,
            frozen: None,
            scrub: None,
            published: 0,
            began: Instant::now(),
            last_published: Instant::now(),
            progress: None,
            progress_events: 0,
            told: Instant::now(),
            replay: Replay::default(),
        }
    }

    /// From the next block to the head, confirmations included.
    fn lag_blocks(&self) -> Option<u64> {
        let head = self.link.view.borrow().as_ref()?.latest.number;
        Some((head + 1).saturating_sub(self.reading.as_ref()?.cursor.next()))
    }

    /// Why the chain is not followed, if it isn't.
    fn chain_frozen(&self) -> Option<Arc<str>> {
        self.link.view.borrow().as_ref().and_then(|view| view.frozen.clone())
    }

    fn is_doubted(&self) -> bool {
        self.shared.doubted.contains_key(&self.name)
    }

    fn writer(&self) -> Writer {
        Writer::new(WriterKind::Contract, self.name.clone())
    }

    /// One round: plan, read, publish. Returns when to go on. What is seldom done in one has a
    /// future of its own on the heap: each is moved when it is made, with all that is in it.
    async fn advance(&mut self) -> Result<Next, Trouble> {
        let reconnects = *self.shared.connection.reconnects().borrow();
        let mut reading = match self.reading.take() {
            // After a reconnect the stream may be another: look again.
            Some(reading) if reading.reconnects == reconnects && !self.is_doubted() => reading,
            _ => {
                self.ahead = None;
                Box::new(Box::pin(self.recover()).await?)
            }
        };
        let outcome = self.advance_from(&mut reading).await;
        // What failed to be published may be in the stream all the same: then
        // the cursor is looked up there.
        if !matches!(outcome, Err(Trouble::Publish(_))) {
            self.reading = Some(reading);
        }
        if outcome.is_err() {
            self.ahead = None;
            self.older.clear();
        }
        outcome
    }

    async fn advance_from(&mut self, reading: &mut Reading) -> Result<Next, Trouble> {
        let Some(mut view) = self.views.borrow_and_update().clone() else {
            return Ok(self.look_up().await);
        };
        view.older.clone_from(&self.older);
        let plan = reading.cursor.plan(&view, &self.limits);
        if !matches!(plan, Plan::Frozen { .. }) {
            self.frozen = None;
        }
        // What was read follows on the tip, and a header says nothing of that.
        if !matches!(plan, Plan::Fetch { .. } | Plan::NeedHeader { .. }) {
            self.ahead = None;
        }
        let ahead = self.ahead.as_ref().filter(|ahead| !ahead.is_empty()).map(Ahead::next);
        let next = ahead.unwrap_or(reading.cursor.next());
        match plan {
            Plan::Idle => {
                self.history_is_read();
                let unread = !reading.scrubbed && Box::pin(self.scrub(reading)).await?;
                if unread || self.examine_now_and_then(reading).await? {
                    return Ok(Next::Again);
                }
                Ok(self.look_up().await)
            }
            Plan::NeedHeader { number } => {
                let header = Box::pin(self.link.block(number.into())).await?;
                self.older.insert(number, header.block);
                Ok(Next::Again)
            }
            Plan::Frozen { reason } => {
                let Some(why) = Box::pin(self.resume(reading, &view)).await? else {
                    return Ok(Next::Again);
                };
                let why = format!("{reason} ({why})");
                if self.frozen.as_ref() != Some(&why) {
                    tracing::error!(contract = %self.name, "{why}");
                }
                self.frozen = Some(why);
                Ok(self.look_up().await)
            }
            Plan::Retract { from, to, common } => {
                self.older.clear();
                Box::pin(self.retract(reading, from, to, common)).await?;
                Ok(Next::Again)
            }
            Plan::Fetch { from, to } => {
                if let Some(from_block) = self.missed(from, &view) {
                    // Taken in, so that it is read with it.
                    self.readable(u64::MAX, &view);
                    Box::pin(self.rewind_lost(reading, from_block)).await?;
                    self.ahead = None;
                    return Ok(Next::Again);
                }
                // What waits to be published is not kept from it.
                let readable = match self.readable(next, &view) {
                    None if ahead.is_some() => next.saturating_sub(1),
                    None => return Ok(self.look_up().await),
                    Some(readable) => readable,
                };
                if from <= view.finalized {
                    return Box::pin(self.read_history(reading, &view, readable)).await;
                }
                let to = to.min(readable);
                self.ahead = None;
                self.history_is_read();
                let (ahead, blocks) = Box::pin(self.read_recent(&view, from, to)).await?;
                reading.cursor.links(&blocks)?;
                // The branch may have been found to contradict finality while
                // it was read.
                if self.chain_frozen().is_some() {
                    return Ok(self.look_up().await);
                }
                Box::pin(self.publish_all(reading, ahead, view.finalized)).await?;
                self.last_published = Instant::now();
                Ok(Next::Again)
            }
        }
    }

    /// Waits for the head, or the factory, to move, but not for long.
    async fn look_up(&mut self) -> Next {
        let factory = async {
            match &mut self.created {
                Some(created) => created.moved().await,
                None => std::future::pending().await,
            }
        };
        let moved = async {
            tokio::select! {
                biased;
                // Its sender is the link's, which lives as long as this.
                _ = self.views.changed() => {}
                () = factory => {}
            }
        };
        let _ = tokio::time::timeout(LOOK_UP, moved).await;
        Next::Again
    }
}

impl Steps for ContractActor {
    type Failure = ContractFailure;

    async fn started(&mut self) -> Result<(), ContractFailure> {
        Ok(())
    }

    async fn step(&mut self) -> Result<Next, ContractFailure> {
        let outcome = match self.advance().await {
            Ok(next) => self.replay_step(next).await,
            failed => failed,
        };
        if let Some(lag) = self.lag_blocks() {
            self.shared
                .metrics
                .contract_lag_blocks
                .with_label_values(&[self.link.name.as_str(), self.name.as_str()])
                .set(to_gauge(lag));
        }
        match outcome {
            Ok(next) => {
                if self.trouble.take().is_some() {
                    tracing::info!(contract = %self.name, "contract is read again");
                }
                Ok(next)
            }
            Err(Trouble::Publish(fenced @ PublishError::Fenced { .. })) => {
                Err(ContractFailure::Fenced(fenced))
            }
            Err(trouble) => {
                let why = trouble.to_string();
                if self.trouble.as_ref() != Some(&why) {
                    tracing::warn!(contract = %self.name, "{why}");
                }
                self.trouble = Some(why);
                Ok(Next::After(self.pause.max(Duration::from_millis(250))))
            }
        }
    }

    async fn drain(&mut self) {}

    fn observe(&self) -> Json {
        let chain_frozen = self.chain_frozen().map(|why| format!("the chain is frozen: {why}"));
        let frozen = chain_frozen.or_else(|| self.frozen.clone());
        json!({
            "next_block": self.reading.as_ref().map(|reading| reading.cursor.next()),
            "lag_blocks": self.lag_blocks(),
            "events_published": self.published,
            "addresses": self.created.as_ref().map(Created::count),
            "frozen": self.frozen,
            "backfill": self.progress.as_ref().and_then(Progress::status),
            "replay": self.replay.status(&self.name),
            "not_ready": frozen.as_ref().or(self.trouble.as_ref()),
        })
    }
}

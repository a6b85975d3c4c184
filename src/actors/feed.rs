//! The feed, one per chain: reads logs for all its contracts together.
//!
//! Final history is read in ranges, several at once, each for all contracts
//! whose place it is; [`Feed`](crate::chain::feed::Feed) decides which. What
//! may still be orphaned is read block by block, each by its hash and once for
//! all contracts. Neither waits for the other: history has so many calls and
//! no more, and blocks near the head go out at once.
//!
//! It holds nothing that can't be read again: a contract whose feed died asks
//! the next one from where it is.

mod blocks;
pub mod ranges;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, ResponseFuture,
    SpawnHandle, StreamHandler, WrapFuture as _,
};
use alloy::primitives::Bloom;
use serde_json::json;
use tokio::{sync::oneshot, time::Instant};

use super::{
    head::to_gauge,
    shared::{ChainLink, Shared},
};
use crate::{
    chain::{
        cursor::ChainView,
        feed::{Feed, FeedCall, FeedFailure, FeedLimits, MemberId, share::Watched},
        rpc::RpcError,
        rpc_errors::RpcErrorClass,
    },
    chance,
    config::{self, Completeness},
    domain::{BlockRef, Name},
    supervisor::{Observation, Observe, Supervise},
};
pub use blocks::BlockLogs;
use blocks::Blocks;
pub use ranges::Piece;
use ranges::{Answer, Order};

/// What was read and not taken, and what is on its way, bytes.
const HELD_BYTES_MAX: usize = 32 << 20;
/// What one range should come to, bytes: some thousand logs.
const RANGE_BYTES: usize = 1 << 20;
/// How long contracts keep what they don't take, while another has nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// A contract that has not asked for so long is away.
const ABSENT: Duration = Duration::from_secs(10);
/// How long a contract is kept waiting before it is told to ask again: it has
/// a mailbox of its own to read.
const WAIT: Duration = Duration::from_millis(250);

/// Why a feed has nothing to give. Asking again may help.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FeedError {
    /// The endpoints did not answer.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// It was restarted meanwhile.
    #[error("the chain's feed was restarted")]
    Restarted,
}

/// Asks for the final logs of a contract from a block on. The answer has them
/// up to some block, or is `None`: ask again.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Option<Piece>, FeedError>")]
pub struct TakeRange {
    /// Whose.
    pub watched: Arc<Watched>,
    /// The first block that it has not taken.
    pub from: u64,
    /// The last block that it would take, final and confirmed.
    pub to: u64,
}

/// Asks for the logs of blocks that may still be orphaned, by their hashes.
/// The answer is in the order of the blocks, and has others' logs, too.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Vec<Arc<BlockLogs>>, FeedError>")]
pub struct TakeBlocks {
    /// Who asks.
    pub watched: Arc<Watched>,
    /// The blocks, with their headers' blooms where these are known.
    pub blocks: Vec<(BlockRef, Option<Bloom>)>,
}

type Waiting = oneshot::Sender<Result<Option<Piece>, FeedError>>;

/// See the module.
pub struct FeedActor {
    shared: Shared,
    link: ChainLink,
    completeness: Completeness,
    feed: Feed<Piece>,
    members: BTreeMap<MemberId, Arc<Watched>>,
    ids: HashMap<Name, MemberId>,
    waiting: BTreeMap<MemberId, Waiting>,
    asked: BTreeMap<MemberId, Instant>,
    blocks: Blocks,
    began: Instant,
    wake: Option<SpawnHandle>,
    ranges_read: u64,
    trouble: Option<String>,
}

impl FeedActor {
    /// A feed of these contracts; others may join by asking.
    #[must_use]
    pub fn new(
        shared: Shared,
        link: ChainLink,
        chain: &config::Chain,
        contracts: &[Arc<Watched>],
    ) -> Self {
        let places: usize =
            chain.endpoints.iter().filter_map(|e| usize::try_from(e.max_concurrent).ok()).sum();
        let feed = Feed::new(FeedLimits {
            // The other half of the endpoints' places is the head's.
            calls: chain.backfill_calls.clamp(1, (places / 2).max(1)),
            held_bytes_max: HELD_BYTES_MAX,
            range_bytes: RANGE_BYTES,
            range_blocks_max: match chain.completeness {
                Completeness::Receipts => chain.max_range.min(ranges::PROVEN_BLOCKS_MAX),
                Completeness::Bloom | Completeness::None => chain.max_range,
            },
            patience: PATIENCE,
        });
        let mut actor = Self {
            shared,
            link,
            completeness: chain.completeness,
            feed,
            members: BTreeMap::new(),
            ids: HashMap::new(),
            waiting: BTreeMap::new(),
            asked: BTreeMap::new(),
            blocks: Blocks::new(),
            began: Instant::now(),
            wake: None,
            ranges_read: 0,
            trouble: None,
        };
        for watched in contracts {
            actor.member(watched);
        }
        actor
    }

    /// A contract's place among the members.
    fn member(&mut self, watched: &Arc<Watched>) -> MemberId {
        let id = match self.ids.get(&watched.name).copied() {
            Some(id) => {
                let known = self.members.get(&id);
                if known.is_some_and(|known| Arc::ptr_eq(known, watched) || **known == **watched) {
                    return id;
                }
                // What was read for it is not all for what it is now.
                self.feed.leave(id);
                self.waiting.remove(&id);
                id
            }
            None => self.feed.join(),
        };
        self.ids.insert(watched.name.clone(), id);
        self.members.insert(id, Arc::clone(watched));
        self.blocks.forget();
        id
    }

    /// Hands over what is there, and reads what is to be read.
    fn drive(&mut self, context: &mut Context<Self>) {
        self.hand_over();
        if !self.is_frozen() {
            let served = self.link.client.status().into_iter().map(|e| e.range_blocks).max();
            self.feed.serves(served.unwrap_or(1));
            while let Some(call) = self.feed.next_call(self.began.elapsed()) {
                self.read(call, context);
            }
        }
        let held = u64::try_from(self.feed.held_bytes()).unwrap_or(u64::MAX);
        let gauge = &self.shared.metrics.feed_held_bytes;
        gauge.with_label_values(&[self.link.name.as_str()]).set(to_gauge(held));
        if let Some(wake) = self.wake.take() {
            context.cancel_future(wake);
        }
        let now = self.began.elapsed();
        if let Some(at) = self.feed.wakes_at(now) {
            let wake = context.run_later(at.saturating_sub(now), |actor, context| {
                actor.wake = None;
                actor.drive(context);
            });
            self.wake = Some(wake);
        }
    }

    fn hand_over(&mut self) {
        let feed = &mut self.feed;
        self.waiting.retain(|id, waiting| !waiting.is_closed() && feed.waits(*id));
        let ready: Vec<_> =
            self.waiting.keys().filter_map(|id| Some((*id, feed.take(*id)?.value))).collect();
        for (id, piece) in ready {
            if let Some(waiting) = self.waiting.remove(&id) {
                // Its future lives on this thread: it can't have gone since.
                let _ = waiting.send(Ok(Some(piece)));
            }
        }
    }

    fn read(&mut self, call: FeedCall, context: &mut Context<Self>) {
        let shares = call
            .members
            .iter()
            .filter_map(|(id, from)| Some((*id, *from, Arc::clone(self.members.get(id)?))));
        let order = Order {
            from: call.from,
            to: call.to,
            shares: shares.collect(),
            window: self.link.view.borrow().as_ref().map(|view| Arc::clone(&view.window)),
            completeness: self.completeness,
        };
        let client = self.link.client.backfill();
        let reading = async move { ranges::read(&client, order).await };
        let id = call.id;
        context.spawn(reading.into_actor(self).map(move |answer, actor, context| {
            match answer {
                Ok(Answer { through, parts }) => {
                    actor.trouble = None;
                    actor.ranges_read += 1;
                    actor.feed.answered(id, through, parts);
                }
                Err(error) => actor.failed(id, &error),
            }
            actor.drive(context);
        }));
    }

    fn failed(&mut self, id: crate::chain::feed::RangeId, error: &RpcError) {
        let failure = if is_crowded(error) { FeedFailure::Crowded } else { FeedFailure::Other };
        let now = self.began.elapsed();
        let told = self.feed.failed(id, failure, now, chance::random_range(0.0..=1.0));
        for member in told {
            if let Some(waiting) = self.waiting.remove(&member) {
                // Fails only when it waits no longer.
                let _ = waiting.send(Err(FeedError::Rpc(error.clone())));
            }
        }
        let why = error.to_string();
        if self.trouble.as_ref() != Some(&why) {
            tracing::debug!(chain = %self.link.name, "a range was not read: {why}");
        }
        self.trouble = Some(why);
    }

    fn is_frozen(&self) -> bool {
        self.link.view.borrow().as_ref().is_some_and(|view| view.frozen.is_some())
    }

    /// Who has not asked for long is not read for any more.
    fn miss(&mut self) {
        let gone: Vec<_> =
            self.asked.iter().filter(|(_, at)| at.elapsed() > ABSENT).map(|(id, _)| *id).collect();
        for id in gone {
            self.asked.remove(&id);
            self.feed.give_up(id);
        }
    }
}

/// The highest block that a contract may be handed as final.
fn limit(watched: &Watched, view: &ChainView) -> Option<u64> {
    watched.confirmations.confirmed(view).map(|confirmed| confirmed.min(view.finalized))
}

/// The endpoint takes fewer addresses in one call.
fn is_crowded(error: &RpcError) -> bool {
    error
        .refusal()
        .is_some_and(|refusal| matches!(refusal.class, RpcErrorClass::TooManyAddresses(_)))
}

impl Actor for FeedActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let views = self.link.view.subscribe();
        let moves = futures::stream::unfold(views, |mut views| async move {
            views.changed().await.ok()?;
            Some((ViewMoved, views))
        });
        context.add_stream(moves);
    }
}

/// The chain has a new view.
struct ViewMoved;

impl StreamHandler<ViewMoved> for FeedActor {
    fn handle(&mut self, _: ViewMoved, context: &mut Context<Self>) {
        let view = self.link.view.borrow().clone();
        match view {
            Some(view) if view.frozen.is_some() => self.feed.forget(),
            Some(view) => {
                // Who grows says itself how far it is complete.
                for (id, watched) in self.members.iter().filter(|(_, it)| !it.grows()) {
                    if let Some(limit) = limit(watched, &view) {
                        self.feed.reach(*id, limit);
                    }
                }
            }
            None => {}
        }
        self.drive(context);
    }
}

impl Supervise for FeedActor {
    /// Every contract of a chain may ask at one time.
    const MAILBOX: usize = 1024;
}

impl Handler<TakeRange> for FeedActor {
    type Result = ResponseFuture<Result<Option<Piece>, FeedError>>;

    fn handle(&mut self, ask: TakeRange, context: &mut Context<Self>) -> Self::Result {
        let id = self.member(&ask.watched);
        let (waiting, answer) = oneshot::channel();
        self.feed.ask(id, ask.from, ask.to, self.began.elapsed());
        self.asked.insert(id, Instant::now());
        self.waiting.insert(id, waiting);
        self.drive(context);
        Box::pin(async move {
            match tokio::time::timeout(WAIT, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(FeedError::Restarted),
                Err(_) => Ok(None),
            }
        })
    }
}

impl Handler<TakeBlocks> for FeedActor {
    type Result = ResponseFuture<Result<Vec<Arc<BlockLogs>>, FeedError>>;

    fn handle(&mut self, ask: TakeBlocks, _: &mut Context<Self>) -> Self::Result {
        let id = self.member(&ask.watched);
        // It is past what is final: nothing is read in advance for it. Unless
        // another asks in its name, who tells what is not confirmed yet.
        if self.waiting.get(&id).is_none_or(|waiting| waiting.is_closed()) {
            self.feed.give_up(id);
        }
        let all: Arc<[Arc<Watched>]> = self.members.values().cloned().collect();
        let readings: Vec<_> = ask
            .blocks
            .into_iter()
            .map(|(block, bloom)| {
                let (client, all) = (self.link.client.clone(), Arc::clone(&all));
                self.blocks.read(client, all, block, bloom, self.completeness)
            })
            .collect();
        // All to their ends, so that none keeps its place without going on.
        Box::pin(async move { futures::future::join_all(readings).await.into_iter().collect() })
    }
}

impl Handler<Observe> for FeedActor {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        self.miss();
        json!({
            "contracts": self.members.len(),
            "ranges_read": self.ranges_read,
            "ranges_under_way": self.feed.called(),
            "held_bytes": self.feed.held_bytes(),
            "blocks_kept": self.blocks.kept(),
            "trouble": self.trouble,
        })
        .into()
    }
}

//! Tells what happened in a contract's blocks that are not confirmed yet, for
//! those who would rather see it early than for sure. Nothing is decided by
//! it, and nothing of it is ever signed.
//!
//! It keeps nothing: after a restart it begins at the last confirmed block. Its
//! blocks are read through the chain's feed, which keeps them for when they are
//! confirmed.

use std::{convert::Infallible, sync::Arc, time::Duration};

use serde_json::{Value as Json, json};
use tokio::sync::watch;

use super::{
    contract::{Trouble, fetch::events_of},
    feed::{FeedActor, TakeBlocks},
    messages,
    shared::{ChainLink, Shared},
};
use crate::{
    chain::{
        adapters::{Adapter, ordinals},
        cursor::{ChainView, Confirmations, Cursor, Limits, Plan},
        feed::share::Watched,
    },
    domain::{BlockRef, EventSum, Watermark},
    streams::subjects::StreamId,
    supervisor::{ActorRef, Next, Steps},
};

/// How long the feed may take to answer.
const TAKE_LIMIT: Duration = Duration::from_secs(30);
/// Longest time that it waits for the head to move before it reads its mailbox.
const LOOK_UP: Duration = Duration::from_millis(250);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// Blocks that are told in one step.
const BLOCKS_MAX: u64 = 64;
/// Further behind the head than this it begins anew: what is so old is about to
/// be confirmed.
const BEHIND_MAX: u64 = 512;

/// What it is made of.
#[derive(Clone)]
pub struct ProvisionalSpec {
    /// The contract's chain.
    pub link: ChainLink,
    /// What its logs mean.
    pub adapter: Adapter,
    /// Who reads them.
    pub feed: ActorRef<FeedActor>,
    /// Which they are.
    pub watched: Arc<Watched>,
}

/// See the module.
pub struct ProvisionalActor {
    shared: Shared,
    spec: ProvisionalSpec,
    views: watch::Receiver<Option<ChainView>>,
    /// What was told, since it began.
    cursor: Option<Cursor>,
    /// Tells what is told again, after a block went and came back, from a
    /// repetition.
    mark: String,
    events: u64,
    trouble: Option<String>,
}

impl ProvisionalActor {
    /// Of one contract.
    #[must_use]
    pub fn new(shared: Shared, spec: ProvisionalSpec) -> Self {
        let views = spec.link.view.subscribe();
        let mark = shared.incarnation();
        Self { shared, spec, views, cursor: None, mark, events: 0, trouble: None }
    }

    async fn advance(&mut self) -> Result<(), Trouble> {
        let view = self.views.borrow_and_update().clone();
        let Some(view) = view.filter(|view| view.frozen.is_none()) else {
            self.cursor = None;
            self.look_up().await;
            return Ok(());
        };
        let near = view.latest.number.saturating_sub(BEHIND_MAX);
        let known = self.cursor.clone().filter(|cursor| cursor.next() > near);
        let mut cursor = known.unwrap_or_else(|| {
            let confirmed = self.spec.watched.confirmations.confirmed(&view);
            let from = confirmed.map_or(0, |confirmed| confirmed + 1);
            let oldest = view.window.oldest().map_or(view.latest.number, |block| block.number);
            let from = from.max(view.finalized + 1).max(near + 1).max(oldest);
            Cursor::new(from, Confirmations::Blocks(0))
        });
        let limits = Limits { blocks: BLOCKS_MAX, unfinalized_blocks: BLOCKS_MAX };
        match cursor.plan(&view, &limits) {
            Plan::Idle => {
                self.cursor = Some(cursor);
                self.look_up().await;
            }
            Plan::Fetch { from, to } => {
                let blocks: Vec<BlockRef> =
                    (from..=to).map_while(|number| view.header(number).copied()).collect();
                let Some(through) = blocks.last().copied() else {
                    // The view moves on; what it lacks can't be told.
                    self.cursor = None;
                    self.look_up().await;
                    return Ok(());
                };
                cursor.links(&blocks)?;
                self.tell(&view, &blocks).await?;
                cursor.advanced(through, &blocks, view.finalized);
                self.cursor = Some(cursor);
            }
            Plan::Retract { from, to, common } => {
                let ChainLink { name, chain_id, .. } = &self.spec.link;
                let (chain, chain_id) = (name.clone(), *chain_id);
                let contract = self.spec.watched.name.clone();
                self.watermark(&Watermark::Retraction {
                    chain,
                    chain_id,
                    contract,
                    from,
                    to,
                    common,
                    after: None,
                })
                .await?;
                self.mark = self.shared.incarnation();
                cursor.retracted(common);
                self.cursor = Some(cursor);
            }
            // It begins anew at what is confirmed.
            Plan::Frozen { .. } | Plan::NeedHeader { .. } => {
                self.cursor = None;
                self.look_up().await;
            }
        }
        Ok(())
    }

    async fn look_up(&mut self) {
        // Its sender is the link's, which lives as long as this.
        let _ = tokio::time::timeout(LOOK_UP, self.views.changed()).await;
    }

    /// Tells what is in these blocks, which follow each other.
    async fn tell(&mut self, view: &ChainView, blocks: &[BlockRef]) -> Result<(), Trouble> {
        let Some(through) = blocks.last() else { return Ok(()) };
        let ProvisionalSpec { link, adapter, feed, watched } = &self.spec;
        let bloom = |block: &BlockRef| view.window.bloom(&block.hash).copied();
        let asked = blocks.iter().map(|block| (*block, bloom(block))).collect();
        let take = TakeBlocks { watched: Arc::clone(watched), blocks: asked };
        let taken = feed.send(take, TAKE_LIMIT).await??;
        let mut told = EventSum::default();
        for (block, all) in blocks.iter().zip(taken) {
            let logs: Vec<_> = all.logs.iter().filter(|log| watched.has(log)).cloned().collect();
            let logs = logs.iter().zip(ordinals(&logs));
            // What can't be decoded is a dead letter once it is confirmed.
            let events = events_of(link, &watched.name, adapter, block, logs)?.events;
            for event in events {
                let message = messages::provisional_event(&event)?;
                let id = format!("{}/{}", event.id, self.mark);
                self.shared.publish(StreamId::Provisional, &id, message, None).await?;
                told.add(event.id);
            }
        }
        let watermark = Watermark::Progress {
            chain: link.name.clone(),
            chain_id: link.chain_id,
            contract: watched.name.clone(),
            through: *through,
            recent: blocks.to_vec(),
            finalized: view.finalized,
            events: Some(told.events),
            digest: Some(told.digest),
            after: None,
        };
        self.watermark(&watermark).await?;
        self.events += told.events;
        Ok(())
    }

    async fn watermark(&self, watermark: &Watermark) -> Result<(), Trouble> {
        let (id, message) = messages::provisional_watermark(&self.spec.link.name, watermark)?;
        let id = format!("{id}/{}", self.mark);
        self.shared.publish(StreamId::Provisional, &id, message, None).await?;
        Ok(())
    }
}

impl Steps for ProvisionalActor {
    type Failure = Infallible;

    async fn started(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn step(&mut self) -> Result<Next, Infallible> {
        match self.advance().await {
            Ok(()) => {
                self.trouble = None;
                Ok(Next::Again)
            }
            // The contract's own readiness tells of what is wrong.
            Err(trouble) => {
                self.trouble = Some(trouble.to_string());
                Ok(Next::After(PAUSE))
            }
        }
    }

    async fn drain(&mut self) {}

    fn observe(&self) -> Json {
        json!({
            "next_block": self.cursor.as_ref().map(Cursor::next),
            "events_told": self.events,
            "trouble": self.trouble,
        })
    }
}

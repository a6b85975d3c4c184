//! The contract actor, one per watched contract: reads its logs in block
//! order, publishes them as events behind watermarks, and retracts what a
//! reorg orphaned.
//!
//! Its cursor is the stream itself: the last watermark says how far the
//! contract is complete, and each batch expects that very watermark to be
//! the last (compare and set), so that a batch whose fate is unknown, a
//! crash or a second daemon can neither skip nor repeat an event. It needs
//! no local store.

mod bury;
mod fetch;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy::primitives::Address;
use serde_json::{Value as Json, json};

use bury::{largest_of, oversized};
use fetch::Fetched;

use super::{
    head::to_gauge,
    messages::{self, MessageError},
    outbox::OutboxError,
    shared::{ChainLink, Shared},
};
use crate::{
    chain::{
        adapters::Adapter,
        cursor::{ChainView, Confirmations, Cursor, Frozen, Limits, Plan, Unlinked},
        rpc::RpcError,
    },
    config,
    domain::{BlockRef, Event, Name, Watermark},
    streams::{
        PublishError, StreamError,
        batch::{BATCH_MAX, BatchAck},
        fence::{Fence, FenceError},
        publish::OutMessage,
        read::{Stored, last_by_subject, read_range},
        subjects::{self, StreamId, Writer, WriterKind},
    },
    supervisor::{Next, Steps},
};

/// What it owns: the cursor, while the stream agrees with it.
pub struct ContractActor {
    shared: Shared,
    holder: String,
    link: ChainLink,
    name: Name,
    address: Address,
    start_block: u64,
    confirmations: Confirmations,
    adapter: Adapter,
    limits: Limits,
    pause: Duration,
    reading: Option<Reading>,
    older: BTreeMap<u64, BlockRef>,
    trouble: Option<String>,
    frozen: Option<Frozen>,
    published: u64,
}

/// The cursor together with what proves that it may write.
struct Reading {
    cursor: Cursor,
    fence: Fence,
    /// Sequence of the last watermark, 0 before the first.
    watermark: u64,
    reconnects: u64,
}

/// Why a step did not get through; all of it is tried again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Fence(#[from] FenceError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    DeadLetter(#[from] OutboxError),
    #[error(transparent)]
    Moved(#[from] Unlinked),
    #[error("block {number} of the logs is {log_hash}, of the chain {header_hash}: it moved")]
    OtherBranch {
        number: u64,
        log_hash: alloy::primitives::B256,
        header_hash: alloy::primitives::B256,
    },
    #[error("the endpoint answered a log without {0}")]
    Incomplete(&'static str),
}

/// Why an incarnation ends.
#[derive(Debug, thiserror::Error)]
pub enum ContractFailure {
    /// Another daemon writes for this contract now.
    #[error(transparent)]
    Fenced(PublishError),
}

/// Sequences of the stream that are read back at a start, at first: enough for
/// the deepest undo, unless others wrote much meanwhile.
const TAIL_SEQUENCES: u64 = 20_000;

impl ContractActor {
    /// An actor that will find its cursor in the stream.
    #[must_use]
    pub fn new(
        shared: Shared,
        link: ChainLink,
        chain: &config::Chain,
        contract: &config::Contract,
        adapter: Adapter,
    ) -> Self {
        let confirmations = match contract.confirmations {
            config::Confirmations::Blocks(blocks) => Confirmations::Blocks(blocks),
            config::Confirmations::Safe => Confirmations::Safe,
            config::Confirmations::Finalized => Confirmations::Finalized,
        };
        let holder = shared.incarnation();
        Self {
            shared,
            holder,
            link,
            name: contract.name.clone(),
            address: contract.address,
            start_block: contract.start_block,
            confirmations,
            adapter,
            limits: Limits { blocks: chain.max_range, unfinalized_blocks: chain.max_range.min(64) },
            pause: chain.poll_interval,
            reading: None,
            older: BTreeMap::new(),
            trouble: None,
            frozen: None,
            published: 0,
        }
    }

    /// Why the chain is not followed, if it isn't.
    /// From the next block to the head, confirmations included.
    fn lag_blocks(&self) -> Option<u64> {
        let head = self.link.view.borrow().as_ref()?.latest.number;
        Some((head + 1).saturating_sub(self.reading.as_ref()?.cursor.next()))
    }

    fn chain_frozen(&self) -> Option<Arc<str>> {
        self.link.view.borrow().as_ref().and_then(|view| view.frozen.clone())
    }

    fn writer(&self) -> Writer {
        Writer::new(WriterKind::Contract, self.name.clone())
    }

    /// Takes the fence and rebuilds the cursor from the watermarks.
    async fn recover(&self) -> Result<Reading, Trouble> {
        let connection = &self.shared.connection;
        let reconnects = *connection.reconnects().borrow();
        let fence =
            Fence::acquire(connection, StreamId::Events, &self.writer(), &self.holder).await?;
        let subject = subjects::watermark(&self.link.name, &self.name);
        let mut cursor = Cursor::new(self.start_block, self.confirmations);
        let mut watermark = 0;
        if let Some(last) = last_by_subject(connection, StreamId::Events, &subject).await? {
            for watermark in self.recent_watermarks(&subject, &last).await? {
                cursor.replay(&watermark);
            }
            watermark = last.sequence;
        }
        tracing::info!(contract = %self.name, next_block = cursor.next(), "contract cursor found");
        Ok(Reading { cursor, fence, watermark, reconnects })
    }

    /// Its last watermarks, as many as the deepest reorg may undo. The stream
    /// is all contracts': between two of ours another one's backfill may lie.
    async fn recent_watermarks(
        &self,
        subject: &str,
        last: &Stored,
    ) -> Result<Vec<Watermark>, Trouble> {
        let (connection, filters) = (&self.shared.connection, [subject.to_owned()]);
        let mut back = TAIL_SEQUENCES;
        loop {
            let from = last.sequence.saturating_sub(back).max(1);
            let limit = usize::try_from(back).unwrap_or(usize::MAX).saturating_add(1);
            let read = read_range(connection, StreamId::Events, &filters, from, limit).await?;
            let watermarks = read
                .messages
                .iter()
                .filter(|stored| stored.sequence < last.sequence)
                .chain([last])
                .map(|stored| messages::read::<Watermark>(&stored.payload))
                .collect::<Result<Vec<_>, _>>()?;
            if from == 1 || Cursor::reaches_finality(&watermarks) {
                return Ok(watermarks);
            }
            back = back.saturating_mul(2);
        }
    }

    /// One round: plan, fetch, publish. Returns when to go on.
    async fn advance(&mut self) -> Result<Next, Trouble> {
        let reconnects = *self.shared.connection.reconnects().borrow();
        let mut reading = match self.reading.take() {
            // After a reconnect the stream may be another: look again.
            Some(reading) if reading.reconnects == reconnects => reading,
            _ => self.recover().await?,
        };
        let Some(mut view) = self.link.view.borrow().clone() else {
            self.reading = Some(reading);
            return Ok(Next::After(self.pause));
        };
        view.older = std::mem::take(&mut self.older);
        let plan = reading.cursor.plan(&view, &self.limits);
        self.frozen = None;
        let next = match plan {
            Plan::Idle => Next::After(self.pause),
            Plan::NeedHeader { number } => {
                let header = self.link.block(number.into()).await;
                match header {
                    Ok(header) => {
                        self.older = view.older;
                        self.older.insert(number, header.block);
                        Next::Again
                    }
                    Err(error) => {
                        self.reading = Some(reading);
                        return Err(error.into());
                    }
                }
            }
            Plan::Frozen { reason } => {
                tracing::error!(contract = %self.name, "{reason}");
                self.frozen = Some(reason);
                Next::After(self.pause.max(Duration::from_secs(5)))
            }
            Plan::Retract { from, to, common } => {
                self.retract(&mut reading, from, to, common).await?;
                Next::Again
            }
            Plan::Fetch { from, to } => {
                let fetched = self.fetch(&view, from, to).await;
                let Fetched { events, through, blocks } = match fetched {
                    Ok(fetched) => fetched,
                    Err(trouble) => {
                        self.reading = Some(reading);
                        return Err(trouble);
                    }
                };
                let recent: Vec<BlockRef> =
                    blocks.iter().filter(|b| b.number > view.finalized).copied().collect();
                if let Err(moved) = reading.cursor.links(&recent) {
                    self.reading = Some(reading);
                    return Err(moved.into());
                }
                // The branch may have been found to contradict finality while
                // it was read.
                if self.chain_frozen().is_some() {
                    self.reading = Some(reading);
                    return Ok(Next::After(self.pause));
                }
                self.publish(&mut reading, &view, events, through, &recent).await?;
                Next::Again
            }
        };
        self.reading = Some(reading);
        Ok(next)
    }

    /// Publishes events in batches, each closed by a watermark where a block
    /// is complete. A block too large for one batch is spread over several of
    /// which only the last has the watermark; consumers know repeated events
    /// by their ids.
    async fn publish(
        &mut self,
        reading: &mut Reading,
        view: &ChainView,
        events: Vec<Event>,
        through: BlockRef,
        blocks: &[BlockRef],
    ) -> Result<(), Trouble> {
        let mut batches: Vec<Vec<Event>> = vec![Vec::new()];
        for event in events {
            let full = batches.last().is_some_and(|batch| batch.len() + 1 >= BATCH_MAX);
            if full {
                batches.push(Vec::new());
            }
            if let Some(batch) = batches.last_mut() {
                batch.push(event);
            }
        }
        let last = batches.len() - 1;
        for (i, batch) in batches.iter().enumerate() {
            let next_block = batches.get(i + 1).and_then(|b| b.first()).map(|e| e.block.number);
            let tip = batch.last().map(|event| event.block);
            let complete = match (i == last, tip, next_block) {
                (true, _, _) => Some(through),
                (false, Some(tip), Some(next)) if tip.number < next => Some(tip),
                _ => None,
            };
            let (mut recent, mut closing) = (Vec::new(), None);
            if let Some(complete) = complete {
                let after = reading.cursor.tip().map(|tip| tip.number);
                recent.extend(
                    blocks
                        .iter()
                        .filter(|b| {
                            b.number <= complete.number && after.is_none_or(|a| b.number > a)
                        })
                        .copied(),
                );
                let watermark = Watermark::Progress {
                    chain: self.link.name.clone(),
                    chain_id: self.link.chain_id,
                    contract: self.name.clone(),
                    through: complete,
                    recent: recent.clone(),
                    finalized: view.finalized,
                };
                closing = Some(
                    messages::watermark(&self.link.name, &watermark)?.expecting(reading.watermark),
                );
            }
            let Some((ack, count)) = self.publish_batch(reading, batch, closing).await? else {
                continue;
            };
            self.published += count;
            let labels = [self.link.name.as_str(), self.name.as_str()];
            self.shared.metrics.events_published_total.with_label_values(&labels).inc_by(count);
            if let Some(complete) = complete {
                reading.watermark = ack.last_sequence;
                reading.cursor.advanced(complete, &recent, view.finalized);
                self.shared
                    .metrics
                    .contract_cursor_block
                    .with_label_values(&labels)
                    .set(to_gauge(complete.number));
            }
        }
        Ok(())
    }

    /// Publishes one batch, without events that are larger than the broker
    /// takes: those are buried, and nothing waits for them. Tells how many
    /// there were; `None` when nothing was left to publish.
    async fn publish_batch(
        &self,
        reading: &Reading,
        events: &[Event],
        closing: Option<OutMessage>,
    ) -> Result<Option<(BatchAck, u64)>, Trouble> {
        let mut out = Vec::with_capacity(events.len() + 1);
        for event in events {
            out.push((event, messages::event(event)?));
        }
        loop {
            let wire: Vec<OutMessage> =
                out.iter().map(|(_, message)| message.clone()).chain(closing.clone()).collect();
            if wire.is_empty() {
                return Ok(None);
            }
            let error = match self.shared.publish_all(StreamId::Events, wire, &reading.fence).await
            {
                Ok(ack) => return Ok(Some((ack, out.len() as u64))),
                Err(error) => error,
            };
            let PublishError::TooLarge { subject, .. } = &error else { return Err(error.into()) };
            let Some(index) = largest_of(subject, out.iter().map(|(_, message)| message)) else {
                return Err(error.into());
            };
            let (event, _) = out.remove(index);
            let (id, origin) = oversized(event);
            self.shared.bury(&self.writer(), &id, &error.to_string(), origin).await?;
        }
    }

    async fn retract(
        &self,
        reading: &mut Reading,
        from: u64,
        to: u64,
        common: BlockRef,
    ) -> Result<(), Trouble> {
        tracing::warn!(contract = %self.name, from, to, "retracting orphaned blocks");
        let watermark = Watermark::Retraction {
            chain: self.link.name.clone(),
            chain_id: self.link.chain_id,
            contract: self.name.clone(),
            from,
            to,
            common,
        };
        let message =
            messages::watermark(&self.link.name, &watermark)?.expecting(reading.watermark);
        let out = vec![message];
        let ack = self.shared.publish_all(StreamId::Events, out, &reading.fence).await?;
        reading.watermark = ack.last_sequence;
        reading.cursor.retracted(common);
        let labels = [self.link.name.as_str(), self.name.as_str()];
        self.shared.metrics.retractions_total.with_label_values(&labels).inc();
        Ok(())
    }
}

impl Steps for ContractActor {
    type Failure = ContractFailure;

    async fn started(&mut self) -> Result<(), ContractFailure> {
        Ok(())
    }

    async fn step(&mut self) -> Result<Next, ContractFailure> {
        let outcome = self.advance().await;
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
        let frozen = chain_frozen.or_else(|| self.frozen.as_ref().map(ToString::to_string));
        json!({
            "next_block": self.reading.as_ref().map(|reading| reading.cursor.next()),
            "lag_blocks": self.lag_blocks(),
            "events_published": self.published,
            "not_ready": frozen.as_ref().or(self.trouble.as_ref()),
        })
    }
}

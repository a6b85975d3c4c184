//! Events and watermarks on their way into the stream.

use super::{
    ContractActor, Reading, Trouble,
    bury::{largest_of, oversized},
};
use crate::{
    actors::{head::to_gauge, messages},
    chain::cursor::ChainView,
    domain::{BlockRef, Event, Watermark},
    streams::{
        PublishError,
        batch::{BATCH_MAX, BatchAck},
        publish::OutMessage,
        subjects::StreamId,
    },
};

impl ContractActor {
    /// Publishes events in batches, each closed by a watermark where a block
    /// is complete. A block too large for one batch is spread over several of
    /// which only the last has the watermark; consumers know repeated events
    /// by their ids.
    pub(super) async fn publish(
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
                closing = Some(Watermark::Progress {
                    chain: self.link.name.clone(),
                    chain_id: self.link.chain_id,
                    contract: self.name.clone(),
                    through: complete,
                    recent: recent.clone(),
                    finalized: view.finalized,
                    events: None,
                    after: reading.after,
                });
            }
            let Some((ack, count)) = self.publish_batch(reading, batch, closing).await? else {
                continue;
            };
            self.published += count;
            reading.events += count;
            let labels = [self.link.name.as_str(), self.name.as_str()];
            self.shared.metrics.events_published_total.with_label_values(&labels).inc_by(count);
            if let Some(complete) = complete {
                reading.closed(ack.last_sequence, complete);
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
        mut closing: Option<Watermark>,
    ) -> Result<Option<(BatchAck, u64)>, Trouble> {
        let mut out = Vec::with_capacity(events.len() + 1);
        for event in events {
            out.push((event, messages::event(event)?));
        }
        loop {
            let mut wire: Vec<OutMessage> =
                out.iter().map(|(_, message)| message.clone()).collect();
            if let Some(closing) = &mut closing {
                if let Watermark::Progress { events, .. } = closing {
                    *events = Some(reading.events + out.len() as u64);
                }
                let closing = messages::watermark(&self.link.name, closing)?;
                wire.push(closing.expecting(reading.watermark));
            }
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

    pub(super) async fn retract(
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
        reading.closed(ack.last_sequence, common);
        reading.cursor.retracted(common);
        let labels = [self.link.name.as_str(), self.name.as_str()];
        self.shared.metrics.retractions_total.with_label_values(&labels).inc();
        Ok(())
    }
}

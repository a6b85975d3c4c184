//! Events and watermarks on their way into the stream.

use std::sync::atomic::Ordering;

use super::{
    ContractActor, Reading, Trouble,
    ahead::{Ahead, Batch, Birth},
};
use crate::{
    actors::{head::to_gauge, messages},
    domain::{BlockRef, Watermark},
    streams::{batch::BatchAck, subjects::StreamId},
};

/// Ends of the subjects that tell who has which role.
const ROLE_EVENTS: [&str; 2] = [".role_granted", ".role_revoked"];

/// A batch that the stream has.
pub(super) struct Published {
    ack: BatchAck,
    events: u64,
    through: Option<BlockRef>,
    recent: Vec<BlockRef>,
    births: Vec<Birth>,
    finalized: u64,
}

impl ContractActor {
    /// Publishes a batch, closed by a watermark where a block is complete. A
    /// block too large for one batch is spread over several of which only the
    /// last has the watermark; consumers know repeated events by their ids.
    pub(super) async fn publish(
        &self,
        reading: &Reading,
        batch: Batch,
        finalized: u64,
    ) -> Result<Published, Trouble> {
        let Batch { events: mut messages, closed, through, recent, births } = batch;
        let events = messages.len() as u64;
        let of_role = |subject: &str| ROLE_EVENTS.iter().any(|event| subject.ends_with(event));
        let roles = messages.iter().any(|message| of_role(&message.subject));
        if let Some(through) = through {
            let watermark = Watermark::Progress {
                chain: self.link.name.clone(),
                chain_id: self.link.chain_id,
                contract: self.name.clone(),
                through,
                recent: recent.clone(),
                finalized,
                events: Some(closed.events),
                digest: Some(closed.digest),
                after: reading.after,
            };
            let message = messages::watermark(&self.link.name, &watermark)?;
            messages.push(message.expecting(reading.watermark));
        }
        let ack = self.shared.publish_all(StreamId::Events, messages, Some(&reading.fence)).await?;
        if roles {
            self.shared.role_events.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Published { ack, events, through, recent, births, finalized })
    }

    /// Moves the cursor to where the stream is.
    pub(super) fn published(&mut self, reading: &mut Reading, published: Published) {
        let Published { ack, events, through, recent, births, finalized } = published;
        self.published += events;
        let labels = [self.link.name.as_str(), self.name.as_str()];
        let metrics = &self.shared.metrics;
        metrics.events_published_total.with_label_values(&labels).inc_by(events);
        self.progress_events += events;
        if let Some(through) = through {
            reading.closed(ack.last_sequence, through);
            reading.cursor.advanced(through, &recent, finalized);
            // These were of the tip before.
            self.older.clear();
            let cursor = metrics.contract_cursor_block.with_label_values(&labels);
            cursor.set(to_gauge(through.number));
            self.census_through(&births, through);
        }
    }

    /// Publishes all that was read.
    pub(super) async fn publish_all(
        &mut self,
        reading: &mut Reading,
        mut ahead: Ahead,
        finalized: u64,
    ) -> Result<(), Trouble> {
        while let Some(batch) = ahead.take() {
            let published = self.publish(reading, batch, finalized).await?;
            self.published(reading, published);
        }
        Ok(())
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
            after: reading.after,
        };
        let message =
            messages::watermark(&self.link.name, &watermark)?.expecting(reading.watermark);
        let out = vec![message];
        let ack = self.shared.publish_all(StreamId::Events, out, Some(&reading.fence)).await?;
        reading.closed(ack.last_sequence, common);
        reading.cursor.retracted(common);
        self.census_retracted(common);
        let labels = [self.link.name.as_str(), self.name.as_str()];
        self.shared.metrics.retractions_total.with_label_values(&labels).inc();
        Ok(())
    }
}

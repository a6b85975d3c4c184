//! Reading what is final: batch by batch, the next one made while one is
//! published, and how far that is.

use std::time::Duration;

use tokio::time::Instant;

use super::{ContractActor, Reading, Trouble, ahead::Ahead, progress::Progress};
use crate::{actors::head::to_gauge, chain::cursor::ChainView, supervisor::Next};

/// Longest time without a watermark while history without events is read, or
/// with too few for a batch.
const WATERMARK_EVERY: Duration = Duration::from_secs(1);
/// How often a backfill is told of in the log.
const TOLD_EVERY: Duration = Duration::from_secs(10);

impl ContractActor {
    /// Publishes a batch of final blocks, when there is enough for one, and
    /// meanwhile makes the next.
    pub(super) async fn read_history(
        &mut self,
        reading: &mut Reading,
        view: &ChainView,
        readable: u64,
    ) -> Result<Next, Trouble> {
        let confirmed = self.confirmations.confirmed(view).unwrap_or_default();
        let target = confirmed.min(view.finalized);
        let limit = target.min(readable);
        let mut ahead = match self.ahead.take() {
            Some(ahead) if !ahead.is_empty() => ahead,
            _ => Ahead::at(reading.cursor.next()),
        };
        let due = self.last_published.elapsed() >= WATERMARK_EVERY || ahead.next() > limit;
        let batch = if due || ahead.is_full() { ahead.take() } else { None };
        let Some(batch) = batch else {
            // Even when nothing came: a watermark may be due by now.
            self.fill(&mut ahead, limit).await?;
            self.ahead = Some(ahead);
            self.note_progress(reading, target);
            return Ok(Next::Again);
        };
        let publish = self.publish(reading, batch, view.finalized);
        let (published, filled) = tokio::join!(publish, self.fill(&mut ahead, limit));
        self.published(reading, published?);
        self.last_published = Instant::now();
        self.note_progress(reading, target);
        filled?;
        self.ahead = Some(ahead);
        Ok(Next::Again)
    }

    /// It follows the head now.
    pub(super) fn history_is_read(&mut self) {
        if self.progress.take().is_some() {
            let labels = [self.link.name.as_str(), self.name.as_str()];
            let gauge = &self.shared.metrics.backfill_remaining_blocks;
            gauge.with_label_values(&labels).set(0);
        }
        self.progress_events = 0;
    }

    fn note_progress(&mut self, reading: &Reading, target: u64) {
        let (next, now) = (reading.cursor.next(), self.began.elapsed());
        let progress = self.progress.get_or_insert_with(|| Progress::new(next, now));
        progress.moved(next, std::mem::take(&mut self.progress_events), target, now);
        let labels = [self.link.name.as_str(), self.name.as_str()];
        let remaining = progress.remaining();
        let gauge = self.shared.metrics.backfill_remaining_blocks.with_label_values(&labels);
        gauge.set(to_gauge(remaining));
        let Some(status) = progress.status() else { return };
        if self.told.elapsed() >= TOLD_EVERY {
            self.told = Instant::now();
            tracing::info!(
                contract = %self.name,
                next_block = status.next,
                target_block = status.target,
                blocks_per_s = status.blocks_per_s,
                events_per_s = status.events_per_s,
                eta_s = status.eta_s,
                "history is being read"
            );
        }
    }
}

//! The cursor, as the stream has it.

use tokio::time::Instant;

use super::{ContractActor, Reading, Trouble};
use crate::{
    actors::messages,
    chain::cursor::Cursor,
    domain::Watermark,
    streams::{
        fence::Fence,
        read::{Stored, last_by_subject, read_range},
        subjects::{self, StreamId},
    },
};

/// Sequences of the stream that are read back at a start, at first: enough for
/// the deepest undo, unless others wrote much meanwhile.
const TAIL_SEQUENCES: u64 = 20_000;

impl ContractActor {
    /// Takes the fence and rebuilds the cursor from the watermarks.
    pub(super) async fn recover(&mut self) -> Result<Reading, Trouble> {
        let connection = &self.shared.connection;
        let reconnects = *connection.reconnects().borrow();
        let fence =
            Fence::acquire(connection, StreamId::Events, &self.writer(), &self.holder).await?;
        let subject = subjects::watermark(&self.link.name, &self.name);
        let mut reading = Reading {
            cursor: self.cursor_of(&[]),
            fence,
            watermark: 0,
            after: None,
            reconnects,
            scrubbed: false,
            examined: Instant::now(),
        };
        if let Some(last) = last_by_subject(connection, StreamId::Events, &subject).await? {
            let watermarks = self.recent_watermarks(&subject, &last).await?;
            reading.after = watermarks.last().map(|last| *last.complete_through());
            reading.cursor = self.cursor_of(&watermarks);
            reading.watermark = last.sequence;
        }
        self.examine(&mut reading).await?;
        self.recover_censuses(&reading.cursor).await?;
        let next_block = reading.cursor.next();
        tracing::info!(contract = %self.name, next_block, "contract cursor found");
        Ok(reading)
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
            // What somebody else put there says nothing of this contract.
            let watermarks: Vec<Watermark> = read
                .messages
                .iter()
                .filter(|stored| stored.sequence < last.sequence)
                .chain([last])
                .filter_map(|stored| messages::read(&stored.payload).ok())
                .collect();
            if from == 1 || Cursor::reaches_finality(&watermarks) {
                return Ok(watermarks);
            }
            back = back.saturating_mul(2);
        }
    }
}

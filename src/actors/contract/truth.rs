//! The stream checked against itself: a cursor is believed only when what
//! stands before it is whole.
//!
//! What the stream's end lost, the last watermark tells: reading goes on from
//! there. What it lost in its middle is noticed by the number of its messages
//! or by a reader, found by the counts that watermarks carry, and read again
//! from the chain: the contract rewinds to the last place that is whole.

use std::time::Duration;

use tokio::time::Instant;

use super::{ContractActor, Reading, Trouble};
use crate::{
    actors::{messages, transaction::unix_s},
    chain::cursor::{ChainView, Cursor},
    domain::{Event, Rewind, RewindReason, Watermark},
    fold::Account,
    streams::{
        envelope::UnixTime,
        publish::OutMessage,
        read::{last_by_subject, read_range},
        setup,
        subjects::{self, StreamId},
    },
};

/// Messages of the stream that are examined at once.
const EXAMINED_AT_ONCE: usize = 5_000;

/// How often a contract that has nothing else to do asks whether the stream is whole.
const EXAMINE_EVERY: Duration = Duration::from_secs(60);

/// How far the contract's part of the stream was read.
pub(super) struct Scrub {
    account: Account,
    from: u64,
    reconnects: u64,
    /// The lowest block of which something lacks: a hole that was orphaned meanwhile may
    /// stand before one that is lower.
    lost_from: Option<u64>,
}

/// What a part of it has shown.
enum Scrubbed {
    Part,
    All { lost_from: Option<u64> },
}

impl ContractActor {
    /// Examines the stream if it may lack messages of ours that it was not
    /// found to lack before. Returns whether the contract was rewound: then
    /// the cursor is another.
    pub(super) async fn examine(&self, reading: &mut Reading) -> Result<bool, Trouble> {
        let connection = &self.shared.connection;
        let doubt = self.shared.doubted.get(&self.name).map(|doubt| doubt.clone());
        let missing = setup::missing(connection, StreamId::Events).await?;
        let subject = subjects::rewind(&self.link.name, &self.name);
        let last = last_by_subject(connection, StreamId::Events, &subject).await?;
        let known = match last {
            Some(last) => messages::read::<Rewind>(&last.payload)?.missing,
            None => 0,
        };
        if doubt.is_none() && missing == known {
            return Ok(false);
        }
        tracing::warn!(
            contract = %self.name, missing, doubt = doubt.as_deref(),
            "the stream lost messages: examining it"
        );
        let lost = self.lost_from().await?;
        match lost {
            Some(from_block) => {
                self.rewind(reading, from_block, RewindReason::Lost, missing).await?;
            }
            None => self.say_examined(reading, missing).await?,
        }
        self.shared.doubted.remove(&self.name);
        Ok(lost.is_some())
    }

    /// Without a reconnect nobody else would ask: readers that are past a message don't
    /// miss it.
    pub(super) async fn examine_now_and_then(
        &self,
        reading: &mut Reading,
    ) -> Result<bool, Trouble> {
        if reading.examined.elapsed() < EXAMINE_EVERY {
            return Ok(false);
        }
        reading.examined = Instant::now();
        Box::pin(self.examine(reading)).await
    }

    /// The first block of which the stream lacks something.
    async fn lost_from(&self) -> Result<Option<u64>, Trouble> {
        let mut scrub = self.begin_scrub().await?;
        loop {
            match self.scrub_on(&mut scrub).await? {
                Scrubbed::Part => {}
                Scrubbed::All { lost_from } => return Ok(lost_from),
            }
        }
    }

    /// Reads what stands in the stream once after each opening, a part at a
    /// time while there is nothing else to do: a damaged message is still
    /// counted by the server. Returns whether there is more to read.
    pub(super) async fn scrub(&mut self, reading: &mut Reading) -> Result<bool, Trouble> {
        let mut scrub = match self.scrub.take() {
            Some(scrub) if scrub.reconnects == reading.reconnects => scrub,
            _ => self.begin_scrub().await?,
        };
        match self.scrub_on(&mut scrub).await? {
            Scrubbed::Part => {
                self.scrub = Some(scrub);
                return Ok(true);
            }
            Scrubbed::All { lost_from: Some(from_block) } => {
                self.rewind_lost(reading, from_block).await?;
            }
            Scrubbed::All { lost_from: None } => {
                tracing::debug!(contract = %self.name, "its part of the stream is whole");
            }
        }
        reading.scrubbed = true;
        Ok(false)
    }

    async fn begin_scrub(&self) -> Result<Scrub, Trouble> {
        let connection = &self.shared.connection;
        let reconnects = *connection.reconnects().borrow();
        let rewinds = [subjects::rewind(&self.link.name, &self.name)];
        let read = read_range(connection, StreamId::Events, &rewinds, 1, usize::MAX).await?;
        let mut account = Account::new(Vec::new());
        for stored in &read.messages {
            account.rewind(stored.sequence, messages::read(&stored.payload)?);
        }
        Ok(Scrub { account, from: 1, reconnects, lost_from: None })
    }

    async fn scrub_on(&self, scrub: &mut Scrub) -> Result<Scrubbed, Trouble> {
        let (chain, name) = (&self.link.name, &self.name);
        let watermarks = subjects::watermark(chain, name);
        let filters = [subjects::events_of(chain, name), watermarks.clone()];
        let Scrub { account, from, lost_from, .. } = scrub;
        let connection = &self.shared.connection;
        let read =
            read_range(connection, StreamId::Events, &filters, *from, EXAMINED_AT_ONCE).await?;
        for stored in &read.messages {
            if stored.subject == watermarks {
                let Ok(watermark) = messages::read::<Watermark>(&stored.payload) else { continue };
                if let Err(hole) = account.watermark(stored.sequence, &watermark) {
                    account.pass_over(&watermark);
                    *lost_from = (*lost_from).into_iter().chain([hole.from_block]).min();
                }
            } else if let Ok(event) = messages::read::<Event>(&stored.payload) {
                // What is no event was not counted when it was said, either.
                account.event(stored.sequence, &event);
            }
        }
        match read.messages.last() {
            Some(last) if !read.caught_up => {
                *from = last.sequence + 1;
                Ok(Scrubbed::Part)
            }
            _ => Ok(Scrubbed::All { lost_from: *lost_from }),
        }
    }

    /// The stream lost something of that block: takes the cursor back to before it.
    pub(super) async fn rewind_lost(
        &self,
        reading: &mut Reading,
        from_block: u64,
    ) -> Result<(), Trouble> {
        let missing = setup::missing(&self.shared.connection, StreamId::Events).await?;
        self.rewind(reading, from_block, RewindReason::Lost, missing).await
    }

    /// Declares void what was said of blocks from `from_block` on, and takes
    /// the cursor back to before it.
    pub(super) async fn rewind(
        &self,
        reading: &mut Reading,
        from_block: u64,
        reason: RewindReason,
        missing: u64,
    ) -> Result<(), Trouble> {
        // What lacks may have been orphaned since, with what was read not as far again:
        // what comes after it was not announced yet. Block 0 has no logs, so there is
        // always one to go back to.
        let mut from_block = from_block.min(reading.cursor.next()).max(self.start_block).max(1);
        // What was announced before it may be orphaned, and not retracted yet.
        while let Some(kept) = reading.cursor.announced_below(from_block) {
            let now = self.link.block(kept.number.into()).await?.block;
            if now.hash == kept.hash || kept.number <= self.start_block.max(1) {
                break;
            }
            from_block = kept.number;
        }
        let common = self.link.block((from_block - 1).into()).await?.block;
        let to = reading.cursor.tip().map_or(from_block, |tip| tip.number.max(from_block));
        tracing::warn!(
            contract = %self.name, from_block, to, ?reason, "reading the contract again"
        );
        let retraction = Watermark::Retraction {
            chain: self.link.name.clone(),
            chain_id: self.link.chain_id,
            contract: self.name.clone(),
            from: from_block,
            to,
            common,
            after: None,
        };
        let watermark =
            messages::watermark(&self.link.name, &retraction)?.expecting(reading.watermark);
        let said = vec![self.rewind_message(reading, from_block, reason, missing)?, watermark];
        let ack = self.shared.publish_all(StreamId::Events, said, Some(&reading.fence)).await?;
        reading.closed(ack.last_sequence, common);
        reading.cursor.retracted(common);
        self.census_retracted(common);
        let labels = [self.link.name.as_str(), self.name.as_str()];
        self.shared.metrics.contract_rewinds_total.with_label_values(&labels).inc();
        Ok(())
    }

    /// Notes that what the stream lacks is none of ours.
    async fn say_examined(&self, reading: &Reading, missing: u64) -> Result<(), Trouble> {
        let from_block = reading.cursor.next().max(1);
        let said =
            vec![self.rewind_message(reading, from_block, RewindReason::Examined, missing)?];
        self.shared.publish_all(StreamId::Events, said, Some(&reading.fence)).await?;
        Ok(())
    }

    fn rewind_message(
        &self,
        reading: &Reading,
        from_block: u64,
        reason: RewindReason,
        missing: u64,
    ) -> Result<OutMessage, Trouble> {
        let (chain_id, name, after) = (self.link.chain_id, &self.name, reading.watermark);
        let rewind = Rewind {
            chain: self.link.name.clone(),
            chain_id,
            contract: name.clone(),
            from_block,
            reason,
            missing,
        };
        let id = format!("{chain_id}/{name}/rewinds/{from_block}/{after}/{missing}");
        Ok(messages::rewind(&rewind, id, UnixTime(unix_s()))?)
    }

    /// After a person's decision: rewinds a cursor that can't go on. Returns
    /// why it may not, if it may not.
    pub(super) async fn resume(
        &self,
        reading: &mut Reading,
        view: &ChainView,
    ) -> Result<Option<String>, Trouble> {
        let Some(resume) = *self.link.resumed.borrow() else {
            return Ok(Some("no person has decided to go on".to_owned()));
        };
        let from_block = resume.from_block;
        if let Some(kept) = reading.cursor.announced_below(from_block) {
            let canonical = match view.header(kept.number) {
                Some(block) => *block,
                None => self.link.block(kept.number.into()).await?.block,
            };
            if canonical.hash != kept.hash {
                return Ok(Some(format!(
                    "resumed from block {from_block}, but block {} of contract `{}` is not \
                     canonical either: resume from there or below",
                    kept.number, self.name
                )));
            }
        }
        let missing = setup::missing(&self.shared.connection, StreamId::Events).await?;
        self.rewind(reading, from_block, RewindReason::Resumed, missing).await?;
        Ok(None)
    }

    /// A cursor that follows these watermarks.
    pub(super) fn cursor_of(&self, watermarks: &[Watermark]) -> Cursor {
        let mut cursor = Cursor::new(self.start_block, self.confirmations);
        for watermark in watermarks {
            cursor.replay(watermark);
        }
        cursor
    }
}

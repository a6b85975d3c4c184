//! Committing what was folded, and saying what follows; and what becomes of a writer whose
//! fence somebody else has.

use std::{panic::resume_unwind, time::Duration};

use serde_json::json;
use tokio::{task::spawn_blocking, time::Instant};

use super::{
    super::{
        messages::{self, MessageError},
        outbox::Outgoing,
    },
    FoldActor, FoldFailure, Folding, Open, RETRY, RIVAL_PAUSE, Trouble, comparing,
    opening::{Standing, area_key, table_of},
    taking::Taken,
};
use crate::{
    fold::{self, Emission, Fold, Unwritten},
    store::Write,
    streams::{PublishError, consume::Cursor, fence::Fence},
    supervisor::Next,
};

/// Changes that are written down as rows by whoever made them: another thread costs more.
const WRITTEN_HERE: usize = 500;

type Emissions<F> = Vec<Emission<<<F as Folding>::Fold as Fold>::Output>>;

/// What one commit makes durable.
struct Changes<F: Folding> {
    unwritten: Unwritten<<F::Fold as Fold>::Output, <F::Fold as Fold>::Key>,
    rows: Vec<Write>,
}

impl<F: Folding> FoldActor<F> {
    /// Commits what the engine changed, what follows from it, and the cursor;
    /// then says it.
    pub(super) async fn settle(
        &self,
        open: &mut Open<F::Fold>,
        cursor: Option<Cursor>,
    ) -> Result<(), Trouble> {
        let (changes, emissions) = self.changes(open, cursor)?;
        self.commit(changes).await?;
        self.folding.settled(&self.shared, &emissions);
        self.flush(open).await
    }

    /// Commits what was folded up to a message and takes the next in meanwhile, then says
    /// what follows from the first. `None` where the fold has to be opened anew before it says
    /// anything: the server may be another, or have lost something.
    pub(super) async fn settle_and_take(
        &self,
        open: &mut Open<F::Fold>,
        handled: u64,
    ) -> Result<Option<Taken>, Trouble> {
        let cursor = open.inbox.cursor_at(handled);
        let (changes, emissions) = self.changes(open, Some(cursor))?;
        let (committed, taken) = tokio::join!(self.commit(changes), self.take_batches(open));
        committed?;
        self.folding.settled(&self.shared, &emissions);
        let taken = taken?;
        if *self.shared.connection.reconnects().borrow() != open.reconnects {
            return Ok(None);
        }
        self.flush(open).await?;
        open.inbox.ack_through(handled).await?;
        Ok(Some(taken))
    }

    /// What is to be committed of what the engine changed, and what it says.
    fn changes(
        &self,
        open: &mut Open<F::Fold>,
        cursor: Option<Cursor>,
    ) -> Result<(Changes<F>, Emissions<F>), Trouble> {
        let (unwritten, emissions) = open.engine.take_unwritten();
        let owner = self.owner();
        let mut outgoing = Vec::new();
        let (emissions, withheld) = self.withheld(open, emissions);
        for emission in &emissions {
            outgoing.extend(self.say(emission)?);
        }
        let mut rows = Vec::new();
        if let Some(cursor) = cursor {
            let standing = Standing {
                version: self.folding.version(),
                cursor: Some(cursor),
                output: Some(open.output),
                counts: open.account.counts(),
                applied_time: open.engine.applied_time(),
                applied_through: open.engine.applied_through().clone(),
            };
            rows.push(standing.write(&owner));
            rows.extend(open.live.take().map(|live| live.write(&owner)));
        }
        let kept = emissions.iter().filter_map(|emission| self.folding.keep(emission));
        rows.extend(open.keep(&owner, kept));
        rows.extend(withheld.iter().map(|keep| comparing::withhold(&owner, keep)));
        rows.extend(self.note_words(open, &outgoing));
        rows.extend(open.outbox.add(outgoing));
        Ok((Changes { unwritten, rows }, emissions))
    }

    /// What is much is written down on another thread: this one has others to serve, and
    /// may be folding what comes next.
    async fn commit(&self, Changes { unwritten, rows }: Changes<F>) -> Result<(), Trouble> {
        let owner = self.owner();
        let is_much = unwritten.len() > WRITTEN_HERE && !self.shared.connection.is_simulated();
        let write = move || {
            let row = |write: fold::Write| Write {
                table: table_of(write.area),
                key: area_key(&owner, write.area, &write.key),
                value: write.value,
            };
            unwritten.into_writes().into_iter().map(row).chain(rows).collect()
        };
        let rows = match is_much {
            true => match spawn_blocking(write).await {
                Ok(rows) => rows,
                // It goes on here, as if it had been written here.
                Err(ended) if ended.is_panic() => resume_unwind(ended.into_panic()),
                Err(_) => return Err(Trouble::Ending),
            },
            false => write(),
        };
        Ok(self.shared.store.commit(rows).await?)
    }

    /// What to say about an emission: its messages, or why it has none.
    fn say(
        &self,
        emission: &Emission<<F::Fold as Fold>::Output>,
    ) -> Result<Vec<Outgoing>, MessageError> {
        self.folding.say(emission).or_else(|error| {
            let (writer, why) = (self.folding.writer(), error.to_string());
            let id = format!("{writer}/{}/{}", self.folding.version(), emission.revision);
            tracing::error!(actor = %writer, id, "dead letter: {why}");
            let origin = json!({ "revision": emission.revision });
            Ok(vec![messages::dead_letter(&writer, &id, &why, &origin)?])
        })
    }

    /// Somebody else has the fence. A newer incarnation of this actor replaces
    /// it; another daemon is told of and left alone for a while; a stream that
    /// was lost with its fence is opened anew.
    pub(super) async fn fenced(&mut self, fenced: PublishError) -> Result<Next, FoldFailure> {
        let (stream, writer) = (self.folding.stream(), self.folding.writer());
        let (why, pause) = match Fence::holder(&self.shared.connection, stream, &writer).await {
            Ok(Some(holder)) => {
                let run = holder.rsplit_once('-').map_or(holder.as_str(), |(run, _)| run);
                if *run == *self.shared.run {
                    return Err(FoldFailure::Fenced(fenced));
                }
                // The epoch of the old name is known to the broker, and passed.
                self.holder = self.shared.incarnation();
                self.yields_until = Some(Instant::now() + RIVAL_PAUSE);
                let why = format!(
                    "another daemon (run {run}) writes for {writer}; stop one of the two, or give \
                     each streams of its own"
                );
                (why, RIVAL_PAUSE)
            }
            Ok(None) => (format!("{stream} was made anew: {fenced}"), RETRY),
            Err(_) => return Err(FoldFailure::Fenced(fenced)),
        };
        tracing::error!(actor = %writer, "{why}");
        self.trouble = Some(why);
        Ok(Next::After(pause))
    }

    /// How long another daemon is still left alone; messages wake this actor.
    pub(super) fn yields_for(&mut self) -> Option<Duration> {
        let left = self.yields_until?.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.yields_until = None;
            return None;
        }
        Some(left)
    }

    pub(super) async fn flush(&self, open: &mut Open<F::Fold>) -> Result<(), Trouble> {
        let fences = [(self.folding.stream(), open.fence.clone())];
        open.outbox.flush(&self.shared, &fences).await?;
        Ok(())
    }
}

//! Committing what was folded, and saying what follows; and what becomes of a writer whose
//! fence somebody else has.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{
    super::{
        messages::{self, MessageError},
        outbox::Outgoing,
    },
    FoldActor, FoldFailure, Folding, Open, RETRY, RIVAL_PAUSE, Trouble, comparing,
    opening::{Standing, area_key, table_of},
};
use crate::{
    fold::{Effects, Emission, Fold},
    store::Write,
    streams::{PublishError, consume::Cursor, fence::Fence},
    supervisor::Next,
};

impl<F: Folding> FoldActor<F> {
    /// Commits what the engine changed, what follows from it, and the cursor;
    /// then says it.
    pub(super) async fn settle(
        &self,
        open: &mut Open<F::Fold>,
        cursor: Option<Cursor>,
    ) -> Result<(), Trouble> {
        let Effects { writes, emissions } = open.engine.take_effects();
        let owner = self.owner();
        let mut outgoing = Vec::new();
        let (emissions, withheld) = self.withheld(open, emissions);
        for emission in &emissions {
            outgoing.extend(self.say(emission)?);
        }
        let mut rows: Vec<Write> = writes
            .into_iter()
            .map(|write| Write {
                table: table_of(write.area),
                key: area_key(&owner, write.area, &write.key),
                value: write.value,
            })
            .collect();
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
        self.shared.store.commit(rows).await?;
        self.folding.settled(&self.shared, &open.engine, &emissions);
        self.flush(open).await
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

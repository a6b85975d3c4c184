//! Folding one message of the stream, and what keeps the next from being
//! folded.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use serde_json::json;

use super::{BATCH, FoldActor, Folding, Open, Trouble, WAIT};
use crate::{
    actors::{
        hearing::{Heard, Message},
        messages::MessageError,
    },
    domain::{EventId, Rewind},
    fold::{Fold, Hole, Input, InputError},
    streams::consume::Delivered,
    supervisor::Next,
};

/// Pause of a fold that waits until a contract's events are whole again.
const REPAIR_PAUSE: Duration = Duration::from_secs(2);

/// Why a round ends at a message.
pub(super) enum Stop {
    /// It contradicts what can't be undone any more.
    BelowFinality(String),
    /// Something that should stand before it does not.
    Hole(Hole),
    /// What was folded is void.
    Rewound(Rewind),
    /// The fold itself failed: what it made of the message is worth nothing.
    Broken(Broken),
}

/// That a fold failed.
pub(super) struct Broken {
    /// At this event, if it was at one.
    pub(super) event: Option<EventId>,
    /// Of the message by which that came about.
    pub(super) sequence: u64,
    pub(super) why: String,
}

/// Why a message was not folded.
enum Refused {
    /// It can't be: it is put aside.
    Bad(String),
    /// Nothing after it may be.
    Stop(Stop),
}

/// Folds one message, and counts it if it is an event.
fn take<F: Fold>(
    open: &mut Open<F>,
    sequence: u64,
    said: Result<Message, MessageError>,
    events: &mut u64,
) -> Result<(), Refused> {
    let said = said.map_err(|error| Refused::Bad(error.to_string()))?;
    let input = match said.heard(&mut open.account, sequence) {
        Ok(Heard::Input(input)) => *input,
        Ok(Heard::Void) => return Ok(()),
        Ok(Heard::Rewind(rewind)) => {
            let folded = open.engine.announced(&rewind.contract);
            if folded.is_some_and(|folded| folded >= rewind.from_block) {
                return Err(Refused::Stop(Stop::Rewound(rewind)));
            }
            open.account.rewind(sequence, rewind);
            return Ok(());
        }
        Err(hole) => return Err(Refused::Stop(Stop::Hole(hole))),
    };
    *events += u64::from(matches!(input, Input::Event(_)));
    open.engine.reached(sequence);
    // What is left of the engine then is thrown away.
    let handled = catch_unwind(AssertUnwindSafe(|| open.engine.handle(input)));
    let handled = handled.map_err(|panic| {
        let why = panic
            .downcast_ref::<&str>()
            .map(|why| (*why).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "without a word".to_owned());
        let event = open.engine.applying();
        Refused::Stop(Stop::Broken(Broken { event, sequence, why }))
    })?;
    handled.map_err(|error| match error {
        InputError::BelowFinality { .. } => {
            // What is committed is as it stands before this message.
            open.account.unhear_retraction();
            Refused::Stop(Stop::BelowFinality(error.to_string()))
        }
        _ => Refused::Bad(error.to_string()),
    })
}

/// Pause of a fold that failed: it would fail again.
const BROKEN_PAUSE: Duration = Duration::from_secs(60);

/// Messages that one commit has at most, when more wait: most of what is
/// written down of a block to undo it is gone again a few hundred blocks later,
/// so a fold that is behind writes little of it.
const AT_ONCE: usize = 4_000;
/// The same where a history is short, so that folds are behind there, too.
const AT_ONCE_SIMULATED: usize = 30;

/// What a round took in.
#[derive(Default)]
pub(super) struct Taken {
    /// The last message that was handled; `None` when there was none.
    pub(super) handled: Option<u64>,
    /// Messages that wait.
    pub(super) pending: u64,
    pub(super) events: u64,
    /// Why nothing more may be taken in.
    pub(super) stop: Option<Stop>,
}

impl Taken {
    /// Up to which message all is handled, if more waits and may be taken in.
    pub(super) fn is_behind(&self) -> Option<u64> {
        self.handled.filter(|_| self.stop.is_none() && self.pending > 0)
    }
}

impl<F: Folding> FoldActor<F> {
    /// Folds what waits, up to where it is to be committed.
    pub(super) async fn take_batches(&self, open: &mut Open<F::Fold>) -> Result<Taken, Trouble> {
        let mut taken = Taken::default();
        let mut messages = 0;
        let is_simulated = self.shared.connection.is_simulated();
        let (batch, at_once) = match is_simulated {
            true => (AT_ONCE_SIMULATED, AT_ONCE_SIMULATED),
            false => (BATCH, AT_ONCE),
        };
        loop {
            let deliveries = open.inbox.fetch(batch, WAIT).await?;
            if let Some(first) = deliveries.first() {
                taken.handled.get_or_insert(first.sequence.saturating_sub(1));
            }
            let count = deliveries.len();
            for Delivered { sequence, subject, read, pending, .. } in deliveries {
                taken.pending = pending;
                match take(open, sequence, read, &mut taken.events) {
                    Ok(()) => {}
                    Err(Refused::Bad(why)) => {
                        Box::pin(self.bury(&subject, sequence, &why)).await?;
                    }
                    Err(Refused::Stop(why)) => {
                        taken.stop = Some(why);
                        return Ok(taken);
                    }
                }
                taken.handled = Some(sequence);
            }
            messages += count;
            if count == 0 || taken.pending == 0 || messages >= at_once {
                return Ok(taken);
            }
            // A commit that is being made goes on, and so do other actors.
            tokio::task::yield_now().await;
        }
    }

    /// Puts a message aside that can't be folded.
    async fn bury(&self, subject: &str, sequence: u64, why: &str) -> Result<(), Trouble> {
        let writer = self.folding.writer();
        let id = format!("{writer}/{sequence}");
        let origin = json!({ "subject": subject, "sequence": sequence });
        Ok(self.shared.bury(&writer, &id, why, origin).await?)
    }

    /// The fold failed at an event: that is set aside, and nothing goes on. Others
    /// don't notice.
    pub(super) async fn broken(&mut self, broken: &Broken) -> Result<Next, Trouble> {
        let Broken { event, sequence, why } = broken;
        let at =
            event.map_or_else(|| format!("message {sequence}"), |event| format!("event {event}"));
        let told = format!(
            "it failed at {at} and stands still: {why}. This is a mistake of the program: report \
             it with the dead letter. Another version of it, or of the program, starts anew"
        );
        if self.frozen.as_ref() != Some(&told) {
            let writer = self.folding.writer();
            let id = format!("{writer}/{}/{at}", self.folding.version());
            let origin = json!({ "event": event, "sequence": sequence });
            self.shared.bury(&writer, &id, &told, origin).await?;
        }
        self.frozen = Some(told);
        Ok(Next::After(BROKEN_PAUSE))
    }

    /// What was folded is void: the fold starts anew.
    pub(super) async fn rebuild(&self, rewind: &Rewind) -> Result<Next, Trouble> {
        let owner = self.owner();
        let Rewind { contract, from_block, reason, .. } = rewind;
        tracing::warn!(
            actor = owner, %contract, from_block, ?reason, "a contract is read again: rebuilding"
        );
        self.forget(&owner, false).await?;
        Ok(Next::Again)
    }

    /// Tells the contract's actor, which reads again what lacks. Until then
    /// nothing may be concluded. Where it has looked and found nothing, what lacks is
    /// something that only this fold has read, like a watermark that was the stream's last
    /// when it was lost: then the fold is made anew from what there is.
    pub(super) async fn wait_for_repair(&mut self, hole: &Hole) -> Result<Next, Trouble> {
        let why = hole.to_string();
        let told = self.trouble_before.as_ref() == Some(&why);
        if told && !self.shared.doubted.contains_key(&hole.contract) {
            tracing::warn!(actor = self.owner(), "the stream is whole without it: rebuilding");
            self.forget(&self.owner(), false).await?;
            return Ok(Next::Again);
        }
        if self.trouble_before.as_ref() != Some(&why) {
            tracing::error!(actor = self.owner(), "{why}");
        }
        self.shared.doubted.insert(hole.contract.clone(), why.as_str().into());
        self.trouble = Some(why);
        Ok(Next::After(REPAIR_PAUSE))
    }
}

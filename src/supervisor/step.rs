//! Actors that work in steps: a serial loop over durable state.

use std::{error::Error, time::Duration};

use actix::Message;

/// What an actor that works in steps does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Steps again at once, after the mailbox was read.
    Again,
    /// Steps after this time, or earlier when nudged.
    After(Duration),
    /// Steps only when nudged.
    OnNudge,
    /// Has finished its work for good. It is not a failure, and the actor is
    /// not restarted but forgotten.
    Finished,
}

/// A loop over durable state. One step runs at a time; messages are read
/// between steps. State in the struct is lost with each incarnation: what
/// matters is persisted before a step returns, and read by `started`.
pub trait Steps: Sized + 'static {
    /// Why a step could not be done. It ends this incarnation; the tree makes
    /// the next one from durable state. What can be retried in place (an
    /// endpoint that is away) is better answered by [`Next::After`].
    type Failure: Error + 'static;

    /// Recovers from durable state, before the first step and any message.
    fn started(&mut self) -> impl Future<Output = Result<(), Self::Failure>>;

    /// Does one piece of work.
    fn step(&mut self) -> impl Future<Output = Result<Next, Self::Failure>>;

    /// Finishes or persists what is in flight; called once, before a stop on
    /// purpose.
    fn drain(&mut self) -> impl Future<Output = ()>;

    /// What `status` shows of this actor. Cheap: it is asked with each
    /// heartbeat.
    fn observe(&self) -> serde_json::Value;
}

/// A stepping actor that can be told `M`. The actor steps soon after.
pub trait Receives<M: Message>: Steps {
    /// Takes the message, between two steps.
    fn receive(&mut self, message: M) -> M::Result;
}

/// How long the parts of a stepping actor may take. Past its limit the actor
/// is frozen: its future is dropped and the next incarnation begins.
#[derive(Clone, Copy, Debug)]
pub struct StepLimits {
    /// For [`Steps::started`].
    pub start: Duration,
    /// For each [`Steps::step`].
    pub step: Duration,
}

impl Default for StepLimits {
    /// Two minutes to recover, one for a step.
    fn default() -> Self {
        Self { start: Duration::from_secs(120), step: Duration::from_secs(60) }
    }
}

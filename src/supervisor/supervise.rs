//! What the tree asks of an actor.

use std::time::Duration;

use actix::{Actor, ActorFuture, Context, Handler};

use super::{end::EndReport, observe::Observe};

/// An actor that the tree can supervise. [`Stepper`](super::Stepper) is one;
/// actors that answer requests (the store, an endpoint) implement this next
/// to their handlers, usually with an empty body.
pub trait Supervise: Actor<Context = Context<Self>> + Handler<Observe> {
    /// How many requests may wait or be worked on at a time, and how many
    /// messages without an answer may wait. Senders beyond it wait.
    const MAILBOX: usize = 64;

    /// Handed over before the actor starts. An actor that may stop itself
    /// keeps it, to say why.
    fn supervised(&mut self, _report: EndReport) {}

    /// The longest time for which the actor by its own limits may leave its
    /// mailbox unread. It is frozen only when it is silent for longer.
    fn longest_silence(&self) -> Duration {
        Duration::ZERO
    }

    /// Finishes or persists what is in flight. Runs once what waited in the
    /// mailbox has been handled; the actor is stopped after it.
    fn drain(&mut self, _context: &mut Context<Self>) -> Draining<Self> {
        Box::pin(actix::fut::ready(()))
    }
}

/// The work of [`Supervise::drain`].
pub type Draining<A> = std::pin::Pin<Box<dyn ActorFuture<A, Output = ()>>>;

//! One life of an actor as its senders see it: an address and a bound.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use actix::{Addr, MailboxError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    observe::{Observation, Observe},
    supervise::Supervise,
};

/// An address, never cloned, and the places for requests to it.
///
/// actix's own bound does not bind requests: each clone of an `Addr` may put
/// one message into a full mailbox, and `Addr::send` on a full one clones. So
/// requests take a slot here first. Messages without an answer go through the
/// one shared address, for which actix's bound holds.
pub(super) struct Incarnation<A: Supervise> {
    pub(super) address: Addr<A>,
    slots: Arc<Semaphore>,
    /// Slots of requests whose sender no longer waits, but which may still be
    /// in the mailbox.
    abandoned: Arc<AtomicUsize>,
}

impl<A: Supervise> Incarnation<A> {
    pub(super) fn new(address: Addr<A>) -> Self {
        Self {
            address,
            slots: Arc::new(Semaphore::new(A::MAILBOX)),
            abandoned: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Waits for a place; `None` when the incarnation ended meanwhile.
    pub(super) async fn slot(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        Some(Slot { permit: Some(permit), abandoned: Arc::clone(&self.abandoned) })
    }

    /// Sends those who wait for a place to the next incarnation.
    pub(super) fn close(&self) {
        self.slots.close();
    }

    /// Asks through the mailbox, past the slots: there is one such question
    /// at a time.
    pub(super) async fn observe(&self) -> Result<Observation, MailboxError> {
        let abandoned = self.abandoned.load(Ordering::SeqCst);
        let observation = self.address.send(Observe).await?;
        // The mailbox is read in order: what was abandoned before the question
        // was put has left it by now.
        self.abandoned.fetch_sub(abandoned, Ordering::SeqCst);
        self.slots.add_permits(abandoned);
        Ok(observation)
    }
}

/// A place for one request. Given back when the answer came; when its sender
/// left first, the next answered heartbeat gives it back.
pub(super) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    abandoned: Arc<AtomicUsize>,
}

impl Slot {
    pub(super) fn answered(mut self) {
        self.permit.take();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.forget();
            self.abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }
}

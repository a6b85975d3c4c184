//! An address that outlives restarts.

use std::{sync::Arc, time::Duration};

use actix::{Handler, Message, dev::ToEnvelope, prelude::SendError};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{incarnation::Incarnation, supervise::Supervise};

/// Reaches an actor whichever incarnation of it is alive.
pub struct ActorRef<A: Supervise> {
    name: Arc<str>,
    current: watch::Receiver<Option<Arc<Incarnation<A>>>>,
}

/// Why a message got no answer. It may have been handled all the same
/// unless the actor was down for the whole time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// No incarnation was alive within the time.
    #[error("actor `{actor}` is down (being restarted, or given up)")]
    Down {
        /// The actor's name.
        actor: Arc<str>,
    },
    /// The incarnation that had the message died before it answered.
    #[error("actor `{actor}` died while it handled the message")]
    Died {
        /// The actor's name.
        actor: Arc<str>,
    },
    /// No answer within the time.
    #[error("actor `{actor}` did not answer within {after_ms} ms")]
    TimedOut {
        /// The actor's name.
        actor: Arc<str>,
        /// The limit.
        after_ms: u64,
    },
}

/// Why a message was not taken without waiting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// No incarnation is alive.
    #[error("actor `{actor}` is down (being restarted, or given up)")]
    Down {
        /// The actor's name.
        actor: Arc<str>,
    },
    /// Its mailbox is full.
    #[error("the mailbox of actor `{actor}` is full")]
    Full {
        /// The actor's name.
        actor: Arc<str>,
    },
}

impl<A: Supervise> Clone for ActorRef<A> {
    fn clone(&self) -> Self {
        Self { name: Arc::clone(&self.name), current: self.current.clone() }
    }
}

impl<A: Supervise> ActorRef<A> {
    /// Made by the tree, which publishes each incarnation once it answers.
    pub(super) fn new(
        name: Arc<str>,
        current: watch::Receiver<Option<Arc<Incarnation<A>>>>,
    ) -> Self {
        Self { name, current }
    }

    /// The actor's name in the tree.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends, waiting for a restart under way, for a place in the mailbox and
    /// for the answer, all within `limit`.
    ///
    /// # Errors
    /// See [`Unreachable`].
    pub async fn send<M>(&self, message: M, limit: Duration) -> Result<M::Result, Unreachable>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let deadline = Instant::now() + limit;
        let timed_out = || Unreachable::TimedOut {
            actor: Arc::clone(&self.name),
            after_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        };
        let (incarnation, slot) = loop {
            let incarnation = self.alive(deadline).await?;
            match timeout_at(deadline, incarnation.slot()).await {
                Ok(Some(slot)) if incarnation.address.connected() => break (incarnation, slot),
                // It ended before it had the message: the next one gets it.
                Ok(_) => {}
                Err(_) => return Err(timed_out()),
            }
        };
        match timeout_at(deadline, incarnation.address.send(message)).await {
            Ok(Ok(answer)) => {
                slot.answered();
                Ok(answer)
            }
            Ok(Err(_)) => Err(Unreachable::Died { actor: Arc::clone(&self.name) }),
            Err(_) => Err(timed_out()),
        }
    }

    /// Leaves a message whose answer nobody waits for, if there is room now.
    ///
    /// # Errors
    /// See [`NotTaken`].
    pub fn try_send<M>(&self, message: M) -> Result<(), NotTaken>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let down = || NotTaken::Down { actor: Arc::clone(&self.name) };
        let incarnation = self.current.borrow().clone().ok_or_else(down)?;
        match incarnation.address.try_send(message) {
            Ok(()) => Ok(()),
            Err(SendError::Full(_)) => Err(NotTaken::Full { actor: Arc::clone(&self.name) }),
            Err(SendError::Closed(_)) => Err(down()),
        }
    }

    async fn alive(&self, deadline: Instant) -> Result<Arc<Incarnation<A>>, Unreachable> {
        let mut current = self.current.clone();
        let alive =
            current.wait_for(|life| life.as_ref().is_some_and(|alive| alive.address.connected()));
        match timeout_at(deadline, alive).await {
            Ok(Ok(life)) => life.clone(),
            Ok(Err(_)) | Err(_) => None,
        }
        .ok_or_else(|| Unreachable::Down { actor: Arc::clone(&self.name) })
    }
}

//! An address that outlives restarts.

use std::{sync::Arc, time::Duration};

use actix::{
    Actor, Addr, Handler, Message,
    dev::{MessageResponse, ToEnvelope},
};
use tokio::sync::watch;

/// Reaches an actor whichever incarnation of it is alive.
pub struct ActorRef<A: Actor> {
    name: Arc<str>,
    current: watch::Receiver<Option<Addr<A>>>,
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

impl<A: Actor> Clone for ActorRef<A> {
    fn clone(&self) -> Self {
        Self { name: Arc::clone(&self.name), current: self.current.clone() }
    }
}

impl<A: Actor> ActorRef<A> {
    /// Made by the supervisor, which publishes each new incarnation.
    pub fn new(name: Arc<str>, current: watch::Receiver<Option<Addr<A>>>) -> Self {
        Self { name, current }
    }

    /// The actor's name in the tree.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends, waiting for a place in the mailbox, for a restart under way and
    /// for the answer, all within `limit`.
    ///
    /// # Errors
    /// See [`Unreachable`].
    pub async fn send<M>(&self, message: M, limit: Duration) -> Result<M::Result, Unreachable>
    where
        M: Message + Send + 'static,
        M::Result: MessageResponse<A, M> + Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let deadline = tokio::time::Instant::now() + limit;
        let mut current = self.current.clone();
        let address = {
            let alive = current.wait_for(|address| address.as_ref().is_some_and(Addr::connected));
            match tokio::time::timeout_at(deadline, alive).await {
                Ok(Ok(address)) => address.clone(),
                Ok(Err(_)) | Err(_) => None,
            }
        };
        let Some(address) = address else {
            return Err(Unreachable::Down { actor: Arc::clone(&self.name) });
        };
        match tokio::time::timeout_at(deadline, address.send(message)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Unreachable::Died { actor: Arc::clone(&self.name) }),
            Err(_) => Err(Unreachable::TimedOut {
                actor: Arc::clone(&self.name),
                after_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }
}

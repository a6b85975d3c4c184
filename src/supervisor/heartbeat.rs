//! Noticing that an actor, or the thread under it, no longer moves.

use std::time::Duration;

use actix_rt::ArbiterHandle;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{
    end::{End, EndReason},
    incarnation::Incarnation,
    observe::Observation,
    supervise::Supervise,
};

/// How an actor is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Time from an answer to the next question.
    pub every: Duration,
    /// Without an answer for this long it is frozen. An actor that limits
    /// itself (a step's time) has its longest silence on top; its thread
    /// has not.
    pub freeze_after: Duration,
}

impl Default for Heartbeat {
    /// Every five seconds; frozen after ten.
    fn default() -> Self {
        Self { every: Duration::from_secs(5), freeze_after: Duration::from_secs(10) }
    }
}

/// Asks the actor and its thread, until one of them does not answer in time.
/// Does not return while both do, nor when the actor ends (its task tells).
pub(super) async fn until_frozen<A: Supervise>(
    heartbeat: &Heartbeat,
    arbiter: &ArbiterHandle,
    incarnation: &Incarnation<A>,
    longest_silence: Duration,
    observed: impl FnMut(Observation),
) -> End {
    tokio::select! {
        biased;
        end = until_thread_blocked(heartbeat, arbiter) => end,
        end = until_silent(heartbeat, incarnation, longest_silence, observed) => end,
    }
}

async fn until_silent<A: Supervise>(
    heartbeat: &Heartbeat,
    incarnation: &Incarnation<A>,
    longest_silence: Duration,
    mut observed: impl FnMut(Observation),
) -> End {
    let limit = heartbeat.freeze_after.saturating_add(longest_silence);
    loop {
        match patiently(limit, incarnation.observe()).await {
            Some(Ok(observation)) => observed(observation),
            Some(Err(_)) => std::future::pending().await,
            None => return frozen("did not read its mailbox", limit),
        }
        sleep(heartbeat.every).await;
    }
}

async fn until_thread_blocked(heartbeat: &Heartbeat, arbiter: &ArbiterHandle) -> End {
    let limit = heartbeat.freeze_after;
    loop {
        let (pong, answer) = oneshot::channel();
        arbiter.spawn_fn(move || {
            let _ = pong.send(());
        });
        match patiently(limit, answer).await {
            Some(Ok(())) => sleep(heartbeat.every).await,
            Some(Err(_)) => std::future::pending().await,
            None => return frozen("its thread was blocked", limit),
        }
    }
}

pub(super) fn frozen(what: &str, limit: Duration) -> End {
    End::new(EndReason::Frozen, format!("{what} for {} ms", limit.as_millis()))
}

/// A timeout in two halves. When the whole process stood still (suspended, or
/// starved of CPU) all clocks are past their limits at once on its return; the
/// second half gives the actors the time to answer.
pub(super) async fn patiently<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::pin!(work);
    for _ in 0..2 {
        if let Ok(done) = timeout(limit / 2, &mut work).await {
            return Some(done);
        }
    }
    None
}

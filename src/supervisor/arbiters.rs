//! The threads that actors run on.

use std::{
    collections::HashMap,
    io,
    sync::{Mutex, PoisonError},
};

use actix_rt::{Arbiter, ArbiterHandle};
use serde::Serialize;

/// Which threads an actor runs on. A blocked thread delays only the actors of
/// its class, until their heartbeats notice and they move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ArbiterClass {
    /// What follows chains: contracts, heads.
    Listen,
    /// What folds events: rule sets, governance.
    Fold,
    /// What signs: signers and their transactions.
    Sign,
    /// What calls out: RPC endpoints, sinks.
    Endpoint,
    /// A thread of its own, for the life of one incarnation.
    Dedicated,
}

/// No thread could be had for an actor.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoThread {
    #[error("{stuck} abandoned threads are still blocked; no further one is started")]
    TooManyStuck { stuck: usize },
    #[error("a thread could not be started")]
    NotStarted(#[source] io::Error),
}

/// All arbiters of a tree. Made and used on the tree's own thread, because a
/// new arbiter joins the actix system of the thread that asks for it.
pub(super) struct Arbiters {
    /// All run on the thread that asks.
    here: bool,
    per_class: usize,
    stuck_max: usize,
    pools: Mutex<Pools>,
}

#[derive(Default)]
struct Pools {
    seats: HashMap<ArbiterClass, Vec<Seat>>,
    /// Abandoned: told to stop, which they do once whatever blocks them ends.
    stuck: Vec<ArbiterHandle>,
    next_id: u64,
}

struct Seat {
    id: u64,
    handle: ArbiterHandle,
    actors: usize,
}

/// A place on an arbiter, for one incarnation.
pub(super) struct Lease {
    class: ArbiterClass,
    id: u64,
    pub(super) handle: ArbiterHandle,
}

impl Arbiters {
    pub(super) fn new(per_class: usize, stuck_max: usize) -> Self {
        Self { here: false, per_class: per_class.max(1), stuck_max, pools: Mutex::default() }
    }

    /// One thread for all, the present one: nothing is isolated, and everything happens
    /// in one order.
    #[cfg(feature = "simulation")]
    pub(super) fn here() -> Self {
        Self { here: true, ..Self::new(1, 0) }
    }

    /// The emptiest arbiter of the class, or a new one while there are fewer
    /// than the class may have.
    pub(super) fn lease(&self, class: ArbiterClass) -> Result<Lease, NoThread> {
        if self.here {
            return Ok(Lease { class, id: 0, handle: Arbiter::current() });
        }
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let pools = &mut *pools;
        pools.stuck.retain(ArbiterHandle::alive);
        let seats = pools.seats.entry(class).or_default();
        seats.retain(|seat| seat.handle.alive());
        if class == ArbiterClass::Dedicated || seats.len() < self.per_class {
            match new_arbiter(pools.stuck.len(), self.stuck_max) {
                Ok(handle) => {
                    pools.next_id += 1;
                    seats.push(Seat { id: pools.next_id, handle: handle.clone(), actors: 1 });
                    return Ok(Lease { class, id: pools.next_id, handle });
                }
                Err(error) if class == ArbiterClass::Dedicated || seats.is_empty() => {
                    return Err(error);
                }
                Err(error) => tracing::warn!(?class, %error, "sharing a thread instead"),
            }
        }
        match seats.iter_mut().min_by_key(|seat| seat.actors) {
            Some(seat) => {
                seat.actors += 1;
                Ok(Lease { class, id: seat.id, handle: seat.handle.clone() })
            }
            None => Err(NoThread::TooManyStuck { stuck: pools.stuck.len() }),
        }
    }

    /// The incarnation is gone.
    pub(super) fn release(&self, lease: &Lease) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seats) = pools.seats.get_mut(&lease.class) else { return };
        if lease.class == ArbiterClass::Dedicated {
            lease.handle.stop();
            seats.retain(|seat| seat.id != lease.id);
        } else if let Some(seat) = seats.iter_mut().find(|seat| seat.id == lease.id) {
            seat.actors = seat.actors.saturating_sub(1);
        }
    }

    /// The thread is blocked: nobody new goes there. It ends when it comes
    /// back, together with whoever still lives on it.
    pub(super) fn abandon(&self, lease: &Lease) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seats) = pools.seats.get_mut(&lease.class) else { return };
        let before = seats.len();
        seats.retain(|seat| seat.id != lease.id);
        if seats.len() < before {
            lease.handle.stop();
            pools.stuck.push(lease.handle.clone());
        }
    }
}

fn new_arbiter(stuck: usize, stuck_max: usize) -> Result<ArbiterHandle, NoThread> {
    if stuck >= stuck_max {
        return Err(NoThread::TooManyStuck { stuck });
    }
    Ok(Arbiter::try_new().map_err(NoThread::NotStarted)?.handle())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn classes_share_no_thread_and_a_full_class_shares_its_own() {
        actix_rt::System::new().block_on(async {
            let arbiters = Arbiters::new(2, 1);
            let ids: Vec<u64> =
                (0..4).map(|_| arbiters.lease(ArbiterClass::Sign).unwrap().id).collect();
            let other = arbiters.lease(ArbiterClass::Fold).unwrap();
            assert_eq!(ids, [1, 2, 1, 2]);
            assert_eq!(other.id, 3);
        });
    }

    #[test]
    fn abandoned_threads_are_replaced_up_to_a_bound() {
        actix_rt::System::new().block_on(async {
            let arbiters = Arbiters::new(1, 1);
            let (unblock, blocked) = std::sync::mpsc::channel::<()>();
            let first = arbiters.lease(ArbiterClass::Listen).unwrap();
            first.handle.spawn_fn(move || {
                let _ = blocked.recv();
            });
            arbiters.abandon(&first);
            assert!(matches!(
                arbiters.lease(ArbiterClass::Listen),
                Err(NoThread::TooManyStuck { stuck: 1 })
            ));
            drop(unblock);
            while first.handle.alive() {
                tokio::task::yield_now().await;
            }
            assert_eq!(arbiters.lease(ArbiterClass::Listen).unwrap().id, 2);
        });
    }
}

//! The tree of supervised actors.
//!
//! An actor here is a factory and a name. The tree makes the actor on a thread
//! of its class, watches it, and when it panics, fails or freezes makes it
//! anew from its durable state: that one alone, after a pause that grows, at
//! an [`ActorRef`] that outlives it. An actor that keeps ending is given up and
//! named; the others run on.
//!
//! actix does none of this by itself: a panic ends its actor without a word to
//! anyone, and `actix::Supervisor` restarts only what stopped on purpose.
//!
//! ```text
//!  supervisor thread            arbiter threads, a few per class
//!  Tree ─ Child ─ Child …       ┌ Listen ┐ ┌ Fold ┐ ┌ Sign ┐ …
//!          │  makes, asks, ends │ Stepper│ │  …   │ │  …   │
//!          └───────────────────▶│ Stepper│ │      │ │      │
//!                               └────────┘ └──────┘ └──────┘
//! ```
//!
//! - Most actors are [`Steps`]: a serial loop over durable state, which
//!   [`Tree::spawn_steps`] wraps into a [`Stepper`]. Others implement
//!   [`Supervise`].
//! - The supervising tasks have a thread of their own, so that no actor can
//!   keep its supervisor from noticing that it hangs.
//! - What is in a mailbox dies with its actor: a mailbox must never hold the
//!   only copy of anything.
//! - An incarnation whose thread was blocked is aborted, but finishes the poll
//!   it was in when the thread comes back, while its successor runs. Whatever
//!   must have one writer is fenced where it is written, not here.
//!
//! Nothing in this module knows what the actors do. One of them, from its
//! definition to a message:
//!
//! ```no_run
//! use std::{convert::Infallible, time::Duration};
//! use meritd::supervisor::{ArbiterClass, ChildSpec, Next, Receives, StepLimits, Steps, Tree};
//!
//! struct Counter { count: u64 }
//!
//! impl Steps for Counter {
//!     type Failure = Infallible;
//!     async fn started(&mut self) -> Result<(), Infallible> { Ok(()) } // read the store
//!     async fn step(&mut self) -> Result<Next, Infallible> {
//!         self.count += 1; // do one piece of work, persist it
//!         Ok(Next::After(Duration::from_secs(1)))
//!     }
//!     async fn drain(&mut self) {}
//!     fn observe(&self) -> serde_json::Value { serde_json::json!({ "count": self.count }) }
//! }
//!
//! #[derive(actix::Message)]
//! #[rtype(result = "u64")]
//! struct Add(u64);
//!
//! impl Receives<Add> for Counter {
//!     fn receive(&mut self, Add(more): Add) -> u64 { self.count += more; self.count }
//! }
//!
//! async fn play(tree: Tree) -> Result<(), Box<dyn std::error::Error>> {
//!     let spec = ChildSpec::new("counter/one", ArbiterClass::Fold);
//!     let counter = tree.spawn_steps(spec, StepLimits::default(), || Counter { count: 0 })?;
//!     let count = counter.tell(Add(2), Duration::from_secs(5)).await?;
//!     assert!(count >= 2);
//!     counter.nudge(); // step now instead of after a second
//!     Ok(())
//! }
//! ```

mod actor_ref;
mod arbiters;
mod child;
mod drain;
mod end;
mod heartbeat;
mod incarnation;
mod life;
mod observe;
mod restart;
mod snapshot;
mod step;
mod stepper;
mod supervise;
mod tree;
mod trunk;

#[cfg(test)]
mod tests;

pub use actor_ref::{ActorRef, NotTaken, Unreachable};
pub use arbiters::ArbiterClass;
pub use child::ChildSpec;
pub use drain::{DrainReport, Undrained};
pub use end::{End, EndReason, EndReport};
pub use heartbeat::Heartbeat;
pub use observe::{Observation, Observe, Pace};
pub use restart::RestartPolicy;
pub use snapshot::{ChildSnapshot, ChildState, LastEnd};
pub use step::{Next, Receives, StepLimits, Steps};
pub use stepper::{Nudge, Stepper, Tell};
pub use supervise::{Draining, Supervise};
pub use tree::{NotSpawned, Tree, TreeError, TreeLimits, TreeObserver};

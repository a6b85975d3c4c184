//! The tree: factories, restarts, budgets, escalation, drain.

mod actor_ref;

pub use actor_ref::{ActorRef, Unreachable};

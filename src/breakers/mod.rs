//! Guards around every call out: bulkhead ▸ breaker ▸ timeout, and retries
//! within a budget.
//!
//! One [`Guard`] a dependency (an RPC endpoint, the store, NATS, a webhook).
//! A slow or failing dependency fills its own bulkhead and opens its own
//! breaker; callers of others never notice. Knows nothing of what is called:
//! errors say through [`Classify`] whose fault they are.

mod breaker;
mod bulkhead;
mod classify;
mod counts;
mod guard;
mod retry;
mod spec;

pub use breaker::BreakerState;
pub use classify::{Classify, FailureClass};
pub use guard::{Guard, GuardError, GuardSnapshot};
pub use spec::{BreakerSpec, GuardSpec, GuardSpecError, Priority, RetrySpec, Terms};

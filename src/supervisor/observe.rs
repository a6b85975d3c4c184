//! What an actor shows of itself.

use actix::{Message, MessageResponse};
use serde::Serialize;

/// Asks for an actor's observable state. The tree sends it as a heartbeat,
/// through the mailbox: an actor that does not get to read it is frozen.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Observation")]
pub struct Observe;

/// The answer to [`Observe`].
#[derive(Clone, Debug, PartialEq, Eq, MessageResponse)]
pub struct Observation {
    /// Whatever the actor shows; an object by custom.
    pub state: serde_json::Value,
    /// How a [`Stepper`](super::Stepper) gets on; absent in other actors.
    pub pace: Option<Pace>,
}

/// How an actor that works in steps gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Pace {
    /// Time since this incarnation began, in milliseconds.
    pub running_ms: u64,
    /// Steps done by this incarnation.
    pub steps: u64,
    /// What the last step took, in milliseconds.
    pub last_step_ms: Option<u64>,
}

impl From<serde_json::Value> for Observation {
    fn from(state: serde_json::Value) -> Self {
        Self { state, pace: None }
    }
}

//! What the engine promises, as claims and as a property over histories.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod claims;
mod history;
mod inbox;
mod property;
mod tally;
mod waiting;

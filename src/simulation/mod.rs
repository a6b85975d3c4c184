//! The daemon in a world of its own: one thread, virtual time, a chain, endpoints, a
//! broker and a disk that exist in memory, and chance from a seed. What happens is a
//! function of the seed, so that a failure can be looked at as often as needed.

pub mod chain;
mod node;
mod play;
pub mod recorded;
mod script;
mod setup;
#[cfg(test)]
mod tests;
mod verdict;

pub use node::Manner;
pub use play::{Outcome, play};
pub use script::{Event, Fate, Loss, Script, What};
pub use setup::{NoSetup, Setup};
pub use verdict::Verdict;

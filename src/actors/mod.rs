//! Thin shells around the pure cores: what each owns, what it may be told,
//! and the I/O that its core asks for.

pub mod benefits;
pub mod contract;
pub mod endpoint;
pub mod facts;
pub mod feed;
pub mod fold;
pub mod governance;
pub mod head;
pub(crate) mod hearing;
pub mod market;
pub mod messages;
pub mod notices;
pub mod outbox;
pub mod pauses;
pub mod provisional;
pub mod rule_set;
pub mod shared;
pub mod signer;
pub mod store;
#[cfg(test)]
mod testing;
pub mod transaction;
pub mod wake;

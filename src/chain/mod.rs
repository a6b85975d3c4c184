//! The EVM side: what a log means, which blocks are canonical, which to ask
//! for next, and how endpoints say no.
//!
//! The cores are pure: they take headers, logs and answers and say
//! what follows from them. Nothing here knows about rules, brokers or stores.

pub mod adapters;
pub mod cursor;
pub mod headers;
pub mod ranges;
pub mod rpc_errors;

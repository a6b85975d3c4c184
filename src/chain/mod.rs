//! The EVM side: what a log means, which blocks are canonical, which to ask
//! for next, how endpoints say no, and the calls themselves.
//!
//! `adapters`, `agreement`, `cursor`, `feed`, `headers`, `health`, `pace`, `ranges`,
//! `rate`, `rpc_errors`, `answers` and `proof` are pure: they take headers, logs and answers and say what
//! follows. `transport` speaks HTTP for an endpoint's actor; `client` picks
//! among the endpoints of a chain. Nothing here knows about rules, brokers or
//! stores.

pub mod adapters;
pub mod agreement;
pub mod answers;
pub mod census;
pub mod client;
pub mod cursor;
pub(crate) mod extent;
pub mod feed;
pub mod headers;
pub mod health;
pub mod pace;
pub mod proof;
pub mod ranges;
pub mod rate;
pub mod rpc;
pub mod rpc_errors;
pub mod transport;
pub mod wake;

//! The promises that only the whole program can keep: a real chain, a real
//! broker and the real daemon. One module a promise; what they start is in
//! `tests/support`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod artifacts;
mod backtest;
mod bad_input;
mod broker;
mod calling;
mod contracts;
mod dead_letters;
mod endpoint;
mod escalation;
mod evidence;
mod explain;
mod factories;
mod facts;
mod governance;
mod handover;
mod kills;
mod lasting;
mod listening;
mod outcomes;
mod panics;
mod pauses;
mod provisional;
mod reorg;
mod replay;
mod schemas;
mod scripted;
mod sending;
mod shutdown;
mod store;
mod stream_truth;
mod two_chains;
mod verify;
mod versions;

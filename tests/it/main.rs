//! The promises that only the whole program can keep, a module each, on the
//! real binary and real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod artifacts;
mod bad_input;

//! `meritd demo`.

pub mod anvil;
pub mod contracts;
pub mod world;

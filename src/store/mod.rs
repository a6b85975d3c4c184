//! The local store: one redb file, written by one actor, in groups.
//!
//! Keys and values are bytes; their layout belongs to whoever writes them.
//! Losing the file costs time, never data: all of it is rebuilt from chain
//! and stream, which is why nothing here tries to rescue a damaged file.

mod database;
mod error;
mod handle;
mod session;
#[cfg(feature = "simulation")]
pub mod simulated;
mod tables;
mod write;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use database::{Database, SCHEMA_VERSION};
pub use error::{OpenError, StoreError};
pub use handle::{StoreHandle, StoreLimits};
pub use session::{Page, SCAN_PAGE_MAX, Session};
pub use tables::Table;
pub use write::Write;

//! NATS JetStream: the subjects and envelopes that the outside sees, durable
//! publishing, reading, consuming, and the server that meritd starts for
//! itself.
//!
//! Knows nothing of what the messages say: payloads are bytes, but for the
//! CloudEvents envelope around them.

pub mod batch;
pub mod connection;
mod error;
pub mod fence;
pub mod managed;
mod program;
pub mod publish;
pub mod read;
mod server_config;
pub mod setup;
mod stale;
pub mod subjects;
#[cfg(test)]
mod testing;
mod version;

pub use error::{FaultClass, StreamError};
pub use program::{ProgramError, find_nats_server};
pub use version::ServerVersion;

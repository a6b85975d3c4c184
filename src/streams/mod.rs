//! NATS JetStream: the subjects and envelopes that the outside sees, durable
//! publishing, reading, consuming, and the server that meritd starts for
//! itself.
//!
//! Knows nothing of what the messages say: payloads are bytes, but for the
//! CloudEvents envelope around them.

// Without simulations there is one kind of server.
#![cfg_attr(not(feature = "simulation"), allow(clippy::infallible_destructuring_match))]

pub mod batch;
mod connect_spec;
pub mod connection;
pub mod consume;
pub mod envelope;
mod error;
pub mod fence;
pub mod kv;
pub mod managed;
mod program;
pub mod publish;
mod publish_error;
pub mod read;
mod server_config;
pub mod setup;
#[cfg(feature = "simulation")]
pub mod simulated;
pub mod single;
mod stale;
pub mod subjects;
#[cfg(test)]
pub(crate) mod testing;
pub mod unanswered;
mod version;

pub use connect_spec::{Auth, ConnectSpec, Redacted, Tls};
pub use error::StreamError;
pub use program::{ProgramError, find_nats_server, nats_server_version};
pub use publish_error::PublishError;
pub use version::ServerVersion;

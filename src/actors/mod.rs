//! Thin shells around the pure cores: what each owns, what it may be told,
//! and the I/O that its core asks for.

pub mod endpoint;
pub mod store;

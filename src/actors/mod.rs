//! Thin shells: they do I/O, and ask pure cores what to do.

pub mod store;

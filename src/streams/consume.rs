//! consume.

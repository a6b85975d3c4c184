//! breakers.

//! The daemon in a world of its own: one thread, virtual time, a chain, endpoints, a
//! broker and a disk that exist in memory, and chance from a seed. What happens is a
//! function of the seed, so that a failure can be looked at as often as needed.

pub mod chain;

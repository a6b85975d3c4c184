//! See `meritd::fuzzing::amounts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| meritd::fuzzing::amounts(bytes));

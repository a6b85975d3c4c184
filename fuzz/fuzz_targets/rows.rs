//! See `meritd::fuzzing::rows`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| meritd::fuzzing::rows(bytes));

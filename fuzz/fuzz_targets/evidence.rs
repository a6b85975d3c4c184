//! See `meritd::fuzzing::evidence`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| meritd::fuzzing::evidence(bytes));

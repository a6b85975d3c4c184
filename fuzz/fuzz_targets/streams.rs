//! See `meritd::fuzzing::streams`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| meritd::fuzzing::streams(bytes));

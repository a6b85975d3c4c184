//! See `meritd::fuzzing::facts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| meritd::fuzzing::facts(bytes));

//! See `meritd::fuzzing::logs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| meritd::fuzzing::logs(bytes));

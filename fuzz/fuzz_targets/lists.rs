//! See `meritd::fuzzing::lists`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| meritd::fuzzing::lists(bytes));

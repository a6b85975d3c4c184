//! See `meritd::fuzzing::keystores`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| meritd::fuzzing::keystores(bytes));

//! See `meritd::fuzzing::reverts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| meritd::fuzzing::reverts(bytes));

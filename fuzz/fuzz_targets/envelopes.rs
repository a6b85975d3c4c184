//! See `meritd::fuzzing::envelopes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| meritd::fuzzing::envelopes(bytes));

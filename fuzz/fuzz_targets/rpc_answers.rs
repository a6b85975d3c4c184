//! See `meritd::fuzzing::rpc_answers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| meritd::fuzzing::rpc_answers(bytes));

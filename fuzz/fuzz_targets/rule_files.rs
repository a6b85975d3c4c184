//! See `meritd::fuzzing::rule_files`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| meritd::fuzzing::rule_files(bytes));

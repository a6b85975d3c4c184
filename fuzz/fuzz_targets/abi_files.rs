//! See `meritd::fuzzing::abi_files`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| meritd::fuzzing::abi_files(bytes));

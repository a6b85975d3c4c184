//! Where bytes of others come in: one function for each kind of them, which hands them to
//! the code that reads them in production, and says what must hold whatever they are.
//!
//! Two drivers call them: libFuzzer (`fuzz/`), which looks for what no run has reached
//! yet, and the property tests of this module, which change the files of `fuzz/corpus/`
//! and need nothing but a stable compiler. A target knows of neither: it panics when a
//! claim does not hold.

// A claim that does not hold must end the run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod abi_files;
mod amounts;
mod configuration;
mod envelopes;
mod evidence;
mod facts;
mod keystores;
mod lists;
mod logs;
mod reverts;
mod rows;
mod rpc_answers;
mod rule_files;
mod setting;
mod story;
mod streams;

pub use self::{
    abi_files::abi_files, amounts::amounts, configuration::configuration, envelopes::envelopes,
    evidence::evidence, facts::facts, keystores::keystores, lists::lists, logs::logs,
    reverts::reverts, rows::rows, rpc_answers::rpc_answers, rule_files::rule_files,
    streams::streams,
};

/// A place where bytes of others come in.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its function, of its program in `fuzz/fuzz_targets/`, and of its folder
    /// in `fuzz/corpus/`.
    pub name: &'static str,
    /// Reads the bytes as production does; panics when a claim does not hold.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 14] = [
    Target { name: "abi_files", run: abi_files },
    Target { name: "amounts", run: amounts },
    Target { name: "configuration", run: configuration },
    Target { name: "envelopes", run: envelopes },
    Target { name: "evidence", run: evidence },
    Target { name: "facts", run: facts },
    Target { name: "keystores", run: keystores },
    Target { name: "lists", run: lists },
    Target { name: "logs", run: logs },
    Target { name: "reverts", run: reverts },
    Target { name: "rows", run: rows },
    Target { name: "rpc_answers", run: rpc_answers },
    Target { name: "rule_files", run: rule_files },
    Target { name: "streams", run: streams },
];

/// The first line, and what follows it.
fn first_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

#[cfg(test)]
mod tests;

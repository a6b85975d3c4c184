//! The targets without a fuzzer: the files of the corpus as they are, and changed.
//!
//! The same files are changed the same way each time. More of it, and otherwise:
//!
//! - `MERITD_FUZZ_CASES`: changed files of each target;
//! - `MERITD_FUZZ_SEED`: a number from which the changes follow.

mod corpus;
mod mutation;

use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::{Duration, Instant},
};

use alloy::primitives::keccak256;
use corpus::{File, files};
use mutation::{Mutation, mutations};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::{TARGETS, Target};

/// Changed files of a target, unless it is said: all targets together take some seconds.
const CASES: u32 = 200;
/// So many times more of targets that take no time.
const CHEAP: u32 = 4;
/// What one file may take in a debug build, on a machine that has other work.
const LIMIT: Duration = Duration::from_secs(20);

fn target(name: &str) -> Target {
    *TARGETS.iter().find(|target| target.name == name).unwrap()
}

fn number<T: std::str::FromStr>(variable: &str, usual: T) -> T {
    env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Runs a target; the message of its panic, or that it took too long.
fn outcome(target: &Target, input: &[u8]) -> Result<(), String> {
    let began = Instant::now();
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned())).unwrap_or_default()
    })?;
    let took = began.elapsed();
    if took > LIMIT { Err(format!("it took {took:?}")) } else { Ok(()) }
}

/// Ends the test, with the input in a file that only needs to be moved into the corpus.
fn fail(target: &Target, input: &[u8], why: &str) -> ! {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/artifacts").join(target.name);
    let path = folder.join(&alloy::hex::encode(keccak256(input))[..16]);
    let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, input));
    let shown: String = input.escape_ascii().to_string().chars().take(4_000).collect();
    panic!(
        "target {}: {why}\ninput ({} bytes): {shown}\nkept: {kept:?} in {}; \
         move it to fuzz/corpus/{} once it is mended",
        target.name,
        input.len(),
        path.display(),
        target.name,
    );
}

/// Every file of the corpus holds, as it is and changed.
fn holds(name: &str) {
    hold(name, CASES);
}

fn hold(name: &str, cases: u32) {
    let target = target(name);
    let files = files(name);
    for File { name, bytes } in &files {
        if let Err(why) = outcome(&target, bytes) {
            fail(&target, bytes, &format!("{name}: {why}"));
        }
    }
    let config = Config {
        cases: number("MERITD_FUZZ_CASES", cases),
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("MERITD_FUZZ_SEED", 0_u64).to_le_bytes());
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let run =
        |mutation: Mutation| outcome(&target, &mutation.of(&files)).map_err(TestCaseError::fail);
    match runner.run(&mutations(), run) {
        Ok(()) => {}
        Err(TestError::Fail(why, mutation)) => {
            fail(&target, &mutation.of(&files), &why.to_string());
        }
        Err(TestError::Abort(why)) => panic!("target {name}: {why}"),
    }
}

#[test]
fn any_abi_is_refused_or_its_logs_are_decoded_alike() {
    hold("abi_files", CHEAP * CASES);
}

#[test]
fn amounts_are_refused_or_exact() {
    hold("amounts", CHEAP * CASES);
}

#[test]
fn any_configuration_is_loaded_alike_or_refused_and_shows_no_secret() {
    holds("configuration");
}

#[test]
fn any_message_is_refused_or_survives_its_envelope() {
    hold("envelopes", CHEAP * CASES);
}

#[test]
fn no_evidence_convinces_of_what_it_does_not_prove() {
    hold("evidence", CHEAP * CASES);
}

#[test]
fn no_fact_is_taken_or_explained_without_a_signature() {
    hold("facts", CHEAP * CASES);
}

#[test]
fn any_log_is_decoded_alike_and_into_no_more_than_it_says() {
    hold("logs", CHEAP * CASES);
}

#[test]
fn any_answer_is_a_result_or_an_error_with_a_class_and_without_a_key() {
    holds("rpc_answers");
}

#[test]
fn any_rule_file_is_refused_with_a_place_or_decides_alike() {
    holds("rule_files");
}

#[test]
fn whatever_stream_a_fold_has_heard_it_is_restored_as_it_was() {
    // A stream is many messages.
    hold("streams", CASES / 2);
}

#[test]
fn any_keystore_is_refused_or_holds_the_key_that_it_says() {
    holds("keystores");
}

#[test]
fn any_list_is_refused_shortly_or_says_the_same_in_plain_lines() {
    hold("lists", CHEAP * CASES);
}

#[test]
fn any_revert_is_explained_in_one_line_and_under_a_code() {
    hold("reverts", CHEAP * CASES);
}

#[test]
fn damaged_rows_are_refused_or_harm_no_fold() {
    hold("rows", CHEAP * CASES);
}

#[test]
fn every_target_has_a_corpus_and_a_program_of_its_name() {
    for Target { name, .. } in TARGETS {
        assert!(!files(name).is_empty(), "{name}");
    }
    let programs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut found: Vec<String> = fs::read_dir(programs)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, TARGETS.map(|target| target.name));
}

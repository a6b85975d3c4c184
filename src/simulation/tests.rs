//! What simulations found, each as the shortest script that failed then.

#![allow(clippy::unwrap_used)]

use super::*;

fn plays_right(script: &str) {
    let setup = Setup::make(&std::env::temp_dir()).unwrap();
    let outcome = play(&setup, &serde_json::from_str(script).unwrap());
    // Shown for a failure: in this order, another run may not have it.
    outcome.said.iter().for_each(|said| println!("  {said}"));
    assert!(outcome.verdict.is_right(), "{:#?}", outcome.verdict);
}

macro_rules! played {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            plays_right(include_str!(concat!(
                "../../tests/fixtures/simulations/", stringify!($name), ".json"
            )));
        })*

        const PLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

recorded::each!(played);

#[test]
fn each_recorded_script_is_played() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/simulations");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut names: Vec<String> =
        files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, PLAYED);
    assert_eq!(recorded::scripts().len(), PLAYED.len());
}

#[test]
fn a_script_shrinks_to_what_its_failure_needs() {
    let script = Script::drawn(7);
    let all = script.events.len();
    let needs = |script: &Script| {
        script.events.iter().filter(|event| matches!(event.what, What::Vote { .. })).count() > 1
    };
    let short = script.shrunk(needs);
    assert_eq!(short.events.len(), 2, "of {all}");
}

#[test]
fn a_drawn_script_has_one_liar_at_a_time_and_loses_the_store_or_the_streams() {
    for seed in 0..200 {
        let script = Script::drawn(seed);
        assert_eq!(script, Script::drawn(seed));
        let mut lies_until = 0;
        let (mut store, mut streams) = (false, false);
        for Event { at_ms, what } in &script.events {
            match what {
                What::Endpoint(_, manner, for_ms) if manner.is_lie() => {
                    assert!(*at_ms >= lies_until, "seed {seed}");
                    lies_until = at_ms + for_ms;
                }
                What::Kill(_, Loss::SinceCopy | Loss::Everything) => store = true,
                What::BrokerDown(_, Loss::SinceCopy | Loss::Everything)
                | What::StreamDeleted(_) => streams = true,
                _ => {}
            }
        }
        assert!(!(store && streams), "seed {seed}");
    }
}

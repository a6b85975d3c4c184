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

macro_rules! found {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            plays_right(include_str!(concat!(
                "../../tests/fixtures/simulations/", stringify!($name), ".json"
            )));
        })*
    };
}

found! {
    a_private_fork_has_a_receipt,
    a_private_fork_makes_a_nonce_seem_foreign,
    a_private_fork_says_who_has_what,
    a_retraction_that_was_not_said_and_its_stream_deleted,
    a_watermark_lost_after_it_was_read,
    an_older_copys_nonce_mined_by_a_later_attempt,
    an_older_store_says_again_what_was_taken_back,
    an_older_stream_in_the_place_of_a_newer_one,
    benefits_of_an_older_store,
    books_of_an_older_store_and_a_reorg,
    books_of_an_older_store_and_what_was_settled,
    broker_lost_while_a_reorg_is_pending,
    clock_set_back_while_a_revoke_waits,
    events_deleted_while_a_badge_is_orphaned,
    governance_stream_deleted_before_benefits_are_taken_back,
    hidden_receipts_and_a_nonce_that_seems_foreign,
    history_withheld_when_it_is_read_again,
    made_anew_within_the_brokers_window,
    message_lost_without_a_reconnect,
    read_again_from_an_orphaned_block,
    reverts_on_branches_that_are_gone,
    what_lacks_was_orphaned_since,
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

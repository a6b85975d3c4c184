//! Scripts that failed once, each as short as it could be made.

use super::Script;

/// Hands the names of all to a macro.
macro_rules! each {
    ($call:ident) => {
        $call! {
            a_hole_below_one_that_was_orphaned,
            a_private_fork_has_a_receipt,
            a_private_fork_makes_a_nonce_seem_foreign,
            a_private_fork_says_who_has_what,
            a_retraction_lost_with_the_watermark_behind_it,
            a_retraction_that_was_not_said_and_its_stream_deleted,
            a_watermark_lost_after_it_was_read,
            an_older_copys_nonce_mined_by_a_later_attempt,
            an_older_store_says_again_what_was_taken_back,
            an_older_stream_in_the_place_of_a_newer_one,
            an_unlocks_stream_deleted_when_all_was_said,
            an_unlocks_stream_that_lost_its_end_twice,
            another_message_in_the_same_place_at_the_same_time,
            benefits_of_an_older_store,
            books_of_an_older_store_and_a_reorg,
            books_of_an_older_store_and_what_was_settled,
            books_that_said_what_nobody_wants_any_more,
            broker_lost_while_a_reorg_is_pending,
            clock_set_back_while_a_revoke_waits,
            events_deleted_while_a_badge_is_orphaned,
            governance_stream_deleted_before_benefits_are_taken_back,
            hidden_receipts_and_a_nonce_that_seems_foreign,
            made_anew_within_the_brokers_window,
            message_lost_without_a_reconnect,
            new_books_and_an_older_copy_after_them,
            read_again_from_an_orphaned_block,
            reverts_on_branches_that_are_gone,
            the_store_lost_once_the_brokers_window_is_over,
            what_a_retraction_follows_is_lost,
            what_lacks_was_orphaned_since,
        }
    };
}

macro_rules! texts {
    ($($name:ident),* $(,)?) => {
        [$((
            stringify!($name),
            include_str!(concat!("../../tests/fixtures/simulations/", stringify!($name), ".json")),
        )),*]
    };
}

/// What they are called, and what happens in them.
#[must_use]
pub fn scripts() -> Vec<(&'static str, Script)> {
    let texts = each!(texts);
    // A test reads each of them.
    texts
        .into_iter()
        .filter_map(|(name, text)| Some((name, serde_json::from_str(text).ok()?)))
        .collect()
}

#[cfg(test)]
pub(super) use each;

//! Events that can't be used: told, and without a trace in the state.

use serde_json::json;

use super::*;

#[test]
fn whatever_is_malformed_changes_nothing_and_is_told() {
    let mut history = History::of(vec![rule("gold", "badge", 20_000, Stack::Max, None)]);
    history.begin(1).create(7, 10, 20).mint("badge", 1, 1).begin(11);
    let before = everything(&history.state);
    let said = history.output.len();
    let cases = [
        ("dao", "proposal_created", json!({})),
        ("dao", "proposal_created", created(7, 10, 20)),
        ("dao", "proposal_queued", json!({ "proposal_id": "7", "eta": -1 })),
        ("dao", "proposal_executed", json!({ "proposal_id": "eight" })),
        ("dao", "proposal_canceled", json!({ "proposal_id": "8" })),
        ("dao", "proposal_extended", json!({ "proposal_id": "7" })),
        ("dao", "vote_cast", cast(7, 1, 9, 1)),
        ("dao", "vote_cast", json!({ "proposal_id": "7", "voter": "0x12", "support": "1" })),
        ("dao", "vote_cast", {
            let mut fields = cast(7, 1, 1, 1);
            fields["support"] = json!("256");
            fields
        }),
        ("dao", "proposal_hidden", json!({ "proposal_id": "7" })),
        ("badge", "minted", json!({ "to": person(2) })),
        ("badge", "transferred", json!({ "to": person(2), "token_id": [] })),
        ("badge", "achievement_unlocked", json!({ "user": person(2), "id": null })),
        ("badge", "consecutive_transfer", json!({})),
        ("stranger", "minted", json!({ "to": person(2), "token_id": "1" })),
    ];
    let count = cases.len();
    for (contract, event, fields) in cases {
        history.log(contract, event, fields);
    }
    assert_eq!(everything(&history.state), before);
    assert_eq!(history.output.len() - said, count);
    assert_eq!(history.unreadable().len(), count);
    assert!(history.unreadable().contains(&"`proposal_extended` has no field `extended_deadline`"));
    assert!(history.unreadable().contains(&"field `support` of `vote_cast` is 256, beyond 255"));
}

#[test]
fn events_without_meaning_here_are_passed_over() {
    let mut history = History::of(vec![rule("gold", "badge", 20_000, Stack::Max, None)]);
    history.begin(1).log("dao", "quorum_numerator_updated", json!({}));
    history.log("badge", "locked", json!({ "token_id": "1" }));
    assert!(history.output.is_empty());
}

#[test]
fn nothing_follows_upon_the_end_of_a_proposal() {
    let mut history = History::of(Vec::new());
    history.begin(1).create(7, 10, 20).begin(11);
    history.learn(7, 1);
    history.vote(7, 1, 1, 1).begin(21).queue(7, 1).queue(7, 1).execute(7).execute(7).cancel(7);
    assert_eq!(
        history.unreadable(),
        [
            "proposal 7 is queued: `proposal_queued` can't follow",
            "proposal 7 is executed: `proposal_executed` can't follow",
            "proposal 7 is executed: `proposal_canceled` can't follow",
        ]
    );
}

#[test]
fn while_a_proposal_waits_for_its_quorum_its_logs_still_have_an_order() {
    let mut history = History::of(Vec::new());
    history.begin(1).create(7, 10, 20).begin(21).cancel(7).execute(7).cancel(7);
    assert_eq!(history.unreadable().len(), 2);
    history.learn(7, 1);
    history.begin(22);
    let states: Vec<_> = history.states().into_iter().map(|(state, _)| state).collect();
    assert_eq!(states, ["created", "active", "defeated", "canceled"]);
}

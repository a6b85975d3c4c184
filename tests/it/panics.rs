//! A panic in one actor never reaches another, and nothing is lost by it.

use meritd::cli::demo::{story::Story, world::World};

use crate::support::{self, Daemon, PATIENCE, until};

/// The rest of the story after `crashed` panicked in the middle of it.
async fn assert_only_it_restarted_and_nothing_is_lost(
    world: &World,
    daemon: &Daemon,
    story: &mut Story<'_>,
    crashed: &str,
) {
    let back = until("the actor that panicked is back", PATIENCE, async || {
        let actor = daemon.actor(crashed).await?;
        (actor["state"] == "running" && actor["restarts"] != 0).then_some(actor)
    })
    .await;
    assert_eq!(back["restarts"], 1, "{back}");
    assert_eq!(back["last_end"]["reason"], "panicked", "{back}");

    support::play_on(world, story).await;
    support::assert_right_outcome(world, story).await;
    for actor in daemon.actors().await {
        let name = actor["name"].as_str().unwrap();
        // Transaction actors depend on their signer, and come and go with it.
        if !name.starts_with("tx/") {
            assert_eq!(actor["restarts"], u64::from(name == crashed), "{actor}");
        }
    }
    assert_eq!(daemon.get("/readyz").await.0, 200);
    // A panic is a line as all others are: whoever reads them by machine does not stumble.
    let log = daemon.log();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let panics = lines.iter().filter(|line| {
        line["message"].as_str().is_some_and(|message| message.starts_with("panicked: "))
    });
    assert_eq!(panics.count(), 1, "{log}");
}

async fn panic_in(crashed: &str) {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let mut story = support::story(&world);
    story.everybody_joins().await.unwrap();
    daemon.start().await;
    story.first_votes().await.unwrap();

    assert!(daemon.crash(crashed).await, "there is no {crashed}");

    assert_only_it_restarted_and_nothing_is_lost(&world, &daemon, &mut story, crashed).await;
}

#[tokio::test]
async fn a_panic_in_a_contract_leaves_others_and_loses_nothing() {
    panic_in("contract/dao").await;
}

#[tokio::test]
async fn a_panic_in_a_rule_set_leaves_others_and_loses_nothing() {
    panic_in("rule_set/participation").await;
}

#[tokio::test]
async fn a_panic_in_a_signer_leaves_others_and_loses_nothing() {
    panic_in("signer/awards").await;
}

#[tokio::test]
async fn a_panic_in_a_transaction_leaves_others_and_loses_nothing() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let mut story = support::story(&world);
    story.everybody_joins().await.unwrap();
    daemon.start().await;

    let crash = until("a transaction is in flight and panics", PATIENCE, async || {
        let actors = daemon.actors().await;
        let name = actors.iter().filter_map(|actor| actor["name"].as_str());
        let name = name.into_iter().find(|name| name.starts_with("tx/awards/"))?;
        daemon.crash(name).await.then_some(())
    });
    let (played, ()) = tokio::join!(story.first_votes(), crash);
    played.unwrap();

    support::play_on(&world, &mut story).await;
    support::assert_right_outcome(&world, &story).await;
    let restarted = r#"meritd_actor_restarts_total{actor="tx/awards",reason="panicked"} 1"#;
    let metrics = daemon.get("/metrics").await.1;
    assert!(metrics.contains(restarted), "{metrics}");
    for actor in daemon.actors().await {
        assert_eq!(actor["restarts"], 0, "{actor}");
    }
}

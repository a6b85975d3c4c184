//! Truth is ordered: chain, then stream, then local store.

use std::fs;

use alloy::{primitives::Address, providers::Provider as _};
use meritd::cli::demo::{oracle::ACHIEVEMENT_NAMES, story::Story};
use serde_json::Value as Json;

use crate::support::{self, Daemon, PATIENCE, until};

/// What the daemon says of every member and achievement; `None` while it
/// can't say.
async fn explanations(daemon: &Daemon, members: &[Address]) -> Option<Vec<Json>> {
    let mut all = Vec::new();
    for member in members {
        for achievement in ACHIEVEMENT_NAMES {
            all.push(daemon.explain(achievement, *member).await?);
        }
    }
    Some(all)
}

/// What it says once it has read all there is: the story is over, so that
/// nothing new comes.
async fn settled(daemon: &Daemon, story: &Story<'_>) -> Vec<Json> {
    let members = support::addresses(story);
    until("every explanation is there", PATIENCE, async || explanations(daemon, &members).await)
        .await
}

#[tokio::test]
async fn a_lost_store_costs_time_not_data() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let mut story = support::story(&world);
    story.everybody_joins().await.unwrap();
    daemon.start().await;
    support::play(&world, &mut story).await;
    let outcome = support::assert_right_outcome(&world, &story).await;
    let before = settled(&daemon, &story).await;
    assert!(daemon.stop().await.success());
    let signer = daemon.setting.signer();
    let nonce = world.anvil.provider().get_transaction_count(signer).await.unwrap();

    fs::remove_file(daemon.setting.data().join("meritd.redb")).unwrap();
    daemon.start().await;

    let members = support::addresses(&story);
    let mut last = None;
    let same = until("explanations are as before", PATIENCE, async || {
        last = explanations(&daemon, &members).await;
        (last.as_ref() == Some(&before)).then_some(())
    });
    same.await;
    assert_eq!(support::assert_right_outcome(&world, &story).await, outcome);
    let after = world.anvil.provider().get_transaction_count(signer).await.unwrap();
    assert_eq!(after, nonce, "it sent a transaction for what was there");
}

//! Proposals as they are derived, held against what their contract says.

use std::fs;

use meritd::cli::demo::world::Ballot;

use crate::support::{self, Daemon, PATIENCE, until};

async fn differing(daemon: &Daemon) -> Option<i64> {
    let (_, metrics) = daemon.get("/metrics").await;
    let line =
        metrics.lines().find(|line| line.starts_with("meritd_governance_differing_proposals{"))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn a_governor_whose_clock_is_configured_wrong_is_found_out() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let ada = world.anvil.account(1);
    world.join(ada, ada).await.unwrap();
    let proposal = world.propose(ada, "Plant a garden").await.unwrap();
    daemon.start().await;
    until("it is active on chain", PATIENCE, async || {
        (world.proposal_state(&proposal).await.unwrap() == 1).then_some(())
    })
    .await;
    // By the contract it is going to succeed, whenever it is looked at.
    world.vote(ada, &proposal, Ballot::For, "yes").await.unwrap();
    until("it was looked at, and agrees", PATIENCE, async || {
        (differing(&daemon).await? == 0).then_some(())
    })
    .await;
    daemon.stop().await;
    assert!(!daemon.log().contains("by the contract's word"), "{}", daemon.log());

    // By the seconds of a clock that counts blocks it was over long ago.
    let file = daemon.setting.config().join("development.toml");
    let text = fs::read_to_string(&file).unwrap();
    let wrong = text.replace("kind = \"governor\"", "kind = \"governor\"\nclock = \"timestamp\"");
    assert_ne!(text, wrong);
    fs::write(&file, wrong).unwrap();
    daemon.start().await;
    until("it is found out", PATIENCE, async || (differing(&daemon).await? == 1).then_some(()))
        .await;
    assert!(daemon.log().contains("by the contract's word"), "{}", daemon.log());
}

//! Proposals as they are derived, held against what their contract says.

use std::fs;

use alloy::primitives::Address;
use meritd::{
    cli::demo::{broker, world::Ballot},
    store::{Database, Table},
    streams::{kv::Bucket, setup::BENEFITS_BUCKET},
};
use serde_json::{Value as Json, json};

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

/// Once the daemon is ready, nobody has to wait for broker or store; and all three
/// say the same.
#[tokio::test]
async fn the_first_read_after_a_start_is_the_process_s_and_all_levels_agree() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let (ada, bo) = (world.anvil.account(1), world.anvil.account(2));
    world.mint_badge(ada).await.unwrap();
    daemon.start().await;
    let read = async |daemon: &Daemon, holder: Address| {
        daemon.json(&format!("/api/v1/benefits/dao/{holder}")).await
    };
    let had = until("ada's badge counts", PATIENCE, async || {
        let read = read(&daemon, ada).await;
        (!read["benefits"].is_null()).then_some(read)
    })
    .await;
    daemon.stop().await;

    daemon.start().await;
    let again = read(&daemon, ada).await;
    assert_eq!(again, had, "the same, of the same revision");
    assert_eq!(again["known_by"], "process");
    assert_eq!(read(&daemon, bo).await["benefits"], Json::Null);
    let (_, metrics) = daemon.get("/metrics").await;
    let reads = "meritd_cache_reads_total{cache=\"benefits\",level=\"process\"} 2";
    assert!(metrics.lines().any(|line| line == reads), "{metrics}");
    assert!(!metrics.contains("cache=\"benefits\",level=\"bucket\""));

    let connection = broker::connect(&daemon.setting).await.unwrap();
    let bucket = Bucket::open(&connection, BENEFITS_BUCKET).await.unwrap();
    let (revision, value) = bucket.get(&format!("dao.{ada}")).await.unwrap().unwrap();
    assert_eq!(
        (json!(revision), &value["benefits"]),
        (again["revision"].clone(), &had["benefits"])
    );
    daemon.stop().await;
    let store = Database::open(daemon.setting.data().join("meritd.redb")).unwrap();
    let rows = store.session().scan_prefix(Table::State, b"governor-dao", None, 1_000).unwrap();
    let suffix = format!("b/{ada:#x}");
    let row = rows.iter().find(|(key, _)| key.ends_with(suffix.as_bytes())).unwrap();
    assert_eq!(serde_json::from_slice::<Json>(&row.1).unwrap(), had["benefits"]);
}

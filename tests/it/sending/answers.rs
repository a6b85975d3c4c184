//! What endpoints say became of a transaction.

use std::fs;

use meritd::streams::subjects::StreamId;
use serde_json::Value as Json;

use super::Scene;
use crate::support::{
    PATIENCE, contribute,
    endpoint::{Edit, Fault, Reach, Refusal, Script, ScriptedEndpoint, When, Which},
    reach_through, until,
};

/// The data of all messages of a stream.
async fn said(scene: &Scene, stream: StreamId) -> Vec<Json> {
    let messages = scene.daemon.stream(stream).await.into_iter();
    messages
        .map(|(_, body)| serde_json::from_slice::<Json>(&body).unwrap()["data"].take())
        .collect()
}

fn liar(scene: &Scene) -> Script {
    let achievements = scene.world.achievements;
    let unlocks = Which::those(move |log| log.address() == achievements);
    // It would be found out, were it asked for these.
    let logs = When::always().on("eth_getLogs");
    let busy = Refusal::new(-32603, "service temporarily unavailable");
    Script::honest().lie(Edit::Withhold(unlocks), Reach::Receipts).refusal(logs, busy)
}

/// Whoever was heard first, and even when it was believed until then.
#[tokio::test]
async fn what_one_of_three_endpoints_withholds_of_a_receipt_is_not_final() {
    let scene = Scene::set("bump_after_s = 20").await;
    let withholds = ScriptedEndpoint::start(scene.world.anvil.url()).await;
    let other = ScriptedEndpoint::start(scene.world.anvil.url()).await;
    reach_through(&scene.world, &scene.daemon, &[&withholds, &scene.endpoint, &other], "");
    // Time enough for others to be heard before it is final.
    let file = scene.daemon.setting.config().join("development.toml");
    let mut table: toml::Table = fs::read_to_string(&file).unwrap().parse().unwrap();
    table["signers"][0]["confirmations"] = 12.into();
    fs::write(&file, table.to_string()).unwrap();
    let receipts = || When::always().on("eth_getTransactionReceipt");
    let busy = Refusal::new(-32603, "service temporarily unavailable");
    for honest in [&scene.endpoint, &other] {
        honest.set(Script::honest().refusal(receipts(), busy.clone()));
    }
    withholds.set(liar(&scene));
    let Scene { world, endpoint, mut daemon } = scene;
    daemon.start().await;
    let scene = Scene { world, endpoint, daemon };

    contribute(&scene.world, scene.member(5)).await;
    until("it is heard that it was mined", PATIENCE, async || {
        let said = said(&scene, StreamId::Transactions).await;
        said.iter().any(|it| it["state"] == "mined").then_some(())
    })
    .await;
    // From now on the others are heard, and first.
    withholds.set(liar(&scene).fault(receipts(), Fault::Delay(300..=400)));
    for honest in [&scene.endpoint, &other] {
        honest.set(Script::honest());
    }

    until("it is unlocked", PATIENCE, async || {
        let said = said(&scene, StreamId::Unlocks).await;
        let unlocked = said.into_iter().find(|it| it["state"] == "unlocked")?;
        assert!(unlocked["transaction_hash"].is_string(), "{unlocked:#}");
        Some(())
    })
    .await;
    scene.signer_is("all is settled", |signer| signer["in_flight"] == 0).await;
    let transactions = said(&scene, StreamId::Transactions).await;
    assert_eq!(transactions.iter().filter(|it| it["state"] == "confirmed").count(), 1);
    scene.is_orderly().await;
}

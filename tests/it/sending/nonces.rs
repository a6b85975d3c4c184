//! Nonces, whoever uses or forgets them.

use meritd::streams::subjects::StreamId;
use serde_json::{Value as Json, json};

use super::Scene;
use crate::support::{
    PATIENCE, contribute,
    endpoint::{Fault, Lag, Refusal, Script, ScriptedEndpoint, When},
    reach_through, until,
};

const SEND: &str = "eth_sendRawTransaction";

/// Has somebody else send from the signer's account.
async fn foreign(scene: &Scene, gas_price: Option<u64>, nonce: Option<u64>) {
    let signer = scene.signer();
    scene.anvil("anvil_impersonateAccount", json!([signer])).await;
    let mut transaction = json!({ "from": signer, "to": signer, "value": "0x1", "gas": "0x5208" });
    if let Some(gwei) = gas_price {
        transaction["gasPrice"] = json!(super::gwei(gwei));
    }
    if let Some(nonce) = nonce {
        transaction["nonce"] = json!(format!("{nonce:#x}"));
    }
    scene.anvil("eth_sendTransaction", json!([transaction])).await;
    scene.anvil("anvil_stopImpersonatingAccount", json!([signer])).await;
}

#[tokio::test]
async fn a_foreign_transaction_of_the_same_key_is_adopted() {
    let scene = Scene::start("bump_after_s = 2").await;
    scene.earns(scene.member(4)).await;
    foreign(&scene, None, None).await;
    scene.earns(scene.member(5)).await;
    foreign(&scene, None, None).await;
    foreign(&scene, None, None).await;
    scene.earns(scene.member(6)).await;
    scene.is_right().await;
    assert_eq!(scene.transactions().await.len(), 6, "nobody's was pushed out");
    let notices = scene.daemon.stream(StreamId::Operations).await;
    let told = |(_, body): &(String, Vec<u8>)| {
        String::from_utf8_lossy(body).contains("were used by somebody else")
    };
    assert!(notices.iter().any(told), "{notices:?}");
}

#[tokio::test]
async fn an_unlock_that_a_foreign_transaction_displaced_lands_once_with_another_nonce() {
    let scene = Scene::start("bump_after_s = 60").await;
    scene.earns(scene.member(4)).await;
    contribute(&scene.world, scene.member(5)).await;
    scene.mine_by_hand().await;
    let before = scene.broadcasts();
    // Only what the daemon does makes the pool; the contribution is mined.
    for _ in 0..4 {
        scene.anvil("anvil_mine", json!(["0x1"])).await;
    }
    until("ours is in the pool", PATIENCE, async || (scene.broadcasts() > before).then_some(()))
        .await;
    let nonce = scene.transactions().await.len() as u64;
    foreign(&scene, Some(500), Some(nonce)).await;
    scene.mine_again().await;
    scene.lands(scene.member(5)).await;
    scene.is_right().await;
    let said = scene.daemon.stream(StreamId::Transactions).await;
    let displaced = said.iter().any(|(_, body)| {
        let body: Json = serde_json::from_slice(body).unwrap();
        body["data"]["code"] == "displaced"
    });
    assert!(displaced, "it is told");
}

/// What somebody else gave is adopted and not given again.
#[tokio::test]
async fn has_guard_and_reference_contract() {
    use alloy::primitives::{Bytes, U256};
    use meritd::cli::demo::contracts::IAchievements;

    let scene = Scene::start("bump_after_s = 2").await;
    let pause = scene.daemon.command(&["pause", "--all"]).await;
    assert!(pause.status.success());
    contribute(&scene.world, scene.member(5)).await;
    scene.signer_is("it waits", |signer| signer["queued"] == 1).await;
    scene.world.grant(scene.world.achievements, "UNLOCKER_ROLE", scene.world.admin).await.unwrap();
    let call = IAchievements::unlockAchievementCall {
        user: scene.member(5),
        id: U256::from(super::CONTRIBUTOR),
        proofData: Bytes::new(),
    };
    scene.world.admin_call("unlock", scene.world.achievements, call).await.unwrap();
    scene.blocks_pass(4).await;
    let broadcasts = scene.broadcasts();
    assert!(scene.daemon.command(&["resume", "--all"]).await.status.success());
    scene.signer_is("it is settled", |signer| signer["queued"] == 0).await;
    scene.earns(scene.member(6)).await;
    assert_eq!(scene.broadcasts(), broadcasts + 1, "only the other one was sent");
    scene.is_right().await;
}

/// The pool forgets everything, and a counter that ran ahead of the chain
/// would leave a gap for ever.
#[tokio::test]
async fn nonce_ahead_recovers() {
    let scene = Scene::start("bump_after_s = 2").await;
    scene.earns(scene.member(3)).await;
    contribute(&scene.world, scene.member(4)).await;
    contribute(&scene.world, scene.member(5)).await;
    scene.mine_by_hand().await;
    let before = scene.broadcasts();
    for _ in 0..4 {
        scene.anvil("anvil_mine", json!(["0x1"])).await;
    }
    until("ours are in the pool", PATIENCE, async || (scene.broadcasts() > before).then_some(()))
        .await;
    scene.anvil("anvil_dropAllTransactions", json!([])).await;
    scene.mine_again().await;
    scene.lands(scene.member(4)).await;
    scene.lands(scene.member(5)).await;
    scene.is_right().await;
}

#[tokio::test]
async fn send_error_keeps_nonce() {
    let scene = Scene::start("bump_after_s = 2").await;
    scene.earns(scene.member(3)).await;
    for (member, fault) in [(4, Fault::status(503)), (5, Fault::html(502)), (6, Fault::Truncated)] {
        scene.endpoint.set(Script::honest().fault(When::always().on(SEND).times(4), fault));
        scene.earns(scene.member(member)).await;
    }
    for (member, code, text) in [
        (7, -32000, "nonce too high"),
        (8, -32000, "txpool is full"),
        (2, -32603, "something else went wrong"),
    ] {
        let when = When::always().on(SEND).times(3);
        scene.endpoint.set(Script::honest().refusal(when, Refusal::new(code, text)));
        scene.earns(scene.member(member)).await;
    }
    scene.is_right().await;
    assert_eq!(scene.transactions().await.len(), 7, "one transaction each");
}

/// The node took it, and the answer is lost: the same bytes are sent again.
#[tokio::test]
async fn an_answer_that_is_lost_sends_no_second_transaction() {
    let scene = Scene::start("bump_after_s = 60").await;
    scene.endpoint.set(Script::honest().fault(When::always().on(SEND), Fault::Cut));
    scene.earns(scene.member(4)).await;
    scene.earns(scene.member(5)).await;
    scene.is_right().await;
    assert_eq!(scene.transactions().await.len(), 2);
}

#[tokio::test]
async fn one_request_one_nonce_under_races() {
    let mut scene = Scene::start("bump_after_s = 2\nmax_in_flight = 4").await;
    for member in 2..8 {
        contribute(&scene.world, scene.member(member)).await;
        // Wherever it stands.
        scene.daemon.crash("signer/awards").await;
        if member == 5 {
            scene.daemon.kill().await;
            scene.daemon.start().await;
        }
    }
    for member in 2..8 {
        scene.lands(scene.member(member)).await;
    }
    scene.is_right().await;
}

/// Where one endpoint knows of a nonce and another one not yet of its receipt,
/// nobody else has used it.
#[tokio::test]
async fn endpoints_that_lag_behind_each_other_displace_nothing() {
    let Scene { world, endpoint: honest, mut daemon } = Scene::start("bump_after_s = 2").await;
    daemon.stop().await;
    let lagging = ScriptedEndpoint::start(world.anvil.url()).await;
    lagging.set(Script::honest().lag(Lag::by(4)));
    honest.set(Script::honest().fault(When::always().share(0.5), Fault::Delay(20..=60)));
    reach_through(&world, &daemon, &[&lagging, &honest], "");
    daemon.start().await;
    let scene = Scene { world, endpoint: honest, daemon };
    for member in 2..7 {
        scene.earns(scene.member(member)).await;
    }
    scene.signer_is("all is settled", |signer| signer["in_flight"] == 0).await;
    scene.is_right().await;
    for (_, body) in scene.daemon.stream(StreamId::Transactions).await {
        let body: Json = serde_json::from_slice(&body).unwrap();
        assert_ne!(body["data"]["code"], "displaced", "{body:#}");
    }
}

//! Fees, budgets and balances.

use alloy::{consensus::Transaction as _, primitives::U256, providers::Provider as _};
use meritd::streams::subjects::StreamId;
use serde_json::json;

use super::{CONTRIBUTOR, Scene, gwei};
use crate::support::{PATIENCE, contribute, until};

#[tokio::test]
async fn fee_spike_waits_under_cap() {
    let scene = Scene::start("bump_after_s = 2").await;
    scene.earns(scene.member(4)).await;
    // Three times the cap, until it was met; then empty blocks bring it down again
    // by an eighth each.
    let spike = async || scene.anvil("anvil_setNextBlockBaseFeePerGas", json!([gwei(300)])).await;
    spike().await;
    contribute(&scene.world, scene.member(5)).await;
    until("it is above the cap", PATIENCE, async || {
        spike().await;
        let signer = scene.daemon.actor("signer/awards").await?;
        let why = signer["observed"]["not_ready"].as_str()?.to_owned();
        why.contains("above the cap").then_some(())
    })
    .await;
    assert!(!scene.has(scene.member(5)).await);
    scene.lands(scene.member(5)).await;
    for transaction in scene.transactions().await {
        assert!(transaction.max_fee_per_gas() <= 100_000_000_000, "{transaction:?}");
    }
    scene.is_right().await;
}

#[tokio::test]
async fn what_the_market_left_behind_is_cancelled_at_its_nonce_and_lands_with_another() {
    let scene = Scene::start("bump_after_s = 1\ngive_up_after_s = 3").await;
    scene.mine_by_hand().await;
    contribute_unmined(&scene).await;
    until("the transaction is in the pool", PATIENCE, async || {
        (scene.broadcasts() > 0).then_some(())
    })
    .await;
    // The market is just above the cap until it is cancelled.
    until("it is given up", PATIENCE, async || {
        scene.anvil("anvil_setNextBlockBaseFeePerGas", json!([gwei(105)])).await;
        scene.anvil("anvil_mine", json!(["0x1"])).await;
        let said = scene.daemon.stream(StreamId::Transactions).await;
        let cancelled = said.iter().any(|(subject, _)| subject.ends_with(".cancelled"));
        cancelled.then_some(())
    })
    .await;
    scene.anvil("anvil_setNextBlockBaseFeePerGas", json!([gwei(1)])).await;
    scene.mine_again().await;
    scene.lands(scene.member(5)).await;
    scene.is_right().await;
}

/// A contribution that is deep enough to count, with mining by hand.
async fn contribute_unmined(scene: &Scene) {
    let miner = async {
        loop {
            scene.anvil("anvil_mine", json!(["0x1"])).await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = contribute(&scene.world, scene.member(5)) => {}
        () = miner => {}
    }
    scene.anvil("anvil_mine", json!(["0x3"])).await;
}

#[tokio::test]
async fn a_drained_signer_waits_for_money_and_loses_nothing() {
    let scene = Scene::start("bump_after_s = 2").await;
    scene.earns(scene.member(4)).await;
    scene.world.anvil.set_balance(scene.signer(), U256::ZERO).await.unwrap();
    contribute(&scene.world, scene.member(5)).await;
    scene.signer_says("may cost").await;
    assert!(!scene.has(scene.member(5)).await);
    scene.world.anvil.set_balance(scene.signer(), gwei(1_000_000_000)).await.unwrap();
    scene.lands(scene.member(5)).await;
    scene.is_right().await;
}

#[tokio::test]
async fn a_rule_set_that_used_its_budget_up_holds_no_other() {
    let scene = Scene::start("bump_after_s = 2").await;
    let file = scene.daemon.setting.config().join("rules/participation.toml");
    let rules = std::fs::read_to_string(&file).unwrap();
    let poor = format!("daily_budget = \"1 wei\"\n{rules}");
    std::fs::write(&file, poor).unwrap();
    let rich = r#"
id = "rich"
signer = "awards"
achievements_contract = "achievements"
[[achievements]]
name = "thanks"
id = 6
when = { event = "contributions.contributed", subject = "member" }
"#;
    std::fs::write(scene.daemon.setting.config().join("rules/rich.toml"), rich).unwrap();
    let Scene { world, endpoint, mut daemon } = scene;
    daemon.kill().await;
    daemon.start().await;
    let scene = Scene { world, endpoint, daemon };
    contribute(&scene.world, scene.member(5)).await;
    until("the other rule set's lands", PATIENCE, async || {
        scene.world.has_achievement(scene.member(5), 6).await.unwrap().then_some(())
    })
    .await;
    scene
        .signer_is("the budget is told of", |signer| {
            signer["over_budget"] == json!(["participation"])
        })
        .await;
    scene.blocks_pass(6).await;
    assert!(!scene.world.has_achievement(scene.member(5), CONTRIBUTOR).await.unwrap());
    let notices = scene.daemon.stream(StreamId::Operations).await;
    let told = notices
        .iter()
        .filter(|(_, body)| String::from_utf8_lossy(body).contains("of rule set `participation`"));
    assert_eq!(told.count(), 1, "told once");
    assert!(scene.world.anvil.provider().get_balance(scene.signer()).await.unwrap() > U256::ZERO);
}

#[tokio::test]
async fn quote_brackets_actual() {
    let scene = Scene::start("bump_after_s = 2").await;
    let ask = async || scene.daemon.json("/api/v1/fees/quote?signer=awards").await;
    let guess = ask().await["unlock"]["gas_alone"].clone();
    scene.earns(scene.member(3)).await;
    let quote = until("a receipt has taught something", PATIENCE, async || {
        let quote = ask().await;
        (quote["unlock"]["gas_alone"] != guess).then_some(quote)
    })
    .await;
    let wei = |key: &str| quote["unlock"][key].as_str().unwrap().parse::<U256>().unwrap();
    assert!(wei("low_wei") < wei("likely_wei") && wei("likely_wei") < wei("high_wei"), "{quote:#}");
    scene.earns(scene.member(4)).await;
    let paid = until("what it cost is told", PATIENCE, async || {
        let said = scene.daemon.stream(StreamId::Transactions).await;
        let mined = said.iter().filter(|(subject, _)| subject.ends_with(".mined"));
        let last: serde_json::Value = serde_json::from_slice(&mined.skip(1).last()?.1).unwrap();
        last["data"]["fee_wei"].as_str()?.parse::<U256>().ok()
    })
    .await;
    assert!(wei("low_wei") <= paid && paid <= wei("high_wei"), "{paid}: {quote:#}");
    let said = scene.daemon.command(&["quote", "--signer", "awards"]).await;
    crate::support::says(&said, 0, "gas, in a full batch");
    let unknown = scene.daemon.command(&["quote", "--signer", "x"]).await;
    crate::support::says(&unknown, 1, "known: awards");
    assert_eq!(scene.daemon.get("/api/v1/fees/quote").await.0, 400);
}

#[tokio::test]
async fn what_a_rollup_charges_for_data_counts_towards_the_budget() {
    let scene = Scene::start("bump_after_s = 2").await;
    let oracle = "0x420000000000000000000000000000000000000F";
    // Answers any call with 10^15 wei: PUSH7, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN.
    scene.anvil("anvil_setCode", json!([oracle, "0x66038d7ea4c680005f5260205ff3"])).await;
    let Scene { world, endpoint, mut daemon } = scene;
    daemon.kill().await;
    let file = daemon.setting.config().join("development.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text
        .replace("chain_id = 31337\n", &format!("chain_id = 31337\nl1_fee_oracle = \"{oracle}\"\n"))
        .replace("daily_budget_eth = \"5\"", "daily_budget_eth = \"0.0015\"");
    std::fs::write(&file, text).unwrap();
    daemon.start().await;
    let scene = Scene { world, endpoint, daemon };
    // The oracle says the same of any call: one unlock of twenty, of five, and
    // one alone with what may be added until it is mined.
    let quote = scene.daemon.json("/api/v1/fees/quote?signer=awards").await;
    assert_eq!(quote["data_ether"], "0.000200000000000000");
    let wei = |what: &str| quote["unlock"][what].as_str().unwrap().parse::<u128>().unwrap();
    assert!(wei("low_wei") > 50_000_000_000_000 && wei("likely_wei") > 200_000_000_000_000);
    assert!(wei("high_wei") > 1_500_000_000_000_000, "{quote:#}");
    contribute(&scene.world, scene.member(5)).await;
    // Half more than it says now, and the gas.
    scene.signer_says("the day's budget of 1500000000000000 wei").await;
    assert!(!scene.has(scene.member(5)).await);
    scene.anvil("anvil_setCode", json!([oracle, "0x5f5f5260205ff3"])).await;
    scene.lands(scene.member(5)).await;
    scene.is_right().await;
}

//! What went wrong in other systems.

use std::time::Duration;

use alloy::providers::Provider as _;
use meritd::{cli::demo::world::World, domain::Event};
use serde_json::{Value as Json, json};

use super::{FAST, contribute};
use crate::support::{
    self, Daemon, PATIENCE,
    endpoint::{Fault, Lag, Refusal, Script, ScriptedEndpoint, When},
    truth::{assert_stream_is_the_chain, told},
    until,
};

pub(super) async fn endpoints<const COUNT: usize>(world: &World) -> [ScriptedEndpoint; COUNT] {
    let all = (0..COUNT).map(|_| ScriptedEndpoint::start(world.anvil.url()));
    futures::future::join_all(all).await.try_into().ok().unwrap()
}

/// Lets the chain go on by so many blocks, with a contribution every now and then.
pub(super) async fn contribute_for(world: &World, blocks: u64) {
    let until = world.anvil.block_number().await.unwrap() + blocks;
    let mut number = 0;
    while world.anvil.block_number().await.unwrap() < until {
        number += 1;
        contribute(world, world.anvil.account(1 + number % 8)).await;
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

async fn metric(daemon: &Daemon, line: &str) -> f64 {
    let text = daemon.get("/metrics").await.1;
    let found = text.lines().find_map(|it| it.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no {line} in {text}"))
}

#[tokio::test]
async fn lagging_endpoint_empty_logs() {
    let world = World::create(FAST).await.unwrap();
    let [lagging, honest] = endpoints(&world).await;
    lagging.set(Script::honest().lag(Lag::by(8).of_logs_only()));
    // So that the other one is preferred.
    honest.set(Script::honest().fault(When::always(), Fault::Delay(25..=30)));
    let mut daemon = Daemon::of(&world).await;
    support::reach_through(&world, &daemon, &[&lagging, &honest], "");
    daemon.start().await;
    contribute_for(&world, 30).await;
    let told = assert_stream_is_the_chain(&world, &daemon).await;
    assert!(told.events.len() > 20);
    assert!(lagging.counts().of("eth_getLogs") > 0, "it was asked");
}

#[tokio::test]
async fn reorg_below_finality_freezes_chain() {
    let world = World::create(FAST).await.unwrap();
    let mut daemon = Daemon::of(&world).await;
    daemon.setting.set_chain(&world, "finality_depth = 4").unwrap();
    world.anvil.mine(60).await.unwrap();
    daemon.start().await;
    contribute_for(&world, 5).await;
    let before = assert_stream_is_the_chain(&world, &daemon).await;
    // Below finality, and below all that is remembered of the chain.
    for depth in [12, 50] {
        world.anvil.reorg(depth).await.unwrap();
        until("the chain is not ready because of it", PATIENCE, async || {
            let (code, body) = daemon.get("/readyz").await;
            (code == 503 && body.contains("final")).then_some(())
        })
        .await;
    }
    // The new branch grows, and is not followed.
    let head = world.anvil.block_number().await.unwrap();
    until("the new branch grew", PATIENCE, async || {
        (world.anvil.block_number().await.unwrap() > head + 10).then_some(())
    })
    .await;
    let after = told(&daemon).await;
    assert_eq!(after.void, []);
    assert_eq!(after.events[..before.events.len()], before.events);
    assert!(after.through.values().all(|through| *through <= head));
    assert_eq!(daemon.get("/readyz").await.0, 503);
    assert_eq!(daemon.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn remined_tx_gets_new_id() {
    let world = World::create(FAST).await.unwrap();
    let mut daemon = Daemon::of(&world).await;
    let story = support::story(&world);
    // The reorg must not reach what was set up, such as the signer's role.
    world.anvil.mine(30).await.unwrap();
    daemon.start().await;
    let transaction = contribute(&world, story.member(6)).await;
    let first = until("the contribution is told", PATIENCE, async || {
        told(&daemon).await.events.into_iter().find(|it| it.origin.transaction_hash == transaction)
    })
    .await;

    // Deeper than need be, as blocks come meanwhile; the transaction lands
    // after the place that it had.
    let depth = world.anvil.block_number().await.unwrap() - first.block.number + 6;
    let raw: String =
        world.anvil.call("eth_getRawTransactionByHash", json!([transaction])).await.unwrap();
    world.anvil.call::<Json>("anvil_reorg", json!([depth, [[raw, 6]]])).await.unwrap();
    let receipt = world.anvil.provider().get_transaction_receipt(transaction).await.unwrap();
    let landed = receipt.unwrap().block_number.unwrap();
    assert!(landed > first.block.number, "{landed}");

    let again = until("it is told again", PATIENCE, async || {
        let told = told(&daemon).await;
        let void = told.void.iter().any(|event| event.id == first.id);
        let of_it = |event: &&Event| event.origin == first.origin && event.id != first.id;
        told.events.iter().find(of_it).filter(|_| void).cloned()
    })
    .await;
    assert_eq!(again.block.number, landed);
    assert_eq!(again.fields, first.fields);
    support::assert_right_outcome(&world, &story).await;
    let told = assert_stream_is_the_chain(&world, &daemon).await;
    let rows = told.events.iter().filter(|event| event.origin == first.origin);
    assert_eq!(rows.count(), 1);
}

#[tokio::test]
async fn semantic_error_never_opens_breaker() {
    let world = World::create(FAST).await.unwrap();
    let [endpoint] = endpoints(&world).await;
    let mut daemon = Daemon::of(&world).await;
    let story = support::story(&world);
    support::reach_through(&world, &daemon, &[&endpoint], "");
    daemon.start().await;
    // As an internal error, which is an endpoint's own otherwise.
    let refusal = Refusal::new(-32603, "nonce too low: next nonce 5, tx nonce 4");
    let when = When::always().on("eth_sendRawTransaction").times(1);
    endpoint.set(Script::honest().refusal(when, refusal));
    contribute_for(&world, 5).await;
    support::assert_right_outcome(&world, &story).await;
    assert!(endpoint.counts().of("eth_sendRawTransaction") > 1);
    let calls = async |outcome| {
        let labels = format!("{{dependency=\"endpoint/local/0\",outcome=\"{outcome}\"}}");
        metric(&daemon, &format!("meritd_guard_calls_total{labels}")).await
    };
    assert!(calls("answer").await >= 1.0, "it was refused");
    assert_eq!(calls("fault").await, 0.0, "and it was not held against the endpoint");
}

//! Two chains at once: each at its own pace, neither in the other's way.

use std::{fs, time::Duration};

use alloy::{
    primitives::{Address, B256},
    providers::Provider as _,
    rpc::types::Filter,
    sol_types::SolEvent as _,
};
use meritd::{
    cli::demo::{anvil::Mining, contracts::IInbox, world::World},
    domain::Event,
};

use crate::support::{
    self, Daemon, PATIENCE, contribute,
    endpoint::{Fault, Script, ScriptedEndpoint, When},
    truth::told,
    until,
};

const FAR_ID: u64 = 4242;

async fn truth(world: &World, inbox: Address, through: u64) -> Vec<(B256, u64)> {
    let filter = Filter::new()
        .address(inbox)
        .event_signature(IInbox::Contributed::SIGNATURE_HASH)
        .from_block(0)
        .to_block(through);
    let logs = world.anvil.provider().get_logs(&filter).await.unwrap();
    logs.iter().map(|log| (log.block_hash.unwrap(), log.log_index.unwrap())).collect()
}

/// Waits until a contract is read up to its chain's present head, and compares.
async fn assert_complete(daemon: &Daemon, world: &World, contract: &str) -> Vec<Event> {
    let head = world.anvil.block_number().await.unwrap();
    let told = until("it is read up to the head", PATIENCE, async || {
        let told = told(daemon).await;
        told.through.get(contract).is_some_and(|through| *through >= head).then_some(told)
    })
    .await;
    let through = told.through[contract];
    let events: Vec<Event> =
        told.events.into_iter().filter(|event| event.contract.as_str() == contract).collect();
    let ours: Vec<_> = events.iter().map(|it| (it.block.hash, it.position.log_index)).collect();
    assert_eq!(ours, truth(world, world.inbox, through).await, "{contract}");
    events
}

#[tokio::test]
async fn a_chain_in_trouble_delays_no_other_and_both_are_complete() {
    let near = World::create(Mining::Every(Duration::from_millis(100))).await.unwrap();
    let far = World::create(Mining::Every(Duration::from_millis(150))).await.unwrap();
    let endpoint = ScriptedEndpoint::start(far.anvil.url()).await;
    endpoint.set(Script::honest().chain_id(FAR_ID));
    let mut daemon = Daemon::of(&near).await;
    daemon.setting.set_chain(&near, "finality_depth = 8").unwrap();
    let file = daemon.setting.config().join("development.toml");
    let more = format!(
        r#"
[[chains]]
name = "far"
chain_id = {FAR_ID}
confirmations = 1
finality_depth = 16
endpoints = [{{ url = "{}", call_timeout_ms = 2000 }}]

[[contracts]]
name = "far-contributions"
chain = "far"
kind = "abi"
abi = "inbox.json"
address = "{}"
"#,
        endpoint.url(),
        far.inbox,
    );
    fs::write(&file, fs::read_to_string(&file).unwrap() + &more).unwrap();
    for member in 1..5 {
        tokio::join!(
            contribute(&near, near.anvil.account(member)),
            contribute(&far, far.anvil.account(member))
        );
    }
    daemon.start().await;
    assert_eq!(assert_complete(&daemon, &near, "contributions").await.len(), 4);
    let there = assert_complete(&daemon, &far, "far-contributions").await;
    assert_eq!(there.len(), 4);
    assert!(there.iter().all(|event| event.origin.chain_id == FAR_ID));

    // The far chain's endpoint does not answer any more; the near one goes on.
    endpoint.set(Script::honest().chain_id(FAR_ID).fault(When::always(), Fault::Hang));
    contribute(&far, far.anvil.account(1)).await;
    contribute(&near, near.anvil.account(1)).await;
    let near_events = assert_complete(&daemon, &near, "contributions").await;
    assert_eq!(near_events.len(), 5);
    let stuck = told(&daemon).await;
    let far_head = far.anvil.block_number().await.unwrap();
    assert!(stuck.through["far-contributions"] < far_head, "it is stuck meanwhile");

    // It comes back on another branch.
    far.anvil.reorg(4).await.unwrap();
    contribute(&far, far.anvil.account(2)).await;
    endpoint.set(Script::honest().chain_id(FAR_ID));
    endpoint.release();
    let there = assert_complete(&daemon, &far, "far-contributions").await;
    assert!(there.len() >= 5, "{}", there.len());
    assert_eq!(assert_complete(&daemon, &near, "contributions").await.len(), 5);
    support::until("both are ready", PATIENCE, async || {
        (daemon.get("/readyz").await.0 == 200).then_some(())
    })
    .await;
}

//! A person stops what signs, and lets it go on.

use alloy::primitives::Address;
use meritd::cli::demo::world::World;

use crate::support::{self, Daemon, PATIENCE, contribute, endpoint::ScriptedEndpoint, says, until};

const CONTRIBUTOR: u64 = 7;

async fn lands(world: &World, member: Address) {
    until("the unlock is on chain", PATIENCE, async || {
        world.has_achievement(member, CONTRIBUTOR).await.unwrap().then_some(())
    })
    .await;
}

/// Has somebody earn something while it is paused, and many blocks pass.
async fn nothing_lands(
    world: &World,
    daemon: &Daemon,
    endpoint: &ScriptedEndpoint,
    member: Address,
) {
    let sent = endpoint.counts().of("eth_sendRawTransaction");
    contribute(world, member).await;
    until("the signer knows of it", PATIENCE, async || {
        let signer = daemon.actor("signer/awards").await?;
        (signer["observed"]["queued"] == 1).then_some(())
    })
    .await;
    let head = world.anvil.block_number().await.unwrap();
    until("blocks pass", PATIENCE, async || {
        (world.anvil.block_number().await.unwrap() > head + 8).then_some(())
    })
    .await;
    assert!(!world.has_achievement(member, CONTRIBUTOR).await.unwrap());
    assert_eq!(endpoint.counts().of("eth_sendRawTransaction"), sent);
}

#[tokio::test]
async fn what_is_paused_sends_nothing_over_restarts_and_goes_on_when_told() {
    let world = support::world().await;
    let endpoint = ScriptedEndpoint::start(world.anvil.url()).await;
    let mut daemon = Daemon::of(&world).await;
    support::reach_through(&world, &daemon, &[&endpoint], "");
    daemon.start().await;
    let story = support::story(&world);
    contribute(&world, story.member(4)).await;
    lands(&world, story.member(4)).await;

    says(&daemon.command(&["pause", "--signer", "awards"]).await, 0, "paused: signer awards");
    nothing_lands(&world, &daemon, &endpoint, story.member(5)).await;
    says(&daemon.command(&["status"]).await, 0, "paused: signer awards");
    let metric = "meritd_paused{kind=\"signer\",name=\"awards\"} 1";
    assert!(daemon.get("/metrics").await.1.contains(metric));
    daemon.kill().await;
    daemon.start().await;
    let sent = endpoint.counts().of("eth_sendRawTransaction");
    until("the queue is there again", PATIENCE, async || {
        let signer = daemon.actor("signer/awards").await?;
        (signer["observed"]["queued"] == 1 && signer["observed"]["paused"] == true).then_some(())
    })
    .await;
    assert_eq!(endpoint.counts().of("eth_sendRawTransaction"), sent);
    says(&daemon.command(&["resume", "--signer", "awards"]).await, 0, "nothing is paused");
    lands(&world, story.member(5)).await;

    let pause = ["pause", "--rule-set", "participation"];
    says(&daemon.command(&pause).await, 0, "paused: rule set participation");
    nothing_lands(&world, &daemon, &endpoint, story.member(6)).await;
    says(&daemon.command(&["pause", "--all"]).await, 0, "everything is paused");
    says(&daemon.command(&["resume", "--all"]).await, 0, "nothing is paused");
    lands(&world, story.member(6)).await;
    support::assert_right_outcome(&world, &story).await;
}

#[tokio::test]
async fn what_is_not_there_is_not_paused() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    daemon.start().await;
    let known = "no signer of this name; known: awards";
    says(&daemon.command(&["pause", "--signer", "award"]).await, 1, known);
    let known = "no rule set of this name; known: participation";
    says(&daemon.command(&["pause", "--rule-set", "x"]).await, 1, known);
    says(&daemon.command(&["pause", "--signer", "A b"]).await, 2, "`A b` is not a name");
    says(&daemon.command(&["pause"]).await, 2, "<--all|--signer <NAME>|--rule-set <NAME>>");
    says(&daemon.command(&["pause", "--all", "--signer", "awards"]).await, 2, "cannot be used");
    says(&daemon.command(&["resume", "--chain", "local"]).await, 2, "--from-block");
    // What was configured once can still be let go on.
    says(&daemon.command(&["resume", "--signer", "gone"]).await, 0, "nothing is paused");
    for body in ["{}", "[]", "{\"all\":true,\"signer\":\"awards\"}", "{\"every\":true}", "x"] {
        let answer = reqwest::Client::new()
            .post(format!("{}/api/v1/pause", daemon.url()))
            .header("content-type", "application/json")
            .body(body);
        assert_eq!(answer.send().await.unwrap().status().as_u16(), 400, "{body}");
    }
}

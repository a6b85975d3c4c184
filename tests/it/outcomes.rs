//! What follows from how votes end: a governor on chain, asked for its quorum.

use std::fs;

use alloy::primitives::U256;
use meritd::cli::demo::{contracts::IAchievements::defineAchievementCall, world::Ballot};
use serde_json::Value as Json;

use crate::support::{
    self, Daemon, PATIENCE,
    endpoint::{Refusal, Script, ScriptedEndpoint, When},
    until,
};

const RULES: &str = r#"
id = "outcomes"
signer = "awards"
achievements_contract = "achievements"

[[achievements]]
name = "passed"
id = 71
when = { event = "dao.proposal_ended", subject = "proposer", where = "outcome == 'succeeded'" }

[[achievements]]
name = "winner"
id = 72
when = { event = "dao.vote_settled", subject = "voter", where = "won" }
"#;

#[tokio::test]
async fn who_proposed_and_who_was_on_the_winning_side_is_rewarded_when_voting_is_over() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    fs::write(daemon.setting.config().join("rules/outcomes.toml"), RULES).unwrap();
    let (ada, bo) = (world.anvil.account(1), world.anvil.account(2));
    for id in [71, 72] {
        let define = defineAchievementCall { id: U256::from(id), uri: "x".into() };
        world.admin_call("define", world.achievements, define).await.unwrap();
    }
    world.join(ada, ada).await.unwrap();
    world.join(bo, bo).await.unwrap();
    let proposal = world.propose(ada, "Plant a garden").await.unwrap();
    let has_come_to = async |state: u8| {
        until("the proposal has come to a state", PATIENCE, async || {
            (world.proposal_state(&proposal).await.unwrap() == state).then_some(())
        })
        .await;
    };
    has_come_to(1).await;
    daemon.start().await;
    let voted_in = world.vote(ada, &proposal, Ballot::For, "yes").await.unwrap();
    world.vote(bo, &proposal, Ballot::Abstain, "whatever").await.unwrap();
    // Succeeded.
    has_come_to(4).await;
    for id in [71, 72] {
        until("it is unlocked on chain", PATIENCE, async || {
            world.has_achievement(ada, id).await.unwrap().then_some(())
        })
        .await;
    }
    assert!(!world.has_achievement(bo, 72).await.unwrap(), "who abstains wins nothing");
    let arguments = ["explain", "winner", &ada.to_checksum(None), "--json"];
    let output = daemon.command(&arguments).await;
    let explained: Json = serde_json::from_slice(&output.stdout).unwrap();
    let log = &explained["requested"];
    assert_eq!((log["name"].as_str(), log["block"].as_u64()), (Some("vote_cast"), Some(voted_in)));
}

/// What a governor does not tell keeps the set waiting, and says so; other sets
/// go on.
#[tokio::test]
async fn a_set_waits_for_a_quorum_that_is_refused_and_says_so() {
    let world = support::world().await;
    let endpoint = ScriptedEndpoint::start(world.anvil.url()).await;
    let mut daemon = Daemon::of(&world).await;
    support::reach_through(&world, &daemon, &[&endpoint], "");
    fs::write(daemon.setting.config().join("rules/outcomes.toml"), RULES).unwrap();
    let ada = world.anvil.account(1);
    let define = defineAchievementCall { id: U256::from(71), uri: "x".into() };
    world.admin_call("define", world.achievements, define).await.unwrap();
    world.join(ada, ada).await.unwrap();
    let proposal = world.propose(ada, "Plant a garden").await.unwrap();
    let refusal = Refusal::new(3, "execution reverted");
    endpoint.set(Script::honest().refusal(When::always().on("eth_call"), refusal));
    daemon.start().await;
    until("the vote is open", PATIENCE, async || {
        (world.proposal_state(&proposal).await.unwrap() == 1).then_some(())
    })
    .await;
    world.vote(ada, &proposal, Ballot::For, "yes").await.unwrap();
    let waits = until("it says what it waits for", PATIENCE, async || {
        let actor = daemon.actor("rule_set/outcomes").await?;
        let observed = &actor["observed"];
        observed["not_ready"].as_str()?;
        Some(observed.clone())
    })
    .await;
    let why = waits["not_ready"].as_str().unwrap();
    assert!(why.contains("execution reverted") || why.contains("quorum"), "{waits}");
    assert!(waits["fold"]["waits_for"].is_array(), "{waits}");
    let other = daemon.actor("rule_set/participation").await.unwrap();
    assert!(other["observed"]["not_ready"].is_null(), "{other}");
    endpoint.set(Script::honest());
    until("it is unlocked on chain", PATIENCE, async || {
        world.has_achievement(ada, 71).await.unwrap().then_some(())
    })
    .await;
}

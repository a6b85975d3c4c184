//! What follows from how votes end: a governor on chain, asked for its quorum.

use std::fs;

use alloy::primitives::U256;
use meritd::cli::demo::{contracts::IAchievements::defineAchievementCall, world::Ballot};
use serde_json::Value as Json;

use crate::support::{self, Daemon, PATIENCE, until};

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

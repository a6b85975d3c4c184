//! Achievements that last as long as their condition, and those that come again, on
//! chain.

use std::{collections::BTreeMap, fs};

use alloy::{
    primitives::{Address, U256},
    providers::Provider,
};
use meritd::{
    cli::demo::{
        contracts::{IAchievements::defineAchievementCall, IBadge},
        world::{Ballot, World},
    },
    streams::subjects::StreamId,
};
use serde_json::Value as Json;

use crate::support::{self, Daemon, PATIENCE, says, until};

const RULES: &str = r#"
id = "lasting"
signer = "awards"
achievements_contract = "achievements"

[[achievements]]
name = "holder"
id = 81
mode = "while"
when = { holds = { nft = "badge" } }

[[achievements]]
name = "voice-of-the-day"
id = 90
every = "day"
cap = 2
when = { event = "dao.vote_cast", subject = "voter" }
"#;

async fn setting(world: &World) -> Daemon {
    let daemon = Daemon::of(world).await;
    fs::write(daemon.setting.config().join("rules/lasting.toml"), RULES).unwrap();
    for id in [81, 90, 91] {
        let define = defineAchievementCall { id: U256::from(id), uri: "x".into() };
        world.admin_call("define", world.achievements, define).await.unwrap();
    }
    daemon
}

async fn comes_to(world: &World, user: Address, id: u64, has: bool) {
    until(&format!("{user} has {id}: {has}"), PATIENCE, async || {
        (world.has_achievement(user, id).await.unwrap() == has).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_sold_is_taken_back_on_chain_and_given_again_when_it_is_bought_back() {
    let world = support::world().await;
    let mut daemon = setting(&world).await;
    let (ada, bo) = (world.anvil.account(1), world.anvil.account(2));
    world.mint_badge(ada).await.unwrap();
    daemon.start().await;
    comes_to(&world, ada, 81, true).await;
    let token = U256::from(1);
    let sold = IBadge::transferFromCall { from: ada, to: bo, tokenId: token };
    world.member_call("sell", ada, world.badge, sold).await.unwrap();
    comes_to(&world, bo, 81, true).await;
    comes_to(&world, ada, 81, false).await;
    let back = IBadge::transferFromCall { from: bo, to: ada, tokenId: token };
    world.member_call("buy back", bo, world.badge, back).await.unwrap();
    comes_to(&world, ada, 81, true).await;
    comes_to(&world, bo, 81, false).await;

    // What was said of it, in the order of the stream.
    let mut states: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (subject, payload) in daemon.stream(StreamId::Unlocks).await {
        if !subject.starts_with("merit.v1.unlocks.lasting.holder.") {
            continue;
        }
        let message: Json = serde_json::from_slice(&payload).unwrap();
        let data = &message["data"];
        let user = data["request"]["user"].as_str().unwrap().to_owned();
        let state = data["state"].as_str().unwrap().to_owned();
        if state == "retracted" {
            assert_eq!(data["code"], "lapsed", "{data}");
            assert!(data["reason"].as_str().unwrap().contains("badge.transferred"), "{data}");
        }
        if ["requested", "retracted"].contains(&state.as_str()) {
            states.entry(user).or_default().push(state);
        }
    }
    let of = |user: Address| states[&user.to_checksum(None)].clone();
    assert_eq!(of(ada), ["requested", "retracted", "requested"]);
    assert_eq!(of(bo), ["requested", "retracted"]);
}

#[tokio::test]
async fn each_time_lands_as_an_achievement_of_its_own() {
    let world = support::world().await;
    let mut daemon = setting(&world).await;
    let ada = world.anvil.account(1);
    world.join(ada, ada).await.unwrap();
    let proposal = world.propose(ada, "Plant a garden").await.unwrap();
    until("the vote is open", PATIENCE, async || {
        (world.proposal_state(&proposal).await.unwrap() == 1).then_some(())
    })
    .await;
    world.vote(ada, &proposal, Ballot::For, "yes").await.unwrap();
    daemon.start().await;
    comes_to(&world, ada, 90, true).await;
    let day: [u64; 1] = [86_400];
    let provider = world.anvil.provider();
    provider.raw_request::<_, Json>("evm_increaseTime".into(), day).await.unwrap();
    let other = world.propose(ada, "Plant a tree").await.unwrap();
    until("the vote is open", PATIENCE, async || {
        (world.proposal_state(&other).await.unwrap() == 1).then_some(())
    })
    .await;
    world.vote(ada, &other, Ballot::For, "yes").await.unwrap();
    comes_to(&world, ada, 91, true).await;
    let arguments = ["explain", "voice-of-the-day", &ada.to_checksum(None), "--json"];
    let output = daemon.command(&arguments).await;
    let explained: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(explained["times"]["earned"], 2, "{explained}");
    let proof = ["explain", "voice-of-the-day", &ada.to_checksum(None), "--verify-proof"];
    let output = until("it is deep enough to be proved", PATIENCE, async || {
        let output = daemon.command(&proof).await;
        output.status.success().then_some(output)
    })
    .await;
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("vote_cast"), "{told}");
}

/// What somebody else acts on: told, with its evidence, and taken back the same way.
#[tokio::test]
async fn what_is_told_alone_lands_nothing_and_is_told_to_be_over() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let rules = RULES.split("[[achievements]]\nname = \"voice").next().unwrap();
    let rules = rules.replace("mode = \"while\"", "mode = \"while\"\nnotify = true");
    fs::write(daemon.setting.config().join("rules/lasting.toml"), rules).unwrap();
    let (ada, bo) = (world.anvil.account(1), world.anvil.account(2));
    world.mint_badge(ada).await.unwrap();
    daemon.start().await;
    let told = async |count: usize| {
        until("it was told", PATIENCE, async || {
            let said = daemon.stream(StreamId::Operations).await.into_iter();
            let said = said.filter(|(subject, _)| subject == "merit.v1.notices.lasting");
            let said: Vec<Json> =
                said.map(|(_, payload)| serde_json::from_slice(&payload).unwrap()).collect();
            (said.len() == count).then_some(said)
        })
        .await
    };
    told(1).await;
    let sold = IBadge::transferFromCall { from: ada, to: bo, tokenId: U256::from(1) };
    world.member_call("sell", ada, world.badge, sold).await.unwrap();
    let said = told(3).await;
    let schema = include_str!("../../docs/schemas/notice.json");
    let schema: Json = serde_json::from_str(schema).unwrap();
    let told: Vec<(String, bool)> = said
        .iter()
        .map(|message| {
            jsonschema::validate(&schema, &message["data"]).unwrap();
            let data = &message["data"];
            assert_eq!(data["unlock"]["evidence"]["items"][0]["contract"], "badge");
            let text = data["notice"].as_str().unwrap().to_owned();
            (text, data["retracted"].as_bool().unwrap())
        })
        .collect();
    // Of one event, in the order of addresses.
    let expected = [
        (format!("{} has earned holder", ada.to_checksum(None)), false),
        (format!("{} has earned holder", bo.to_checksum(None)), false),
        (format!("{} has holder no more", ada.to_checksum(None)), true),
    ];
    for ((text, retracted), (begins, over)) in told.iter().zip(&expected) {
        assert!(text.starts_with(begins.as_str()) && retracted == over, "{told:?}");
    }
    let unlocks = daemon.stream(StreamId::Unlocks).await;
    assert!(unlocks.iter().all(|(subject, _)| !subject.contains(".lasting.")), "nobody is asked");
    assert!(!world.has_achievement(bo, 81).await.unwrap());
}

/// The books that knew it had landed are lost after it was retracted and before it was
/// taken back: whoever begins anew finds it on the chain.
#[tokio::test]
async fn what_lapsed_before_the_books_were_lost_is_taken_back() {
    let world = support::world().await;
    let mut daemon = setting(&world).await;
    let (ada, bo) = (world.anvil.account(1), world.anvil.account(2));
    world.mint_badge(ada).await.unwrap();
    daemon.start().await;
    comes_to(&world, ada, 81, true).await;
    says(&daemon.command(&["pause", "--signer", "awards"]).await, 0, "paused");
    let sold = IBadge::transferFromCall { from: ada, to: bo, tokenId: U256::from(1) };
    world.member_call("sell", ada, world.badge, sold).await.unwrap();
    until("the set has taken it back", PATIENCE, async || {
        let said = daemon.stream(StreamId::Unlocks).await;
        let retracted = "merit.v1.unlocks.lasting.holder.retracted";
        said.iter().any(|(subject, _)| subject == retracted).then_some(())
    })
    .await;
    for lives in 0..3 {
        daemon.kill().await;
        if lives == 0 {
            fs::remove_file(daemon.setting.data().join("meritd.redb")).unwrap();
        }
        // However early a life ends: the next one knows that the books began anew.
        daemon.spawn();
        daemon.wait_listening().await;
    }
    daemon.wait_ready().await;
    comes_to(&world, bo, 81, true).await;
    comes_to(&world, ada, 81, false).await;
}

//! What could not be processed waits for a person, who tries again or lets it
//! go.

use std::{fs, process::Output};

use alloy::primitives::{Address, U256};
use meritd::cli::demo::contracts::IAchievements;
use serde_json::Value as Json;

use crate::support::{self, Daemon, PATIENCE, contribute, says, until};

/// An achievement that its contract does not know yet.
const LATE: u64 = 99;
const RULES: &str = r#"
id = "late"
signer = "awards"
achievements_contract = "achievements"
[[achievements]]
name = "late"
id = 99
when = { event = "contributions.contributed", subject = "member" }
"#;

async fn letters(daemon: &Daemon, arguments: &[&str]) -> Output {
    daemon.command(&[&["dead-letters"], arguments].concat()).await
}

async fn listed(daemon: &Daemon) -> Vec<Json> {
    let ended = letters(daemon, &["list", "--json"]).await;
    let answer: Json = serde_json::from_slice(&ended.stdout).unwrap();
    answer["letters"].as_array().unwrap().clone()
}

/// The letter about a user's unlock, once it is there.
async fn about(daemon: &Daemon, user: Address) -> u64 {
    let user = user.to_checksum(None);
    until("a dead letter about the user", PATIENCE, async || {
        let letters = listed(daemon).await;
        let letter = letters.iter().find(|letter| letter["origin"]["unlock"]["user"] == user)?;
        letter["sequence"].as_u64()
    })
    .await
}

#[tokio::test]
async fn a_rejected_unlock_lands_when_a_person_mended_why_and_replays_its_letter() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    fs::write(daemon.setting.config().join("rules/late.toml"), RULES).unwrap();
    daemon.start().await;
    says(&letters(&daemon, &["list"]).await, 0, "no dead letters");
    let (gus, hal) = (world.anvil.account(7), world.anvil.account(8));
    contribute(&world, gus).await;
    let first = about(&daemon, gus).await;
    let number = first.to_string();
    says(
        &letters(&daemon, &["list", "--actor", "signer-awards"]).await,
        0,
        "AchievementNotDefined",
    );
    says(&letters(&daemon, &["list", "--actor", "signer-others"]).await, 0, "no dead letters");
    says(&letters(&daemon, &["show", &number]).await, 0, "\"achievement\": \"late\"");

    let meaning = "achievement_not_defined: The contract does not know this achievement yet";
    says(&letters(&daemon, &["show", &number]).await, 0, meaning);
    let code = daemon.json("/api/v1/codes/achievement_not_defined").await;
    assert_eq!(code["zh"], "合约尚未定义该成就：需由管理员定义。");
    assert_eq!(daemon.get("/api/v1/codes/nonsense").await.0, 404);
    assert!(daemon.json("/api/v1/codes").await["codes"].as_array().unwrap().len() > 60);

    // Nothing was mended: it is refused again, and that is a letter of its own.
    says(&letters(&daemon, &["replay", &number]).await, 0, "waits for a transaction again");
    let second = about(&daemon, gus).await;
    assert!(second > first);
    says(&letters(&daemon, &["show", &number]).await, 1, "there is no dead letter");
    contribute(&world, hal).await;
    let other = about(&daemon, hal).await;

    let define = IAchievements::defineAchievementCall { id: U256::from(LATE), uri: "x".into() };
    world.admin_call("define", world.achievements, define).await.unwrap();
    says(&letters(&daemon, &["replay", &second.to_string()]).await, 0, "waits");
    until("it lands", PATIENCE, async || {
        world.has_achievement(gus, LATE).await.unwrap().then_some(())
    })
    .await;

    let other = other.to_string();
    says(&letters(&daemon, &["discard", &other]).await, 0, "is gone");
    assert!(listed(&daemon).await.is_empty());
    for gone in ["discard", "replay", "show"] {
        says(&letters(&daemon, &[gone, &other]).await, 1, "there is no dead letter");
    }
    // What was discarded is given up, over restarts, too.
    daemon.kill().await;
    daemon.start().await;
    contribute(&world, world.anvil.account(9)).await;
    until("somebody else's lands", PATIENCE, async || {
        world.has_achievement(world.anvil.account(9), LATE).await.unwrap().then_some(())
    })
    .await;
    assert!(!world.has_achievement(hal, LATE).await.unwrap());
}

#[tokio::test]
async fn what_is_no_letter_is_refused_by_name() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    daemon.start().await;
    says(&letters(&daemon, &["show", "0"]).await, 2, "0 is not in 1..");
    says(&letters(&daemon, &["show", "x"]).await, 2, "invalid");
    says(&letters(&daemon, &["list", "--limit", "501"]).await, 2, "501");
    says(&letters(&daemon, &["list", "--actor", "awards"]).await, 1, "`awards` is no actor");
    says(&letters(&daemon, &["list", "--actor", "signer-*"]).await, 1, "is no actor");
    says(
        &letters(&daemon, &["replay", "18446744073709551615"]).await,
        1,
        "there is no dead letter",
    );
    for path in ["dead-letters/-1", "dead-letters/0", "dead-letters?limit=x", "dead-letters?a=1"] {
        assert_eq!(daemon.get(&format!("/api/v1/{path}")).await.0, 400, "{path}");
    }
}

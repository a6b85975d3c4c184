//! A contract that can't be asked who has what.

use std::fs;

use meritd::{cli::demo::broker, streams::subjects::StreamId};
use serde_json::Value as Json;

use super::Scene;
use crate::support::{PATIENCE, contribute, until};

/// A scene whose contract is known by its single unlock call alone.
async fn blind(delivery: &str) -> Scene {
    let scene = Scene::start("bump_after_s = 2").await;
    let Scene { world, endpoint, mut daemon } = scene;
    daemon.kill().await;
    let edit = |file: &str, from: &str, to: &str| {
        let path = daemon.setting.config().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
    };
    let calls = "{ unlock = \"unlockAchievement(address user, uint256 id, bytes proof)\" }";
    let kind = "kind = \"achievements\"\n";
    edit("development.toml", kind, &format!("{kind}calls = {calls}\ndelivery = \"{delivery}\"\n"));
    // Nothing can be taken back.
    let rules = r#"
id = "participation"
signer = "awards"
achievements_contract = "achievements"
[[achievements]]
name = "contributor"
id = 7
on_retract = "keep"
when = { event = "contributions.contributed", subject = "member" }
"#;
    fs::write(daemon.setting.config().join("rules/participation.toml"), rules).unwrap();
    daemon.start().await;
    Scene { world, endpoint, daemon }
}

async fn letters(scene: &Scene) -> Vec<Json> {
    let letters = scene.daemon.stream(StreamId::DeadLetters).await;
    letters.iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect()
}

/// Waits until so many transactions are final.
async fn confirmed(scene: &Scene, count: usize) {
    until("the transactions are final", PATIENCE, async || {
        let said = scene.daemon.stream(StreamId::Transactions).await;
        let confirmed = said.iter().filter(|(subject, _)| subject.ends_with(".confirmed"));
        (confirmed.count() >= count).then_some(())
    })
    .await;
}

/// Kills the daemon, and leaves neither its books nor its stream of transactions: of what
/// that stream has, nothing would be in doubt.
async fn lose_what_was_sent(scene: &mut Scene) {
    let heard = broker::listen(&scene.daemon.setting).await.unwrap();
    let jetstream = async_nats::jetstream::new(heard.client.clone());
    jetstream.delete_stream(StreamId::Transactions.name()).await.unwrap();
    scene.daemon.kill().await;
    fs::remove_file(scene.daemon.setting.data().join("meritd.redb")).unwrap();
}

#[tokio::test]
async fn what_is_in_doubt_is_held_for_a_person_where_nothing_may_land_twice() {
    let mut scene = blind("at-most-once").await;
    scene.earns(scene.member(4)).await;
    scene.earns(scene.member(5)).await;
    confirmed(&scene, 2).await;
    let sent = scene.transactions().await.len();
    assert_eq!(sent, 2, "one call each");

    // The books are lost, and what was said of transactions; the wishes are still there.
    lose_what_was_sent(&mut scene).await;
    scene.daemon.start().await;
    until("both are in doubt", PATIENCE, async || (letters(&scene).await.len() == 2).then_some(()))
        .await;
    for letter in letters(&scene).await {
        let reason = letter["data"]["reason"].as_str().unwrap();
        assert!(reason.contains("may have landed already"), "{reason}");
    }
    // What is earned from now on is not.
    scene.earns(scene.member(6)).await;
    confirmed(&scene, 1).await;
    assert_eq!(scene.transactions().await.len(), sent + 1);
    let check = scene.daemon.setting.config();
    let output = tokio::process::Command::new(crate::support::Daemon::program())
        .args(["check", "--config"])
        .arg(check)
        .env(meritd::cli::demo::setting::PASSPHRASE_VARIABLE, scene.daemon.setting.passphrase())
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("at most once: the contract can't be asked"), "{text}");
}

#[tokio::test]
async fn what_is_in_doubt_is_sent_again_where_something_must_land() {
    let mut scene = blind("at-least-once").await;
    scene.earns(scene.member(4)).await;
    confirmed(&scene, 1).await;
    lose_what_was_sent(&mut scene).await;
    scene.daemon.start().await;
    contribute(&scene.world, scene.member(5)).await;
    scene.lands(scene.member(5)).await;
    // This contract refuses the repetition, and says why.
    until("it was tried again", PATIENCE, async || {
        let letters = letters(&scene).await;
        let reason = letters.first()?["data"]["reason"].as_str()?;
        reason.contains("AchievementAlreadyUnlocked").then_some(())
    })
    .await;
}

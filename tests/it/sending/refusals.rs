//! What the contract refuses, and for how long.

use std::time::{Duration, Instant};

use alloy::primitives::keccak256;
use meritd::{cli::demo::contracts::IAchievements, streams::subjects::StreamId};

use super::Scene;
use crate::support::contribute;

#[tokio::test]
async fn a_paused_contract_is_waited_for_and_nothing_is_given_up() {
    let scene = Scene::start("bump_after_s = 2").await;
    scene.earns(scene.member(4)).await;
    let pause = IAchievements::pauseCall {};
    scene.world.admin_call("pause", scene.world.achievements, pause).await.unwrap();
    contribute(&scene.world, scene.member(5)).await;
    scene.signer_says("enforced_pause").await;
    let unpause = IAchievements::unpauseCall {};
    scene.world.admin_call("unpause", scene.world.achievements, unpause).await.unwrap();
    scene.lands(scene.member(5)).await;
    assert!(scene.daemon.stream(StreamId::DeadLetters).await.is_empty());
    scene.is_right().await;
}

#[tokio::test]
async fn a_role_that_was_taken_away_is_asked_for_and_nothing_is_given_up() {
    let scene = Scene::start("bump_after_s = 2").await;
    scene.earns(scene.member(4)).await;
    let (role, account) = (keccak256("UNLOCKER_ROLE"), scene.signer());
    let revoke = IAchievements::revokeRoleCall { role, account };
    scene.world.admin_call("revoke", scene.world.achievements, revoke).await.unwrap();
    contribute(&scene.world, scene.member(5)).await;
    scene.signer_says("access_control_unauthorized_account").await;
    // Told at the start, before anybody's unlock has to find out.
    let Scene { world, endpoint, mut daemon } = scene;
    daemon.kill().await;
    daemon.spawn();
    daemon.wait_listening().await;
    let scene = Scene { world, endpoint, daemon };
    scene.signer_says("lacks UNLOCKER_ROLE on achievements; have its admin grant it").await;
    scene.world.grant(scene.world.achievements, "UNLOCKER_ROLE", account).await.unwrap();
    scene.lands(scene.member(5)).await;
    assert!(scene.daemon.stream(StreamId::DeadLetters).await.is_empty());
    scene.is_right().await;
}

/// Nobody's unlock has to find out, and nobody waits for the minute's check.
#[tokio::test]
async fn a_role_that_changes_is_noticed_by_its_event() {
    let scene = Scene::start("bump_after_s = 2").await;
    scene.earns(scene.member(4)).await;
    let (role, account) = (keccak256("UNLOCKER_ROLE"), scene.signer());
    let revoke = IAchievements::revokeRoleCall { role, account };
    let began = Instant::now();
    scene.world.admin_call("revoke", scene.world.achievements, revoke).await.unwrap();
    scene.signer_says("lacks UNLOCKER_ROLE on achievements").await;
    scene.world.grant(scene.world.achievements, "UNLOCKER_ROLE", account).await.unwrap();
    scene.signer_is("it may unlock again", |signer| signer["not_ready"].is_null()).await;
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    scene.earns(scene.member(5)).await;
}

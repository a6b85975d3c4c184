//! What was landed is compared with the chain, and landed again on request.

use alloy::primitives::{B256, U256};
use meritd::{
    domain::UnlockId,
    signing::calls::{self, Target},
    streams::subjects::StreamId,
};

use super::{CONTRIBUTOR, Scene};
use crate::support::{PATIENCE, says, until};

#[tokio::test]
async fn what_somebody_took_away_is_told_of_and_landed_again_when_asked() {
    let scene = Scene::start("bump_after_s = 2\nreconcile_every_s = 1").await;
    let (taken, kept) = (scene.member(4), scene.member(5));
    scene.earns(taken).await;
    scene.earns(kept).await;
    until("both are final", PATIENCE, async || {
        let said = scene.daemon.stream(StreamId::Unlocks).await;
        let unlocked = said.iter().filter(|(subject, _)| subject.ends_with(".unlocked"));
        (unlocked.count() >= 2).then_some(())
    })
    .await;
    let repair = ["repair", "--signer", "awards"];
    let dry_run = [&repair[..], &["--dry-run"]].concat();
    says(&scene.daemon.command(&dry_run).await, 0, "2 unlocks were compared");

    // The admin takes one away behind our back.
    let (world, admin) = (&scene.world, scene.world.admin);
    world.grant(world.achievements, "REVOKER_ROLE", admin).await.unwrap();
    let target = Target {
        id: UnlockId(B256::ZERO),
        user: taken,
        achievement_id: U256::from(CONTRIBUTOR),
        proof: B256::ZERO,
    };
    let data = calls::revoke(&target).to_vec();
    world.anvil.transact("revoke", admin, Some(world.achievements), data).await.unwrap();
    let metric = |value: u32| format!("meritd_signer_drift_unlocks{{signer=\"awards\"}} {value}");
    let drift = async |value: u32| {
        until("the drift is measured", PATIENCE, async || {
            scene.daemon.get("/metrics").await.1.contains(&metric(value)).then_some(())
        })
        .await;
    };
    drift(1).await;
    let told = async || {
        let notices = scene.daemon.stream(StreamId::Operations).await;
        let drift = |(_, body): &&(String, Vec<u8>)| {
            String::from_utf8_lossy(body).contains("are not on the chain any more")
        };
        notices.iter().filter(drift).count()
    };
    until("it is told of", PATIENCE, async || (told().await == 1).then_some(())).await;
    let named = format!("contributor of {taken}");
    let listed = scene.daemon.command(&dry_run).await;
    says(&listed, 1, "1 unlocks are missing on the chain");
    says(&listed, 1, &named);
    assert!(!scene.has(taken).await, "nothing is repaired by itself");

    let apply = [&repair[..], &["--all", "--apply"]].concat();
    says(&scene.daemon.command(&apply).await, 0, "what is missing is landed again");
    scene.lands(taken).await;
    drift(0).await;
    assert_eq!(told().await, 1, "told once");
    says(&scene.daemon.command(&["repair", "--signer", "x", "--apply"]).await, 1, "known: awards");
    says(&scene.daemon.command(&repair).await, 2, "<--dry-run|--apply>");
    says(&scene.daemon.command(&[&dry_run[..], &["--sample", "0"]].concat()).await, 2, "--sample");
}

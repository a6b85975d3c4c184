//! A reorg may reach deeper than what the signer took for final.

use std::time::Duration;

use alloy::{providers::Provider as _, rpc::types::Filter, sol_types::SolEvent as _};
use meritd::cli::demo::{contracts::IAchievements, world::World};

use crate::support::{self, Daemon, PATIENCE, contribute, until};

const CONTRIBUTOR: u64 = 7;

/// When the unlock is orphaned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Running,
    Down,
    /// It knows fewer headers than the reorg is deep.
    JustStarted,
}

/// Lands an unlock, and takes its blocks off the chain, but not the
/// contribution that earned it. Tells how deep the reorg was.
async fn orphan_an_unlock(world: &World, daemon: &mut Daemon, when: When) {
    let story = support::story(world);
    let (gus, hal) = (story.member(6), story.member(7));
    let mut wire = daemon.listen().await;
    contribute(world, gus).await;
    wire.next_where("the unlock is final for the signer", PATIENCE, |subject, _| {
        subject == "merit.v1.unlocks.participation.contributor.unlocked"
    })
    .await;
    let filter = Filter::new()
        .address(world.achievements)
        .event_signature(IAchievements::AchievementUnlocked::SIGNATURE_HASH)
        .from_block(0);
    let logs = world.anvil.provider().get_logs(&filter).await.unwrap();
    let landed = logs.last().and_then(|log| log.block_number).unwrap();
    if when != When::Running {
        daemon.kill().await;
    }
    if when == When::JustStarted {
        daemon.start().await;
        // It has asked the chain about what it does not know once, and not again soon.
        let started = world.anvil.block_number().await.unwrap();
        until("blocks pass", PATIENCE, async || {
            (world.anvil.block_number().await.unwrap() >= started + 4).then_some(())
        })
        .await;
    }

    let depth = world.anvil.orphan(landed).await.unwrap();
    assert!(depth >= 2, "deeper than the signer's confirmations: {depth}");
    if when == When::Down {
        daemon.start().await;
    }

    until("the unlock is on chain again", PATIENCE, async || {
        world.has_achievement(gus, CONTRIBUTOR).await.unwrap().then_some(())
    })
    .await;
    contribute(world, hal).await;
    until("a later unlock does not wait for it", Duration::from_secs(20), async || {
        world.has_achievement(hal, CONTRIBUTOR).await.unwrap().then_some(())
    })
    .await;
    support::assert_right_outcome(world, &story).await;
}

#[tokio::test]
async fn a_confirmed_unlock_that_a_reorg_orphans_lands_again() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    daemon.setting.set_chain(&world, support::NEVER_FINAL).unwrap();
    daemon.start().await;
    orphan_an_unlock(&world, &mut daemon, When::Running).await;
}

#[tokio::test]
async fn a_confirmed_unlock_orphaned_while_the_daemon_was_down_lands_again() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    daemon.setting.set_chain(&world, support::NEVER_FINAL).unwrap();
    daemon.start().await;
    orphan_an_unlock(&world, &mut daemon, When::Down).await;
}

#[tokio::test]
async fn a_confirmed_unlock_orphaned_before_the_daemon_knows_the_chain_lands_again() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    daemon.setting.set_chain(&world, support::NEVER_FINAL).unwrap();
    daemon.start().await;
    orphan_an_unlock(&world, &mut daemon, When::JustStarted).await;
}

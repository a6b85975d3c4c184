//! Reorgs at awkward moments, and what only looks like one.

use std::time::Duration;

use meritd::cli::demo::world::World;
use rand::{SeedableRng as _, rngs::StdRng};

use super::{
    FAST,
    backfill::history,
    contribute,
    incidents::{contribute_for, endpoints},
};
use crate::support::{
    self, Daemon, PATIENCE,
    endpoint::{Branch, Edit, Fault, Script, When, Which},
    truth::{assert_stream_is_the_chain, told},
    until,
};

#[tokio::test]
async fn reorgs_while_history_is_read_leave_no_trace() {
    let mut chance = StdRng::seed_from_u64(support::seed());
    let world = World::create(FAST).await.unwrap();
    history(&world, &mut chance).await;
    let [endpoint] = endpoints(&world).await;
    // So that it takes a while, and the chain moves meanwhile.
    let slow = When::always().on("eth_getLogs");
    endpoint.set(Script::honest().fault(slow, Fault::Delay(30..=60)));
    let mut daemon = Daemon::of(&world).await;
    let keys = "finality_depth = 12\nmax_range = 10\nbackfill_calls = 1";
    support::reach_through(&world, &daemon, &[&endpoint], keys);
    daemon.spawn();
    for depth in [3, 9, 1, 6] {
        contribute_for(&world, 4).await;
        world.anvil.reorg(depth).await.unwrap();
    }
    daemon.wait_ready().await;
    let told = assert_stream_is_the_chain(&world, &daemon).await;
    assert!(told.events.len() > 50);
}

#[tokio::test]
async fn a_reorg_during_a_failover_is_retracted_once_and_goes_on() {
    let world = World::create(FAST).await.unwrap();
    let [first, second] = endpoints(&world).await;
    let mut daemon = Daemon::of(&world).await;
    support::reach_through(&world, &daemon, &[&first, &second], support::NEVER_FINAL);
    daemon.start().await;
    contribute_for(&world, 6).await;
    assert_stream_is_the_chain(&world, &daemon).await;

    let sent = contribute(&world, world.anvil.account(3)).await;
    let lost = until("it is told", PATIENCE, async || {
        told(&daemon).await.events.into_iter().find(|it| it.origin.transaction_hash == sent)
    })
    .await;
    // The one that is followed falls silent, and the chain turns.
    first.set(Script::honest().fault(When::always(), Fault::Hang));
    world.anvil.orphan(lost.block.number).await.unwrap();
    contribute_for(&world, 4).await;
    first.set(Script::honest());
    first.release();
    let after = assert_stream_is_the_chain(&world, &daemon).await;
    assert!(after.events.iter().all(|event| event.id != lost.id));
    let times = after.void.iter().filter(|event| event.id == lost.id).count();
    assert_eq!(times, 1, "it was taken back, once");
}

#[tokio::test]
async fn a_fork_of_one_of_three_endpoints_is_no_reorg() {
    let world = World::create(FAST).await.unwrap();
    let [forked, one, two] = endpoints(&world).await;
    let mut daemon = Daemon::of(&world).await;
    support::reach_through(&world, &daemon, &[&forked, &one, &two], "finality_depth = 30");
    daemon.start().await;
    contribute_for(&world, 5).await;
    let at = world.anvil.block_number().await.unwrap() - 2;
    // A branch of its own, without half of the logs, and always a bit faster.
    let without = Edit::Withhold(Which::Share { share: 0.5, seed: 3 });
    forked.set(Script::honest().branch(Branch::fork(at, "private").edited(without)));
    for honest in [&one, &two] {
        honest.set(Script::honest().fault(When::always(), Fault::Delay(5..=10)));
    }
    contribute_for(&world, 25).await;
    let told = assert_stream_is_the_chain(&world, &daemon).await;
    assert!(told.void.is_empty(), "nothing was retracted: {:?}", told.void);
    assert!(told.events.len() > 20);
}

#[tokio::test]
async fn a_block_that_flaps_at_one_endpoint_turns_nothing_back() {
    let world = World::create(FAST).await.unwrap();
    let [flaps, one, two] = endpoints(&world).await;
    let mut daemon = Daemon::of(&world).await;
    support::reach_through(&world, &daemon, &[&flaps, &one, &two], "finality_depth = 30");
    daemon.start().await;
    contribute_for(&world, 5).await;
    let at = world.anvil.block_number().await.unwrap();
    flaps.set(Script::honest().branch(Branch::flapping(at)));
    contribute_for(&world, 20).await;
    let told = assert_stream_is_the_chain(&world, &daemon).await;
    assert!(told.void.is_empty(), "{:?}", told.void);
    tokio::time::timeout(Duration::from_secs(10), daemon.wait_ready()).await.unwrap();
}

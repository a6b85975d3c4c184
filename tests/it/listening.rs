//! What endpoints do wrong is no reason to be wrong.

mod backfill;
mod completeness;
mod incidents;
mod reorgs;

use std::time::Duration;

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolCall as _;
use meritd::cli::demo::{anvil::Mining, contracts::IInbox, world::World};

use incidents::contribute_for;

use crate::support::{
    self, Daemon,
    endpoint::{Faults, ScriptedEndpoint},
    truth::assert_stream_is_the_chain,
};

/// Time between blocks of a story with votes: they must fit into the periods.
const STORY: Mining = Mining::Every(Duration::from_millis(200));
/// And without.
const FAST: Mining = Mining::Every(Duration::from_millis(100));

/// A contribution that is worth an achievement, on its way to be mined.
async fn contribute(world: &World, member: Address) -> B256 {
    let call = IInbox::contributeCall {
        topic: keccak256("translations"),
        amount: U256::from(100),
        note: "pages translated".into(),
    };
    world.anvil.submit(member, Some(world.inbox), call.abi_encode()).await.unwrap()
}

#[tokio::test]
async fn a_lone_endpoint_that_fails_in_many_ways_changes_nothing() {
    let seed = support::seed();
    let world = World::create(STORY).await.unwrap();
    let endpoint = ScriptedEndpoint::start(world.anvil.url()).await;
    let mut daemon = Daemon::of(&world).await;
    support::reach_through(&world, &daemon, &[&endpoint], "");
    let mut story = support::story(&world);
    story.everybody_joins().await.unwrap();
    daemon.spawn();

    let faults = Faults::drawn(seed);
    println!("{faults:?}");
    tokio::join!(endpoint.play(faults), support::play(&world, &mut story));

    support::assert_right_outcome(&world, &story).await;
    assert_stream_is_the_chain(&world, &daemon).await;
}

/// What was announced near the head is below all that is remembered of the
/// chain when the daemon comes back.
#[tokio::test]
async fn after_a_long_pause_it_goes_on_where_it_was() {
    let world = World::create(FAST).await.unwrap();
    let mut daemon = Daemon::of(&world).await;
    daemon.setting.set_chain(&world, "finality_depth = 6").unwrap();
    daemon.start().await;
    contribute_for(&world, 5).await;
    let before = assert_stream_is_the_chain(&world, &daemon).await;
    daemon.kill().await;
    contribute_for(&world, 30).await;
    world.anvil.mine(100).await.unwrap();
    daemon.start().await;
    let after = assert_stream_is_the_chain(&world, &daemon).await;
    assert_eq!(after.events[..before.events.len()], before.events);
    assert!(after.events.len() > before.events.len() + 20);
}

//! Between two actors a thing is in the stream, or still with the one that
//! owns it: a kill between the two neither loses nor doubles it.

use std::collections::BTreeSet;

use alloy::{
    primitives::{U256, keccak256},
    providers::Provider as _,
    rpc::types::Filter,
    sol_types::SolEvent as _,
};
use meritd::cli::demo::{
    contracts::{IAchievements, IInbox},
    oracle,
};

use crate::support::{self, Daemon, PATIENCE, until};

#[tokio::test]
async fn a_handover_survives_a_kill_between_two_actors() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let story = support::story(&world);
    daemon.start().await;

    // From rule set to signer, from signer to transaction, from transaction to chain.
    let handovers = [".unlocks.", ".transactions.awards.signed", ".transactions.awards.sent"];
    for (number, handed) in handovers.into_iter().enumerate() {
        let member = story.member(number);
        let mut wire = daemon.listen().await;
        let call = IInbox::contributeCall {
            topic: keccak256("translations"),
            amount: U256::from(100),
            note: "pages translated".into(),
        };
        world.member_call("contribute", member, world.inbox, call).await.unwrap();
        wire.next_where(handed, PATIENCE, |subject, _| subject.contains(handed)).await;
        daemon.kill().await;
        let confirmed = world.has_achievement(member, 7).await.unwrap()
            && handed != ".transactions.awards.sent";
        assert!(!confirmed, "the kill came after all of {handed}");

        daemon.start().await;
        until("the achievement is on chain", PATIENCE, async || {
            world.has_achievement(member, 7).await.unwrap().then_some(())
        })
        .await;
    }

    let outcome = support::assert_right_outcome(&world, &story).await;
    assert_eq!(outcome.unlocked.len(), handovers.len());
    let counts = oracle::unlock_counts(&world).await.unwrap();
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    // No transaction was made that only a second look kept from doubling.
    let filter = Filter::new().address(world.achievements).from_block(0);
    let logs = world.anvil.provider().get_logs(&filter).await.unwrap();
    let landed = logs
        .iter()
        .filter(|log| log.topic0() == Some(&IAchievements::AchievementUnlocked::SIGNATURE_HASH));
    let transactions: BTreeSet<_> = landed.filter_map(|log| log.transaction_hash).collect();
    let nonce = world.anvil.provider().get_transaction_count(daemon.setting.signer()).await;
    assert_eq!(nonce.unwrap(), transactions.len() as u64);
}

//! Logs that were withheld, altered or invented, where receipts have to prove
//! all of them.

use alloy::{primitives::Address, providers::Provider as _, rpc::types::Filter};
use meritd::{cli::demo::world::World, streams::subjects::StreamId};
use rand::{SeedableRng as _, rngs::StdRng};

use super::{FAST, backfill::history, incidents::contribute_for, incidents::endpoints};
use crate::support::{
    self, Daemon, PATIENCE,
    endpoint::{Edit, ForgedLog, Reach, Refusal, Request, Script, ScriptedEndpoint, When, Which},
    truth::assert_stream_is_the_chain,
    until,
};

/// How often each endpoint was found to lie.
async fn lies_of<const COUNT: usize>(daemon: &Daemon) -> [u64; COUNT] {
    let metrics = daemon.get("/metrics").await.1;
    std::array::from_fn(|endpoint| {
        let label = format!("endpoint=\"endpoint/local/{endpoint}\"");
        let mine = metrics
            .lines()
            .filter(|line| line.starts_with("meritd_endpoint_lies_total") && line.contains(&label));
        mine.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    })
}

/// So that what the others say of logs is heard, whichever is asked first.
fn refuse_logs(endpoint: &ScriptedEndpoint) {
    let logs = When::always().on("eth_getLogs").on("eth_getBlockReceipts");
    let busy = Refusal::new(-32603, "service temporarily unavailable");
    endpoint.set(Script::honest().refusal(logs, busy));
}

async fn until_convicted<const COUNT: usize>(daemon: &Daemon, liars: [usize; COUNT]) {
    until("who lies is found out", PATIENCE, async || {
        let lies = lies_of::<3>(daemon).await;
        liars.iter().all(|liar| lies[*liar] > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn receipts_prove_what_blooms_do_not_show_and_convict_who_lied() {
    let mut chance = StdRng::seed_from_u64(support::seed());
    let world = World::create(FAST).await.unwrap();
    history(&world, &mut chance).await;
    let [withholds, alters, honest] = endpoints(&world).await;
    let some = Which::Share { share: 0.5, seed: 7 };
    // With a bloom that says the same: only the header's hash gives it away.
    withholds.set(Script::honest().lie(Edit::Withhold(some.clone()), Reach::Bloom));
    alters.set(Script::honest().lie(Edit::Alter(some), Reach::Receipts));
    refuse_logs(&honest);
    let mut daemon = Daemon::of(&world).await;
    let keys = "completeness = \"receipts\"\nfinality_depth = 6";
    support::reach_through(&world, &daemon, &[&withholds, &alters, &honest], keys);

    daemon.start().await;
    until_convicted(&daemon, [0, 1]).await;
    honest.set(Script::honest());
    contribute_for(&world, 20).await;

    let told = assert_stream_is_the_chain(&world, &daemon).await;
    assert!(told.events.len() > 50);
    assert!(told.void.is_empty());
    assert_eq!(lies_of::<3>(&daemon).await[2], 0, "nobody else is accused");
    let notices = daemon.stream(StreamId::Operations).await;
    let told_of = |endpoint: &str| {
        notices.iter().any(|(_, body)| String::from_utf8_lossy(body).contains(endpoint))
    };
    assert!(told_of("endpoint/local/0") && told_of("endpoint/local/1"), "{notices:?}");
    // A signer that has nobody else to ask compares a receipt with its block's logs.
    let of_range = |request: &Request| {
        request.method == "eth_getLogs" && request.params[0].get("blockHash").is_none()
    };
    let asked_for_logs: usize = [&withholds, &alters, &honest]
        .iter()
        .map(|it| it.requests().iter().filter(|request| of_range(request)).count())
        .sum();
    assert_eq!(asked_for_logs, 0, "logs are taken from receipts alone");
}

/// Whatever the level: even where nothing is doubted, a log that its block's
/// bloom denies is not believed, in history and at the head.
#[tokio::test]
async fn invented_logs_are_not_believed_and_convict_who_told_them() {
    let mut chance = StdRng::seed_from_u64(support::seed());
    let world = World::create(FAST).await.unwrap();
    history(&world, &mut chance).await;
    let head = world.anvil.block_number().await.unwrap();
    // A contribution of somebody who never made one.
    let filter = Filter::new().address(world.inbox).from_block(0);
    let mut log = world.anvil.provider().get_logs(&filter).await.unwrap()[0].inner.clone();
    let stranger = Address::repeat_byte(0x77).into_word();
    log.data.topics_mut_unchecked()[1] = stranger;
    for (level, blocks) in [("none", head / 2..head), ("bloom", head..head + 60)] {
        let [invents, honest] = endpoints(&world).await;
        let script = blocks.step_by(3).fold(Script::honest(), |script, block| {
            script.lie(Edit::Invent(ForgedLog { block, log: log.clone() }), Reach::Logs)
        });
        invents.set(script);
        refuse_logs(&honest);
        let mut daemon = Daemon::of(&world).await;
        let keys = format!("completeness = \"{level}\"\nfinality_depth = 6");
        support::reach_through(&world, &daemon, &[&invents, &honest], &keys);

        daemon.start().await;
        until_convicted(&daemon, [0]).await;
        honest.set(Script::honest());
        contribute_for(&world, 30).await;

        let told = assert_stream_is_the_chain(&world, &daemon).await;
        assert!(told.events.len() > 50);
        assert!(told.void.is_empty(), "nothing had to be taken back");
        assert_eq!(lies_of::<2>(&daemon).await[1], 0, "{level}: nobody else is accused");
    }
}

//! Logs that were withheld, altered or invented, where receipts have to prove
//! all of them.

use meritd::{cli::demo::world::World, streams::subjects::StreamId};
use rand::{SeedableRng as _, rngs::StdRng};

use super::{FAST, backfill::history, incidents::contribute_for, incidents::endpoints};
use crate::support::{
    self, Daemon,
    endpoint::{Edit, Fault, Reach, Script, When, Which},
    truth::assert_stream_is_the_chain,
};

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
    // So that the others are preferred.
    honest.set(Script::honest().fault(When::always(), Fault::Delay(10..=15)));
    let mut daemon = Daemon::of(&world).await;
    let keys = "completeness = \"receipts\"\nfinality_depth = 6";
    support::reach_through(&world, &daemon, &[&withholds, &alters, &honest], keys);

    daemon.start().await;
    contribute_for(&world, 20).await;

    let told = assert_stream_is_the_chain(&world, &daemon).await;
    assert!(told.events.len() > 50);
    assert!(told.void.is_empty());
    let metrics = daemon.get("/metrics").await.1;
    let lies = |endpoint: usize| {
        let label = format!("endpoint=\"endpoint/local/{endpoint}\"");
        let mine = metrics
            .lines()
            .filter(|line| line.starts_with("meritd_endpoint_lies_total") && line.contains(&label));
        mine.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    assert!(lies(0) > 0, "who withheld was found out:\n{metrics}");
    assert!(lies(1) > 0, "who altered was found out:\n{metrics}");
    assert_eq!(lies(2), 0, "nobody else is accused");
    let notices = daemon.stream(StreamId::Operations).await;
    let told_of = |endpoint: &str| {
        notices.iter().any(|(_, body)| String::from_utf8_lossy(body).contains(endpoint))
    };
    assert!(told_of("endpoint/local/0") && told_of("endpoint/local/1"), "{notices:?}");
    let asked_for_logs: u64 =
        [&withholds, &alters, &honest].iter().map(|it| it.counts().of("eth_getLogs")).sum();
    assert_eq!(asked_for_logs, 0, "logs are taken from receipts alone");
}

//! More endpoints lie than may: two of three, each on a branch of its own. Nobody can know
//! then who is right. It must be noticed, nothing be believed, and all go on afterwards.

use std::time::Duration;

use meritd::cli::demo::world::World;

use super::verdict::settles;
use crate::support::{
    self, Daemon,
    endpoint::{Branch, Script, ScriptedEndpoint},
    truth,
};

/// Two endpoints that disagree stop the head for as long as a third is waited for.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);
/// Blocks that pass meanwhile.
const STANDS: Duration = Duration::from_secs(4);
/// Nobody of the story, so that it changes nothing of what was found.
const STRANGER: usize = 12;

/// What is not as it must be.
pub(super) async fn of(
    world: &World,
    daemon: &Daemon,
    endpoints: &[&ScriptedEndpoint],
    patience: Duration,
) -> Vec<String> {
    let from = world.anvil.block_number().await.unwrap() + 1;
    for (endpoint, mark) in endpoints.iter().zip(["one", "two"]) {
        endpoint.set(Script::honest().branch(Branch::fork(from, mark)));
    }
    let mut wrong = settles(NOTICED_WITHIN, async || {
        let noticed = daemon.get("/readyz").await.1.contains("head/local");
        let not = (!noticed).then(|| "that two of three lie was not noticed".to_owned());
        not.into_iter().collect()
    })
    .await;
    support::contribute(world, world.anvil.account(STRANGER)).await;
    tokio::time::sleep(STANDS).await;
    let told = truth::told(daemon).await;
    let believed: Vec<_> = told.events.iter().filter(|it| it.block.number >= from).collect();
    if !believed.is_empty() {
        wrong.push(format!("of endpoints that disagree {} events were believed", believed.len()));
    }
    for endpoint in endpoints {
        endpoint.set(Script::honest());
    }
    wrong.extend(
        settles(patience, async || {
            let told = truth::told(daemon).await;
            let after = told.events.iter().any(|event| event.block.number >= from);
            let not = (!after).then(|| "it did not go on after two of three had lied".to_owned());
            not.into_iter().collect()
        })
        .await,
    );
    wrong
}

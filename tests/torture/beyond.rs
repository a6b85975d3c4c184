//! More endpoints lie than may: two of three, each on a branch of its own, or both on one
//! that leaves the chain below finality. Nobody can know then who is right. It must be
//! noticed, nothing be believed, and all go on afterwards.

use std::time::Duration;

use alloy::{eips::BlockNumberOrTag, providers::Provider as _};
use meritd::cli::demo::world::World;

use super::verdict::settles;
use crate::support::{
    self, Daemon,
    endpoint::{Branch, Script, ScriptedEndpoint},
    truth,
};

/// Endpoints that disagree stop the head for as long as others are waited for.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);
/// Blocks pass meanwhile.
const STANDS: Duration = Duration::from_secs(4);
/// Nobody of the story, so that it changes nothing of what was found.
const STRANGER: usize = 12;
/// How far below finality a branch leaves: contracts know what was final when they spoke
/// last, some blocks ago.
const BELOW: u64 = 14;

/// What whoever saw finality violated says.
const FROZEN: [&str; 2] = ["below finality", "which was announced as final"];

/// How two of three lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    Disagreeing,
    BelowFinality,
}

impl Beyond {
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Disagreeing => "two_of_three_disagree",
            Self::BelowFinality => "two_of_three_below_finality",
        }
    }

    /// What is not as it must be.
    pub(super) async fn play(
        self,
        world: &World,
        daemon: &mut Daemon,
        endpoints: &[&ScriptedEndpoint],
        patience: Duration,
    ) -> Vec<String> {
        let head = world.anvil.block_number().await.unwrap();
        let (from, marks) = match self {
            Self::Disagreeing => (head + 1, ["one", "two"]),
            Self::BelowFinality => {
                let head = daemon.actor("head/local").await.unwrap();
                let finalized = head["observed"]["finalized"].as_u64().unwrap_or(0);
                (finalized.saturating_sub(BELOW), ["one", "one"])
            }
        };
        for (endpoint, mark) in endpoints.iter().zip(marks) {
            endpoint.set(Script::honest().branch(Branch::fork(from, mark)));
        }
        let mut wrong = settles(NOTICED_WITHIN, async || {
            let why = self.not_noticed(daemon).await;
            why.into_iter().collect()
        })
        .await;
        support::contribute(world, world.anvil.account(STRANGER)).await;
        tokio::time::sleep(STANDS).await;
        let told = truth::told(daemon).await;
        for event in &told.events {
            let number = BlockNumberOrTag::Number(event.block.number);
            let block = world.anvil.provider().get_block_by_number(number).await.unwrap();
            if block.map(|it| it.header.hash) != Some(event.block.hash) {
                wrong.push(format!("{:?}: {} of a false branch was believed", self, event.name));
            }
        }
        for endpoint in endpoints {
            endpoint.set(Script::honest());
        }
        if self == Self::BelowFinality {
            // Some of the false branch may have come to be final for it: a person decides.
            daemon.kill().await;
            daemon.start().await;
        }
        let daemon = &*daemon;
        wrong.extend(
            settles(patience, async || {
                let told = truth::told(daemon).await;
                let after = told.events.iter().any(|event| event.block.number > head);
                let ready = daemon.get("/readyz").await.0 == 200;
                let not = (!after || !ready)
                    .then(|| format!("{self:?}: it did not go on after two of three had lied"));
                not.into_iter().collect()
            })
            .await,
        );
        wrong
    }

    async fn not_noticed(self, daemon: &Daemon) -> Option<String> {
        let why = daemon.get("/readyz").await.1;
        let noticed = match self {
            Self::Disagreeing => why.contains("head/local"),
            // A head that lives since lately does not know headers so deep: contracts know
            // what they said.
            Self::BelowFinality => FROZEN.iter().any(|text| why.contains(text)),
        };
        (!noticed).then(|| format!("{self:?}: that two of three lie was not noticed: {why}"))
    }
}

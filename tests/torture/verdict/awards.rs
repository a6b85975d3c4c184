//! What is unlocked, against the oracle.

use std::{collections::BTreeSet, time::Duration};

use alloy::primitives::Address;
use meritd::cli::demo::{
    oracle::{self, Award},
    outcome::Outcome,
    world::World,
};

use super::Found;

/// It requires two others to be on chain.
const PILLAR: u64 = 6;
/// Of these rules an unlock stays when its evidence is orphaned: `alert`, `keep`.
const STAYING: [u64; 2] = [4, 7];

pub(super) async fn of(
    world: &World,
    members: &[Address],
    had_reorgs: bool,
    patience: Duration,
) -> (Found, Outcome) {
    // What was orphaned may have been on chain, and taken back: whoever had both
    // prerequisites then has earned what they are for.
    let may_stay = |award: &Award| had_reorgs && (STAYING.contains(&award.1) || award.1 == PILLAR);
    let outcome = Outcome::settle_but(world, members, patience, may_stay).await.unwrap();
    let ever = oracle::ever_unlocked(world).await.unwrap();
    let stays = |award: &Award| {
        let had = |id| ever.contains(&(award.0, id));
        may_stay(award) && (award.1 != PILLAR || had(1) && had(2))
    };
    let mut phantom: BTreeSet<Award> =
        outcome.phantom().into_iter().filter(|it| !stays(it)).collect();
    // Who did nothing can't have earned anything.
    phantom.extend(ever.into_iter().filter(|(who, _)| !members.contains(who)));
    let mut found = Found {
        lost: outcome.missing().len(),
        duplicate: outcome.duplicate.len(),
        phantom: phantom.len(),
        wrong: Vec::new(),
    };
    let shown = |what: &str, awards: &BTreeSet<Award>| {
        let awards: Vec<String> = awards.iter().map(|(who, id)| format!("{who}:{id}")).collect();
        (!awards.is_empty()).then(|| format!("{what}: {}", awards.join(", ")))
    };
    found.wrong.extend(shown("missing", &outcome.missing()));
    found.wrong.extend(shown("twice", &outcome.duplicate));
    found.wrong.extend(shown("phantom", &phantom));
    (found, outcome)
}

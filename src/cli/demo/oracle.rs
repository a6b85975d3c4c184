//! What the chain itself says must be unlocked: a naive reading of all its
//! logs that shares no code with the daemon's decoding, folding or rules.
//!
//! It answers for the example rule set, `config/rules/participation.toml`,
//! written out again here by hand.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    primitives::{Address, U256},
    providers::Provider,
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
};

use super::{
    anvil::AnvilError,
    contracts::{IAchievements, IBadge, IGovernor, IInbox},
    world::{ACHIEVEMENTS, World},
};

/// A member's address and an achievement's id.
pub type Award = (Address, u64);

/// Names of the achievements, by id from 1.
pub const ACHIEVEMENT_NAMES: [&str; 7] = [
    "first-vote",
    "proposer",
    "steady-voice",
    "heavyweight",
    "badge-holder-voter",
    "pillar",
    "contributor",
];

/// Votes that make a heavyweight, whole tokens.
const HEAVY_VOTES: u64 = 500;
/// Contributed pages that make a contributor.
const MANY_PAGES: u64 = 100;

/// What one member did so far.
#[derive(Default)]
struct Record {
    voted_on: BTreeSet<U256>,
    voted_for: bool,
    weight: U256,
    proposed: bool,
    badges: i64,
    contributed: bool,
    pages: U256,
}

/// Where the contracts are.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// The governor.
    pub governor: Address,
    /// The plain NFT.
    pub badge: Address,
    /// Of contributions.
    pub inbox: Address,
    /// Who has which achievement.
    pub achievements: Address,
}

/// Everything that must be unlocked once the chain stays as it is now.
///
/// # Errors
/// When the logs can't be read.
pub async fn expected(world: &World) -> Result<BTreeSet<Award>, AnvilError> {
    Ok(expected_of(&logs(world).await?, &places(world)))
}

/// What must be unlocked where these are all the chain's logs, in order.
#[must_use]
pub fn expected_of<'l>(logs: impl IntoIterator<Item = &'l Log>, at: &Places) -> BTreeSet<Award> {
    let mut records: BTreeMap<Address, Record> = BTreeMap::new();
    let mut awards = BTreeSet::new();
    for log in logs {
        let touched = read(at, log, &mut records);
        for member in touched {
            let Some(record) = records.get(&member) else { continue };
            for (id, earned) in judge(record) {
                if earned {
                    awards.insert((member, id));
                }
            }
        }
    }
    awards
}

fn places(world: &World) -> Places {
    Places {
        governor: world.governor,
        badge: world.badge,
        inbox: world.inbox,
        achievements: world.achievements,
    }
}

/// What the contract says is unlocked: every pair of `members` and ids.
///
/// # Errors
/// When the contract can't be asked.
pub async fn unlocked(world: &World, members: &[Address]) -> Result<BTreeSet<Award>, AnvilError> {
    let mut awards = BTreeSet::new();
    for member in members {
        for id in ACHIEVEMENTS {
            if world.has_achievement(*member, id).await? {
                awards.insert((*member, id));
            }
        }
    }
    Ok(awards)
}

/// How often each award was unlocked and not taken back again, by the
/// contract's logs: more than once would be a duplicate.
///
/// # Errors
/// When the logs can't be read.
pub async fn unlock_counts(world: &World) -> Result<BTreeMap<Award, i64>, AnvilError> {
    Ok(unlock_counts_of(&logs(world).await?, &places(world)))
}

/// The same, where these are all the chain's logs.
#[must_use]
pub fn unlock_counts_of<'l>(
    logs: impl IntoIterator<Item = &'l Log>,
    at: &Places,
) -> BTreeMap<Award, i64> {
    let mut counts = BTreeMap::new();
    for log in logs {
        if log.address() != at.achievements {
            continue;
        }
        if let Ok(unlock) = IAchievements::AchievementUnlocked::decode_log(&log.inner) {
            *counts.entry((unlock.user, unlock.id.saturating_to())).or_default() += 1;
        }
        if let Ok(revoke) = IAchievements::AchievementRevoked::decode_log(&log.inner) {
            *counts.entry((revoke.user, revoke.id.saturating_to())).or_default() -= 1;
        }
    }
    counts
}

/// What the contract has ever unlocked on the chain as it is now, whatever became of it.
///
/// # Errors
/// When the logs can't be read.
pub async fn ever_unlocked(world: &World) -> Result<BTreeSet<Award>, AnvilError> {
    Ok(ever_unlocked_of(&logs(world).await?, &places(world)))
}

/// The same, where these are all the chain's logs.
#[must_use]
pub fn ever_unlocked_of<'l>(
    logs: impl IntoIterator<Item = &'l Log>,
    at: &Places,
) -> BTreeSet<Award> {
    let unlocks = logs.into_iter().filter(|log| log.address() == at.achievements);
    let unlocks =
        unlocks.filter_map(|log| IAchievements::AchievementUnlocked::decode_log(&log.inner).ok());
    unlocks.map(|unlock| (unlock.user, unlock.id.saturating_to())).collect()
}

async fn logs(world: &World) -> Result<Vec<Log>, AnvilError> {
    let watched = [world.governor, world.badge, world.inbox, world.achievements];
    let filter = Filter::new().address(watched.to_vec()).from_block(0);
    world
        .anvil
        .provider()
        .get_logs(&filter)
        .await
        .map_err(|error| AnvilError::Call { method: "eth_getLogs", why: error.to_string() })
}

/// Takes a log into the records; returns whose record it changed.
fn read(at: &Places, log: &Log, records: &mut BTreeMap<Address, Record>) -> Vec<Address> {
    if log.address() == at.governor {
        if let Ok(vote) = IGovernor::VoteCast::decode_log(&log.inner) {
            let it = records.entry(vote.voter).or_default();
            it.voted_on.insert(vote.proposalId);
            it.voted_for |= vote.support == 1;
            it.weight += vote.weight;
            return vec![vote.voter];
        }
        // A vote of its own kind: whatever it said, nobody asks here.
        if let Ok(vote) = IGovernor::VoteCastWithParams::decode_log(&log.inner) {
            let it = records.entry(vote.voter).or_default();
            it.voted_on.insert(vote.proposalId);
            it.weight += vote.weight;
            return vec![vote.voter];
        }
        if let Ok(created) = IGovernor::ProposalCreated::decode_log(&log.inner) {
            records.entry(created.proposer).or_default().proposed = true;
            return vec![created.proposer];
        }
    }
    if log.address() == at.badge
        && let Ok(moved) = IBadge::Transfer::decode_log(&log.inner)
    {
        records.entry(moved.from).or_default().badges -= 1;
        records.entry(moved.to).or_default().badges += 1;
        return vec![moved.from, moved.to];
    }
    if log.address() == at.inbox
        && let Ok(contribution) = IInbox::Contributed::decode_log(&log.inner)
    {
        let it = records.entry(contribution.member).or_default();
        it.contributed = true;
        it.pages += contribution.amount;
        return vec![contribution.member];
    }
    Vec::new()
}

/// The example rules, by achievement id.
fn judge(record: &Record) -> [(u64, bool); 7] {
    let voted = !record.voted_on.is_empty();
    let heavy = U256::from(HEAVY_VOTES) * U256::from(10).pow(U256::from(18));
    [
        (1, voted),
        (2, record.proposed),
        (3, record.voted_on.len() >= 3),
        (4, record.weight >= heavy),
        (5, voted && record.badges > 0),
        // Its prerequisites, first-vote and proposer, are unlocked by the end.
        (6, voted && record.proposed && (record.voted_for || record.contributed)),
        (7, record.pages >= U256::from(MANY_PAGES)),
    ]
}

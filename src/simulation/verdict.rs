//! Whether all is as it must be.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher as _, Hash as _, Hasher as _},
};

use alloy::primitives::{Address, B256};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value as Json;

use super::{chain::Chain, node::lock, play::World, setup::CONFIRMATIONS};
use crate::{
    actors::messages,
    api::Operator as _,
    cli::demo::oracle::{self, Award, Places},
    daemon::simulated::SimulatedDaemon,
    domain::{
        Event, Rewind, TransactionMessage, TransactionState, UnlockId, UnlockMessage, UnlockState,
        Watermark,
    },
    streams::{read::Stored, subjects::StreamId},
};

/// Of these rules an unlock stays when its evidence is orphaned: `alert`, `keep`.
const STAYING: [u64; 2] = [4, 7];
/// It requires two others to be on chain.
const PILLAR: u64 = 6;
const ACHIEVEMENTS: std::ops::RangeInclusive<u64> = 1..=7;

/// How it is.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Achievements that must be on chain and are not.
    pub lost: usize,
    /// Those that were unlocked twice.
    pub duplicate: usize,
    /// Those that must not be there.
    pub phantom: usize,
    /// What is not as it must be, in words.
    pub wrong: Vec<String>,
}

impl Verdict {
    /// Whether all is as it must be.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.lost + self.duplicate + self.phantom == 0 && self.wrong.is_empty()
    }
}

pub(super) fn of(world: &World<'_>, daemon: Option<&SimulatedDaemon>) -> Verdict {
    let chain = lock(&world.chain);
    let mut verdict = awards(world, &chain);
    let wrong = &mut verdict.wrong;
    let waiting = chain.waiting(world.setup.signer);
    if waiting > 0 {
        wrong.push(format!("{waiting} transactions wait"));
    }
    wrong.extend(benefits(world, &chain));
    wrong.extend(stream(world, &chain));
    wrong.extend(nonces(world, &chain));
    wrong.extend(last_words(world, &chain));
    let letters = world.server.messages(StreamId::DeadLetters);
    let letter = letters.iter().find(|it| it.subject.starts_with("merit.v1.dead_letters."));
    if let Some(letter) = letter {
        wrong.push(format!("a dead letter: {}", String::from_utf8_lossy(&letter.payload)));
    }
    match daemon {
        Some(daemon) => {
            let not_ready = daemon.state().not_ready();
            wrong.extend(not_ready.iter().map(|it| format!("not ready: {}: {}", it.part, it.why)));
        }
        None => wrong.push("the daemon has not started".to_owned()),
    }
    verdict
}

fn places(world: &World<'_>) -> Places {
    let at = &world.setup.deployment;
    Places {
        governor: at.governor,
        badge: at.badge,
        inbox: at.inbox,
        achievements: at.achievements,
    }
}

fn awards(world: &World<'_>, chain: &Chain) -> Verdict {
    let at = places(world);
    let expected = oracle::expected_of(chain.logs(), &at);
    let everybody = world.setup.members();
    let all = everybody.iter().flat_map(|who| ACHIEVEMENTS.map(|id| (*who, id)));
    let unlocked: BTreeSet<Award> = all.filter(|(who, id)| chain.has(*who, *id)).collect();
    let ever = oracle::ever_unlocked_of(chain.logs(), &at);
    // What was orphaned may have been on chain, and taken back: whoever had both
    // prerequisites then has earned what they are for.
    let stays = |award: &Award| {
        let had = |id| ever.contains(&(award.0, id));
        world.had_reorgs()
            && (STAYING.contains(&award.1) || (award.1 == PILLAR && had(1) && had(2)))
    };
    let lost: Vec<_> = expected.difference(&unlocked).collect();
    let phantom: Vec<_> = unlocked.difference(&expected).filter(|award| !stays(award)).collect();
    let counts = oracle::unlock_counts_of(chain.logs(), &at);
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).map(|it| it.0).collect();
    let mut wrong = Vec::new();
    for (what, awards) in [("missing", &lost), ("phantom", &phantom), ("twice", &twice)] {
        if !awards.is_empty() {
            wrong.push(format!("{what}: {awards:?}"));
        }
    }
    Verdict { lost: lost.len(), duplicate: twice.len(), phantom: phantom.len(), wrong }
}

/// What the stream says of nonces, against each other and against the chain: a nonce has
/// one effect for ever, and nothing is sent that was not written down.
fn nonces(world: &World<'_>, chain: &Chain) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut effects: BTreeMap<u64, Vec<UnlockId>> = BTreeMap::new();
    let mut written: BTreeSet<B256> = BTreeSet::new();
    for message in world.server.messages(StreamId::Transactions) {
        let Ok(message) = messages::read::<TransactionMessage>(&message.payload) else { continue };
        let signed = matches!(message.state, TransactionState::Signed | TransactionState::Replaced);
        if !signed {
            continue;
        }
        written.extend(message.hash);
        // It only fills a gap.
        if message.unlocks.is_empty() {
            continue;
        }
        let effect = effects.entry(message.nonce).or_insert_with(|| message.unlocks.clone());
        if *effect != message.unlocks {
            wrong.push(format!("nonce {} has two effects", message.nonce));
        }
    }
    // Of a stream that lost something, nobody knows what it had.
    if world.lost_messages() {
        return wrong;
    }
    let at = world.setup.deployment.achievements;
    // Who has which: what was granted at the deployment is another event.
    let of_contract = chain.logs().filter(|log| log.address() == at && log.topics().len() == 3);
    let sent: BTreeSet<B256> = of_contract.filter_map(|log| log.transaction_hash).collect();
    let unwritten = sent.difference(&written).count();
    if unwritten > 0 {
        wrong.push(format!("{unwritten} transactions were sent and not written down"));
    }
    wrong
}

/// What consumers heard last of each unlock, against the chain.
fn last_words(world: &World<'_>, chain: &Chain) -> Vec<String> {
    let mut last: BTreeMap<(Address, String), bool> = BTreeMap::new();
    for message in world.server.messages(StreamId::Unlocks) {
        let Ok(message) = messages::read::<UnlockMessage>(&message.payload) else { continue };
        let is_there = match message.state {
            UnlockState::Unlocked => true,
            UnlockState::Revoked => false,
            _ => continue,
        };
        last.insert((message.request.user, message.request.achievement_id.to_string()), is_there);
    }
    if world.lost_messages() {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for who in world.setup.members() {
        for id in ACHIEVEMENTS {
            let told = last.get(&(who, id.to_string())).copied().unwrap_or(false);
            if told != chain.has(who, id) {
                wrong.push(format!("of {id} of {who} was told last that it is there: {told}"));
            }
        }
    }
    wrong
}

/// What the bucket says of each holder, against what the chain says.
fn benefits(world: &World<'_>, chain: &Chain) -> Vec<String> {
    let mut wrong = Vec::new();
    for member in world.setup.members() {
        let badge = if chain.badges(member) > 0 { 2_000 } else { 0 };
        let steady = if chain.has(member, 3) { 5_000 } else { 0 };
        let expected = 10_000 + badge + steady;
        let value = world.server.value(&format!("dao.{}", member.to_checksum(None)));
        let value: Option<Json> = value.and_then(|value| serde_json::from_slice(&value).ok());
        let found = value.as_ref().and_then(|it| it.pointer("/benefits/multiplier_bps"));
        let found = found.and_then(Json::as_u64).unwrap_or(10_000);
        if found != expected {
            wrong.push(format!("{member} has {found} basis points, not {expected}"));
        }
    }
    wrong
}

/// Where a log is: hash of its block, and index in it.
type Place = (B256, u64);

/// What the stream says once what was taken back is gone, against the chain's logs.
fn stream(world: &World<'_>, chain: &Chain) -> Vec<String> {
    let told = told(world);
    let head = chain.number().saturating_sub(CONFIRMATIONS + 1);
    let at = &world.setup.deployment;
    let watched: [(&str, Address); 4] = [
        ("dao", at.governor),
        ("badge", at.badge),
        ("contributions", at.inbox),
        ("achievements", at.achievements),
    ];
    let mut wrong = told.ambiguous;
    let told = told.by_contract;
    for (name, address) in watched {
        let (events, through) = told.get(name).cloned().unwrap_or_default();
        if through < head {
            wrong.push(format!("{name} is complete up to {through} only, not {head}"));
        }
        let of_contract = chain.logs().filter(|log| log.address() == address);
        let theirs = of_contract.filter(|log| log.block_number.unwrap_or(0) <= through);
        let theirs: BTreeSet<Place> =
            theirs.filter_map(|log| Some((log.block_hash?, log.log_index?))).collect();
        // What was said twice has the same id.
        let ours: BTreeSet<Place> = events.iter().copied().collect();
        let (missing, more) = (theirs.difference(&ours).count(), ours.difference(&theirs).count());
        if missing + more > 0 {
            wrong.push(format!("{name}: {missing} events are missing, {more} are too many"));
        }
    }
    wrong
}

/// What the stream of events tells.
struct Told {
    /// The events that hold, and up to which block they are all.
    by_contract: BTreeMap<String, (Vec<Place>, u64)>,
    /// Ids that two events have.
    ambiguous: Vec<String>,
}

fn told(world: &World<'_>) -> Told {
    let mut told: BTreeMap<String, (Vec<(u64, Place)>, u64)> = BTreeMap::new();
    let (mut ids, mut ambiguous) = (BTreeMap::new(), Vec::new());
    for message in world.server.messages(StreamId::Events) {
        let subject = &message.subject;
        if subject.starts_with("merit.v1.events.") {
            let Some(event) = data::<Event>(&message) else { continue };
            let place = (event.block.hash, event.position.log_index);
            if *ids.entry(event.id).or_insert(place) != place {
                ambiguous.push(format!("two events have the id {}", event.id));
            }
            let known = told.entry(event.contract.to_string()).or_default();
            known.0.push((event.block.number, place));
        } else if subject.starts_with("merit.v1.watermarks.") {
            let Some(watermark) = data::<Watermark>(&message) else { continue };
            let known = told.entry(watermark.contract().to_string()).or_default();
            if let Watermark::Retraction { from, to, .. } = &watermark {
                known.0.retain(|(number, _)| !(*from..=*to).contains(number));
            }
            known.1 = watermark.complete_through().number;
        } else if subject.starts_with("merit.v1.rewinds.") {
            let Some(rewind) = data::<Rewind>(&message) else { continue };
            let known = told.entry(rewind.contract.to_string()).or_default();
            known.0.retain(|(number, _)| *number < rewind.from_block);
        }
    }
    let places = |events: Vec<(u64, Place)>| events.into_iter().map(|(_, place)| place).collect();
    let by_contract = told
        .into_iter()
        .map(|(name, (events, through))| (name, (places(events), through)))
        .collect();
    Told { by_contract, ambiguous }
}

/// What a message of such a kind tells.
fn data<T: DeserializeOwned>(message: &Stored) -> Option<T> {
    #[derive(Deserialize)]
    struct Letter<T> {
        data: T,
    }
    serde_json::from_slice(&message.payload).ok().map(|Letter { data }| data)
}

/// Of everything that was said on the chain and in the streams.
pub(super) fn fingerprint(world: &World<'_>) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    let chain = lock(&world.chain);
    chain.hash(chain.number()).hash(&mut hasher);
    for stream in StreamId::ALL {
        for message in world.server.messages(stream) {
            message.subject.hash(&mut hasher);
            message.stored_at_ns.hash(&mut hasher);
            message.payload.hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// What the streams of events, unlocks and transactions have, and what the contract has done.
pub(super) fn said(world: &World<'_>) -> Vec<String> {
    let streams = [StreamId::Events, StreamId::Unlocks, StreamId::Transactions];
    let messages = streams.into_iter().flat_map(|stream| world.server.messages(stream));
    let mut said: Vec<String> = messages
        .map(|it| {
            let at = it.stored_at_ns / 1_000_000;
            format!("{at} {} {}", it.subject, String::from_utf8_lossy(&it.payload))
        })
        .collect();
    let chain = lock(&world.chain);
    let at = world.setup.deployment.achievements;
    for log in chain.logs().filter(|log| log.address() == at) {
        let topics: Vec<String> = log.topics().iter().map(ToString::to_string).collect();
        said.push(format!("block {:?}: {}", log.block_number, topics.join(" ")));
    }
    said
}

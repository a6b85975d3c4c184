//! What the fold remembers of each user, and under which keys.
//!
//! | key | value |
//! | --- | --- |
//! | `r/<user>/<achievement>` | its unlock was requested: by the log, or the last that counted |
//! | `first/<achievement>` | how many users have it, where that is limited |
//! | `due/<time>/<user>/<achievement>` | from then on it may be earned, if nothing happens |
//! | `wait/<user>/<achievement>` | that time |
//! | `m/<meter>/<user>` | [`Reading`] |
//! | `m/<meter>/<user>/e/<slot>` | a ring of the latest logs that counted |
//! | `m/<meter>/<user>/d/<hash>` | a value that `distinct` counted |
//! | `m/<meter>/<user>/w/<time>/<position>` | of a meter that forgets: [`Entry`] |
//! | `held/<contract>/<user>` | number of tokens |
//! | `held/<contract>/<user>/<token>` | how it was received |
//! | `since/<contract>/<number>/<user>` | the log that brought the tokens to this number |
//! | `unlocked/<achievement>/<user>` | the confirmation on chain |
//!
//! Each log that counts writes a few small values, never a growing one. Meters
//! are named by their place in the set, which is a function of its version.

use std::{collections::BTreeSet, sync::Arc};

use alloy::primitives::{Address, U256};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::model::Number;
use crate::{
    domain::{Event, EvidenceItem, Name, Position},
    fold,
};

/// What rules remember.
pub(super) type State = fold::State<Memory>;

/// A value under a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// Where a meter stands.
    Reading(Reading),
    /// A log.
    Log(Counted),
    /// What a log counted for in a meter that forgets.
    Entry(Entry),
    /// A time, seconds since the Unix epoch: at which a value counted last, or
    /// from which on something may be earned.
    Time(u64),
    /// So many tokens, or users.
    Number(u64),
}

/// How far a user's events have come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Logs counted; with `distinct`, one per value.
    pub(super) counted: u64,
    /// Their sum, maximum or minimum, where one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<Number>,
    /// Block time of the first, seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) first: Option<u64>,
}

/// A log within a rolling window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<Number>,
    pub(super) log: Counted,
}

/// A log that counted, with its place in the order of all chains. Shared by all
/// that count it.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted(Arc<Log>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Log {
    position: Position,
    item: EvidenceItem,
}

impl Counted {
    pub(super) fn of(event: &Event) -> Self {
        let item = EvidenceItem {
            event: event.id,
            chain_id: event.position.chain_id,
            contract: event.contract.clone(),
            name: event.name.clone(),
            block: event.block.number,
            block_hash: event.block.hash,
            transaction_hash: event.origin.transaction_hash,
            log_index: event.position.log_index,
        };
        Self(Arc::new(Log { position: event.position, item }))
    }

    pub(super) fn position(&self) -> Position {
        self.0.position
    }

    pub(super) fn item(&self) -> &EvidenceItem {
        &self.0.item
    }
}

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Log::deserialize(deserializer).map(|log| Self(Arc::new(log)))
    }
}

impl Memory {
    pub(super) fn log(&self) -> Option<&Counted> {
        match self {
            Self::Log(log) | Self::Entry(Entry { log, .. }) => Some(log),
            _ => None,
        }
    }
}

/// The start of what is remembered of a user's meter.
pub(super) fn meter_key(meter: usize, user: Address) -> String {
    // Without a checksum, which would cost a hash for each key.
    format!("m/{meter}/{user:#x}")
}

fn requested_key(user: Address, achievement: &Name) -> String {
    format!("r/{user:#x}/{achievement}")
}

fn held_key(nft: &Name, user: Address) -> String {
    format!("held/{nft}/{user:#x}")
}

fn since_key(nft: &Name, at_least: u64, user: Address) -> String {
    format!("since/{nft}/{at_least}/{user:#x}")
}

/// Padded, so that the order of keys is the order of time.
fn due_key(time: u64, user: Address, achievement: &Name) -> String {
    format!("due/{time:020}/{user:#x}/{achievement}")
}

fn unlocked_key(achievement: &Name, user: Address) -> String {
    format!("unlocked/{achievement}/{user:#x}")
}

fn log_at<'a>(state: &'a State, key: &str) -> Option<&'a Counted> {
    state.value(key)?.log()
}

/// Whether the achievement was requested for the user: it is, once.
pub(super) fn requested<'a>(
    state: &'a State,
    user: Address,
    achievement: &Name,
) -> Option<&'a Counted> {
    log_at(state, &requested_key(user, achievement))
}

pub(super) fn set_requested(state: &mut State, user: Address, achievement: &Name, by: Counted) {
    state.set(&requested_key(user, achievement), Some(Memory::Log(by)));
}

/// The confirmation on chain that the user has the achievement.
pub(super) fn unlocked<'a>(
    state: &'a State,
    user: Address,
    achievement: &Name,
) -> Option<&'a Counted> {
    log_at(state, &unlocked_key(achievement, user))
}

pub(super) fn set_unlocked(
    state: &mut State,
    user: Address,
    achievement: &Name,
    by: Option<Counted>,
) {
    state.set(&unlocked_key(achievement, user), by.map(Memory::Log));
}

/// How many tokens of a contract a user holds.
pub(super) fn tokens(state: &State, nft: &Name, user: Address) -> u64 {
    match state.value(&held_key(nft, user)) {
        Some(Memory::Number(count)) => *count,
        _ => 0,
    }
}

/// How a user came to the tokens held, in position order.
pub(super) fn receipts(state: &State, nft: &Name, user: Address) -> Vec<Counted> {
    let prefix = format!("{}/", held_key(nft, user));
    let logs = state.entries(&prefix).filter_map(|(_, value)| value.log().cloned());
    let mut logs: Vec<Counted> = logs.collect();
    logs.sort_by_key(Counted::position);
    logs
}

/// Since which log a user has had so many tokens.
pub(super) fn since<'a>(
    state: &'a State,
    nft: &Name,
    at_least: u64,
    user: Address,
) -> Option<&'a Counted> {
    log_at(state, &since_key(nft, at_least, user))
}

/// Takes a token out of a user's hands, or puts it into them. `marks` are the
/// numbers of tokens of which it matters since when somebody has them.
pub(super) fn move_token(
    state: &mut State,
    nft: &Name,
    user: Address,
    token: U256,
    (by, comes): (&Counted, bool),
    marks: &BTreeSet<u64>,
) {
    let count_key = held_key(nft, user);
    let token_key = format!("{count_key}/{token}");
    let had = state.value(&token_key).is_some();
    let before = tokens(state, nft, user);
    state.set(&token_key, comes.then(|| Memory::Log(by.clone())));
    let after = match (had, comes) {
        (false, true) => before.saturating_add(1),
        (true, false) => before.saturating_sub(1),
        _ => return,
    };
    state.set(&count_key, (after > 0).then_some(Memory::Number(after)));
    for mark in marks {
        let reached = (before < *mark, after < *mark);
        if reached.0 != reached.1 {
            let by = (!reached.1).then(|| Memory::Log(by.clone()));
            state.set(&since_key(nft, *mark, user), by);
        }
    }
}

/// How many users have an achievement that only the first get.
pub(super) fn taken(state: &State, achievement: &Name) -> u64 {
    match state.value(&format!("first/{achievement}")) {
        Some(Memory::Number(count)) => *count,
        _ => 0,
    }
}

pub(super) fn take(state: &mut State, achievement: &Name) {
    let count = taken(state, achievement).saturating_add(1);
    state.set(&format!("first/{achievement}"), Some(Memory::Number(count)));
}

/// Has an achievement looked at again at a time, or at none.
pub(super) fn wait(state: &mut State, user: Address, achievement: &Name, until: Option<u64>) {
    let key = format!("wait/{user:#x}/{achievement}");
    let waits = match state.value(&key) {
        Some(Memory::Time(time)) => Some(*time),
        _ => None,
    };
    if waits == until {
        return;
    }
    if let Some(time) = waits {
        state.remove(&due_key(time, user, achievement));
    }
    if let Some(time) = until {
        state.set(&due_key(time, user, achievement), Some(Memory::Time(time)));
    }
    state.set(&key, until.map(Memory::Time));
}

/// The first that is due: when, whose and what.
pub(super) fn first_due(state: &State) -> Option<(u64, Address, Name)> {
    let mut parts = state.keys("due/").next()?.split('/').skip(1);
    let (time, user) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((time, user, Name::new(parts.next()?).ok()?))
}

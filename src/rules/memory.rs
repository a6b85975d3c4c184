//! What the fold remembers of each user, and under which keys.
//!
//! | key | value |
//! | --- | --- |
//! | `r/<user>/<achievement>` | the log that completed it: its unlock was requested |
//! | `m/<meter>/<user>` | [`Reading`] |
//! | `m/<meter>/<user>/e/<slot>` | a ring of the latest logs that counted |
//! | `m/<meter>/<user>/d/<hash>` | a value that `distinct` counted |
//! | `m/<meter>/<user>/w/<time>/<position>` | of a meter that forgets: [`Entry`] |
//! | `held/<contract>/<user>` | number of tokens |
//! | `held/<contract>/<user>/<token>` | how it was received |
//! | `unlocked/<achievement>/<user>` | the confirmation on chain |
//!
//! Each log that counts writes a few small values, never a growing one. Meters
//! are named by their place in the set, which is a function of its version.

use std::sync::Arc;

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
    /// The time at which a value counted last, seconds since the Unix epoch.
    Seen(u64),
    /// So many tokens.
    Tokens(u64),
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
        Some(Memory::Tokens(count)) => *count,
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

/// Takes a token out of or puts it into a user's hands.
pub(super) fn set_held(
    state: &mut State,
    nft: &Name,
    user: Address,
    token: U256,
    by: Option<Counted>,
) {
    let count_key = held_key(nft, user);
    let token_key = format!("{count_key}/{token}");
    let had = state.value(&token_key).is_some();
    let count = tokens(state, nft, user);
    let has = by.is_some();
    state.set(&token_key, by.map(Memory::Log));
    let count = match (had, has) {
        (false, true) => count.saturating_add(1),
        (true, false) => count.saturating_sub(1),
        _ => return,
    };
    state.set(&count_key, (count > 0).then_some(Memory::Tokens(count)));
}

//! What the fold remembers of each user, and under which keys.
//!
//! | key | value |
//! | --- | --- |
//! | `u/<user>` | [`User`]: meters, what was requested, what is waited for |
//! | `u/<user>/d/<hash>` | a value that `distinct` counted: by which meters |
//! | `u/<user>/l/<number>` | a log that counted for something, once for all meters |
//! | `first/<achievement>` | how many users have it, where that is limited |
//! | `due/<time>/<user>/<achievement>` | from then on it may be earned, if nothing happens |
//! | `held/<contract>/<user>` | number of tokens |
//! | `held/<contract>/<user>/<token>` | how it was received |
//! | `since/<contract>/<number>/<user>` | the log that brought the tokens to this number |
//! | `unlocked/<achievement>/<user>` | the confirmation on chain |
//!
//! An event moves many meters of one user and so changes one value, which is
//! shared with how to undo it. Meters and achievements are named in it by their
//! places in the set, which are a function of its version.

use std::{collections::BTreeSet, sync::Arc};

use alloy::primitives::{Address, B128, U256};
use serde::{Deserialize, Serialize};

use super::user::User;
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
    /// A user.
    User(Arc<User>),
    /// A log.
    Log(Counted),
    /// The meters that have counted a value.
    Seen(Vec<u32>),
    /// A time from which on something may be earned, seconds since the Unix
    /// epoch.
    Time(u64),
    /// So many tokens, or users.
    Number(u64),
}

/// A log that counted, with its place in the order of all chains. Shared by all
/// that count it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
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

impl Memory {
    fn log(&self) -> Option<&Counted> {
        match self {
            Self::Log(log) => Some(log),
            _ => None,
        }
    }
}

/// What is known of a user at a block time.
#[derive(Clone, Copy)]
pub(super) struct View<'s> {
    pub(super) state: &'s State,
    pub(super) address: Address,
    pub(super) user: &'s User,
    /// Seconds since the Unix epoch.
    pub(super) now: u64,
}

impl<'s> View<'s> {
    pub(super) fn of(state: &'s State, address: Address, now: u64) -> Self {
        let user = user(state, address).map_or(&NOBODY, |user| &**user);
        Self { state, address, user, now }
    }

    /// One of the user's logs.
    pub(super) fn log(&self, number: u32) -> Option<&'s Counted> {
        log_at(self.state, &log_key(self.address, number))
    }

    /// The log with which an achievement was requested, if it was: it is once.
    pub(super) fn requested(&self, achievement: usize) -> Option<&'s Counted> {
        self.log(self.user.requested(achievement)?)
    }
}

static NOBODY: User = User::new();

pub(super) fn user(state: &State, address: Address) -> Option<&Arc<User>> {
    match state.value(&user_key(address)) {
        Some(Memory::User(user)) => Some(user),
        _ => None,
    }
}

pub(super) fn set_user(state: &mut State, address: Address, user: Arc<User>) {
    state.set(&user_key(address), Some(Memory::User(user)));
}

fn user_key(user: Address) -> String {
    // Without a checksum, which would cost a hash for each key.
    format!("u/{user:#x}")
}

pub(super) fn log_key(user: Address, number: u32) -> String {
    format!("u/{user:#x}/l/{number}")
}

pub(super) fn seen_key(user: Address, value: B128) -> String {
    format!("u/{user:#x}/d/{value:x}")
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

/// Notes that an achievement was requested.
pub(super) fn set_requested(state: &mut State, address: Address, achievement: usize, by: &Counted) {
    let mut known = user(state, address).cloned().unwrap_or_default();
    let last = known.last_log().and_then(|it| log_at(state, &log_key(address, it)));
    let number = match last.filter(|last| last.position() == by.position()) {
        Some(_) => known.last_log().unwrap_or(0),
        None => {
            let number = Arc::make_mut(&mut known).next_log();
            state.set(&log_key(address, number), Some(Memory::Log(by.clone())));
            number
        }
    };
    Arc::make_mut(&mut known).set_requested(achievement, number);
    set_user(state, address, known);
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
pub(super) fn wait(
    state: &mut State,
    address: Address,
    (achievement, name): (usize, &Name),
    until: Option<u64>,
) {
    let known = user(state, address);
    let waits = known.and_then(|user| user.waits(achievement));
    if waits == until {
        return;
    }
    let mut known = known.cloned().unwrap_or_default();
    Arc::make_mut(&mut known).set_waits(achievement, until);
    set_user(state, address, known);
    if let Some(time) = waits {
        state.remove(&due_key(time, address, name));
    }
    if let Some(time) = until {
        state.set(&due_key(time, address, name), Some(Memory::Time(time)));
    }
}

/// The first that is due: when, whose and what.
pub(super) fn first_due(state: &State) -> Option<(u64, Address, Name)> {
    let mut parts = state.keys("due/").next()?.split('/').skip(1);
    let (time, user) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((time, user, Name::new(parts.next()?).ok()?))
}

/// Drops what waits for an achievement that there is not.
pub(super) fn forget_due(state: &mut State, time: u64, user: Address, achievement: &Name) {
    state.remove(&due_key(time, user, achievement));
}

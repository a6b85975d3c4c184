//! What the fold remembers of each user, and under which keys.
//!
//! An event moves many meters of one user and so changes one value. Meters,
//! achievements and contracts are named by their places in the set, which are a
//! function of its version.

use std::{borrow::Cow, sync::Arc};

use alloy::primitives::{Address, B128, U256};
use compact_str::CompactString;
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::{
    marks,
    mutual::{Claim, Link},
    packed::Lists,
    powers::Checkpoints,
    proposals::Ballot,
    unlock::Unlock,
    user::User,
};
use crate::{
    domain::{Event, EvidenceItem, Position},
    fold::{self, Stored, Unreadable},
};

/// What rules remember.
pub(super) type State = fold::State<Key>;

/// The layout of all that: whoever changes it counts on, and what an older
/// version remembered is worked out anew.
pub const LAYOUT: u32 = 8;

/// Under what rules remember something. There are many of a few kinds for each user:
/// so what only others have, and is long, lies elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// From a time on, in seconds since the Unix epoch, a user may earn an
    /// achievement if nothing happens: nothing is kept under it.
    Due(u64, Address, u32),
    /// How a user came to a piece of something, or to some of it (0): a [`Counted`].
    Token(u32, Address, Box<U256>),
    /// A user: a [`User`].
    User(Address),
    /// A log that counted for something, once for all meters, by its number:
    /// a [`Counted`].
    Log(Address, u32),
    /// The meters that have counted a value of `distinct`: their places.
    Seen(Address, B128),
    /// How much of something a user has: a [`U256`].
    Held(u32, Address),
    /// Since when a user has had so much of something, in seconds since the Unix
    /// epoch: a `u64`.
    Since(u32, Box<U256>, Address),
    /// Whom a user lets vote: an [`Address`].
    Delegate(u32, Address),
    /// The confirmation on chain that a user has an achievement:
    /// a [`Counted`].
    Unlocked(u32, Address),
    /// What a user has while its condition is met: an [`Unlock`](super::Unlock).
    Has(u32, Address),
    /// How many users have an achievement that is limited: a `u64`.
    Taken(u32),
    /// How often something happened that is the same for everybody: a `u64`.
    Tally(u32),
    /// In a rolling window of that, at a time: how often it had happened before, a
    /// `u64`.
    TallyAt(u32, u64),
    /// A user of whom a meter has counted something: nothing is kept under it.
    Member(u32, Address),
    /// What the fold of a governor remembers under a path: JSON.
    Path(u32, CompactString),
    /// What a voter cast on a governor's proposal: a [`Ballot`].
    Ballot(u32, Box<U256>, Address),
    /// The log that created a governor's proposal: a [`Counted`].
    Proposed(u32, Box<U256>),
    /// How many votes somebody has had, and from when on: see
    /// [`Checkpoints`].
    Power(u32, Address),
    /// The point of the clock at which votes on a governor's proposal are counted:
    /// a `u64`.
    Snapshot(u32, Box<U256>),
    /// When voting on a governor's proposal is over, in seconds since the Unix
    /// epoch, where the chain had to be asked: a `u64`.
    Ends(u32, Box<U256>),
    /// Whose wallet an address is or was, as they attest it: a [`Link`].
    Linked(Address),
    /// A member's other wallet: nothing is kept under it.
    Wallet(Address, Address),
    /// The attestation of somebody that another wallet is the same member's: a [`Claim`].
    Claim(Address, Address),
}

impl fold::Key for Key {
    type Value = Kept;

    fn is_listed(&self) -> bool {
        matches!(
            self,
            Self::Due(..)
                | Self::Token(..)
                | Self::Path(..)
                | Self::Ballot(..)
                | Self::Power(..)
                | Self::TallyAt(..)
                | Self::Member(..)
                | Self::Wallet(..)
        )
    }

    fn read(&self, value: &[u8]) -> Result<Kept, Unreadable> {
        match self {
            Self::User(_) => return Ok(Kept::User(Lists::from_bytes(value)?)),
            Self::Log(..) => return Ok(Kept::Log(postcard::from_bytes(value)?)),
            Self::Token(..) | Self::Unlocked(..) | Self::Proposed(..) => {
                drop(postcard::from_bytes::<Counted>(value)?);
            }
            Self::Due(..) | Self::Member(..) | Self::Wallet(..) => {
                postcard::from_bytes::<()>(value)?;
            }
            Self::Seen(..) => return Ok(marks::set_of(&postcard::from_bytes::<Vec<u32>>(value)?)),
            Self::Held(..) => drop(postcard::from_bytes::<U256>(value)?),
            Self::Delegate(..) => drop(postcard::from_bytes::<Address>(value)?),
            Self::Linked(_) => drop(postcard::from_bytes::<Link>(value)?),
            Self::Claim(..) => drop(postcard::from_bytes::<Claim>(value)?),
            Self::Since(..)
            | Self::Taken(_)
            | Self::Tally(_)
            | Self::TallyAt(..)
            | Self::Snapshot(..)
            | Self::Ends(..) => {
                postcard::from_bytes::<u64>(value)?;
            }
            Self::Has(..) => drop(Unlock::from_bytes(value)?),
            Self::Path(..) => drop(serde_json::from_slice::<IgnoredAny>(value)?),
            Self::Power(..) => drop(postcard::from_bytes::<Checkpoints>(value)?),
            Self::Ballot(..) => drop(postcard::from_bytes::<Ballot>(value)?),
        }
        Ok(Kept::Bytes(value.into()))
    }
}

/// A value as it is kept in memory: nearly every event reads and changes a user, and
/// what is earned names many logs. All else is bytes, which take less room.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    /// Of [`Key::User`].
    User(Lists),
    /// Of [`Key::Log`].
    Log(Counted),
    /// Of [`Key::Seen`], where all places are below 64: a bit each.
    Set(u64),
    /// Of all others.
    Bytes(Box<[u8]>),
}

impl fold::Kept for Kept {
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::User(user) => user.to_bytes(),
            Self::Set(places) => packed(&marks::places_in(*places).collect::<Vec<u32>>()),
            Self::Log(log) => packed(log),
            Self::Bytes(bytes) => bytes.to_vec(),
        }
    }
}

impl Kept {
    /// It, where bytes are kept.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::User(_) | Self::Log(_) | Self::Set(_) => None,
        }
    }
}

/// Numbers and bytes: serialising them to memory can't fail. Were it to,
/// restoring would name the key.
impl Stored for Key {
    fn to_bytes(&self) -> Vec<u8> {
        packed(self)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        Ok(postcard::from_bytes(bytes)?)
    }
}

/// A log that counted, with its place in the order of all chains. Shared by all
/// that count it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counted(Arc<Log>);

/// The rest of its position is in the item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Log {
    time: u64,
    transaction_index: u64,
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
        let Position { time, transaction_index, .. } = event.position;
        Self(Arc::new(Log { time, transaction_index, item }))
    }

    pub(super) fn position(&self) -> Position {
        let Log { time, transaction_index, item } = &*self.0;
        let EvidenceItem { chain_id, block, log_index, .. } = *item;
        let (time, transaction_index) = (*time, *transaction_index);
        Position { time, chain_id, block, transaction_index, log_index }
    }

    pub(super) fn item(&self) -> &EvidenceItem {
        &self.0.item
    }
}

/// What is known of a user at a block time.
pub(super) struct View<'s> {
    pub(super) state: &'s State,
    pub(super) address: Address,
    pub(super) user: Cow<'s, User>,
    /// Seconds since the Unix epoch.
    pub(super) now: u64,
}

impl<'s> View<'s> {
    pub(super) fn of(state: &'s State, address: Address, now: u64) -> Self {
        let user = Cow::Owned(user(state, address));
        Self { state, address, user, now }
    }

    /// One of the user's logs.
    pub(super) fn log(&self, number: u32) -> Option<Counted> {
        match self.state.value(&Key::Log(self.address, number))? {
            Kept::Log(log) => Some(log.clone()),
            _ => None,
        }
    }

    /// The log with which an achievement was requested, if it was: it is once.
    pub(super) fn requested(&self, achievement: usize) -> Option<Counted> {
        self.log(self.user.requested(achievement)?)
    }
}

/// What was written under a key. Restoring has checked it.
pub(super) fn read<T: DeserializeOwned>(state: &State, key: &Key) -> Option<T> {
    postcard::from_bytes(state.value(key)?.bytes()?).ok()
}

/// A value as it is written down: of what it takes, where that is not much. As for
/// [`Key`].
pub(super) fn packed<T: Serialize>(value: &T) -> Vec<u8> {
    let mut room = [0_u8; 256];
    match postcard::to_slice(value, &mut room) {
        Ok(short) => short.to_vec(),
        Err(_) => postcard::to_allocvec(value).unwrap_or_default(),
    }
}

/// Writes a value. As for [`Key`]; it would keep what it was.
pub(super) fn write<T: Serialize>(state: &mut State, key: Key, value: &T) {
    let mut room = [0_u8; 256];
    if let Ok(short) = postcard::to_slice(value, &mut room) {
        state.set(key, Some(Kept::Bytes((&*short).into())));
    } else if let Ok(long) = postcard::to_extend(value, Vec::with_capacity(2 * room.len())) {
        state.set(key, Some(Kept::Bytes(long.into())));
    }
}

/// Writes a value, or removes it.
pub(super) fn write_or_remove<T: Serialize>(state: &mut State, key: Key, value: Option<&T>) {
    match value {
        Some(value) => write(state, key, value),
        None => state.set(key, None),
    }
}

/// Places are far below 2^32: a file's size bounds them.
pub(super) fn place(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// A user, to be changed: shared with what is remembered until then.
pub(super) fn user(state: &State, address: Address) -> User {
    match state.value(&Key::User(address)) {
        Some(Kept::User(lists)) => User::of(lists),
        _ => User::default(),
    }
}

/// The confirmation on chain that the user has an achievement.
pub(super) fn unlocked(state: &State, user: Address, achievement: usize) -> Option<Counted> {
    read(state, &Key::Unlocked(place(achievement), user))
}

pub(super) fn is_unlocked(state: &State, user: Address, achievement: usize) -> bool {
    state.value(&Key::Unlocked(place(achievement), user)).is_some()
}

pub(super) fn set_unlocked(
    state: &mut State,
    user: Address,
    achievement: usize,
    by: Option<&Counted>,
) {
    write_or_remove(state, Key::Unlocked(place(achievement), user), by);
}

/// How many users have an achievement that only the first get.
pub(super) fn taken(state: &State, achievement: usize) -> u64 {
    read(state, &Key::Taken(place(achievement))).unwrap_or(0)
}

pub(super) fn take(state: &mut State, achievement: usize) {
    let count = taken(state, achievement).saturating_add(1);
    write(state, Key::Taken(place(achievement)), &count);
}

/// The first that is due: when, whose and what.
pub(super) fn first_due(state: &State) -> Option<(u64, Address, u32)> {
    let last = Key::Due(u64::MAX, Address::repeat_byte(0xff), u32::MAX);
    match state.listed(..=last).next()? {
        (Key::Due(time, user, achievement), _) => Some((*time, *user, *achievement)),
        _ => None,
    }
}

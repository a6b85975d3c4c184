//! What the fold remembers of each user, and under which keys.
//!
//! | key | value |
//! | --- | --- |
//! | `u/<user>/<achievement>/requested` | [`Counted`]: the log that completed it |
//! | `u/<user>/<achievement>/<leaf>` | [`Progress`] |
//! | `u/<user>/<achievement>/<leaf>/e/<slot>` | [`Counted`]: a ring of the latest logs |
//! | `u/<user>/<achievement>/<leaf>/d/<hash>` | `true`: a value that was counted |
//! | `held/<contract>/<user>` | number of tokens |
//! | `held/<contract>/<user>/<token>` | [`Counted`]: how it was received |
//! | `unlocked/<achievement>/<user>` | [`Counted`]: the confirmation on chain |
//!
//! Each log that counts writes a few small values, never a growing one.

use alloy::primitives::{Address, I256, U256, keccak256};
use serde::{Deserialize, Serialize};

use super::model::{EventLeaf, HoldsLeaf, Leaf, Measure, Number};
use crate::{
    domain::{Event, Evidence, EvidenceItem, Name, Position, Value},
    fold::State,
};

/// A log that counted, with its place in the order of all chains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counted {
    pub(super) position: Position,
    pub(super) item: EvidenceItem,
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
        Self { position: event.position, item }
    }
}

/// How far a user's events of one leaf have come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Progress {
    /// Logs counted; with `distinct`, one per value.
    counted: u64,
    /// The sum as a decimal, for leaves that sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sum: Option<String>,
}

/// Where a leaf stands for a user.
pub(super) struct Standing {
    pub(super) needed: Number,
    pub(super) have: Number,
    /// Logs that counted, in all.
    pub(super) total: u64,
}

impl Standing {
    pub(super) fn holds(&self) -> bool {
        match (self.have, self.needed) {
            (Number::Uint(have), Number::Uint(needed)) => have >= needed,
            (Number::Int(have), Number::Int(needed)) => have >= needed,
            _ => false,
        }
    }

    /// What is missing; zero when it holds.
    pub(super) fn shortfall(&self) -> U256 {
        match (self.have, self.needed) {
            (Number::Uint(have), Number::Uint(needed)) => needed.saturating_sub(have),
            // The difference of two signed numbers always fits unsigned.
            (Number::Int(have), Number::Int(needed)) if have < needed => {
                needed.into_raw().wrapping_sub(have.into_raw())
            }
            _ => U256::ZERO,
        }
    }
}

fn achievement_key(user: Address, achievement: &Name) -> String {
    format!("u/{user:#x}/{achievement}")
}

fn leaf_key(user: Address, achievement: &Name, leaf: usize) -> String {
    format!("u/{user:#x}/{achievement}/{leaf}")
}

fn held_key(nft: &Name, user: Address) -> String {
    format!("held/{nft}/{user:#x}")
}

fn unlocked_key(achievement: &Name, user: Address) -> String {
    format!("unlocked/{achievement}/{user:#x}")
}

/// Whether the achievement was requested for the user: it is, once.
pub(super) fn requested(state: &State, user: Address, achievement: &Name) -> Option<Counted> {
    state.get(&format!("{}/requested", achievement_key(user, achievement)))
}

pub(super) fn set_requested(state: &mut State, user: Address, achievement: &Name, by: &Counted) {
    state.put(&format!("{}/requested", achievement_key(user, achievement)), by);
}

/// The confirmation on chain that the user has the achievement.
pub(super) fn unlocked(state: &State, user: Address, achievement: &Name) -> Option<Counted> {
    state.get(&unlocked_key(achievement, user))
}

pub(super) fn set_unlocked(
    state: &mut State,
    user: Address,
    achievement: &Name,
    by: Option<&Counted>,
) {
    let key = unlocked_key(achievement, user);
    match by {
        Some(by) => state.put(&key, by),
        None => state.remove(&key),
    }
}

/// Takes a token out of or puts it into a user's hands.
pub(super) fn set_held(
    state: &mut State,
    nft: &Name,
    user: Address,
    token: U256,
    by: Option<&Counted>,
) {
    let count_key = held_key(nft, user);
    let token_key = format!("{count_key}/{token}");
    let had = state.value(&token_key).is_some();
    let count: u64 = state.get(&count_key).unwrap_or(0);
    match by {
        Some(by) => state.put(&token_key, by),
        None => state.remove(&token_key),
    }
    match (had, by.is_some()) {
        (false, true) => state.put(&count_key, &(count + 1)),
        (true, false) if count == 1 => state.remove(&count_key),
        (true, false) => state.put(&count_key, &count.saturating_sub(1)),
        _ => {}
    }
}

/// Counts an event that meets a leaf's tests. A value that `distinct` has
/// counted already, or a field that is not of its schema's type, counts for
/// nothing.
pub(super) fn count(
    state: &mut State,
    user: Address,
    achievement: &Name,
    index: usize,
    leaf: &EventLeaf,
    event: &Event,
) {
    let key = leaf_key(user, achievement, index);
    let mut progress: Progress = state.get(&key).unwrap_or_default();
    match &leaf.measure {
        Measure::Count { .. } => {}
        Measure::Distinct { field, field_type, .. } => {
            let Ok(Some(value)) = event.field(field, field_type) else { return };
            // Ids of two contracts are different things.
            let hash = keccak256(format!("{} {}", event.contract, value.to_json()));
            let seen = format!("{key}/d/{hash:x}");
            if state.value(&seen).is_some() {
                return;
            }
            state.put(&seen, &true);
        }
        Measure::Sum { field, at_least } => {
            let sum = progress.sum.as_deref();
            let sum = match (at_least, event.field(field, &at_least.field_type())) {
                (Number::Uint(_), Ok(Some(Value::Uint(n)))) => {
                    parsed::<U256>(sum).saturating_add(n).to_string()
                }
                (Number::Int(_), Ok(Some(Value::Int(n)))) => {
                    parsed::<I256>(sum).saturating_add(n).to_string()
                }
                _ => return,
            };
            progress.sum = Some(sum);
        }
    }
    let slot = progress.counted % Evidence::MAX_ITEMS as u64;
    state.put(&format!("{key}/e/{slot}"), &Counted::of(event));
    progress.counted += 1;
    state.put(&key, &progress);
}

fn parsed<T: std::str::FromStr + Default>(decimal: Option<&str>) -> T {
    decimal.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Where a leaf stands for a user.
pub(super) fn standing(
    state: &State,
    user: Address,
    achievement: &Name,
    index: usize,
    leaf: &Leaf,
) -> Standing {
    let leaf = match leaf {
        Leaf::Holds(HoldsLeaf { nft, at_least }) => {
            let count: u64 = state.get(&held_key(nft, user)).unwrap_or(0);
            let number = |n: u64| Number::Uint(U256::from(n));
            return Standing { needed: number(*at_least), have: number(count), total: count };
        }
        Leaf::Events(leaf) => leaf,
    };
    let progress: Progress = state.get(&leaf_key(user, achievement, index)).unwrap_or_default();
    let total = progress.counted;
    let sum = progress.sum.as_deref();
    match leaf.measure {
        Measure::Count { at_least } | Measure::Distinct { at_least, .. } => Standing {
            needed: Number::Uint(U256::from(at_least)),
            have: Number::Uint(U256::from(total)),
            total,
        },
        Measure::Sum { at_least: needed @ Number::Uint(_), .. } => {
            Standing { needed, have: Number::Uint(parsed(sum)), total }
        }
        Measure::Sum { at_least: needed @ Number::Int(_), .. } => {
            Standing { needed, have: Number::Int(parsed(sum)), total }
        }
    }
}

/// The latest logs that counted for a leaf, in position order, at most
/// [`Evidence::MAX_ITEMS`].
pub(super) fn counted(
    state: &State,
    user: Address,
    achievement: &Name,
    index: usize,
    leaf: &Leaf,
) -> Vec<Counted> {
    let prefix = match leaf {
        Leaf::Holds(leaf) => format!("{}/", held_key(&leaf.nft, user)),
        Leaf::Events(_) => format!("{}/e/", leaf_key(user, achievement, index)),
    };
    let mut counted: Vec<Counted> = state.keys(&prefix).filter_map(|key| state.get(key)).collect();
    counted.sort_by_key(|counted| counted.position);
    counted.split_off(counted.len().saturating_sub(Evidence::MAX_ITEMS))
}

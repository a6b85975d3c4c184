//! Evaluating a rule set over ordered events.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use alloy::primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::{
    model::{Achievement, Comparison, Condition, EventKind, FieldTest, Leaf, RuleSet},
    prerequisites,
    progress::{self, Counted},
};
use crate::{
    domain::{
        Event, EventId, Evidence, EvidenceItem, FieldType, Position, UnlockId, UnlockRequest, Value,
    },
    fold::{Fold, State},
};

/// A rule set's decision that a user earned an achievement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unlock {
    /// What is asked of the signer.
    pub request: UnlockRequest,
}

/// Users with an achievement (by index) whose conditions an event may have
/// changed. Its order is the order of decisions: by address, then by the
/// achievement's name.
type Touched = BTreeSet<(Address, usize)>;

impl Fold for RuleSet {
    type Output = Unlock;
    type Value = serde_json::Value;

    /// No condition of the language changes by time alone.
    fn begin_block(&self, _: u64, _: u64, _: u64, _: &mut State, _: &mut Vec<Unlock>) {}

    fn apply(&self, event: &Event, state: &mut State, output: &mut Vec<Unlock>) {
        let mut touched = Touched::new();
        self.move_token(event, state, &mut touched);
        self.note_confirmation(event, state, &mut touched);
        self.count(event, state, &mut touched);
        for (user, index) in touched {
            let Some(achievement) = self.achievements.get(index) else { continue };
            let requested = progress::requested(state, user, &achievement.name).is_some();
            if requested || !self.earned(state, user, achievement) {
                continue;
            }
            let request = self.request(state, user, achievement);
            progress::set_requested(state, user, &achievement.name, &Counted::of(event));
            output.push(Unlock { request });
        }
    }
}

impl RuleSet {
    /// Keeps who holds which token of the contracts that `holds` names.
    fn move_token(&self, event: &Event, state: &mut State, touched: &mut Touched) {
        let Some(achievements) = self.index.by_nft.get(&event.contract) else { return };
        let Some(token) = uint(event, "token_id") else { return };
        let (from, to) = match event.name.as_str() {
            "minted" => (None, address(event, "to")),
            "transferred" => (address(event, "from"), address(event, "to")),
            "burned" => (address(event, "from"), None),
            _ => return,
        };
        let by = Counted::of(event);
        for (user, by) in [(from, None), (to, Some(&by))] {
            if let Some(user) = user {
                progress::set_held(state, &event.contract, user, token, by);
                touched.extend(achievements.iter().map(|index| (user, *index)));
            }
        }
    }

    /// Keeps which prerequisites are on chain.
    fn note_confirmation(&self, event: &Event, state: &mut State, touched: &mut Touched) {
        if event.contract != self.contract.name {
            return;
        }
        let [unlocked, revoked] = prerequisites::EVENTS;
        let by = Counted::of(event);
        let by = match event.name.as_str() {
            name if name == unlocked => Some(&by),
            name if name == revoked => None,
            _ => return,
        };
        let (Some(user), Some(id)) = (address(event, "user"), uint(event, "id")) else { return };
        let Some((name, achievements)) = self.index.by_prerequisite.get(&id) else { return };
        progress::set_unlocked(state, user, name, by);
        touched.extend(achievements.iter().map(|index| (user, *index)));
    }

    /// Counts the event for every leaf that it matches and that still matters.
    fn count(&self, event: &Event, state: &mut State, touched: &mut Touched) {
        let kind = EventKind { contract: event.contract.clone(), event: event.name.clone() };
        for (a, l) in self.index.by_event.get(&kind).into_iter().flatten() {
            let Some(achievement) = self.achievements.get(*a) else { continue };
            let Some(Leaf::Events(leaf)) = achievement.leaves.get(*l) else { continue };
            let Some(user) = address(event, &leaf.subject) else { continue };
            if leaf.tests.iter().all(|test| test.passes(event))
                && progress::requested(state, user, &achievement.name).is_none()
            {
                progress::count(state, user, &achievement.name, *l, leaf, event);
                touched.insert((user, *a));
            }
        }
    }

    /// Whether prerequisites and condition are met.
    pub(super) fn earned(&self, state: &State, user: Address, achievement: &Achievement) -> bool {
        let required = |name| progress::unlocked(state, user, name).is_some();
        achievement.requires.iter().all(required)
            && holds(state, user, achievement, &achievement.when)
    }

    fn request(&self, state: &State, user: Address, achievement: &Achievement) -> UnlockRequest {
        let contract = &self.contract;
        let id = UnlockId::of(contract.chain_id, contract.address, achievement.id, user);
        UnlockRequest {
            id,
            rule_set: self.id.clone(),
            achievement: achievement.name.clone(),
            achievement_id: achievement.id,
            contract: contract.name.clone(),
            // There is always one: a set without is not compiled.
            signer: achievement.signer_of(id).unwrap_or(&self.id).clone(),
            user,
            on_retract: achievement.on_retract,
            urgency: achievement.urgency,
            evidence: self.evidence(state, user, achievement),
        }
    }

    /// The logs that counted: those of every leaf that makes the condition
    /// hold, and the confirmations of the prerequisites.
    fn evidence(&self, state: &State, user: Address, achievement: &Achievement) -> Evidence {
        let mut named: BTreeMap<(Position, EventId), EvidenceItem> = BTreeMap::new();
        let mut unnamed = 0;
        let mut add = |counted: Counted| {
            named.insert((counted.position, counted.item.event), counted.item);
        };
        let confirmed = |name| progress::unlocked(state, user, name);
        achievement.requires.iter().filter_map(confirmed).for_each(&mut add);
        let mut deciding = Vec::new();
        deciding_leaves(state, user, achievement, &achievement.when, &mut deciding);
        for (index, leaf) in deciding {
            let standing = progress::standing(state, user, &achievement.name, index, leaf);
            let counted = progress::counted(state, user, &achievement.name, index, leaf);
            unnamed += standing.total.saturating_sub(counted.len() as u64);
            counted.into_iter().for_each(&mut add);
        }
        // A log that counted for two leaves is one log. Beyond the named ones
        // that can't be told any more: they are counted per leaf.
        let total = named.len() as u64 + unnamed;
        let skipped = named.len().saturating_sub(Evidence::MAX_ITEMS);
        let items = named.into_values().skip(skipped).collect();
        Evidence { rule_version: self.version, items, total }
    }
}

/// Whether a condition holds for a user.
pub(super) fn holds(
    state: &State,
    user: Address,
    achievement: &Achievement,
    condition: &Condition,
) -> bool {
    match condition {
        Condition::Leaf(index) => achievement.leaves.get(*index).is_some_and(|leaf| {
            progress::standing(state, user, &achievement.name, *index, leaf).holds()
        }),
        Condition::All(members) => members.iter().all(|m| holds(state, user, achievement, m)),
        Condition::Any(members) => members.iter().any(|m| holds(state, user, achievement, m)),
    }
}

/// The leaves by which a condition that holds does so.
fn deciding_leaves<'a>(
    state: &State,
    user: Address,
    achievement: &'a Achievement,
    condition: &Condition,
    leaves: &mut Vec<(usize, &'a Leaf)>,
) {
    match condition {
        Condition::Leaf(index) => {
            leaves.extend(achievement.leaves.get(*index).map(|leaf| (*index, leaf)));
        }
        Condition::All(members) | Condition::Any(members) => {
            for member in members.iter().filter(|m| holds(state, user, achievement, m)) {
                deciding_leaves(state, user, achievement, member, leaves);
            }
        }
    }
}

impl FieldTest {
    /// A field that is missing or not of its schema's type passes nothing.
    fn passes(&self, event: &Event) -> bool {
        let Ok(Some(value)) = event.field(&self.field, &self.field_type) else { return false };
        match &self.comparison {
            Comparison::Equal(other) => value == *other,
            Comparison::NotEqual(other) => value != *other,
            Comparison::In(others) => others.contains(&value),
            Comparison::Greater(other) => compare(&value, other) == Some(Ordering::Greater),
            Comparison::Less(other) => compare(&value, other) == Some(Ordering::Less),
            Comparison::AtLeast(other) => compare(&value, other).is_some_and(Ordering::is_ge),
            Comparison::AtMost(other) => compare(&value, other).is_some_and(Ordering::is_le),
        }
    }
}

fn compare(value: &Value, other: &Value) -> Option<Ordering> {
    match (value, other) {
        (Value::Uint(a), Value::Uint(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// An address field. The zero address stands for nobody and earns nothing.
fn address(event: &Event, field: &str) -> Option<Address> {
    match event.field(field, &FieldType::Address) {
        Ok(Some(Value::Address(address))) if !address.is_zero() => Some(address),
        _ => None,
    }
}

fn uint(event: &Event, field: &str) -> Option<U256> {
    match event.field(field, &FieldType::Uint) {
        Ok(Some(Value::Uint(number))) => Some(number),
        _ => None,
    }
}

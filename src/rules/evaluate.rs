//! Evaluating a rule set over ordered events.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::{
    memory::{self, Counted, Memory, State},
    model::{Achievement, Condition, Leaf, Number, RuleSet},
    prerequisites,
    reading::{Placed, Shown},
};
use crate::{
    domain::{
        Event, EventId, Evidence, EvidenceItem, FieldType, Position, UnlockId, UnlockRequest, Value,
    },
    fold::Fold,
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
    type Value = Memory;

    /// No condition of the language changes by time alone.
    fn begin_block(&self, _: u64, _: u64, _: u64, _: &mut State, _: &mut Vec<Unlock>) {}

    fn apply(&self, event: &Event, state: &mut State, output: &mut Vec<Unlock>) {
        let mut touched = Touched::new();
        let log = Counted::of(event);
        self.move_token(event, &log, state, &mut touched);
        self.note_confirmation(event, &log, state, &mut touched);
        self.count(event, &log, state, &mut touched);
        let now = event.position.time;
        for (user, index) in touched {
            let Some(achievement) = self.achievements.get(index) else { continue };
            let requested = memory::requested(state, user, &achievement.name).is_some();
            if requested || !self.earned(state, user, achievement, now) {
                continue;
            }
            let request = self.request(state, user, achievement, now);
            memory::set_requested(state, user, &achievement.name, log.clone());
            output.push(Unlock { request });
        }
    }
}

impl RuleSet {
    /// Keeps who holds which token of the contracts that `holds` names.
    fn move_token(&self, event: &Event, log: &Counted, state: &mut State, touched: &mut Touched) {
        let Some(achievements) = self.index.by_nft.get(&event.contract) else { return };
        let Some(token) = uint(event, "token_id") else { return };
        let (from, to) = match event.name.as_str() {
            "minted" => (None, address(event, "to")),
            "transferred" => (address(event, "from"), address(event, "to")),
            "burned" => (address(event, "from"), None),
            _ => return,
        };
        for (user, by) in [(from, None), (to, Some(log.clone()))] {
            if let Some(user) = user {
                memory::set_held(state, &event.contract, user, token, by);
                touched.extend(achievements.iter().map(|index| (user, *index)));
            }
        }
    }

    /// Keeps which prerequisites are on chain.
    fn note_confirmation(
        &self,
        event: &Event,
        log: &Counted,
        state: &mut State,
        touched: &mut Touched,
    ) {
        if event.contract != self.contract.name {
            return;
        }
        let [unlocked, revoked] = prerequisites::EVENTS;
        let by = match event.name.as_str() {
            name if name == unlocked => Some(log.clone()),
            name if name == revoked => None,
            _ => return,
        };
        let (Some(user), Some(id)) = (address(event, "user"), uint(event, "id")) else { return };
        let Some((name, achievements)) = self.index.by_prerequisite.get(&id) else { return };
        memory::set_unlocked(state, user, name, by);
        touched.extend(achievements.iter().map(|index| (user, *index)));
    }

    /// Counts the event by every meter whose filter it meets.
    fn count(&self, event: &Event, log: &Counted, state: &mut State, touched: &mut Touched) {
        let of_contract = self.index.by_event.get(&event.contract);
        let meters = of_contract.and_then(|events| events.get(&event.name));
        let mut counted: Vec<(usize, Address)> = Vec::new();
        for placed in meters.into_iter().flatten().filter_map(|place| self.meter(*place)) {
            let Some(user) = address(event, &placed.meter.subject) else { continue };
            if placed.meter.filter.is_met(event) && placed.count(state, user, event, log) {
                counted.push((placed.place, user));
            }
        }
        for (place, user) in counted {
            let looking = self.index.by_meter.get(place).into_iter().flatten();
            touched.extend(looking.map(|achievement| (user, *achievement)));
        }
    }

    pub(super) fn meter(&self, place: usize) -> Option<Placed<'_>> {
        self.meters.get(place).map(|meter| Placed { meter, place })
    }

    /// What a leaf asks about shows of a user.
    pub(super) fn shown(&self, state: &State, user: Address, leaf: &Leaf, now: u64) -> Shown {
        match leaf {
            Leaf::Holds(leaf) => {
                let total = memory::tokens(state, &leaf.nft, user);
                Shown { number: Some(Number::Uint(U256::from(total))), total }
            }
            Leaf::Events(leaf) => match self.meter(leaf.meter) {
                Some(placed) => placed.shown(state, user, now),
                None => Shown { number: None, total: 0 },
            },
        }
    }

    /// The latest logs by which a leaf shows what it shows, in position order.
    pub(super) fn logs(&self, state: &State, user: Address, leaf: &Leaf, now: u64) -> Vec<Counted> {
        match leaf {
            Leaf::Holds(leaf) => {
                let mut logs = memory::receipts(state, &leaf.nft, user);
                logs.split_off(logs.len().saturating_sub(Evidence::MAX_ITEMS))
            }
            Leaf::Events(leaf) => match self.meter(leaf.meter) {
                Some(placed) => placed.logs(state, user, now),
                None => Vec::new(),
            },
        }
    }

    /// Whether prerequisites and condition are met at a block time.
    pub(super) fn earned(
        &self,
        state: &State,
        user: Address,
        achievement: &Achievement,
        now: u64,
    ) -> bool {
        let required = |name| memory::unlocked(state, user, name).is_some();
        achievement.requires.iter().all(required)
            && self.holds(state, user, achievement, &achievement.when, now)
    }

    /// Whether a condition holds for a user.
    pub(super) fn holds(
        &self,
        state: &State,
        user: Address,
        achievement: &Achievement,
        condition: &Condition,
        now: u64,
    ) -> bool {
        let mut members_hold =
            |member: &Condition| self.holds(state, user, achievement, member, now);
        match condition {
            Condition::Leaf(index) => achievement.leaves.get(*index).is_some_and(|leaf| {
                leaf.bound().is_kept(self.shown(state, user, leaf, now).number)
            }),
            Condition::All(members) => members.iter().all(members_hold),
            Condition::Any(members) => members.iter().any(&mut members_hold),
        }
    }

    /// The leaves by which a condition that holds does so.
    fn deciding_leaves<'a>(
        &self,
        state: &State,
        user: Address,
        achievement: &'a Achievement,
        condition: &Condition,
        now: u64,
    ) -> Vec<&'a Leaf> {
        match condition {
            Condition::Leaf(index) => achievement.leaves.get(*index).into_iter().collect(),
            Condition::All(members) | Condition::Any(members) => members
                .iter()
                .filter(|member| self.holds(state, user, achievement, member, now))
                .flat_map(|member| self.deciding_leaves(state, user, achievement, member, now))
                .collect(),
        }
    }

    fn request(
        &self,
        state: &State,
        user: Address,
        achievement: &Achievement,
        now: u64,
    ) -> UnlockRequest {
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
            evidence: self.evidence(state, user, achievement, now),
        }
    }

    /// The logs that counted: those of every leaf that makes the condition
    /// hold, and the confirmations of the prerequisites.
    fn evidence(
        &self,
        state: &State,
        user: Address,
        achievement: &Achievement,
        now: u64,
    ) -> Evidence {
        let mut named: BTreeMap<(Position, EventId), EvidenceItem> = BTreeMap::new();
        let mut unnamed = 0;
        let mut add = |log: &Counted| {
            named.insert((log.position(), log.item().event), log.item().clone());
        };
        let confirmed = |name| memory::unlocked(state, user, name);
        achievement.requires.iter().filter_map(confirmed).for_each(&mut add);
        for leaf in self.deciding_leaves(state, user, achievement, &achievement.when, now) {
            let logs = self.logs(state, user, leaf, now);
            let total = self.shown(state, user, leaf, now).total;
            unnamed += total.saturating_sub(logs.len() as u64);
            logs.iter().for_each(&mut add);
        }
        // A log that counted for two leaves is one log. Beyond the named ones
        // that can't be told any more: they are counted per leaf.
        let total = named.len() as u64 + unnamed;
        let skipped = named.len().saturating_sub(Evidence::MAX_ITEMS);
        let items = named.into_values().skip(skipped).collect();
        Evidence { rule_version: self.version, items, total }
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

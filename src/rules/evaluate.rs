//! Evaluating a rule set over ordered events.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::{
    memory::{self, Counted, Memory, State, View},
    model::{Achievement, Leaf, Number, RuleSet},
    prerequisites,
    reading::{Counting, Placed, Shown},
    verdict::Verdict,
};
use crate::{
    domain::{Event, EventId, Evidence, FieldType, Position, UnlockId, UnlockRequest, Value},
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

    /// What was waited for is looked at as of the time that it was waited for:
    /// whichever block begins after it.
    fn begin_block(&self, _: u64, _: u64, time: u64, state: &mut State, output: &mut Vec<Unlock>) {
        while let Some((due, user, name)) = memory::first_due(state).filter(|it| it.0 <= time) {
            // Gone in any case: whatever follows, this loop ends.
            match self.achievements.binary_search_by(|it| it.name.cmp(&name)) {
                Ok(index) => {
                    memory::wait(state, user, (index, &name), None);
                    self.decide(user, index, due, None, state, output);
                }
                Err(_) => memory::forget_due(state, due, user, &name),
            }
        }
    }

    fn apply(&self, event: &Event, state: &mut State, output: &mut Vec<Unlock>) {
        let mut touched = Touched::new();
        let log = Counted::of(event);
        self.move_token(event, &log, state, &mut touched);
        self.note_confirmation(event, &log, state, &mut touched);
        self.count(event, &log, state, &mut touched);
        let now = event.position.time;
        for (user, index) in touched {
            self.decide(user, index, now, Some(&log), state, output);
        }
    }
}

impl RuleSet {
    /// Asks for an achievement that is earned at a block time, once; what may be
    /// earned later is waited for.
    fn decide(
        &self,
        user: Address,
        index: usize,
        now: u64,
        log: Option<&Counted>,
        state: &mut State,
        output: &mut Vec<Unlock>,
    ) {
        let Some(achievement) = self.achievements.get(index) else { return };
        let name = &achievement.name;
        let view = View::of(state, user, now);
        if view.user.requested(index).is_some() {
            return;
        }
        let is_taken = achievement.first.is_some_and(|first| memory::taken(state, name) >= first);
        let verdict = match is_taken {
            true => Verdict::No,
            false => self.verdict(&view, achievement),
        };
        let earned = (verdict == Verdict::Holds).then(|| self.request(&view, achievement));
        if view.user.waits(index) != verdict.later() {
            memory::wait(state, user, (index, name), verdict.later());
        }
        let Some((request, last)) = earned else { return };
        // Something that somebody did is always among it: see `Condition::begins`.
        if let Some(by) = log.or(last.as_ref()) {
            memory::set_requested(state, user, index, by);
        }
        if achievement.first.is_some() {
            memory::take(state, name);
        }
        output.push(Unlock { request });
    }

    /// Keeps who holds which token of the contracts that `holds` names.
    fn move_token(&self, event: &Event, log: &Counted, state: &mut State, touched: &mut Touched) {
        let Some(looking) = self.index.by_nft.get(&event.contract) else { return };
        let Some(token) = uint(event, "token_id") else { return };
        let (from, to) = match event.name.as_str() {
            "minted" => (None, address(event, "to")),
            "transferred" => (address(event, "from"), address(event, "to")),
            "burned" => (address(event, "from"), None),
            _ => return,
        };
        // Who sends it to themselves has had it all the time.
        if from == to {
            return;
        }
        let nft = &event.contract;
        for (user, comes) in [(from, false), (to, true)] {
            if let Some(user) = user {
                memory::move_token(state, nft, user, token, (log, comes), &looking.since);
                touched.extend(looking.achievements.iter().map(|index| (user, *index)));
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
        let mut counting: Option<Counting<'_>> = None;
        for placed in meters.into_iter().flatten().filter_map(|place| self.meter(*place)) {
            let Some(user) = address(event, &placed.meter.subject) else { continue };
            if !placed.meter.filter.is_met(event) {
                continue;
            }
            // An event names several people at most once each, as a rule.
            let mut who = match counting.take() {
                Some(who) if who.address == user => who,
                other => {
                    if let Some(other) = other {
                        other.finish(state);
                    }
                    Counting::new(state, user, event, log)
                }
            };
            if placed.count(state, &mut who) {
                counted.push((placed.place, user));
            }
            counting = Some(who);
        }
        if let Some(who) = counting {
            who.finish(state);
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
    pub(super) fn shown(&self, view: &View<'_>, leaf: &Leaf) -> Shown {
        match leaf {
            Leaf::Holds(leaf) => {
                let total = memory::tokens(view.state, &leaf.tokens.nft, view.address);
                Shown { number: Some(Number::Uint(U256::from(total))), total }
            }
            Leaf::Events(leaf) => match self.meter(leaf.meter) {
                Some(placed) => placed.shown(view),
                None => Shown { number: None, total: 0 },
            },
        }
    }

    /// The latest logs by which a leaf shows what it shows, in position order.
    pub(super) fn logs(&self, view: &View<'_>, leaf: &Leaf) -> Vec<Counted> {
        match leaf {
            Leaf::Holds(leaf) => {
                let mut logs = memory::receipts(view.state, &leaf.tokens.nft, view.address);
                logs.split_off(logs.len().saturating_sub(Evidence::MAX_ITEMS))
            }
            Leaf::Events(leaf) => match self.meter(leaf.meter) {
                Some(placed) => placed.logs(view),
                None => Vec::new(),
            },
        }
    }

    fn request(
        &self,
        view: &View<'_>,
        achievement: &Achievement,
    ) -> (UnlockRequest, Option<Counted>) {
        let contract = &self.contract;
        let id = UnlockId::of(contract.chain_id, contract.address, achievement.id, view.address);
        let (evidence, last) = self.evidence(view, achievement);
        let request = UnlockRequest {
            id,
            rule_set: self.id.clone(),
            achievement: achievement.name.clone(),
            achievement_id: achievement.id,
            contract: contract.name.clone(),
            // There is always one: a set without is not compiled.
            signer: achievement.signer_of(id).unwrap_or(&self.id).clone(),
            user: view.address,
            on_retract: achievement.on_retract,
            urgency: achievement.urgency,
            evidence,
        };
        (request, last)
    }

    /// The logs that counted: those of every leaf that makes the condition
    /// hold, and the confirmations of the prerequisites; and the last of them.
    fn evidence(&self, view: &View<'_>, achievement: &Achievement) -> (Evidence, Option<Counted>) {
        let mut named: BTreeMap<(Position, EventId), Counted> = BTreeMap::new();
        let mut unnamed = 0;
        let mut add = |log: &Counted| {
            named.insert((log.position(), log.item().event), log.clone());
        };
        let confirmed = |name| memory::unlocked(view.state, view.address, name);
        achievement.requires.iter().filter_map(confirmed).for_each(&mut add);
        for leaf in self.deciding_leaves(view, achievement, &achievement.when) {
            let logs = self.logs(view, leaf);
            let total = self.shown(view, leaf).total;
            unnamed += total.saturating_sub(logs.len() as u64);
            logs.iter().for_each(&mut add);
        }
        // A log that counted for two leaves is one log. Beyond the named ones
        // that can't be told any more: they are counted per leaf.
        let total = named.len() as u64 + unnamed;
        let skipped = named.len().saturating_sub(Evidence::MAX_ITEMS);
        let last = named.values().next_back().cloned();
        let items = named.into_values().skip(skipped).map(|log| log.item().clone()).collect();
        (Evidence { rule_version: self.version, items, total }, last)
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

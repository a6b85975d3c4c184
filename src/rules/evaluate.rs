//! Evaluating a rule set over ordered events.

use alloy::primitives::{Address, U256};

use super::{
    decide::{Cause, Touched},
    facts::Facts,
    memory::{self, Counted, Key, State, View},
    meter::{Measure, Signal},
    model::RuleSet,
    number::Number,
    places::Places,
    prerequisites,
    proposals::Settlement,
    reading::{Placed, Shown},
    sequence::Sequence,
    tally,
    tree::{EventLeaf, Having, Leaf, RatioLeaf},
    unlock::Unlock,
    user::User,
    who::Who,
};
use crate::{
    domain::{Event, Evidence, Name},
    fold::Fold,
};

/// One event, and everybody whom it touches.
struct Happening<'f, 'e> {
    facts: &'f Facts<'e>,
    touched: Touched,
    /// An event names several people, each a few times: see [`Who`].
    people: Vec<Who>,
    /// The tallies that it belongs to.
    tallied: Vec<usize>,
}

impl Happening<'_, '_> {
    /// Where a user is among the people.
    fn at(&mut self, state: &State, address: Address) -> usize {
        let known = self.people.iter().position(|who| who.address == address);
        known.unwrap_or_else(|| {
            self.people.push(Who::of(state, address));
            self.people.len() - 1
        })
    }
}

impl Fold for RuleSet {
    type Output = Unlock;
    type Key = Key;

    fn waits(&self, chain_id: u64, block: u64, time: u64, state: &State) -> bool {
        !self.questions(state, chain_id, block, time).is_empty()
    }

    /// What was waited for is looked at as of the time that it was waited for:
    /// whichever block begins after it.
    fn begin_block(
        &self,
        chain_id: u64,
        block: u64,
        time: u64,
        state: &mut State,
        output: &mut Vec<Unlock>,
    ) {
        for settlement in self.endings(state, chain_id, block, time) {
            self.decide_due(settlement.time, state, output);
            self.settle(&settlement, state, output);
        }
        self.decide_due(time, state, output);
    }

    fn apply(&self, event: &Event, state: &mut State, output: &mut Vec<Unlock>) {
        let facts = Facts::of(event, &self.links, state);
        let settlements = self.ended_by(&facts, state);
        self.happen(&facts, state, output);
        for settlement in &settlements {
            self.settle(settlement, state, output);
        }
    }
}

impl RuleSet {
    /// Voting on a proposal is over.
    fn settle(&self, settlement: &Settlement, state: &mut State, output: &mut Vec<Unlock>) {
        let (mut touched, mut tallied, mut created) = (Touched::default(), Vec::new(), None);
        for (event, log) in self.outcome(settlement, state) {
            // The first one is told of the proposal itself.
            created.get_or_insert_with(|| log.clone());
            let facts = Facts::from_log(&event, log, &self.links, state);
            let mut event = self.note(&facts, state);
            touched.append(event.touched);
            tallied.append(&mut event.tallied);
            for who in event.people {
                who.finish(state);
            }
        }
        // Only now everybody's part in it is known.
        self.touch_members(&tallied, state, &mut touched);
        let cause = created.as_ref().map_or(Cause::Time, Cause::Ended);
        for (user, achievements) in touched.into_users() {
            let mut who = Who::of(state, user);
            for achievement in achievements.iter() {
                self.decide(&mut who, achievement, settlement.time, cause, state, output);
            }
            who.finish(state);
        }
    }

    /// Counts an event and decides for whom it touches.
    fn happen(&self, facts: &Facts<'_>, state: &mut State, output: &mut Vec<Unlock>) {
        let mut event = self.note(facts, state);
        let now = event.facts.event.position.time;
        self.touch_members(&event.tallied, state, &mut event.touched);
        let cause = Cause::Event(&event.facts.log);
        for (user, achievements) in event.touched.into_users() {
            // Or one to whom it only matters.
            let known = event.people.iter().position(|who| who.address == user);
            let mut who = match known {
                Some(at) => event.people.swap_remove(at),
                None => Who::of(state, user),
            };
            for achievement in achievements.iter() {
                self.decide(&mut who, achievement, now, cause, state, output);
            }
            who.finish(state);
        }
        for who in event.people {
            who.finish(state);
        }
    }

    /// Counts an event, without deciding anything.
    fn note<'f, 'e>(&self, facts: &'f Facts<'e>, state: &mut State) -> Happening<'f, 'e> {
        let (touched, people, tallied) = (Touched::default(), Vec::new(), Vec::new());
        let mut event = Happening { facts, touched, people, tallied };
        self.move_holdings(event.facts, state, &mut event.touched);
        self.note_confirmation(&mut event, state);
        self.count(&mut event, state);
        // From then on.
        self.relink(event.facts, state, &mut event.touched);
        event
    }

    /// Keeps which prerequisites are on chain.
    fn note_confirmation(&self, happening: &mut Happening<'_, '_>, state: &mut State) {
        let facts = happening.facts;
        if facts.event.contract != self.contract.name {
            return;
        }
        let [unlocked, revoked] = prerequisites::EVENTS;
        let by = match facts.event.name.as_str() {
            name if name == unlocked => Some(&facts.log),
            name if name == revoked => None,
            _ => return,
        };
        let (Some(user), Some(id)) = (facts.owner("user"), facts.uint("id")) else { return };
        let Some((required, achievements)) = self.index.by_prerequisite.get(&id) else { return };
        memory::set_unlocked(state, user, *required, by);
        happening.touched.touch(user, achievements);
    }

    /// Counts the event by every meter whose filter it meets.
    fn count(&self, happening: &mut Happening<'_, '_>, state: &mut State) {
        let Event { contract, name, .. } = happening.facts.event;
        let of_contract = self.index.by_event.get(contract);
        let meters = of_contract.and_then(|events| events.get(name));
        let tallies = self.index.tallies.get(contract).and_then(|events| events.get(name));
        let time = happening.facts.event.position.time;
        if time < self.since {
            return;
        }
        for place in tallies.into_iter().flatten() {
            if let Some(tally) = self.tallies.get(*place) {
                tally::add(state, *place, &tally.window, time);
                happening.tallied.push(*place);
            }
        }
        for alike in meters.into_iter().flatten() {
            let Some(first) = self.meter(alike.first) else { continue };
            if let Measure::Sequence(sequence) = &first.meter.measure {
                self.follow(first, sequence, happening, state);
                continue;
            }
            let signal = &first.meter.signal;
            let Some(user) = happening.facts.member(&signal.subject) else { continue };
            if !signal.filter.is_met(happening.facts) || !self.has_held(state, signal, user) {
                continue;
            }
            let at = happening.at(state, user);
            let Happening { facts, people, touched, .. } = &mut *happening;
            let Some(who) = people.get_mut(at) else { continue };
            let mut looking = Places::default();
            for placed in alike.places().filter_map(|place| self.meter(place)) {
                if placed.count(facts, state, who) {
                    self.look(placed, who.user(), &mut looking);
                }
            }
            if !looking.is_empty() {
                touched.touch(user, &looking);
            }
        }
    }

    /// Adds the achievements that are to be looked at after a meter counted something.
    fn look(&self, placed: Placed<'_>, user: &User, looking: &mut Places) {
        if let Some(always) = self.index.by_meter.get(placed.place) {
            looking.extend(always);
        }
        let Some(by_shown) = self.index.by_shown.get(placed.place) else { return };
        let Some((least, _)) = by_shown.first() else { return };
        let Some(shown) = placed.reached(user).filter(|shown| shown >= least) else { return };
        for (_, achievement) in by_shown.iter().take_while(|(needed, _)| *needed <= shown) {
            if user.requested(*achievement).is_none() {
                looking.insert(*achievement);
            }
        }
    }

    /// Takes a sequence's steps with an event, of each of whom it is about.
    fn follow(
        &self,
        placed: Placed<'_>,
        sequence: &Sequence,
        happening: &mut Happening<'_, '_>,
        state: &mut State,
    ) {
        for user in happening.facts.users(placed.meter.signals()) {
            let at = happening.at(state, user);
            let Happening { facts, people, touched, .. } = &mut *happening;
            let Some(who) = people.get_mut(at) else { continue };
            let held = |state: &State, signal: &Signal| self.has_held(state, signal, user);
            if placed.follow(sequence, facts, held, state, who)
                && let Some(looking) = self.index.by_meter.get(placed.place)
            {
                touched.touch(user, looking);
            }
        }
    }

    /// Whether a user has what must be had at an event.
    fn has_held(&self, state: &State, signal: &Signal, user: Address) -> bool {
        let held = signal.holding.as_ref();
        held.is_none_or(|it| self.held(state, it, user) >= it.at_least)
    }

    /// The place of an achievement.
    pub(super) fn place(&self, achievement: &Name) -> Option<usize> {
        self.achievements.binary_search_by(|it| it.name.cmp(achievement)).ok()
    }

    /// The confirmation that a user has a prerequisite.
    pub(super) fn unlocked(&self, view: &View<'_>, required: &Name) -> Option<Counted> {
        memory::unlocked(view.state, view.address, self.place(required)?)
    }

    pub(super) fn meter(&self, place: usize) -> Option<Placed<'_>> {
        self.meters.get(place).map(|meter| Placed { meter, place })
    }

    /// What a leaf asks about shows of a user.
    pub(super) fn shown(&self, view: &View<'_>, leaf: &Leaf) -> Shown {
        match leaf {
            Leaf::Listed(leaf) => {
                let met = U256::from(u8::from(self.is_listed(view.state, leaf, view.address)));
                Shown { number: Some(Number::Uint(met)), total: 0 }
            }
            Leaf::Holds(leaf) => {
                let held = self.held(view.state, &leaf.tokens, view.address);
                let total = match leaf.tokens.what {
                    // Of amounts the latest log stands for all.
                    Having::Amount | Having::Item(_) => u64::from(!held.is_zero()),
                    _ => u64::try_from(held).unwrap_or(u64::MAX),
                };
                Shown { number: Some(Number::Uint(held)), total }
            }
            Leaf::Events(leaf) => match self.meter(leaf.meter) {
                Some(placed) => placed.shown(view),
                None => Shown { number: None, total: 0 },
            },
            Leaf::Ratio(leaf) => {
                let part = self.part(view, leaf);
                Shown { number: Some(Number::Uint(U256::from(part.bps()))), total: part.taken }
            }
        }
    }

    /// Adds the latest logs by which a leaf shows what it shows, in position order.
    pub(super) fn logs(&self, view: &View<'_>, leaf: &Leaf, into: &mut Vec<Counted>) {
        match leaf {
            // No log says so.
            Leaf::Listed(_) => {}
            Leaf::Holds(leaf) => {
                let logs = self.receipts(view.state, leaf.tokens.place, view.address);
                let most = match leaf.tokens.what {
                    // See above.
                    Having::Amount | Having::Item(_) => 1,
                    _ => Evidence::MAX_ITEMS,
                };
                let earlier = logs.len().saturating_sub(most);
                into.extend(logs.into_iter().skip(earlier));
            }
            Leaf::Events(EventLeaf { meter, .. }) | Leaf::Ratio(RatioLeaf { meter, .. }) => {
                if let Some(placed) = self.meter(*meter) {
                    placed.logs(view, into);
                }
            }
        }
    }
}

//! Deciding who has earned what, and when to look again.

use std::{borrow::Cow, collections::BTreeMap};

use alloy::primitives::Address;

use super::{
    again::Chance,
    memory::{self, Counted, Key, State, View},
    model::{Mode, RuleSet},
    places::Places,
    tally,
    unlock::Unlock,
    verdict::Verdict,
    who::{By, Who},
};

/// Users with an achievement (by index) whose conditions an event may have
/// changed. Decided in the order of addresses, then of the achievements' names.
#[derive(Default)]
pub(super) struct Touched(BTreeMap<Address, Places>);

impl Touched {
    pub(super) fn touch(&mut self, user: Address, achievements: &Places) {
        self.0.entry(user).or_default().extend(achievements);
    }

    pub(super) fn append(&mut self, others: Self) {
        for (user, achievements) in others.0 {
            self.touch(user, &achievements);
        }
    }

    /// Them, in the order of decisions.
    pub(super) fn into_users(self) -> impl Iterator<Item = (Address, Places)> {
        self.0.into_iter()
    }
}

/// Why something is decided now.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause<'l> {
    /// This event.
    Event(&'l Counted),
    /// Voting ended on the proposal that this log created.
    Ended(&'l Counted),
    /// The time has come.
    Time,
}

impl<'l> Cause<'l> {
    fn log(self) -> Option<&'l Counted> {
        match self {
            Self::Event(log) | Self::Ended(log) => Some(log),
            Self::Time => None,
        }
    }
}

impl RuleSet {
    /// Decides what was waited for until a time.
    pub(super) fn decide_due(&self, time: u64, state: &mut State, output: &mut Vec<Unlock>) {
        while let Some((due, user, place)) = memory::first_due(state).filter(|it| it.0 <= time) {
            let mut who = Who::of(state, user);
            // Gone in any case: whatever follows, this loop ends.
            state.set(Key::Due(due, user, place), None);
            let achievement = place as usize;
            who.wait(state, achievement, None);
            self.decide(&mut who, achievement, due, Cause::Time, state, output);
            who.finish(state);
        }
    }

    /// Those to whom it matters how often something happened to everybody.
    pub(super) fn touch_members(&self, tallied: &[usize], state: &State, touched: &mut Touched) {
        let looking = |tally: &usize| self.index.by_tally.get(*tally).into_iter().flatten();
        for (achievement, meter) in tallied.iter().flat_map(looking) {
            let achievement = Places::from_iter([*achievement]);
            for user in tally::members(state, *meter) {
                touched.touch(user, &achievement);
            }
        }
    }

    /// Asks for an achievement that is earned at a block time; what may be earned
    /// later is waited for.
    pub(super) fn decide(
        &self,
        who: &mut Who,
        index: usize,
        now: u64,
        cause: Cause<'_>,
        state: &mut State,
        output: &mut Vec<Unlock>,
    ) {
        let Some(achievement) = self.achievements.get(index) else { return };
        if now < self.since {
            // Whoever has what is asked for then has it from then on.
            return who.wait(state, index, Some(self.since));
        }
        let view = who.view(state, now);
        if achievement.mode == Mode::While && view.user.requested(index).is_some() {
            return self.keep_or_lose(who, index, now, cause.log(), state, output);
        }
        let chance = achievement.chance(&view.user, index, now);
        if chance == Chance::Never {
            return;
        }
        let is_taken = achievement.first.is_some_and(|first| memory::taken(state, index) >= first);
        let verdict = match chance {
            Chance::Now(_) if !is_taken => self.verdict(&view, achievement),
            _ => Verdict::No,
        };
        let earned = match (verdict, chance) {
            (Verdict::Holds, Chance::Now(time)) => Some(self.request(&view, achievement, time)),
            _ => None,
        };
        if let Some((request, last)) = earned {
            // Something that somebody did is always among it: see `Condition::begins`.
            match (cause, &last) {
                (Cause::Event(log), _) => who.request(state, index, By::Present(log)),
                (_, Some(last)) => who.request(state, index, By::Other(last)),
                (_, None) => {}
            }
            if let Some(period) = achievement.every.and_then(|it| it.period.number(now)) {
                who.earned(index, period);
            }
            if achievement.first.is_some() {
                memory::take(state, index);
            }
            let unlock = Unlock::of(request, now);
            if achievement.mode == Mode::While {
                self.keep(who, index, now, &unlock, state);
                return output.push(unlock);
            }
            output.push(unlock);
        }
        let later = self.later(&who.view(state, now), index, verdict);
        who.wait(state, index, later);
    }

    /// When an achievement must be looked at again if nothing happens until then,
    /// after what was found now.
    pub(super) fn later(&self, view: &View<'_>, index: usize, found: Verdict) -> Option<u64> {
        let achievement = self.achievements.get(index)?;
        if self.is_linked(view.state, view.address) {
            return None;
        }
        // What part it is of changes by forgetting, too: then is only the time to look.
        let forgets = match found {
            Verdict::Holds => None,
            Verdict::From(_) | Verdict::No => self.ratios_change(view, achievement),
        };
        let Some(every) = achievement.every else {
            return found.later().into_iter().chain(forgets).min();
        };
        if achievement.chance(&view.user, index, view.now) == Chance::Never {
            return None;
        }
        // In the next period other events count, or none.
        let next = every.period.next(view.now)?;
        let soon = found.later().into_iter().chain(forgets).min();
        if let Some(time) = soon.filter(|time| *time < next) {
            return Some(time);
        }
        let then = View { user: Cow::Borrowed(&*view.user), now: next, ..*view };
        match self.verdict(&then, achievement) {
            Verdict::Holds => Some(next),
            verdict => verdict.later(),
        }
    }
}

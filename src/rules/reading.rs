//! Moving meters on, and reading them.

use alloy::primitives::{Address, B128, U256};

use super::{
    facts::Facts,
    memory::{self, Counted, Key, State, View},
    meter::{Aggregate, Measure, Meter, Window},
    model::{Bound, Number},
    streak::Turn,
    tally,
    user::{Entry, User},
    who::Who,
};
use crate::domain::{Evidence, FieldType};

/// What a meter shows of a user.
pub(super) struct Shown {
    /// `None` of the greatest or smallest number of nothing.
    pub(super) number: Option<Number>,
    /// Logs that counted, in all.
    pub(super) total: u64,
}

impl Shown {
    /// So many of something.
    pub(super) fn of(total: u64) -> Self {
        Self { number: Some(Number::Uint(U256::from(total))), total }
    }
}

/// A meter at its place.
#[derive(Clone, Copy)]
pub(super) struct Placed<'m> {
    pub(super) meter: &'m Meter,
    pub(super) place: usize,
}

impl Placed<'_> {
    /// Counts an event of a user that meets the filter and has what must be had at it.
    /// A value that `distinct` has counted
    /// already, or a field that is not of its schema's type, counts for nothing.
    /// Returns whether anything changed.
    pub(super) fn count(self, facts: &Facts<'_>, state: &mut State, who: &mut Who) -> bool {
        let time = facts.event.position.time;
        let rolls = matches!(self.meter.window, Window::Last { .. });
        let begins = match self.begins(who.user(), time) {
            Ok(begins) => begins,
            Err(Beyond) => return false,
        };
        let is_enough =
            self.meter.enough.filter(|_| !rolls && begins.is_none()).is_some_and(|enough| {
                let counted = who.user().counted(self.place);
                let shown = || self.of(counted, who.user().number(self.place));
                counted > 0 && shown().is_some_and(|shown| shown >= enough)
            });
        if is_enough || !self.is_within(who.user(), time) {
            return false;
        }
        let (mut number, mut value, mut turn_now) = (None, None, None);
        match &self.meter.measure {
            Measure::Count => {}
            // See `Placed::follow`.
            Measure::Sequence(_) => return false,
            Measure::Streak { turn, .. } => {
                turn_now = self.turn(turn, state, time);
                let streak = who.user().streak(self.place);
                let is_noted = |turn| streak.is_some_and(|streak| streak.has(turn));
                if turn_now.is_none_or(is_noted) {
                    return false;
                }
            }
            Measure::Distinct { field, field_type } => {
                value = facts.mark(field, field_type);
                if let Window::Each(period) = self.meter.window {
                    value = value.map(|value| in_period(value, period.number(time)));
                }
                if value.is_none() {
                    return false;
                }
            }
            Measure::Of { field, field_type, .. } => {
                number = facts.number(field, field_type);
                if number.is_none() {
                    return false;
                }
            }
        }
        if self.meter.has_members {
            let member = Key::Member(memory::place(self.place), who.address);
            if state.value(&member).is_none() {
                memory::write(state, member, &());
            }
        }
        if let Window::Last { seconds } = self.meter.window {
            let log = who.numbered(state, &facts.log);
            let entry = Entry { time, log, number: number.map(Box::new), value };
            self.roll(entry, seconds, who);
            return true;
        }
        if let Some(value) = value
            && !self.is_new(state, who.address, value)
        {
            return false;
        }
        if let Some(period) = begins {
            who.user_mut().begin_period(self.place, period);
            who.unnamed();
        }
        let log = who.numbered(state, &facts.log);
        let user = who.user_mut();
        if let (Measure::Streak { grace, .. }, Some(turn)) = (&self.meter.measure, turn_now) {
            user.note_turn(self.place, turn, *grace);
            who.unnamed();
        }
        let user = who.user_mut();
        if let (Measure::Of { aggregate, .. }, Some(number)) = (&self.meter.measure, number) {
            let so_far = user.number(self.place);
            let number = so_far.map_or(number, |so_far| aggregate.of(so_far, number));
            user.set_number(self.place, number);
        }
        if self.meter.is_anchor && user.first(self.place).is_none() {
            user.set_first(self.place, time);
        }
        if user.count(self.place, log, Evidence::MAX_ITEMS) {
            who.unnamed();
        }
        true
    }

    /// Puts an entry into a rolling window, and takes out what is too old.
    fn roll(self, entry: Entry, seconds: u64, who: &mut Who) {
        let Entry { time, log, value, .. } = entry;
        let user = who.user_mut();
        let entries = user.rolling_mut(self.place);
        let mut dropped = Vec::new();
        entries.retain(|entry| {
            // The latest of a value is the one that is forgotten last.
            let again = value.is_some() && entry.value == value;
            let stays = entry.time + seconds > time && !again;
            if !stays {
                dropped.push(entry.log);
            }
            stays
        });
        entries.push(entry);
        if let Some(Number::Uint(enough)) = self.meter.enough {
            let most = usize::try_from(enough).unwrap_or(usize::MAX).max(1);
            let more = entries.len().saturating_sub(most);
            dropped.extend(entries.drain(..more).map(|entry| entry.log));
        }
        user.refer(self.place, log);
        for log in &dropped {
            user.refer_no_more(self.place, *log);
        }
        if !dropped.is_empty() {
            who.unnamed();
        }
    }

    /// Whether this meter has not counted a value, which it does now.
    fn is_new(self, state: &mut State, user: Address, value: B128) -> bool {
        let key = Key::Seen(user, value);
        let place = memory::place(self.place);
        let mut by: Vec<u32> = memory::read(state, &key).unwrap_or_default();
        if by.contains(&place) {
            return false;
        }
        by.push(place);
        memory::write(state, key, &by);
        true
    }

    /// The day, week or month that begins for the user with an event of a time.
    pub(super) fn begins(self, user: &User, time: u64) -> Result<Option<u64>, Beyond> {
        let Window::Each(period) = self.meter.window else { return Ok(None) };
        let now = period.number(time).ok_or(Beyond)?;
        Ok((user.period(self.place) != Some(now)).then_some(now))
    }

    /// Whether the window lets events of this time count for the user.
    fn is_within(self, user: &User, time: u64) -> bool {
        match self.meter.window {
            Window::Always | Window::Each(_) | Window::Last { .. } => true,
            Window::Between { from, to } => {
                from.is_none_or(|from| from <= time) && to.is_none_or(|to| time < to)
            }
            Window::Within { seconds, of } => {
                let first = user.first(of);
                first.is_some_and(|first| time.saturating_sub(first) <= seconds)
            }
        }
    }

    /// The block time from which on a user's rolling window keeps to a bound by
    /// forgetting alone, where it doesn't now.
    pub(super) fn later(self, view: &View<'_>, bound: Bound) -> Option<u64> {
        let (Window::Last { seconds }, Measure::Of { aggregate, field_type, .. }) =
            (&self.meter.window, &self.meter.measure)
        else {
            return None;
        };
        let may_help = match (aggregate, bound) {
            (Aggregate::Sum, _) => *field_type == FieldType::Int,
            (Aggregate::Max, Bound::AtMost(_)) | (Aggregate::Min, Bound::AtLeast(_)) => true,
            _ => false,
        };
        if !may_help {
            return None;
        }
        let entries = self.entries(view, *seconds);
        // What is left after each is forgotten, from the last on.
        let mut left = matches!(aggregate, Aggregate::Sum).then(|| Number::zero(field_type));
        let mut first = None;
        for entry in entries.iter().rev() {
            if bound.is_kept(left) {
                first = Some(entry.time + seconds);
            }
            left = match (left, entry.number.as_deref().copied()) {
                (Some(left), Some(number)) => Some(aggregate.of(left, number)),
                (left, number) => number.or(left),
            };
        }
        first
    }

    /// The block time from which on nothing more counts for a user; `None` where
    /// that is not settled, or never.
    pub(super) fn closes(self, user: &User) -> Option<u64> {
        match self.meter.window {
            Window::Always | Window::Each(_) | Window::Last { .. } => None,
            Window::Between { to, .. } => to,
            Window::Within { seconds, of } => Some(user.first(of)? + seconds + 1),
        }
    }

    /// What it shows of so many logs, and what it made of their numbers.
    fn of(self, counted: u64, number: Option<Number>) -> Option<Number> {
        match self.meter.measure {
            Measure::Count
            | Measure::Distinct { .. }
            | Measure::Streak { .. }
            | Measure::Sequence(_) => Some(Number::Uint(U256::from(counted))),
            Measure::Of { aggregate: Aggregate::Sum, ref field_type, .. } => {
                Some(number.unwrap_or_else(|| Number::zero(field_type)))
            }
            Measure::Of { .. } => number,
        }
    }

    /// The number of a streak's turn at a time.
    fn turn(self, turn: &Turn, state: &State, time: u64) -> Option<u64> {
        turn.number(time, || tally::in_all(state, self.meter.tally))
    }

    /// What it shows of a user.
    pub(super) fn shown(self, view: &View<'_>) -> Shown {
        if let Measure::Sequence(_) = self.meter.measure {
            return self.steps(view);
        }
        if let Measure::Streak { turn, grace } = &self.meter.measure {
            let now = self.turn(turn, view.state, view.now).unwrap_or(u64::MAX);
            let streak = view.user.streak(self.place);
            return Shown::of(streak.map_or(0, |streak| streak.length(now, *grace)));
        }
        if !matches!(self.begins(&view.user, view.now), Ok(None)) {
            return Shown { number: self.of(0, None), total: 0 };
        }
        let Window::Last { seconds } = self.meter.window else {
            let total = view.user.counted(self.place);
            return Shown { number: self.of(total, view.user.number(self.place)), total };
        };
        let entries = self.entries(view, seconds);
        let mut made = None;
        if let Measure::Of { aggregate, .. } = self.meter.measure {
            for number in entries.iter().filter_map(|entry| entry.number.as_deref().copied()) {
                made = Some(made.map_or(number, |so_far| aggregate.of(so_far, number)));
            }
        }
        let total = entries.len() as u64;
        Shown { number: self.of(total, made), total }
    }

    /// What is in a rolling window.
    pub(super) fn entries<'v>(self, view: &'v View<'_>, seconds: u64) -> &'v [Entry] {
        let entries = view.user.rolling(self.place);
        let gone = entries.partition_point(|entry| entry.time + seconds <= view.now);
        entries.get(gone..).unwrap_or_default()
    }

    /// The latest logs that counted, in position order, at most
    /// [`Evidence::MAX_ITEMS`].
    pub(super) fn logs(self, view: &View<'_>) -> Vec<Counted> {
        if let Measure::Sequence(_) = self.meter.measure {
            return self.step_logs(view);
        }
        let log = |number: u32| view.log(number);
        match self.meter.window {
            Window::Last { seconds } => {
                let entries = self.entries(view, seconds);
                let latest = entries.len().saturating_sub(Evidence::MAX_ITEMS);
                entries.iter().skip(latest).filter_map(|entry| log(entry.log)).collect()
            }
            _ => {
                // A streak shows less than it has counted when some was missed since.
                let shown = usize::try_from(self.shown(view).total).unwrap_or(usize::MAX);
                let named: Vec<u32> = view.user.named(self.place).collect();
                let latest = named.len().saturating_sub(shown);
                named.into_iter().skip(latest).filter_map(log).collect()
            }
        }
    }
}

/// A time beyond the calendar.
pub(super) struct Beyond;

/// A value that counts once in each of some periods.
fn in_period(value: B128, period: Option<u64>) -> B128 {
    // Half of a hash: no two of them differ by so small a number by chance.
    value ^ B128::from(u128::from(period.unwrap_or_default()).to_be_bytes())
}

impl Aggregate {
    /// Of two numbers of one kind. A sum stops at the end of its type.
    fn of(self, a: Number, b: Number) -> Number {
        match (self, a, b) {
            (Self::Sum, Number::Uint(a), Number::Uint(b)) => Number::Uint(a.saturating_add(b)),
            (Self::Sum, Number::Int(a), Number::Int(b)) => Number::Int(a.saturating_add(b)),
            (Self::Max, a, b) => a.max(b),
            (Self::Min, a, b) => a.min(b),
            (Self::Sum, a, _) => a,
        }
    }
}

impl Bound {
    /// Whether a number keeps to it.
    pub(super) fn is_kept(self, shown: Option<Number>) -> bool {
        shown.is_some_and(|shown| match self {
            Self::AtLeast(number) => shown >= number,
            Self::AtMost(number) => shown <= number,
        })
    }
}

//! Moving meters on, and reading them.

use alloy::primitives::{B128, U256};
use smallvec::SmallVec;

use super::{
    facts::Facts,
    marks,
    memory::{self, Counted, Key, State, View},
    meter::{Aggregate, Measure, Meter, Window},
    number::Number,
    records::Entry,
    streak::Turn,
    tally,
    tree::Bound,
    user::User,
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
                let is_noted = |turn| streak.as_ref().is_some_and(|streak| streak.has(turn));
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
            self.roll(&Entry { time, log, number, value }, seconds, who);
            return true;
        }
        if let Some(value) = value
            && !marks::see(state, who.address, value, self.place)
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
    fn roll(self, entry: &Entry, seconds: u64, who: &mut Who) {
        let Entry { time, log, value, .. } = *entry;
        let most = match self.meter.enough {
            Some(Number::Uint(enough)) => usize::try_from(enough).unwrap_or(usize::MAX).max(1),
            _ => usize::MAX,
        };
        // The latest of a value is the one that is forgotten last.
        let goes =
            |old: &Entry| old.time + seconds <= time || (value.is_some() && old.value == value);
        let user = who.user_mut();
        let dropped = user.roll(self.place, entry, most, goes);
        user.refer(self.place, log);
        for log in &dropped {
            user.refer_no_more(self.place, *log);
        }
        if !dropped.is_empty() {
            who.unnamed();
        }
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
        for entry in entries.rev() {
            if bound.is_kept(left) {
                first = Some(entry.time + seconds);
            }
            left = match (left, entry.number) {
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

    /// What it shows of a user whatever the time, where that moves it ([`Meter::is_moved_by_its_events`]).
    pub(super) fn reached(self, user: &User) -> Option<Number> {
        self.of(user.counted(self.place), user.number(self.place))
    }

    /// Whether there is something that a sum could be of: nothing comes to zero, but not before
    /// the event of the user's that its window begins with.
    fn has_begun(self, user: &User) -> bool {
        let Measure::Of { .. } = self.meter.measure else { return true };
        let Window::Within { of, .. } = self.meter.window else { return true };
        user.first(of).is_some()
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
            let number = self.of(total, view.user.number(self.place));
            return Shown { number: number.filter(|_| self.has_begun(&view.user)), total };
        };
        let entries = self.entries(view, seconds);
        let total = entries.len() as u64;
        let mut made = None;
        if let Measure::Of { aggregate, .. } = self.meter.measure {
            for number in entries.filter_map(|entry| entry.number) {
                made = Some(made.map_or(number, |so_far| aggregate.of(so_far, number)));
            }
        }
        Shown { number: self.of(total, made), total }
    }

    /// What is in a rolling window.
    pub(super) fn entries<'v>(
        self,
        view: &'v View<'_>,
        seconds: u64,
    ) -> impl DoubleEndedIterator<Item = Entry> + ExactSizeIterator + use<'v> {
        let entries = view.user.rolling(self.place);
        let is_gone = |entry: &Entry| entry.time + seconds <= view.now;
        let gone = entries.clone().take_while(is_gone).count();
        entries.skip(gone)
    }

    /// Adds the latest logs that counted, in position order, at most
    /// [`Evidence::MAX_ITEMS`].
    pub(super) fn logs(self, view: &View<'_>, into: &mut Vec<Counted>) {
        if let Measure::Sequence(_) = self.meter.measure {
            return into.extend(self.step_logs(view));
        }
        let log = |number: u32| view.log(number);
        match self.meter.window {
            Window::Last { seconds } => {
                let entries = self.entries(view, seconds);
                let latest = entries.len().saturating_sub(Evidence::MAX_ITEMS);
                into.extend(entries.skip(latest).filter_map(|entry| log(entry.log)));
            }
            _ => {
                // A streak shows less than it has counted when some was missed since.
                let shown = usize::try_from(self.shown(view).total).unwrap_or(usize::MAX);
                let named: SmallVec<[u32; 8]> = view.user.named(self.place).collect();
                let latest = named.len().saturating_sub(shown);
                into.extend(named.into_iter().skip(latest).filter_map(log));
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

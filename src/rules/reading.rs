//! Moving meters on, and reading them.

use std::sync::Arc;

use alloy::primitives::{Address, B128, U256, keccak256};

use super::{
    memory::{self, Counted, Memory, State, View},
    meter::{Aggregate, Measure, Meter, Window},
    model::{Bound, Number},
    user::{Entry, Reading, User},
};
use crate::domain::{Event, Evidence, FieldType, Value};

/// What a meter shows of a user.
pub(super) struct Shown {
    /// `None` of the greatest or smallest number of nothing.
    pub(super) number: Option<Number>,
    /// Logs that counted, in all.
    pub(super) total: u64,
}

/// A meter at its place.
#[derive(Clone, Copy)]
pub(super) struct Placed<'m> {
    pub(super) meter: &'m Meter,
    pub(super) place: usize,
}

/// One user while an event is counted.
pub(super) struct Counting<'e> {
    pub(super) address: Address,
    user: Arc<User>,
    event: &'e Event,
    log: &'e Counted,
    /// The event's number among the user's logs, once anything counted it.
    number: Option<u32>,
    /// Logs that something stopped naming.
    dropped: Vec<u32>,
}

impl<'e> Counting<'e> {
    pub(super) fn new(state: &State, address: Address, event: &'e Event, log: &'e Counted) -> Self {
        let user = memory::user(state, address).cloned().unwrap_or_default();
        Self { address, user, event, log, number: None, dropped: Vec::new() }
    }

    fn reading(&self, place: usize) -> Option<&Reading> {
        self.user.meter(place)
    }

    fn reading_mut(&mut self, place: usize) -> &mut Reading {
        Arc::make_mut(&mut self.user).meter_mut(place)
    }

    fn numbered(&mut self) -> u32 {
        match self.number {
            Some(number) => number,
            None => *self.number.insert(Arc::make_mut(&mut self.user).next_log()),
        }
    }

    /// Writes the user down, if anything changed.
    pub(super) fn finish(self, state: &mut State) {
        for dropped in self.dropped {
            if !self.user.names(dropped) {
                state.remove(&memory::log_key(self.address, dropped));
            }
        }
        let Some(number) = self.number else { return };
        let log = Memory::Log(self.log.clone());
        state.set(&memory::log_key(self.address, number), Some(log));
        memory::set_user(state, self.address, self.user);
    }
}

impl Placed<'_> {
    /// Counts an event of a user that meets the filter. A value that `distinct`
    /// has counted already, or a field that is not of its schema's type, counts
    /// for nothing. Returns whether anything changed.
    pub(super) fn count(self, state: &mut State, who: &mut Counting<'_>) -> bool {
        let time = who.event.position.time;
        let reading = who.reading(self.place);
        let rolls = matches!(self.meter.window, Window::Last { .. });
        let is_enough = self.meter.enough.filter(|_| !rolls).is_some_and(|enough| {
            reading.is_some_and(|reading| {
                reading.counted > 0 && self.of(reading).is_some_and(|shown| shown >= enough)
            })
        });
        if is_enough || !self.is_within(&who.user, time) {
            return false;
        }
        let holding = self.meter.holding.as_ref();
        if holding.is_some_and(|it| memory::tokens(state, &it.nft, who.address) < it.at_least) {
            return false;
        }
        let (mut number, mut value) = (None, None);
        match &self.meter.measure {
            Measure::Count => {}
            Measure::Distinct { field, field_type } => {
                value = distinct(who.event, field, field_type);
                if value.is_none() {
                    return false;
                }
            }
            Measure::Of { field, field_type, .. } => {
                number = number_in(who.event, field, field_type);
                if number.is_none() {
                    return false;
                }
            }
        }
        if let Window::Last { seconds } = self.meter.window {
            let log = who.numbered();
            let reading = who.reading_mut(self.place);
            let mut dropped = Vec::new();
            reading.entries.retain(|entry| {
                // The latest of a value is the one that is forgotten last.
                let again = value.is_some() && entry.value == value;
                let stays = entry.time + seconds > time && !again;
                if !stays {
                    dropped.push(entry.log);
                }
                stays
            });
            reading.entries.push(Entry { time, log, number, value });
            if let Some(Number::Uint(enough)) = self.meter.enough {
                let most = usize::try_from(enough).unwrap_or(usize::MAX).max(1);
                let more = reading.entries.len().saturating_sub(most);
                dropped.extend(reading.entries.drain(..more).map(|entry| entry.log));
            }
            who.dropped.extend(dropped);
            return true;
        }
        if let Some(value) = value
            && !self.is_new(state, who.address, value)
        {
            return false;
        }
        let log = who.numbered();
        let reading = who.reading_mut(self.place);
        if let (Measure::Of { aggregate, .. }, Some(number)) = (&self.meter.measure, number) {
            let so_far = reading.number;
            reading.number = Some(so_far.map_or(number, |so_far| aggregate.of(so_far, number)));
        }
        reading.counted += 1;
        reading.first.get_or_insert(time);
        reading.logs.push(log);
        if reading.logs.len() > Evidence::MAX_ITEMS {
            let dropped = reading.logs.remove(0);
            who.dropped.push(dropped);
        }
        true
    }

    /// Whether this meter has not counted a value, which it does now.
    fn is_new(self, state: &mut State, user: Address, value: B128) -> bool {
        let key = memory::seen_key(user, value);
        let place = u32::try_from(self.place).unwrap_or(u32::MAX);
        let mut by = match state.value(&key) {
            Some(Memory::Seen(by)) if by.contains(&place) => return false,
            Some(Memory::Seen(by)) => by.clone(),
            _ => Vec::new(),
        };
        by.push(place);
        state.set(&key, Some(Memory::Seen(by)));
        true
    }

    /// Whether the window lets events of this time count for the user.
    fn is_within(self, user: &User, time: u64) -> bool {
        match self.meter.window {
            Window::Always | Window::Last { .. } => true,
            Window::Between { from, to } => {
                from.is_none_or(|from| from <= time) && to.is_none_or(|to| time < to)
            }
            Window::Within { seconds, of } => {
                let first = user.meter(of).and_then(|reading| reading.first);
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
            Window::Always | Window::Last { .. } => None,
            Window::Between { to, .. } => to,
            Window::Within { seconds, of } => Some(user.meter(of)?.first? + seconds + 1),
        }
    }

    fn of(self, reading: &Reading) -> Option<Number> {
        match self.meter.measure {
            Measure::Count | Measure::Distinct { .. } => {
                Some(Number::Uint(U256::from(reading.counted)))
            }
            Measure::Of { aggregate: Aggregate::Sum, ref field_type, .. } => {
                Some(reading.number.unwrap_or_else(|| Number::zero(field_type)))
            }
            Measure::Of { .. } => reading.number,
        }
    }

    /// What it shows of a user.
    pub(super) fn shown(self, view: &View<'_>) -> Shown {
        let Window::Last { seconds } = self.meter.window else {
            return match view.user.meter(self.place) {
                Some(reading) => Shown { number: self.of(reading), total: reading.counted },
                None => Shown { number: self.of(&Reading::default()), total: 0 },
            };
        };
        let mut reading = Reading::default();
        for entry in self.entries(view, seconds) {
            if let (Measure::Of { aggregate, .. }, Some(number)) =
                (&self.meter.measure, entry.number)
            {
                let so_far = reading.number;
                reading.number = Some(so_far.map_or(number, |so_far| aggregate.of(so_far, number)));
            }
            reading.counted += 1;
        }
        Shown { number: self.of(&reading), total: reading.counted }
    }

    /// What is in a rolling window.
    fn entries<'s>(self, view: &View<'s>, seconds: u64) -> &'s [Entry] {
        let entries = view.user.meter(self.place).map_or(&[][..], |reading| &reading.entries);
        let gone = entries.partition_point(|entry| entry.time + seconds <= view.now);
        entries.get(gone..).unwrap_or_default()
    }

    /// The latest logs that counted, in position order, at most
    /// [`Evidence::MAX_ITEMS`].
    pub(super) fn logs(self, view: &View<'_>) -> Vec<Counted> {
        let numbers: Vec<u32> = match self.meter.window {
            Window::Last { seconds } => {
                self.entries(view, seconds).iter().map(|entry| entry.log).collect()
            }
            _ => view.user.meter(self.place).map_or_else(Vec::new, |it| it.logs.clone()),
        };
        let latest = numbers.len().saturating_sub(Evidence::MAX_ITEMS);
        numbers.into_iter().skip(latest).filter_map(|it| view.log(it).cloned()).collect()
    }
}

/// Names a value that counts once. Ids of two contracts are different things,
/// and so are fields.
fn distinct(event: &Event, field: &str, field_type: &FieldType) -> Option<B128> {
    let value = event.field(field, field_type).ok()??;
    let hash = keccak256(format!("{} {field} {}", event.contract, value.to_json()));
    // Half of it tells apart what anybody can find.
    hash.first_chunk::<16>().map(B128::from)
}

fn number_in(event: &Event, field: &str, field_type: &FieldType) -> Option<Number> {
    match event.field(field, field_type).ok()?? {
        Value::Uint(n) => Some(Number::Uint(n)),
        Value::Int(n) => Some(Number::Int(n)),
        _ => None,
    }
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

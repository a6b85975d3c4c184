//! Moving meters on, and reading them.

use alloy::primitives::{Address, U256, keccak256};

use super::{
    memory::{self, Counted, Entry, Memory, Reading, State, meter_key},
    meter::{Aggregate, Measure, Meter, Window},
    model::{Bound, Number},
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

impl Placed<'_> {
    /// Counts an event of a user that meets the filter. A value that `distinct`
    /// has counted already, or a field that is not of its schema's type, counts
    /// for nothing. Returns whether anything changed.
    pub(super) fn count(
        self,
        state: &mut State,
        user: Address,
        event: &Event,
        log: &Counted,
    ) -> bool {
        let time = event.position.time;
        let key = meter_key(self.place, user);
        let mut reading = self.reading(state, &key);
        let number = match &self.meter.measure {
            Measure::Of { field, field_type, .. } => match number(event, field, field_type) {
                Some(number) => Some(number),
                None => return false,
            },
            _ => None,
        };
        let is_enough = |reading: &Reading| {
            let shown = self.of(reading);
            self.meter.enough.is_some_and(|enough| shown.is_some_and(|shown| shown >= enough))
        };
        let holding = self.meter.holding.as_ref();
        if holding.is_some_and(|it| memory::tokens(state, &it.nft, user) < it.at_least) {
            return false;
        }
        if !self.is_within(state, user, time) || (reading.counted > 0 && is_enough(&reading)) {
            return false;
        }
        if let Window::Last { seconds } = self.meter.window {
            return self.count_for_a_while(state, &key, event, log, number, seconds);
        }
        if let Measure::Distinct { field, field_type } = &self.meter.measure {
            let Some(seen) = seen_key(&key, event, field, field_type) else { return false };
            if state.value(&seen).is_some() {
                return false;
            }
            state.set(&seen, Some(Memory::Time(time)));
        }
        if let (Measure::Of { aggregate, .. }, Some(number)) = (&self.meter.measure, number) {
            let so_far = reading.number;
            reading.number = Some(so_far.map_or(number, |so_far| aggregate.of(so_far, number)));
        }
        let slot = reading.counted % Evidence::MAX_ITEMS as u64;
        state.set(&format!("{key}/e/{slot}"), Some(Memory::Log(log.clone())));
        reading.counted += 1;
        reading.first.get_or_insert(time);
        state.set(&key, Some(Memory::Reading(reading)));
        true
    }

    /// Whether the window lets events of this time count for the user.
    fn is_within(self, state: &State, user: Address, time: u64) -> bool {
        match self.meter.window {
            Window::Always | Window::Last { .. } => true,
            Window::Between { from, to } => {
                from.is_none_or(|from| from <= time) && to.is_none_or(|to| time < to)
            }
            Window::Within { seconds, of } => match state.value(&meter_key(of, user)) {
                Some(Memory::Reading(Reading { first: Some(first), .. })) => {
                    time - (*first).min(time) <= seconds
                }
                _ => false,
            },
        }
    }

    /// In a rolling window every log is an entry of its own.
    fn count_for_a_while(
        self,
        state: &mut State,
        key: &str,
        event: &Event,
        log: &Counted,
        number: Option<Number>,
        seconds: u64,
    ) -> bool {
        let time = event.position.time;
        self.forget(state, key, time, seconds);
        if let Measure::Distinct { field, field_type } = &self.meter.measure {
            let Some(seen) = seen_key(key, event, field, field_type) else { return false };
            // The latest of a value is the one that is forgotten last.
            if let Some(Memory::Time(before)) = state.value(&seen) {
                let (_, id) = seen.rsplit_once('/').unwrap_or_default();
                state.remove(&format!("{key}/w/{before:020}/{id}"));
            }
            let (_, id) = seen.rsplit_once('/').unwrap_or_default();
            let entry = Entry { number: None, log: log.clone() };
            state.set(&format!("{key}/w/{time:020}/{id}"), Some(Memory::Entry(entry)));
            state.set(&seen, Some(Memory::Time(time)));
        } else {
            let position = event.position;
            let at = format!(
                "{key}/w/{time:020}/{:020}/{:020}/{:020}",
                position.chain_id, position.block, position.log_index
            );
            state.set(&at, Some(Memory::Entry(Entry { number, log: log.clone() })));
        }
        true
    }

    /// Drops what a rolling window has left behind.
    fn forget(self, state: &mut State, key: &str, now: u64, seconds: u64) {
        let old: Vec<String> = state
            .entries(&format!("{key}/w/"))
            .take_while(|(at, _)| time_of(at, key) + seconds <= now)
            .map(|(at, _)| at.to_owned())
            .collect();
        for at in old {
            if matches!(self.meter.measure, Measure::Distinct { .. }) {
                let (_, id) = at.rsplit_once('/').unwrap_or_default();
                state.remove(&format!("{key}/d/{id}"));
            }
            state.remove(&at);
        }
    }

    /// The block time from which on a user's rolling window keeps to a bound by
    /// forgetting alone, where it doesn't now.
    pub(super) fn later(self, state: &State, user: Address, bound: Bound, now: u64) -> Option<u64> {
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
        let entries = self.entries(state, &meter_key(self.place, user), now, *seconds);
        // What is left after each is forgotten, from the last on.
        let mut left = matches!(aggregate, Aggregate::Sum).then(|| Number::zero(field_type));
        let mut first = None;
        for entry in entries.iter().rev() {
            if bound.is_kept(left) {
                first = Some(entry.log.position().time + seconds);
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
    pub(super) fn closes(self, state: &State, user: Address) -> Option<u64> {
        match self.meter.window {
            Window::Always | Window::Last { .. } => None,
            Window::Between { to, .. } => to,
            Window::Within { seconds, of } => match state.value(&meter_key(of, user)) {
                Some(Memory::Reading(Reading { first, .. })) => Some((*first)? + seconds + 1),
                _ => None,
            },
        }
    }

    fn reading(self, state: &State, key: &str) -> Reading {
        match state.value(key) {
            Some(Memory::Reading(reading)) => reading.clone(),
            _ => Reading::default(),
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

    /// What it shows of a user at a block time.
    pub(super) fn shown(self, state: &State, user: Address, now: u64) -> Shown {
        let key = meter_key(self.place, user);
        let Window::Last { seconds } = self.meter.window else {
            let reading = self.reading(state, &key);
            return Shown { number: self.of(&reading), total: reading.counted };
        };
        let mut reading = Reading::default();
        for entry in self.entries(state, &key, now, seconds) {
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

    /// The entries of a rolling window, in order.
    fn entries<'s>(self, state: &'s State, key: &str, now: u64, seconds: u64) -> Vec<&'s Entry> {
        let prefix = format!("{key}/w/");
        let entries = state.entries(&prefix);
        let live = entries.filter(|(at, _)| time_of(at, key) + seconds > now);
        let entry = |(_, value): (&str, &'s Memory)| match value {
            Memory::Entry(entry) => Some(entry),
            _ => None,
        };
        live.filter_map(entry).collect()
    }

    /// The latest logs that counted, in position order, at most
    /// [`Evidence::MAX_ITEMS`].
    pub(super) fn logs(self, state: &State, user: Address, now: u64) -> Vec<Counted> {
        let key = meter_key(self.place, user);
        let mut logs: Vec<Counted> = match self.meter.window {
            Window::Last { seconds } => {
                let entries = self.entries(state, &key, now, seconds).into_iter();
                entries.map(|entry| entry.log.clone()).collect()
            }
            _ => {
                let ring = format!("{key}/e/");
                state.entries(&ring).filter_map(|(_, value)| value.log().cloned()).collect()
            }
        };
        logs.sort_by_key(Counted::position);
        logs.split_off(logs.len().saturating_sub(Evidence::MAX_ITEMS))
    }
}

/// The time in the key of an entry.
fn time_of(at: &str, key: &str) -> u64 {
    let time = at.get(key.len() + 3..key.len() + 23);
    time.and_then(|time| time.parse().ok()).unwrap_or(0)
}

/// Names a value that counts once. Ids of two contracts are different things.
fn seen_key(key: &str, event: &Event, field: &str, field_type: &FieldType) -> Option<String> {
    let value = event.field(field, field_type).ok()??;
    let hash = keccak256(format!("{} {}", event.contract, value.to_json()));
    // Half of it tells apart what anybody can find.
    let half = hash.get(..16)?;
    Some(format!("{key}/d/{}", alloy::hex::encode(half)))
}

fn number(event: &Event, field: &str, field_type: &FieldType) -> Option<Number> {
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

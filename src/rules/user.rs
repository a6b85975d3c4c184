//! One user's meters, requests and deadlines.

use alloy::primitives::B128;
use serde::{Deserialize, Serialize};

use super::{
    memory::place as key, model::Number, places::Places, sequence::Progress, streak::Streak,
};

/// What is known of a user. A few flat lists: it is copied for each block that
/// changes it, so that the block can be undone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Logs that were ever numbered.
    logs: u32,
    /// Those that meters name, in order.
    named: Vec<Named>,
    /// By the meter's place, in order.
    meters: Vec<(u32, Reading)>,
    /// A meter's sum, maximum or minimum, by its place, in order.
    numbers: Vec<(u32, Number)>,
    /// Block time of the first log of a meter that begins another's window, in
    /// seconds since the Unix epoch, by its place, in order.
    firsts: Vec<(u32, u64)>,
    /// By the meter's place, in order.
    streaks: Vec<(u32, Streak)>,
    /// By the meter's place, in order.
    sequences: Vec<(u32, Progress)>,
    /// What is in rolling windows, the oldest first, by the meter's place, in
    /// order.
    rolling: Vec<(u32, Vec<Entry>)>,
    /// The log by the achievement's place, in order.
    requested: Vec<(u32, u32)>,
    /// How often it was requested, of achievements that can be earned again: by the
    /// place, in order.
    times: Vec<(u32, Times)>,
    /// The day, week or month that a meter counts, by its place, in order.
    periods: Vec<(u32, u64)>,
    /// The time by the achievement's place, in order.
    waits: Vec<(u32, u64)>,
}

/// A log, and the meters that name it as one that counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Named {
    log: u32,
    by: Places,
}

/// How far a user's events have come by one meter. Not of rolling windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Reading {
    /// Logs counted; with `distinct`, one per value.
    counted: u64,
    /// Of them, those that are named.
    named: u32,
}

/// How often something was requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    pub(super) count: u64,
    /// The number of the day, week or month of the last time.
    pub(super) period: u64,
}

/// A log within a rolling window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Block time, seconds since the Unix epoch.
    pub(super) time: u64,
    pub(super) log: u32,
    pub(super) number: Option<Box<Number>>,
    /// Names the value that `distinct` counts.
    pub(super) value: Option<B128>,
}

impl User {
    /// How many logs a meter has counted.
    pub(super) fn counted(&self, place: usize) -> u64 {
        find(&self.meters, place).map_or(0, |reading| reading.counted)
    }

    /// The sum, maximum or minimum that a meter has made.
    pub(super) fn number(&self, place: usize) -> Option<Number> {
        find(&self.numbers, place).copied()
    }

    pub(super) fn set_number(&mut self, place: usize, number: Number) {
        put(&mut self.numbers, place, Some(number));
    }

    /// Block time of a meter's first log, if it begins another's window.
    pub(super) fn first(&self, place: usize) -> Option<u64> {
        find(&self.firsts, place).copied()
    }

    pub(super) fn set_first(&mut self, place: usize, time: u64) {
        put(&mut self.firsts, place, Some(time));
    }

    /// What is in a meter's rolling window.
    pub(super) fn rolling(&self, place: usize) -> &[Entry] {
        find(&self.rolling, place).map_or(&[], Vec::as_slice)
    }

    /// A rolling window to be moved on.
    pub(super) fn rolling_mut(&mut self, place: usize) -> &mut Vec<Entry> {
        slot(&mut self.rolling, place)
    }

    /// Notes a turn of a meter's streak. Whether it was not noted before.
    pub(super) fn note_turn(&mut self, place: usize, turn: u64, grace: u64) -> bool {
        let Some(length) = slot(&mut self.streaks, place).note(turn, grace) else { return false };
        // The log that counts now is not counted yet.
        let reading = slot(&mut self.meters, place);
        reading.counted = length - 1;
        while u64::from(reading.named) > reading.counted {
            reading.named -= 1;
            if let Some(oldest) = self.named.iter_mut().find(|named| named.by.has(place)) {
                oldest.by.remove(place);
            }
        }
        true
    }

    /// A meter's streak.
    pub(super) fn streak(&self, place: usize) -> Option<&Streak> {
        find(&self.streaks, place)
    }

    /// How far a meter's sequence has come.
    pub(super) fn progress(&self, place: usize) -> Option<&Progress> {
        find(&self.sequences, place)
    }

    pub(super) fn set_progress(&mut self, place: usize, progress: Progress) {
        put(&mut self.sequences, place, Some(progress));
    }

    /// The number that the next log gets.
    pub(super) fn next_number(&self) -> u32 {
        self.logs + 1
    }

    /// A number for a log.
    pub(super) fn next_log(&mut self) -> u32 {
        self.logs += 1;
        self.logs
    }

    /// Has a meter count a log, and name at most the latest so many of them.
    /// Whether one is named no more.
    pub(super) fn count(&mut self, place: usize, log: u32, most: usize) -> bool {
        let reading = slot(&mut self.meters, place);
        reading.counted += 1;
        let is_full = reading.named as usize >= most;
        if !is_full {
            reading.named += 1;
        }
        let oldest = is_full.then(|| self.named.iter_mut().find(|named| named.by.has(place)));
        if let Some(Some(oldest)) = oldest {
            oldest.by.remove(place);
        }
        self.refer(place, log);
        is_full
    }

    /// Has a meter name a log.
    pub(super) fn refer(&mut self, place: usize, log: u32) {
        match self.named.last_mut().filter(|last| last.log == log) {
            Some(last) => last.by.insert(place),
            None => {
                let mut by = Places::default();
                by.insert(place);
                self.named.push(Named { log, by });
            }
        }
    }

    /// Has a meter name a log no more.
    pub(super) fn refer_no_more(&mut self, place: usize, log: u32) {
        if let Ok(at) = self.named.binary_search_by_key(&log, |named| named.log)
            && let Some(named) = self.named.get_mut(at)
        {
            named.by.remove(place);
        }
    }

    /// The logs that a meter names, in order.
    pub(super) fn named(&self, place: usize) -> impl DoubleEndedIterator<Item = u32> {
        self.named.iter().filter(move |named| named.by.has(place)).map(|named| named.log)
    }

    /// Forgets the logs that no meter names any more. Those that nothing else
    /// names, either.
    pub(super) fn take_unnamed(&mut self) -> Vec<u32> {
        let gone = self.named.extract_if(.., |named| named.by.is_empty());
        let gone: Vec<u32> = gone.map(|named| named.log).collect();
        let requested = |log: &u32| self.requested.iter().any(|(_, other)| other == log);
        gone.into_iter().filter(|log| !requested(log)).collect()
    }

    pub(super) fn requested(&self, achievement: usize) -> Option<u32> {
        find(&self.requested, achievement).copied()
    }

    pub(super) fn set_requested(&mut self, achievement: usize, log: Option<u32>) {
        put(&mut self.requested, achievement, log);
    }

    /// How often an achievement was requested that can be earned again.
    pub(super) fn times(&self, achievement: usize) -> Times {
        find(&self.times, achievement).copied().unwrap_or_default()
    }

    pub(super) fn set_times(&mut self, achievement: usize, times: Times) {
        put(&mut self.times, achievement, Some(times));
    }

    /// The day, week or month that a meter has counted last.
    pub(super) fn period(&self, place: usize) -> Option<u64> {
        find(&self.periods, place).copied()
    }

    /// Has a meter count from nothing on, in a period.
    pub(super) fn begin_period(&mut self, place: usize, period: u64) {
        put(&mut self.periods, place, Some(period));
        put(&mut self.meters, place, None);
        put(&mut self.numbers, place, None);
        put(&mut self.sequences, place, None);
        for named in &mut self.named {
            named.by.remove(place);
        }
    }

    /// Whether anything needs a log.
    pub(super) fn needs(&self, log: u32) -> bool {
        self.named.iter().any(|named| named.log == log)
            || self.requested.iter().any(|(_, other)| *other == log)
    }

    pub(super) fn waits(&self, achievement: usize) -> Option<u64> {
        find(&self.waits, achievement).copied()
    }

    pub(super) fn set_waits(&mut self, achievement: usize, until: Option<u64>) {
        put(&mut self.waits, achievement, until);
    }
}

fn find<T>(sorted: &[(u32, T)], place: usize) -> Option<&T> {
    let at = sorted.binary_search_by_key(&key(place), |(place, _)| *place).ok()?;
    sorted.get(at).map(|(_, value)| value)
}

fn slot<T: Default>(sorted: &mut Vec<(u32, T)>, place: usize) -> &mut T {
    let place = key(place);
    let at = match sorted.binary_search_by_key(&place, |(place, _)| *place) {
        Ok(at) => at,
        Err(at) => {
            sorted.insert(at, (place, T::default()));
            at
        }
    };
    &mut sorted[at].1
}

fn put<T>(sorted: &mut Vec<(u32, T)>, place: usize, value: Option<T>) {
    let place = key(place);
    match (sorted.binary_search_by_key(&place, |(place, _)| *place), value) {
        (Ok(at), Some(value)) => sorted[at].1 = value,
        (Ok(at), None) => drop(sorted.remove(at)),
        (Err(at), Some(value)) => sorted.insert(at, (place, value)),
        (Err(_), None) => {}
    }
}

//! One user's meters, requests and deadlines.

use std::sync::Arc;

use alloy::primitives::B128;
use serde::{Deserialize, Serialize};

use super::model::Number;

/// See the module. Whoever changes a meter leaves the others shared with what
/// there was before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Logs that were ever numbered.
    logs: u32,
    /// By the meter's place, in order.
    meters: Vec<(u32, Arc<Reading>)>,
    /// The log by the achievement's place, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    requested: Vec<(u32, u32)>,
    /// The time by the achievement's place, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waits: Vec<(u32, u64)>,
}

/// How far a user's events have come by one meter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Logs counted; with `distinct`, one per value. Not of rolling windows.
    pub(super) counted: u64,
    /// Their sum, maximum or minimum, where one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<Number>,
    /// Block time of the first, seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) first: Option<u64>,
    /// The latest logs, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) logs: Vec<u32>,
    /// What is in a rolling window, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) entries: Vec<Entry>,
}

/// A log within a rolling window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Block time, seconds since the Unix epoch.
    pub(super) time: u64,
    pub(super) log: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<Number>,
    /// Names the value that `distinct` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<B128>,
}

impl User {
    pub(super) const fn new() -> Self {
        Self { logs: 0, meters: Vec::new(), requested: Vec::new(), waits: Vec::new() }
    }

    pub(super) fn meter(&self, place: usize) -> Option<&Reading> {
        Some(&**find(&self.meters, place)?)
    }

    /// A meter to be moved on.
    pub(super) fn meter_mut(&mut self, place: usize) -> &mut Reading {
        let place = key(place);
        let at = match self.meters.binary_search_by_key(&place, |(place, _)| *place) {
            Ok(at) => at,
            Err(at) => {
                self.meters.insert(at, (place, Arc::default()));
                at
            }
        };
        Arc::make_mut(&mut self.meters[at].1)
    }

    /// A number for a log.
    pub(super) fn next_log(&mut self) -> u32 {
        self.logs += 1;
        self.logs
    }

    pub(super) fn last_log(&self) -> Option<u32> {
        (self.logs > 0).then_some(self.logs)
    }

    /// Whether anything still names a log.
    pub(super) fn names(&self, log: u32) -> bool {
        let in_meter = |(_, reading): &(u32, Arc<Reading>)| {
            reading.logs.contains(&log) || reading.entries.iter().any(|entry| entry.log == log)
        };
        self.requested.iter().any(|(_, other)| *other == log) || self.meters.iter().any(in_meter)
    }

    pub(super) fn requested(&self, achievement: usize) -> Option<u32> {
        find(&self.requested, achievement).copied()
    }

    pub(super) fn set_requested(&mut self, achievement: usize, log: u32) {
        put(&mut self.requested, achievement, Some(log));
    }

    pub(super) fn waits(&self, achievement: usize) -> Option<u64> {
        find(&self.waits, achievement).copied()
    }

    pub(super) fn set_waits(&mut self, achievement: usize, until: Option<u64>) {
        put(&mut self.waits, achievement, until);
    }
}

/// Places are far below 2^32: a file's size bounds them.
fn key(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn find<T>(sorted: &[(u32, T)], place: usize) -> Option<&T> {
    let at = sorted.binary_search_by_key(&key(place), |(place, _)| *place).ok()?;
    sorted.get(at).map(|(_, value)| value)
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

//! What a person sees of the tree.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::time::Instant;

use super::{
    arbiters::ArbiterClass,
    end::{End, EndReason},
    observe::{Observation, Pace},
};

/// One child, as `status` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct ChildSnapshot {
    /// Its name in the tree.
    pub name: String,
    /// The threads it runs on.
    pub class: ArbiterClass,
    /// What it is doing.
    pub state: ChildState,
    /// How often it was restarted since it was spawned.
    pub restarts: u64,
    /// Why its last incarnation ended; absent when none has.
    pub last_end: Option<LastEnd>,
    /// The state it last showed, of whichever incarnation; null before.
    pub observed: serde_json::Value,
    /// How long ago it showed that, in milliseconds.
    pub observed_ago_ms: Option<u64>,
    /// How it got on then, when it works in steps.
    pub pace: Option<Pace>,
}

/// What a child is doing. Children that finished, or were drained or removed,
/// are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildState {
    /// Being made, or recovering from its durable state.
    Starting,
    /// It answers.
    Running,
    /// It ended and is started again soon.
    BackingOff,
    /// It used up its restarts and stays down until a person acts.
    Failed,
    /// It was asked to stop and is finishing.
    Draining,
}

/// The end of a child's last incarnation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastEnd {
    /// The kind.
    pub reason: EndReason,
    /// In words.
    pub detail: String,
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
}

/// Where a child's supervising task writes what snapshots read.
#[derive(Default)]
pub(super) struct Status(Mutex<Facts>);

#[derive(Default)]
struct Facts {
    state: Option<ChildState>,
    restarts: u64,
    last_end: Option<(End, Instant)>,
    observed: Option<(Observation, Instant)>,
}

impl Status {
    pub(super) fn is(&self, state: ChildState) {
        self.with(|facts| facts.state = Some(state));
    }

    pub(super) fn restarts(&self) {
        self.with(|facts| facts.restarts += 1);
    }

    pub(super) fn ended(&self, end: End) {
        self.with(|facts| facts.last_end = Some((end, Instant::now())));
    }

    pub(super) fn observed(&self, observation: Observation) {
        self.with(|facts| facts.observed = Some((observation, Instant::now())));
    }

    pub(super) fn state(&self) -> ChildState {
        self.with(|facts| facts.state.unwrap_or(ChildState::Starting))
    }

    pub(super) fn snapshot(&self, name: &Arc<str>, class: ArbiterClass) -> ChildSnapshot {
        self.with(|facts| ChildSnapshot {
            name: name.to_string(),
            class,
            state: facts.state.unwrap_or(ChildState::Starting),
            restarts: facts.restarts,
            last_end: facts.last_end.as_ref().map(|(end, at)| LastEnd {
                reason: end.reason,
                detail: end.detail.clone(),
                ago_ms: ago_ms(*at),
            }),
            observed: facts
                .observed
                .as_ref()
                .map(|(seen, _)| seen.state.clone())
                .unwrap_or_default(),
            observed_ago_ms: facts.observed.as_ref().map(|(_, at)| ago_ms(*at)),
            pace: facts.observed.as_ref().and_then(|(seen, _)| seen.pace),
        })
    }

    fn with<T>(&self, what: impl FnOnce(&mut Facts) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn ago_ms(at: Instant) -> u64 {
    u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)
}

//! Sequences: one thing after the other, within a time, with nothing between.
//!
//! A user is as far as the longest beginning of the sequence that can be found
//! among the user's events in their order. Of the beginnings of one length the
//! one that began last is kept: whatever completes an older one in time completes
//! it, too.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{
    facts::Facts,
    memory::{Counted, State, View},
    meter::{Measure, Signal},
    reading::{Placed, Shown},
    who::Who,
};

/// What must follow the meter's own events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    /// In this order, at least one.
    pub(super) then: Vec<Signal>,
    /// So many seconds at most from the first to the last.
    pub(super) within: Option<u64>,
    /// What breaks it when it happens between the first and the last.
    pub(super) not_between: Option<Box<Signal>>,
}

/// How far a user has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The latest beginnings of one step, of two, and so on; never the whole.
    beginnings: Vec<Option<Beginning>>,
    /// All of them were there; its logs are named.
    is_complete: bool,
}

/// The first steps of a sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Beginning {
    /// Block time of the first, seconds since the Unix epoch.
    first: u64,
    /// One each.
    logs: Vec<u32>,
}

/// What an event is to a user.
struct Taken {
    /// Whether it can be the first step, the second, and so on.
    steps: SmallVec<[bool; 8]>,
    /// Whether it must not be between.
    breaks: bool,
}

impl Sequence {
    /// Steps in all.
    pub(super) fn len(&self) -> usize {
        self.then.len() + 1
    }

    pub(super) fn others(&self) -> impl Iterator<Item = &Signal> {
        self.then.iter().chain(self.not_between.as_deref())
    }

    pub(super) fn others_mut(&mut self) -> impl Iterator<Item = &mut Signal> {
        self.then.iter_mut().chain(self.not_between.as_deref_mut())
    }

    fn is_in_time(&self, first: u64, time: u64) -> bool {
        self.within.is_none_or(|within| time.saturating_sub(first) <= within)
    }
}

impl Progress {
    /// Goes on with an event. Whether anything changed.
    fn follow(&mut self, sequence: &Sequence, taken: &Taken, time: u64, log: u32) -> bool {
        let last = sequence.len() - 1;
        let after = |beginning: Option<&Option<Beginning>>| {
            let Beginning { first, logs } = beginning?.as_ref()?;
            let logs: Vec<u32> = logs.iter().copied().chain([log]).collect();
            sequence.is_in_time(*first, time).then_some(Beginning { first: *first, logs })
        };
        let is = |step: usize| taken.steps.get(step).copied().unwrap_or(false);
        self.beginnings.resize(last, None);
        if is(last)
            && let Some(whole) = after(self.beginnings.get(last - 1))
        {
            *self = Self { beginnings: vec![Some(whole)], is_complete: true };
            return true;
        }
        let mut changed = false;
        for step in (1..last).rev().filter(|step| is(*step) && !taken.breaks) {
            if let Some(longer) = after(self.beginnings.get(step - 1)) {
                self.beginnings[step] = Some(longer);
                changed = true;
            }
        }
        if taken.breaks {
            changed |= self.beginnings.iter().any(Option::is_some);
            self.beginnings.fill(None);
        }
        if is(0) {
            self.beginnings[0] = Some(Beginning { first: time, logs: vec![log] });
            changed = true;
        }
        changed
    }

    /// The logs of all beginnings, in order.
    fn logs(&self) -> Vec<u32> {
        let mut logs: Vec<u32> =
            self.beginnings.iter().flatten().flat_map(|it| &it.logs).copied().collect();
        logs.sort_unstable();
        logs.dedup();
        logs
    }

    /// The steps that were taken, as they stand at a time.
    fn steps(&self, sequence: &Sequence, now: u64) -> &[u32] {
        let mut found = self.beginnings.iter().rev().flatten();
        let lives = |it: &&Beginning| self.is_complete || sequence.is_in_time(it.first, now);
        found.find(lives).map_or(&[], |it| &it.logs)
    }
}

impl Placed<'_> {
    /// Goes on with a user's sequence; `held` tells whether the user has what must
    /// be had at a signal. Returns whether anything changed.
    pub(super) fn follow(
        self,
        sequence: &Sequence,
        facts: &Facts<'_>,
        held: impl Fn(&State, &Signal) -> bool,
        state: &mut State,
        who: &mut Who,
    ) -> bool {
        let time = facts.event.position.time;
        let Ok(begins) = self.begins(who.user(), time) else { return false };
        let is = |signal: &Signal| signal.is_about(facts, who.address) && held(state, signal);
        let steps = std::iter::once(&self.meter.signal).chain(&sequence.then).map(is).collect();
        let taken = Taken { steps, breaks: sequence.not_between.as_deref().is_some_and(is) };
        let before = match begins {
            Some(_) => Progress::default(),
            None => who.user().progress(self.place).unwrap_or_default(),
        };
        if before.is_complete {
            return false;
        }
        // Named only if it is needed.
        let log = who.next_number();
        let mut after = before.clone();
        if !after.follow(sequence, &taken, time, log) {
            return false;
        }
        if let Some(period) = begins {
            who.user_mut().begin_period(self.place, period);
            who.unnamed();
        }
        let (old, new) = (before.logs(), after.logs());
        if new.contains(&log) {
            who.numbered(state, &facts.log);
            who.user_mut().refer(self.place, log);
        }
        for gone in old.iter().filter(|log| !new.contains(log)) {
            who.user_mut().refer_no_more(self.place, *gone);
            who.unnamed();
        }
        who.user_mut().set_progress(self.place, &after);
        true
    }

    /// How many steps of its sequence a user has taken.
    pub(super) fn steps(self, view: &View<'_>) -> Shown {
        Shown::of(self.taken(view).len() as u64)
    }

    /// The logs of those.
    pub(super) fn step_logs(self, view: &View<'_>) -> impl Iterator<Item = Counted> {
        self.taken(view).into_iter().filter_map(|log| view.log(log))
    }

    fn taken(self, view: &View<'_>) -> Vec<u32> {
        let Measure::Sequence(sequence) = &self.meter.measure else { return Vec::new() };
        // What was taken in another period counts no more.
        if !matches!(self.begins(&view.user, view.now), Ok(None)) {
            return Vec::new();
        }
        let progress = view.user.progress(self.place);
        progress.map_or_else(Vec::new, |it| it.steps(sequence, view.now).to_vec())
    }
}

impl Signal {
    /// Whether an event is one of these, of a user.
    fn is_about(&self, facts: &Facts<'_>, user: alloy::primitives::Address) -> bool {
        let event = facts.event;
        let mut kinds = self.events.iter();
        kinds.any(|kind| kind.contract == event.contract && kind.event == event.name)
            && facts.member(&self.subject) == Some(user)
            && self.filter.is_met(facts)
    }
}

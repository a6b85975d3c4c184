//! Streaks: something done in one week, or at one proposal, after the other.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{period::Period, tree::EventKind};

/// What must not be missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Each day, week or month.
    Calendar(Period),
    /// Each of these events, which are the same for everybody.
    Each(BTreeSet<EventKind>),
}

impl Turn {
    /// As it stands in sentences.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Calendar(period) => period.word().to_owned(),
            Self::Each(kinds) => {
                let kinds: Vec<String> = kinds.iter().map(EventKind::to_string).collect();
                kinds.join(" or ")
            }
        }
    }

    /// The number of the day, week or month of a time, in seconds since the Unix
    /// epoch; of events, how many there were.
    pub(super) fn number(&self, time: u64, events: impl FnOnce() -> u64) -> Option<u64> {
        match self {
            Self::Calendar(period) => period.number(time),
            Self::Each(_) => Some(events()),
        }
    }
}

/// How a user's streak stands: the latest turns of which no more than a number
/// were missed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streak {
    /// The number of the last turn.
    last: u64,
    /// Turns without a break, the oldest first, each with those missed before it.
    runs: Vec<(u64, u64)>,
}

impl Streak {
    /// The longest `grace`: a streak keeps a run for each turn missed.
    pub(super) const GRACE: u64 = 32;

    /// Whether nothing new can be noted of a turn.
    pub(super) fn has(&self, turn: u64) -> bool {
        !self.runs.is_empty() && turn <= self.last
    }

    /// Notes that a turn was not missed. How many the streak has then; `None` when
    /// it was noted before.
    pub(super) fn note(&mut self, turn: u64, grace: u64) -> Option<u64> {
        match self.runs.last_mut() {
            None => self.runs.push((0, 1)),
            Some(_) if turn <= self.last => return None,
            Some((_, hits)) if turn - 1 == self.last => *hits = hits.saturating_add(1),
            Some(_) => self.runs.push((turn - self.last - 1, 1)),
        }
        self.last = turn;
        let kept = self.within(grace);
        self.runs.drain(..self.runs.len() - kept);
        Some(hits(&self.runs))
    }

    /// How many turns it has in a turn: those before it that were not noted are
    /// missed, that one is not yet.
    pub(super) fn length(&self, now: u64, grace: u64) -> u64 {
        let missed = now.saturating_sub(self.last).saturating_sub(1);
        let Some(grace) = grace.checked_sub(missed) else { return 0 };
        let kept = self.within(grace);
        self.runs.get(self.runs.len() - kept..).map_or(0, hits)
    }

    /// How many of the latest runs have no more than so many turns missed between
    /// them. What was missed before the first is no part of the streak.
    fn within(&self, grace: u64) -> usize {
        let mut left = grace;
        let mut kept = 0;
        for (missed, _) in self.runs.iter().rev() {
            kept += 1;
            match left.checked_sub(*missed) {
                Some(rest) => left = rest,
                None => break,
            }
        }
        kept
    }
}

fn hits(runs: &[(u64, u64)]) -> u64 {
    runs.iter().fold(0, |sum, (_, hits)| sum.saturating_add(*hits))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The most turns that end with the last one and of which no more than
        /// `grace` were missed.
        #[test]
        fn a_streak_is_the_longest_that_ends_now(
            turns in prop::collection::btree_set(0_u64..40, 1..25),
            grace in 0_u64..5,
        ) {
            let mut streak = Streak::default();
            for last in &turns {
                let shown = streak.note(*last, grace);
                let naive = turns.iter().filter(|first| *first <= last).map(|first| {
                    let hits = turns.range(first..=last).count() as u64;
                    if last - first + 1 - hits <= grace { hits } else { 0 }
                });
                prop_assert_eq!(shown, naive.max());
                prop_assert_eq!(streak.note(*last, grace), None, "once a turn");
                for now in *last..last + 8 {
                    let end = (*last).max(now.saturating_sub(1));
                    let naive = turns.iter().filter(|first| *first <= last).map(|first| {
                        let hits = turns.range(first..=last).count() as u64;
                        if end - first + 1 - hits <= grace { hits } else { 0 }
                    });
                    prop_assert_eq!(Some(streak.length(now, grace)), naive.max());
                }
            }
        }
    }
}

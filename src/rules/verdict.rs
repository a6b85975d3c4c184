//! Whether a condition holds for a user, and from when on it would.

use alloy::primitives::U256;
use smallvec::SmallVec;

use super::{
    holdings,
    memory::{self, View},
    model::{Achievement, RuleSet},
    number::Number,
    tree::{Condition, HoldsLeaf, Leaf, Scored},
};

/// Whether something holds at a block time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Holds,
    /// It will from this time on, in seconds since the Unix epoch, if nothing
    /// happens until then.
    From(u64),
    No,
}

impl Verdict {
    fn of(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::No }
    }

    /// When it may hold, if it doesn't yet.
    pub(super) fn later(self) -> Option<u64> {
        match self {
            Self::From(time) => Some(time),
            Self::Holds | Self::No => None,
        }
    }

    /// When it holds, where 0 is now.
    fn time(self) -> Option<u64> {
        match self {
            Self::Holds => Some(0),
            Self::From(time) => Some(time),
            Self::No => None,
        }
    }

    /// All of them hold. None is asked for after one that does not.
    fn all(verdicts: impl Iterator<Item = Self>) -> Self {
        let mut latest = Self::Holds;
        for verdict in verdicts {
            latest = match (latest, verdict) {
                (_, Self::No) => return Self::No,
                (Self::From(a), Self::From(b)) => Self::From(a.max(b)),
                (latest, Self::Holds) => latest,
                (_, from) => from,
            };
        }
        latest
    }

    /// One of them holds. None is asked for after one that does.
    fn any(verdicts: impl Iterator<Item = Self>) -> Self {
        let mut first = Self::No;
        for verdict in verdicts {
            first = match (first, verdict) {
                (_, Self::Holds) => return Self::Holds,
                (Self::From(a), Self::From(b)) => Self::From(a.min(b)),
                (first, Self::No) => first,
                (_, from) => from,
            };
        }
        first
    }

    /// At least so many of them hold.
    fn at_least(count: usize, verdicts: impl Iterator<Item = Self>) -> Self {
        let mut times: SmallVec<[u64; 8]> = verdicts.filter_map(Self::time).collect();
        times.sort_unstable();
        match count.checked_sub(1).map(|index| times.get(index)) {
            None | Some(Some(0)) => Self::Holds,
            Some(Some(time)) => Self::From(*time),
            Some(None) => Self::No,
        }
    }
}

impl RuleSet {
    /// Whether prerequisites and condition are met at a block time.
    pub(super) fn verdict(&self, view: &View<'_>, achievement: &Achievement) -> Verdict {
        // What it could have, the member has.
        if self.is_linked(view.state, view.address) {
            return Verdict::No;
        }
        let required = |name| {
            let place = self.place(name);
            place.is_some_and(|it| memory::is_unlocked(view.state, view.address, it))
        };
        if !achievement.requires.iter().all(required) {
            return Verdict::No;
        }
        self.verdict_on(view, achievement, &achievement.when)
    }

    /// Whether a condition is met.
    pub(super) fn verdict_on(
        &self,
        view: &View<'_>,
        achievement: &Achievement,
        condition: &Condition,
    ) -> Verdict {
        let on = |member: &Condition| self.verdict_on(view, achievement, member);
        match condition {
            Condition::Leaf(index) => match achievement.leaves.get(*index) {
                Some(leaf) => self.leaf_verdict(view, leaf),
                None => Verdict::No,
            },
            Condition::All(members) => Verdict::all(members.iter().map(on)),
            Condition::Any(members) => Verdict::any(members.iter().map(on)),
            Condition::AtLeast(count, members) => Verdict::at_least(*count, members.iter().map(on)),
            Condition::Not(index) => match achievement.leaves.get(*index) {
                Some(leaf) => self.absence(view, leaf),
                None => Verdict::No,
            },
            Condition::Score { at_least, members } => {
                let points = members.iter().map(|member| match member {
                    Scored::Each { points, leaf } => {
                        let leaf = achievement.leaves.get(*leaf);
                        let shown = leaf.and_then(|leaf| self.shown(view, leaf).number);
                        let each = match shown {
                            Some(Number::Uint(number)) => number,
                            _ => U256::ZERO,
                        };
                        each.saturating_mul(U256::from(*points))
                    }
                    Scored::Once { points, condition } => match on(condition) {
                        Verdict::Holds => U256::from(*points),
                        _ => U256::ZERO,
                    },
                });
                let score = points.fold(U256::ZERO, U256::saturating_add);
                if score >= *at_least {
                    return Verdict::Holds;
                }
                // Points that only time gives may make it up, the earliest first.
                let later = members.iter().filter_map(|member| match member {
                    Scored::Once { points, condition } => Some((on(condition).later()?, *points)),
                    Scored::Each { .. } => None,
                });
                let mut later: Vec<(u64, u64)> = later.collect();
                later.sort_unstable();
                let mut score = score;
                for (time, points) in later {
                    score = score.saturating_add(U256::from(points));
                    if score >= *at_least {
                        return Verdict::From(time);
                    }
                }
                Verdict::No
            }
        }
    }

    fn leaf_verdict(&self, view: &View<'_>, leaf: &Leaf) -> Verdict {
        let is_kept = leaf.bound().is_kept(self.shown(view, leaf).number);
        let (tokens, seconds) = match leaf {
            Leaf::Holds(HoldsLeaf { tokens, held_for: Some(seconds) }) => (tokens, seconds),
            Leaf::Holds(_) | Leaf::Ratio(_) | Leaf::Listed(_) => return Verdict::of(is_kept),
            Leaf::Events(_) if is_kept => return Verdict::Holds,
            Leaf::Events(leaf) => {
                let placed = self.meter(leaf.meter);
                let later = placed.and_then(|it| it.later(view, leaf.bound));
                return later.map_or(Verdict::No, Verdict::From);
            }
        };
        let since = holdings::since(view.state, tokens.place, tokens.at_least, view.address);
        match since.map(|since| since.saturating_add(*seconds)) {
            Some(time) if is_kept && time > view.now => Verdict::From(time),
            Some(_) => Verdict::of(is_kept),
            None => Verdict::No,
        }
    }

    /// Whether a leaf's events did not come so far until its window was over.
    fn absence(&self, view: &View<'_>, leaf: &Leaf) -> Verdict {
        if leaf.bound().is_kept(self.shown(view, leaf).number) {
            return Verdict::No;
        }
        let Leaf::Events(leaf) = leaf else { return Verdict::No };
        match self.meter(leaf.meter).and_then(|placed| placed.closes(&view.user)) {
            Some(closed) if closed <= view.now => Verdict::Holds,
            Some(closes) => Verdict::From(closes),
            None => Verdict::No,
        }
    }

    /// The leaves by which a condition that holds does so.
    pub(super) fn deciding_leaves<'a>(
        &self,
        view: &View<'_>,
        achievement: &'a Achievement,
        condition: &Condition,
    ) -> SmallVec<[&'a Leaf; 4]> {
        let holds =
            |member: &Condition| self.verdict_on(view, achievement, member) == Verdict::Holds;
        let within = |member: &Condition| self.deciding_leaves(view, achievement, member);
        let at = |index: &usize| achievement.leaves.get(*index);
        match condition {
            Condition::Leaf(index) => at(index).into_iter().collect(),
            // What did not happen left no log.
            Condition::Not(_) => SmallVec::new(),
            Condition::All(members) | Condition::Any(members) | Condition::AtLeast(_, members) => {
                members.iter().filter(|member| holds(member)).flat_map(within).collect()
            }
            Condition::Score { members, .. } => members
                .iter()
                .flat_map(|member| match member {
                    Scored::Each { leaf, .. } => at(leaf).into_iter().collect(),
                    Scored::Once { condition, .. } if holds(condition) => within(condition),
                    Scored::Once { .. } => SmallVec::new(),
                })
                .collect(),
        }
    }
}

impl Condition {
    /// Whether it can only come to hold after something that the user did: what
    /// holds of everybody who did nothing is nobody's achievement. `leaf_begins`
    /// says so of a leaf that must hold, or (`false`) must not.
    pub(super) fn begins(&self, leaf_begins: &impl Fn(usize, bool) -> bool) -> bool {
        match self {
            Self::Leaf(index) => leaf_begins(*index, true),
            Self::Not(index) => leaf_begins(*index, false),
            Self::All(members) => members.iter().any(|member| member.begins(leaf_begins)),
            Self::Any(members) => members.iter().all(|member| member.begins(leaf_begins)),
            Self::AtLeast(count, members) => {
                let idle = members.iter().filter(|member| !member.begins(leaf_begins));
                idle.count() < *count
            }
            Self::Score { at_least, members } => {
                let idle = members.iter().filter_map(|member| match member {
                    Scored::Once { points, condition } if !condition.begins(leaf_begins) => {
                        Some(U256::from(*points))
                    }
                    _ => None,
                });
                idle.fold(U256::ZERO, U256::saturating_add) < *at_least
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdicts() -> impl Strategy<Value = Vec<Verdict>> {
        let one = prop_oneof![
            Just(Verdict::Holds),
            Just(Verdict::No),
            (1..9_u64).prop_map(Verdict::From)
        ];
        proptest::collection::vec(one, 0..6)
    }

    proptest! {
        #[test]
        fn all_are_as_many_as_there_are_and_any_is_one(verdicts in verdicts()) {
            let of = || verdicts.iter().copied();
            prop_assert_eq!(Verdict::all(of()), Verdict::at_least(verdicts.len(), of()));
            prop_assert_eq!(Verdict::any(of()), Verdict::at_least(1, of()));
        }
    }
}

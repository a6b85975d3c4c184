//! When to restart an actor that ended, and when to give it up (pure).

use std::{collections::VecDeque, time::Duration};

/// How patiently an actor is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// The pause after the first end; it doubles with each further one.
    pub backoff_min: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
    /// An actor that ran for this long begins again with the shortest pause.
    pub healthy_after: Duration,
    /// How many restarts it gets within `window`; one more end, and it is
    /// given up.
    pub max_restarts: u32,
    /// See `max_restarts`.
    pub window: Duration,
}

impl Default for RestartPolicy {
    /// Pauses from 100 ms to 30 s, 20 restarts in ten minutes.
    fn default() -> Self {
        Self {
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            healthy_after: Duration::from_secs(60),
            max_restarts: 20,
            window: Duration::from_secs(600),
        }
    }
}

/// What to do about an actor that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    RestartAfter(Duration),
    GiveUp,
}

/// The ends of one actor, as far as they count.
#[derive(Debug)]
pub(super) struct RestartBudget {
    policy: RestartPolicy,
    /// Ends within the window: at most one more than the restarts it gets.
    ends: VecDeque<Duration>,
    /// Ends since it was last healthy.
    streak: u32,
}

/// The resolution of the draw that spreads pauses.
pub(super) const DRAWS: u32 = 1000;

impl RestartBudget {
    pub(super) fn new(policy: RestartPolicy) -> Self {
        Self { policy, ends: VecDeque::new(), streak: 0 }
    }

    /// The actor ended at `now` (on any clock that does not run backwards)
    /// after it had run for `ran`. The pause is drawn from the upper half of
    /// what the backoff allows, by `draw` out of [`DRAWS`], so that actors
    /// which ended together do not come back together.
    pub(super) fn ended(&mut self, now: Duration, ran: Duration, draw: u32) -> Verdict {
        if ran >= self.policy.healthy_after {
            self.streak = 0;
        }
        while self.ends.front().is_some_and(|end| now.saturating_sub(*end) > self.policy.window) {
            self.ends.pop_front();
        }
        self.ends.push_back(now);
        if self.ends.len() > usize::try_from(self.policy.max_restarts).unwrap_or(usize::MAX) {
            return Verdict::GiveUp;
        }
        let doubled = self.policy.backoff_min.saturating_mul(2_u32.saturating_pow(self.streak));
        self.streak = self.streak.saturating_add(1);
        let half = doubled.min(self.policy.backoff_max) / 2;
        Verdict::RestartAfter(half + half / DRAWS * draw.min(DRAWS))
    }

    /// A person had a look: all begins anew.
    pub(super) fn forgive(&mut self) {
        self.ends.clear();
        self.streak = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy() -> impl Strategy<Value = RestartPolicy> {
        (1_u64..1_000, 1_u64..100_000, 1_u64..100_000, 0_u32..8, 1_u64..100_000).prop_map(
            |(min, max, healthy, max_restarts, window)| RestartPolicy {
                backoff_min: Duration::from_millis(min),
                backoff_max: Duration::from_millis(max.max(min)),
                healthy_after: Duration::from_millis(healthy),
                max_restarts,
                window: Duration::from_millis(window),
            },
        )
    }

    /// Time since the end before, time it ran, draw.
    fn lives() -> impl Strategy<Value = Vec<(u64, u64, u32)>> {
        prop::collection::vec((0_u64..50_000, 0_u64..200_000, 0..=DRAWS), 1..60)
    }

    proptest! {
        #[test]
        fn no_window_holds_more_restarts_than_allowed(policy in policy(), lives in lives()) {
            let mut budget = RestartBudget::new(policy);
            let (mut now, mut restarts) = (Duration::ZERO, Vec::<Duration>::new());
            for (gap, ran, draw) in lives {
                now += Duration::from_millis(gap);
                let recent = restarts.iter().filter(|at| now - **at <= policy.window).count();
                match budget.ended(now, Duration::from_millis(ran), draw) {
                    Verdict::RestartAfter(_) => {
                        restarts.push(now);
                        prop_assert!(recent < policy.max_restarts as usize);
                    }
                    Verdict::GiveUp => {
                        prop_assert!(recent >= policy.max_restarts as usize);
                        break;
                    }
                }
                prop_assert!(budget.ends.len() <= policy.max_restarts as usize);
            }
        }

        #[test]
        fn pauses_stay_within_the_bounds_and_never_shrink_in_a_streak(
            policy in policy(),
            draws in prop::collection::vec(0..=DRAWS, 1..40),
        ) {
            let policy = RestartPolicy { max_restarts: 100, ..policy };
            let mut budget = RestartBudget::new(policy);
            let mut allowed = policy.backoff_min;
            for draw in draws {
                let Verdict::RestartAfter(pause) = budget.ended(Duration::ZERO, Duration::ZERO, draw)
                else { return Err(TestCaseError::fail("gave up within its budget")) };
                prop_assert!(pause >= allowed / 2 && pause <= allowed);
                allowed = (allowed * 2).min(policy.backoff_max);
            }
        }

        #[test]
        fn a_healthy_life_brings_back_the_shortest_pause(policy in policy(), streak in 0_u32..80) {
            let policy = RestartPolicy { max_restarts: 100, ..policy };
            let mut budget = RestartBudget::new(policy);
            for _ in 0..streak {
                budget.ended(Duration::ZERO, Duration::ZERO, 0);
            }
            let verdict = budget.ended(Duration::ZERO, policy.healthy_after, 0);
            prop_assert_eq!(verdict, Verdict::RestartAfter(policy.backoff_min / 2));
        }
    }

    #[test]
    fn forgiveness_gives_the_whole_budget_back() {
        let policy = RestartPolicy { max_restarts: 1, ..RestartPolicy::default() };
        let mut budget = RestartBudget::new(policy);
        let first = budget.ended(Duration::ZERO, Duration::ZERO, 0);
        assert_eq!(budget.ended(Duration::ZERO, Duration::ZERO, 0), Verdict::GiveUp);
        budget.forgive();
        assert_eq!(budget.ended(Duration::ZERO, Duration::ZERO, 0), first);
    }
}

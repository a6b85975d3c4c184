//! Achievements that can be earned again, once in each day, week or month.
//!
//! Each time is an achievement of its own on chain: the first has the id that the
//! rule names, the next the next one. So whatever keeps an effect from landing
//! twice does so for each of them.

use alloy::primitives::U256;

use super::{model::Achievement, period::Period, user::User};

/// How often an achievement can be earned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every {
    /// Once in each.
    pub(super) period: Period,
    /// So many times in all, at least 1.
    pub(super) cap: u64,
}

/// Whether a user can earn an achievement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chance {
    /// For the so many-th time, from 1.
    Now(u64),
    /// Not again before a time, in seconds since the Unix epoch.
    From(u64),
    Never,
}

impl Every {
    /// The highest of the ids that instances have, if there is room for them.
    pub(super) fn last_id(self, first: U256) -> Option<U256> {
        first.checked_add(U256::from(self.cap - 1))
    }
}

impl Achievement {
    /// Whether a user can earn it at a block time, where `place` is the
    /// achievement's.
    pub(super) fn chance(&self, user: &User, place: usize, now: u64) -> Chance {
        let Some(every) = self.every else {
            return if user.requested(place).is_some() { Chance::Never } else { Chance::Now(1) };
        };
        let times = user.times(place);
        if times.count >= every.cap {
            return Chance::Never;
        }
        let Some(period) = every.period.number(now) else { return Chance::Never };
        if times.count > 0 && times.period >= period {
            return every.period.next(now).map_or(Chance::Never, Chance::From);
        }
        Chance::Now(times.count + 1)
    }

    /// How often a user can have it.
    #[must_use]
    pub fn cap(&self) -> u64 {
        self.every.map_or(1, |every| every.cap)
    }

    /// The id in its contract of the so many-th time, from 1.
    #[must_use]
    pub fn id_of(&self, time: u64) -> U256 {
        // Compilation has seen that there is room.
        self.id.saturating_add(U256::from(time.saturating_sub(1)))
    }
}

//! Whether an endpoint is believed.
//!
//! One wrong answer sets it aside, for a minute at first and twice as long
//! each time, up to an hour. Then it is on probation: asked for what others
//! answer too, or when nobody else is left, until enough of its answers were
//! right. A day without a lie wipes the slate.

use std::{sync::Arc, time::Duration};

/// First time aside.
const FIRST: Duration = Duration::from_secs(60);
/// Longest time aside.
const LONGEST: Duration = Duration::from_secs(3_600);
/// A lie so long ago is forgiven.
const FORGIVEN: Duration = Duration::from_secs(24 * 3_600);
/// What a probation takes: so many answers that passed their checks.
const PROBATION: u32 = 100;
/// An answer that was compared with a trusted one counts for so many.
pub(crate) const COMPARED: u32 = 10;

/// What is known of an endpoint's honesty.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    reason: Option<Arc<str>>,
    lies: u32,
    lied_at: Duration,
    aside_until: Duration,
    /// What is left of the probation.
    owed: u32,
    /// Whether the end of the time aside has yet to be told.
    untold: bool,
}

/// Whether an endpoint is believed, at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Trusted,
    /// It is not asked before this time.
    Quarantined {
        /// The lie.
        reason: Arc<str>,
        /// Until when, by the clock that was told of the lie.
        until: Duration,
    },
    /// It is asked as the last, and watched.
    Probation {
        /// The lie.
        reason: Arc<str>,
    },
}

impl Trust {
    /// It gave a wrong answer at `now` (any clock that never goes back). Says
    /// how long it is set aside.
    pub fn lied(&mut self, now: Duration, reason: &str) -> Duration {
        if now > self.lied_at + FORGIVEN {
            self.lies = 0;
        }
        // What was under way together is one lie.
        if now >= self.aside_until {
            let aside = FIRST.saturating_mul(1 << self.lies.min(16)).min(LONGEST);
            self.lies = self.lies.saturating_add(1);
            self.aside_until = now + aside;
        }
        self.lied_at = now;
        self.reason = Some(reason.into());
        self.owed = PROBATION;
        self.untold = true;
        self.aside_until - now
    }

    /// An answer worth `points` was right. True when that ends the probation.
    pub fn proved(&mut self, now: Duration, points: u32) -> bool {
        if self.owed == 0 || now < self.aside_until {
            return false;
        }
        self.owed = self.owed.saturating_sub(points);
        self.owed == 0
    }

    /// True once after each time aside.
    pub fn returned(&mut self, now: Duration) -> bool {
        let returned = self.untold && now >= self.aside_until;
        self.untold &= !returned;
        returned
    }

    /// Whether it is believed at `now`.
    #[must_use]
    pub fn standing(&self, now: Duration) -> Standing {
        match &self.reason {
            Some(reason) if now < self.aside_until => {
                Standing::Quarantined { reason: Arc::clone(reason), until: self.aside_until }
            }
            Some(reason) if self.owed > 0 => Standing::Probation { reason: Arc::clone(reason) },
            _ => Standing::Trusted,
        }
    }

    pub(super) fn is_quarantined(&self, now: Duration) -> bool {
        now < self.aside_until
    }

    pub(super) fn is_on_probation(&self, now: Duration) -> bool {
        self.owed > 0 && !self.is_quarantined(now)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    const fn s(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn each_lie_sets_it_aside_for_twice_as_long_up_to_an_hour() {
        let mut trust = Trust::default();
        let mut now = s(5);
        for expected in [60, 120, 240, 480, 960, 1_920, 3_600, 3_600] {
            assert_eq!(trust.lied(now, "it lied"), s(expected));
            assert!(matches!(trust.standing(now), Standing::Quarantined { .. }));
            now += s(expected);
            assert_eq!(trust.standing(now), Standing::Probation { reason: "it lied".into() });
        }
        now += FORGIVEN + s(1);
        assert_eq!(trust.lied(now, "it lied"), s(60));
    }

    #[test]
    fn lies_that_were_under_way_together_are_one() {
        let mut trust = Trust::default();
        assert_eq!(trust.lied(s(0), "one"), s(60));
        assert_eq!(trust.lied(s(1), "two"), s(59));
        assert_eq!(trust.lied(s(60), "three"), s(120));
    }

    #[test]
    fn trust_comes_back_with_enough_right_answers() {
        let mut trust = Trust::default();
        trust.lied(s(0), "it lied");
        assert!(!trust.proved(s(30), PROBATION), "in quarantine nothing counts");
        assert!(!trust.returned(s(59)) && trust.returned(s(60)) && !trust.returned(s(61)));
        for _ in 0..PROBATION / COMPARED - 1 {
            assert!(!trust.proved(s(61), COMPARED));
        }
        assert!(trust.is_on_probation(s(61)));
        assert!(trust.proved(s(61), COMPARED));
        assert_eq!(trust.standing(s(61)), Standing::Trusted);
    }
}

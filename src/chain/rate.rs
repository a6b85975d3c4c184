//! How fast one endpoint may be asked: a token bucket over credits, that
//! learns from refusals what the plan does not say.
//!
//! Pure: time is an input, any clock that never goes back. Live calls reserve
//! ahead, first come, first served: the bucket may go into debt, and each call
//! is told how long to wait. What can wait takes only what lies above a
//! quarter of the burst, so that a live call always finds something.
//!
//! A refusal halves the rate, at most once a second (the calls of one wave are
//! refused together), and the rate regrows in a line over a minute. An
//! endpoint without a plan is not limited before its first refusal; then what
//! was asked of it lately stands for its plan. That says little (a spell of
//! refusals right after the start looks like a plan of nearly nothing), so its
//! rate doubles every few seconds until it refuses again.

use std::{collections::BTreeMap, time::Duration};

/// Longest pause that an endpoint may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Refusals within it are one.
const WAVE: Duration = Duration::from_secs(1);
/// Time for a rate to grow by the whole plan.
const REGROW_S: f64 = 60.0;
/// Time for the rate of an endpoint without a plan to double.
const DOUBLE_S: f64 = 3.0;
/// A cut rate is at least the plan divided by it.
const DEEPEST: f64 = 32.0;
/// Time over which the use of an endpoint without a plan is smoothed.
const SEEN_S: f64 = 5.0;
/// An endpoint without a plan that refused is taken for at least so fast at
/// first, in credits per second: few calls tell little.
const SEEN_MIN: f64 = 10.0;
/// Beyond so many times of what it bore, an endpoint without a plan is
/// unlimited again.
const FORGET: f64 = 4.0;

/// What a plan allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Credits per second.
    pub per_second: u32,
    /// Credits that may be spent at once after a rest.
    pub burst: u32,
    /// Credits of a method's call.
    pub costs: BTreeMap<String, u32>,
    /// Credits of any other call.
    pub default_cost: u32,
}

impl Plan {
    /// Credits of a call.
    #[must_use]
    pub fn cost(&self, method: &str) -> u32 {
        self.costs.get(method).copied().unwrap_or(self.default_cost)
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Credits per second, and at once.
    plan: Option<(f64, f64)>,
    cut: Option<Cut>,
    /// Credits left; below zero they are promised.
    level: f64,
    /// Credits per second that were asked for lately.
    seen: f64,
    at: Duration,
    paused_until: Duration,
}

/// After a refusal.
#[derive(Clone, Copy, Debug)]
struct Cut {
    rate: f64,
    /// What the rate was before, or stood for it.
    whole: f64,
    /// When it was last cut.
    at: Duration,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(plan: Option<&Plan>) -> Self {
        let plan = plan.map(|plan| (f64::from(plan.per_second), f64::from(plan.burst)));
        Self {
            plan,
            cut: None,
            level: plan.map_or(0.0, |(_, burst)| burst),
            seen: 0.0,
            at: Duration::ZERO,
            paused_until: Duration::ZERO,
        }
    }

    /// Takes `cost` credits for a call that may go out after the time that it
    /// gives.
    ///
    /// # Errors
    /// The time it would take, when that is more than `longest`. Nothing is
    /// taken then.
    pub fn reserve(
        &mut self,
        now: Duration,
        cost: f64,
        longest: Duration,
    ) -> Result<Duration, Duration> {
        self.advance(now);
        let wait = self.until(now, cost);
        if wait > longest {
            return Err(wait);
        }
        self.take(cost);
        Ok(wait)
    }

    /// Takes `cost` credits for what can wait, if they are there beside the
    /// reserve.
    ///
    /// # Errors
    /// The time after which to ask again.
    pub fn take_spare(&mut self, now: Duration, cost: f64) -> Result<(), Duration> {
        self.advance(now);
        // More than the bucket holds never comes together.
        let needed = self.burst().map_or(0.0, |burst| (cost + burst / 4.0).min(burst));
        match self.until(now, needed) {
            Duration::ZERO => {
                self.take(cost);
                Ok(())
            }
            wait => Err(wait.max(Duration::from_millis(1))),
        }
    }

    /// Takes credits for what goes out anyway.
    pub fn charge(&mut self, now: Duration, cost: f64) {
        self.advance(now);
        self.take(cost);
    }

    /// Gives back what was taken for a call that did not go out.
    pub fn refund(&mut self, cost: f64) {
        if let Some(burst) = self.burst() {
            self.level = (self.level + cost).min(burst);
        }
    }

    /// It refused: too many calls. It may have asked to be left alone.
    pub fn refused(&mut self, now: Duration, wish: Option<Duration>) {
        self.advance(now);
        let pause = wish.unwrap_or_default().min(PAUSE_MAX);
        self.paused_until = self.paused_until.max(now + pause);
        self.level = self.level.min(0.0);
        let whole = match (self.plan, self.cut) {
            (Some((rate, _)), _) => rate,
            (None, Some(cut)) => cut.whole,
            (None, None) => self.seen.max(SEEN_MIN),
        };
        let rate = match self.cut {
            Some(cut) if now < cut.at + WAVE => return,
            Some(cut) => cut.rate.min(whole),
            None => whole,
        };
        self.cut = Some(Cut { rate: (rate / 2.0).max(whole / DEEPEST), whole, at: now });
    }

    /// How long a call of `cost` would wait.
    #[must_use]
    pub fn wait(&self, now: Duration, cost: f64) -> Duration {
        let mut then = self.clone();
        then.advance(now);
        then.until(now, cost)
    }

    /// How much longer it asked to be left alone.
    #[must_use]
    pub fn pause(&self, now: Duration) -> Duration {
        self.paused_until.saturating_sub(now)
    }

    /// Credits per second now; `None`: as many as one likes.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.cut.map(|cut| cut.rate).or(self.plan.map(|(rate, _)| rate))
    }

    /// Whether it refused of late: its rate is below the plan.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    fn burst(&self) -> Option<f64> {
        match (self.plan, self.cut) {
            (Some((_, burst)), _) => Some(burst),
            (None, Some(cut)) => Some(cut.whole),
            (None, None) => None,
        }
    }

    fn until(&self, now: Duration, needed: f64) -> Duration {
        let short = match self.rate() {
            Some(rate) => ((needed - self.level) / rate).max(0.0),
            None => 0.0,
        };
        // Within a pause nothing flows in.
        let flows = Duration::try_from_secs_f64(short).unwrap_or(Duration::MAX);
        self.pause(now).saturating_add(flows)
    }

    fn take(&mut self, cost: f64) {
        self.seen += cost / SEEN_S;
        if self.burst().is_some() {
            self.level -= cost;
        }
    }

    fn advance(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.at).as_secs_f64();
        let flowing = now.saturating_sub(self.at.max(self.paused_until)).as_secs_f64();
        self.at = self.at.max(now);
        self.seen *= (-elapsed / SEEN_S).exp();
        if let (Some(rate), Some(burst)) = (self.rate(), self.burst()) {
            self.level = (self.level + rate * flowing).min(burst);
        }
        let Some(cut) = &mut self.cut else { return };
        match self.plan {
            Some(_) => cut.rate += cut.whole * flowing / REGROW_S,
            None => cut.rate *= (flowing / DOUBLE_S).exp2(),
        }
        let enough = if self.plan.is_some() { cut.whole } else { cut.whole * FORGET };
        if cut.rate >= enough {
            self.cut = None;
        }
    }
}

#[cfg(test)]
mod tests;

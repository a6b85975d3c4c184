//! How fast history is read, and how long it will take.

use std::time::Duration;

use serde::Serialize;

/// What `status` shows of a backfill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct BackfillStatus {
    /// The first block that was read since this incarnation began.
    pub(super) from: u64,
    /// The next block.
    pub(super) next: u64,
    /// The last block that is final and confirmed now.
    pub(super) target: u64,
    /// Blocks a second, smoothed.
    pub(super) blocks_per_s: f64,
    /// Events a second, smoothed.
    pub(super) events_per_s: f64,
    /// Seconds until the target at this speed; none while nothing moves.
    pub(super) eta_s: Option<u64>,
}

/// A backfill is told of while more blocks than this are left.
pub(super) const FAR_BEHIND: u64 = 1_000;
/// Old speeds fade with this half-life.
const HALF_LIFE: Duration = Duration::from_secs(5);
/// Measured over at least so long: batches come in bursts.
const SAMPLE: Duration = Duration::from_millis(500);

/// Follows one contract's way through history. Times are those since any
/// moment that stays the same.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    from: u64,
    next: u64,
    target: u64,
    /// When the speeds were last reckoned, and what came since.
    reckoned: Duration,
    blocks: u64,
    events: u64,
    speed: Option<Speed>,
}

#[derive(Clone, Copy, Debug)]
struct Speed {
    blocks: f64,
    events: f64,
}

impl Progress {
    /// Begins at block `from`.
    pub(super) fn new(from: u64, now: Duration) -> Self {
        Self { from, next: from, target: from, reckoned: now, blocks: 0, events: 0, speed: None }
    }

    /// Blocks before `next` are published, which had `events` more events;
    /// all up to `target` could be.
    pub(super) fn moved(&mut self, next: u64, events: u64, target: u64, now: Duration) {
        self.blocks += next.saturating_sub(self.next);
        self.events += events;
        (self.next, self.target) = (next, target);
        let passed = now.saturating_sub(self.reckoned);
        if passed < SAMPLE {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let rate = |count: u64| count as f64 / passed.as_secs_f64();
        let newest = Speed { blocks: rate(self.blocks), events: rate(self.events) };
        let fading = 0.5_f64.powf(passed.as_secs_f64() / HALF_LIFE.as_secs_f64());
        let mixed = |before: f64, newest: f64| newest + (before - newest) * fading;
        self.speed = Some(match self.speed {
            None => newest,
            Some(before) => Speed {
                blocks: mixed(before.blocks, newest.blocks),
                events: mixed(before.events, newest.events),
            },
        });
        (self.reckoned, self.blocks, self.events) = (now, 0, 0);
    }

    /// Blocks up to the target.
    pub(super) fn remaining(&self) -> u64 {
        (self.target + 1).saturating_sub(self.next)
    }

    /// What to show while there is far to go.
    pub(super) fn status(&self) -> Option<BackfillStatus> {
        let remaining = self.remaining();
        if remaining <= FAR_BEHIND {
            return None;
        }
        let speed = self.speed.unwrap_or(Speed { blocks: 0.0, events: 0.0 });
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate"
        )]
        let eta_s = (speed.blocks > 0.01).then(|| (remaining as f64 / speed.blocks).ceil() as u64);
        Some(BackfillStatus {
            from: self.from,
            next: self.next,
            target: self.target,
            blocks_per_s: round(speed.blocks),
            events_per_s: round(speed.events),
            eta_s,
        })
    }
}

/// To a tenth: more would only look exact.
fn round(speed: f64) -> f64 {
    (speed * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_steady_pace_is_told_with_the_time_that_is_left() {
        let mut progress = Progress::new(1_000, at(0));
        for tenth in 1..=100 {
            progress.moved(1_000 + tenth * 50, 20, 101_000, at(tenth * 100));
        }
        let status = progress.status().unwrap();
        assert_eq!((status.from, status.next, status.target), (1_000, 6_000, 101_000));
        assert_eq!((status.blocks_per_s, status.events_per_s), (500.0, 200.0));
        assert_eq!(status.eta_s, Some(191));
    }

    #[test]
    fn a_change_of_pace_is_seen_within_some_half_lives() {
        let mut progress = Progress::new(0, at(0));
        progress.moved(10_000, 0, 1_000_000, at(1_000));
        for second in 2..=31 {
            progress.moved(10_000 + (second - 1) * 100, 0, 1_000_000, at(second * 1_000));
        }
        let speed = progress.status().unwrap().blocks_per_s;
        assert!((100.0..300.0).contains(&speed), "{speed}");
    }

    #[test]
    fn near_the_head_and_before_the_first_second_nothing_is_made_up() {
        let mut progress = Progress::new(5, at(0));
        assert_eq!(progress.status(), None);
        progress.moved(6, 0, 5_000, at(10));
        assert_eq!(progress.status().unwrap().eta_s, None);
        progress.moved(4_500, 0, 5_000, at(900));
        assert_eq!(progress.status(), None);
        assert_eq!(progress.remaining(), 501);
    }
}

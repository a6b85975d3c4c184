//! When to look for the next block.
//!
//! The time between blocks is learnt from when they arrive, over a window of
//! blocks, so that chains of several blocks a second work like slow ones. A
//! look is due when the next block is; while it is late, looks follow in
//! growing steps, and after a missed slot they gather around the next one. A
//! block that was there at the first look may have been there for long: the
//! next look comes a little earlier, until one comes too early. So a block
//! costs two or three looks, wherever in its slot it comes. Pure: time is an
//! input, from any clock that never goes back.

use std::{collections::VecDeque, time::Duration};

/// Blocks over which the time between them is learnt.
const WINDOW: usize = 32;
/// Looks within a slot, as parts (of 16) of the time between blocks after the
/// one when the block is due.
const LATE: [u32; 3] = [2, 5, 10];
/// How much earlier, as a part of the time between blocks, the next look is
/// after one that found its block at once.
const EARLIER: u32 = 12;
/// A gap so many times the usual one was a pause of the chain, or of ours.
const PAUSE: u32 = 4;
/// With heads announced by a WebSocket, a look is due so many parts (of 16)
/// after the block is: only for what it fails to announce.
const ANNOUNCED: u32 = 10;

/// Shortest and longest time between two looks.
const BOUNDS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(15));

/// See the module.
#[derive(Clone, Debug)]
pub struct Pace {
    fixed: Option<Duration>,
    block_time: Duration,
    /// The head and when it was seen first.
    last: Option<(u64, Duration)>,
    /// When the head came, as well as that is known.
    anchor: Duration,
    /// When was looked last.
    looked: Duration,
    /// Blocks that arrived together, and the time since those before.
    gaps: VecDeque<(u64, Duration)>,
}

impl Pace {
    /// The time between blocks is presumed until it is known; `fixed` is kept
    /// whatever the chain does.
    #[must_use]
    pub fn new(presumed: Duration, fixed: Option<Duration>) -> Self {
        Self {
            fixed,
            block_time: presumed,
            last: None,
            anchor: Duration::ZERO,
            looked: Duration::ZERO,
            gaps: VecDeque::new(),
        }
    }

    /// The time between blocks.
    #[must_use]
    pub fn block_time(&self) -> Duration {
        self.block_time
    }

    /// A look at `now` found the head at `number`; `announced`: because
    /// somebody said so.
    pub fn saw(&mut self, number: u64, now: Duration, announced: bool) {
        let before = std::mem::replace(&mut self.looked, now);
        let Some((last, at)) = self.last.filter(|(last, _)| number >= *last) else {
            // The first, or lower after a reorg: count from there.
            (self.last, self.anchor) = (Some((number, now)), now);
            return;
        };
        if number == last {
            return;
        }
        self.last = Some((number, now));
        self.gaps.push_back((number - last, now.saturating_sub(at)));
        if self.gaps.len() > WINDOW {
            self.gaps.pop_front();
        }
        self.learn();
        let single = number == last + 1;
        self.anchor = if single && !announced { self.came(before, now) } else { now };
    }

    /// When the block came that was found at `now`, the last look before being
    /// at `before`.
    fn came(&self, before: Duration, now: Duration) -> Duration {
        let time = self.block_time;
        let slots = self.slots(now).0.max(1);
        let due = self.anchor + time.saturating_mul(slots);
        let came = if before >= due {
            // After a look that was too early. One late block does not make
            // the next ones late.
            let came = before + (now - before) / 2;
            due + came.saturating_sub(due) / 4
        } else {
            due.saturating_sub(time / EARLIER)
        };
        came.clamp(now.saturating_sub(time / 2), now)
    }

    /// Whole slots since the head came, and the time into the next.
    fn slots(&self, now: Duration) -> (u32, Duration) {
        let passed = now.saturating_sub(self.anchor);
        let slots = passed.as_nanos() / self.block_time.as_nanos().max(1);
        let slots = u32::try_from(slots).unwrap_or(u32::MAX);
        (slots, passed.saturating_sub(self.block_time.saturating_mul(slots)))
    }

    /// What was seen last is no measure of the next gap: it was caught up
    /// with, or nobody looked for a while.
    pub fn interrupted(&mut self) {
        self.last = None;
    }

    /// How long to wait before the next look. `announced`: somebody says when
    /// there is a block.
    #[must_use]
    pub fn wait(&self, now: Duration, announced: bool) -> Duration {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        let time = self.block_time;
        if self.last.is_none() {
            return within(time / 4);
        }
        let (slot, into) = self.slots(now);
        let parts: &[u32] = if slot == 0 {
            &[]
        } else if announced {
            &[ANNOUNCED]
        } else {
            &LATE
        };
        // In the slot of a block that is there already nothing is due.
        let next = parts.iter().map(|part| time * *part / 16).find(|next| *next > into);
        let next = match (next, announced) {
            (Some(next), _) => next,
            (None, true) => time + time * ANNOUNCED / 16,
            (None, false) => time,
        };
        within(next.saturating_sub(into))
    }

    /// Whether the next block should have been there for a while.
    #[must_use]
    pub fn is_overdue(&self, now: Duration) -> bool {
        let slack = self.block_time / 2 + Duration::from_millis(500);
        self.last.is_some_and(|(_, seen)| now.saturating_sub(seen) > self.block_time + slack)
    }

    /// Number over time, pauses left out; where most gaps are alike, those
    /// that are not are missed slots.
    fn learn(&mut self) {
        let each = |(count, time): &(u64, Duration)| {
            *time / u32::try_from(*count).unwrap_or(u32::MAX).max(1)
        };
        let mut sorted: Vec<Duration> = self.gaps.iter().map(each).collect();
        sorted.sort_unstable();
        let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(self.block_time);
        let usual = usual.max(Duration::from_millis(1));
        let alike = |gap: &&(u64, Duration)| each(gap).abs_diff(usual) <= usual / 4;
        let slotted = self.gaps.iter().filter(alike).count() * 3 >= self.gaps.len() * 2;
        // Short gaps always count: without them a look that comes too seldom
        // would find itself confirmed.
        let longest = if slotted { usual * 3 / 2 } else { usual.saturating_mul(PAUSE) };
        let kept = |gap: &&(u64, Duration)| each(gap) <= longest;
        let sum = |sum: (u64, Duration), gap: &(u64, Duration)| (sum.0 + gap.0, sum.1 + gap.1);
        let (count, time) = self.gaps.iter().filter(kept).fold((0, Duration::ZERO), sum);
        let learnt = time / u32::try_from(count).unwrap_or(u32::MAX).max(1);
        // Until the window tells enough, what was presumed counts as well.
        let weight = u32::try_from(self.gaps.len()).unwrap_or(4).min(4);
        self.block_time = ((learnt * weight + self.block_time * (4 - weight)) / 4)
            .clamp(Duration::from_millis(5), Duration::from_secs(3600));
    }
}

fn within(wait: Duration) -> Duration {
    wait.clamp(BOUNDS.0, BOUNDS.1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// What looking at a chain came to, once its pace was known.
    #[derive(Debug)]
    struct Looks {
        per_block: f64,
        delay: Duration,
        longest: Duration,
        learnt: Duration,
    }

    /// Blocks at these times (ascending), looked at as the pace says.
    fn look(mut pace: Pace, blocks: &[Duration]) -> Looks {
        let warm = blocks.len() / 3;
        let (mut now, mut seen, mut looks) = (blocks[0], 0, 0u32);
        let (mut delays, mut longest) = (Vec::new(), Duration::ZERO);
        while seen < blocks.len() {
            let head = blocks.partition_point(|at| *at <= now);
            if seen > warm {
                looks += 1;
                delays.extend(blocks[seen..head].iter().map(|at| now - *at));
            }
            seen = head;
            pace.saw(head as u64, now, false);
            let wait = pace.wait(now, false);
            if seen > warm {
                longest = longest.max(wait);
            }
            now += wait;
        }
        let count = delays.len() as u32;
        Looks {
            per_block: f64::from(looks) / f64::from(count),
            delay: delays.iter().sum::<Duration>() / count,
            longest,
            learnt: pace.block_time(),
        }
    }

    #[test]
    fn poll_interval_follows_block_time() {
        for time in [100, 250, 750, 2_000, 5_000, 12_000] {
            let blocks: Vec<Duration> = (1..200).map(|n| ms(n * time)).collect();
            let looks = look(Pace::new(ms(2_000), None), &blocks);
            assert!(looks.per_block <= 2.5, "{time}: {looks:?}");
            assert!(looks.delay <= ms(time / 8).max(ms(20)), "{time}: {looks:?}");
            let off = looks.learnt.abs_diff(ms(time));
            assert!(off <= ms(time / 5), "{time}: {looks:?}");
        }
    }

    #[test]
    fn a_missed_slot_or_an_idle_hour_does_not_make_it_crawl() {
        let mut blocks: Vec<Duration> = (1..60).map(|n| ms(n * 12_000)).collect();
        blocks.retain(|at| at.as_millis() / 12_000 % 9 != 5);
        let looks = look(Pace::new(ms(12_000), None), &blocks);
        assert!(looks.per_block <= 3.0 && looks.delay <= ms(2_000), "{looks:?}");
        assert!(looks.longest <= ms(12_000), "{looks:?}");

        let mut pace = Pace::new(ms(1_000), None);
        (0..40).for_each(|n| pace.saw(n, ms(n * 1_000), true));
        pace.saw(40, ms(3_600_000), false);
        assert!(pace.block_time() < ms(1_100), "{pace:?}");
    }

    #[test]
    fn several_blocks_a_look_are_counted() {
        let mut pace = Pace::new(ms(2_000), None);
        (0..40).for_each(|n| pace.saw(n * 10, ms(n * 100), false));
        assert_eq!(pace.block_time(), ms(10));
        assert_eq!(pace.wait(ms(3_900), false), ms(20), "not more often than that");
    }

    #[test]
    fn announced_blocks_are_looked_for_only_when_they_are_late() {
        let mut pace = Pace::new(ms(2_000), None);
        (0..40).for_each(|n| pace.saw(n, ms(n * 2_000), true));
        let seen = ms(78_000);
        assert_eq!(pace.wait(seen, false), ms(2_000));
        assert_eq!(pace.wait(seen, true), ms(3_250));
        assert_eq!(pace.wait(seen + ms(3_250), true), ms(2_000));
        assert!(!pace.is_overdue(seen + ms(3_000)) && pace.is_overdue(seen + ms(3_600)));
    }

    #[test]
    fn a_fixed_interval_is_kept() {
        let mut pace = Pace::new(ms(2_000), Some(ms(70)));
        (0..40).for_each(|n| pace.saw(n, ms(n * 500), true));
        assert_eq!(pace.wait(ms(19_500), true), ms(70));
        assert_eq!(pace.block_time(), ms(500));
    }

    proptest! {
        #[test]
        fn jittery_blocks_cost_few_looks_and_little_delay(
            time in 100u64..14_000,
            jitters in prop::collection::vec(0u64..30, 120),
        ) {
            let blocks: Vec<Duration> = jitters
                .iter()
                .enumerate()
                .map(|(n, percent)| ms((n as u64 + 1) * time + percent * time / 100))
                .collect();
            let looks = look(Pace::new(ms(2_000), None), &blocks);
            prop_assert!(looks.per_block <= 3.0, "{:?}", looks);
            prop_assert!(looks.delay <= ms(time / 3).max(ms(25)), "{:?}", looks);
            prop_assert!(looks.longest <= ms(15_000), "{:?}", looks);
        }

        #[test]
        fn whatever_is_seen_the_wait_is_within_bounds(
            seen in prop::collection::vec((0u64..1000, 0u64..10_000_000), 0..80),
            announced: bool,
        ) {
            let mut pace = Pace::new(ms(1), None);
            let mut now = Duration::ZERO;
            for (number, passed) in seen {
                now += Duration::from_micros(passed);
                pace.saw(number, now, announced);
                let wait = pace.wait(now + Duration::from_micros(passed / 3), announced);
                prop_assert!((BOUNDS.0..=BOUNDS.1).contains(&wait));
            }
        }
    }
}

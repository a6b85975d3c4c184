//! Which blocks of a replay are read next, and when it ends. No I/O.

use std::time::Duration;

use tokio::time::Instant;

use super::{NotReplayed, REPLAY_BLOCKS_MAX, ReplayState, ReplayStatus, StartReplay};
use crate::{
    chain::cursor::{Cursor, Limits},
    domain::{BlockRef, Name},
};

/// Most blocks that are read at once: the live end waits for as long.
const CHUNK_BLOCKS_MAX: u64 = 500;
/// Failures in a row after which it is given up.
const FAILURES_MAX: u32 = 8;
/// Pause after a failure; each later one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// What was asked for last, and how far it is.
#[derive(Debug, Default)]
pub(in super::super) struct Replay(Option<Run>);

/// How far one is.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) from: u64,
    pub(super) to: u64,
    next: u64,
    pub(super) events: u64,
    pub(super) state: ReplayState,
    pub(super) why: Option<String>,
    /// Blocks to be read at once.
    width: u64,
    failures: u32,
    pub(super) not_before: Option<Instant>,
}

/// What comes next of a replay.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Nothing, now.
    None,
    /// Read these blocks, which lie on one side of finality.
    Read(u64, u64),
}

impl Replay {
    /// Begins a replay, unless it makes no sense. What goes on already may be
    /// asked for again.
    pub(super) fn begin(
        &mut self,
        ask: StartReplay,
        start: u64,
        cursor: &Cursor,
    ) -> Result<(), NotReplayed> {
        let StartReplay { from_block, to_block } = ask;
        if from_block > to_block {
            return Err(NotReplayed::Inverted { from_block, to_block });
        }
        let blocks = (to_block - from_block).saturating_add(1);
        if blocks > REPLAY_BLOCKS_MAX {
            return Err(NotReplayed::TooMany { blocks });
        }
        if from_block < start {
            return Err(NotReplayed::BeforeStart { from_block, start_block: start });
        }
        let last = cursor.tip().map(|tip| tip.number);
        if last.is_none_or(|last| to_block > last) {
            return Err(NotReplayed::NotToldYet { to_block, last });
        }
        match &self.0 {
            Some(run) if run.state == ReplayState::Running => {
                let same = (run.from, run.to) == (from_block, to_block);
                let (from_block, to_block, next_block) = (run.from, run.to, run.next);
                let busy = NotReplayed::Busy { from_block, to_block, next_block };
                if same { Ok(()) } else { Err(busy) }
            }
            _ => {
                self.0 = Some(Run {
                    from: from_block,
                    to: to_block,
                    next: from_block,
                    events: 0,
                    state: ReplayState::Running,
                    why: None,
                    width: CHUNK_BLOCKS_MAX,
                    failures: 0,
                    not_before: None,
                });
                Ok(())
            }
        }
    }

    pub(in super::super) fn status(&self, contract: &Name) -> Option<ReplayStatus> {
        let run = self.0.as_ref()?;
        Some(ReplayStatus {
            contract: contract.clone(),
            state: run.state,
            from_block: run.from,
            to_block: run.to,
            next_block: run.next,
            events: run.events,
            why: run.why.clone(),
        })
    }

    /// Whatever became of it.
    pub(super) fn last(&mut self) -> Option<&mut Run> {
        self.0.as_mut()
    }

    pub(super) fn running(&mut self) -> Option<&mut Run> {
        self.0.as_mut().filter(|run| run.state == ReplayState::Running)
    }
}

impl Run {
    /// What to read next. Ends the replay where blocks of it are not told any
    /// more: what takes their place is told by itself.
    pub(super) fn chunk(&mut self, cursor: &Cursor, finalized: u64, limits: &Limits) -> Chunk {
        if cursor.tip().is_none_or(|tip| tip.number < self.to) {
            self.fail("blocks of it were taken back meanwhile; what takes their place is told");
            return Chunk::None;
        }
        let (last, most) = if self.next <= finalized {
            (self.to.min(finalized), limits.blocks)
        } else {
            (self.to, limits.unfinalized_blocks)
        };
        let width = self.width.min(most).max(1);
        Chunk::Read(self.next, last.min(self.next.saturating_add(width - 1)))
    }

    pub(super) fn told(&mut self, through: u64, events: u64) {
        self.next = through.saturating_add(1).max(self.next);
        self.events += events;
        (self.why, self.failures, self.not_before) = (None, 0, None);
        self.width = (self.width * 2).min(CHUNK_BLOCKS_MAX);
        if self.next > self.to {
            self.state = ReplayState::Done;
        }
    }

    pub(super) fn fail(&mut self, why: impl Into<String>) {
        self.state = ReplayState::Failed;
        self.why = Some(why.into());
    }

    /// Reads fewer blocks after a pause, which `jitter` shortens, or gives up.
    pub(super) fn stumbled(&mut self, why: String, now: Instant, jitter: f64) {
        self.failures += 1;
        if self.failures >= FAILURES_MAX {
            return self.fail(why);
        }
        self.why = Some(why);
        self.width = (self.width / 2).max(1);
        let pause = PAUSE.saturating_mul(1 << self.failures.min(16)).min(PAUSE_MAX);
        self.not_before = Some(now + pause.mul_f64(jitter));
    }
}

/// Blocks that may still be orphaned must be those that were announced: the
/// chain may have moved, and the actor not yet have seen it.
pub(super) fn announced(blocks: &[BlockRef], finalized: u64, cursor: &Cursor) -> bool {
    blocks.iter().filter(|block| block.number > finalized).all(|block| {
        let known = cursor.announced_below(block.number.saturating_add(1));
        known.is_some_and(|known| known.number == block.number && known.hash == block.hash)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy::primitives::B256;
    use proptest::prelude::*;

    use super::*;
    use crate::chain::cursor::Confirmations;

    const LIMITS: Limits = Limits { blocks: 100, unfinalized_blocks: 7 };

    fn block(number: u64) -> BlockRef {
        let hash = |number: u64| B256::left_padding_from(&number.to_be_bytes());
        let parent_hash = hash(number.wrapping_sub(1));
        BlockRef { number, hash: hash(number), parent_hash, time: number }
    }

    /// A cursor that announced all blocks from 5 to `tip`, of which those up to
    /// `finalized` are final.
    fn cursor(tip: u64, finalized: u64) -> Cursor {
        let mut cursor = Cursor::new(5, Confirmations::Blocks(0));
        let recent: Vec<BlockRef> = (5..=tip).map(block).collect();
        cursor.advanced(block(tip), &recent, finalized);
        cursor
    }

    fn ask(from_block: u64, to_block: u64) -> StartReplay {
        StartReplay { from_block, to_block }
    }

    fn begun(from: u64, to: u64, cursor: &Cursor) -> Replay {
        let mut replay = Replay::default();
        replay.begin(ask(from, to), 5, cursor).unwrap();
        replay
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let cursor = cursor(1_000_000, 0);
        let refused = |from, to| Replay::default().begin(ask(from, to), 5, &cursor).unwrap_err();
        assert_eq!(refused(9, 8), NotReplayed::Inverted { from_block: 9, to_block: 8 });
        assert_eq!(refused(4, 8), NotReplayed::BeforeStart { from_block: 4, start_block: 5 });
        assert_eq!(
            refused(5, 5 + REPLAY_BLOCKS_MAX),
            NotReplayed::TooMany { blocks: REPLAY_BLOCKS_MAX + 1 }
        );
        assert_eq!(refused(0, u64::MAX), NotReplayed::TooMany { blocks: u64::MAX });
        let (to_block, last) = (1_000_001, Some(1_000_000));
        assert_eq!(refused(1_000_000, to_block), NotReplayed::NotToldYet { to_block, last });
        let fresh = Cursor::new(5, Confirmations::Blocks(0));
        let nothing = Replay::default().begin(ask(6, 7), 5, &fresh).unwrap_err();
        assert_eq!(nothing, NotReplayed::NotToldYet { to_block: 7, last: None });
        assert!(nothing.to_string().ends_with("watermark: there is none yet"), "{nothing}");
    }

    #[test]
    fn one_goes_on_at_a_time_and_the_same_may_be_asked_for_twice() {
        let cursor = cursor(50, 40);
        let mut replay = begun(10, 20, &cursor);
        assert_eq!(replay.begin(ask(10, 20), 5, &cursor), Ok(()));
        let busy = replay.begin(ask(10, 21), 5, &cursor).unwrap_err();
        assert_eq!(busy, NotReplayed::Busy { from_block: 10, to_block: 20, next_block: 10 });
        replay.running().unwrap().told(20, 3);
        assert_eq!(replay.begin(ask(10, 21), 5, &cursor), Ok(()));
        assert_eq!(replay.status(&Name::new("dao").unwrap()).unwrap().events, 0);
    }

    proptest! {
        /// Whatever is read at once and whatever fails, each block is told once,
        /// and no chunk lies on both sides of finality.
        #[test]
        fn every_block_is_told_once_in_order(
            from in 5_u64..300, len in 1_u64..300, finalized in 0_u64..700,
            steps in prop::collection::vec((any::<bool>(), 1_u64..200), 1..400),
        ) {
            let to = from + len - 1;
            let cursor = cursor(to + 3, finalized);
            let mut replay = begun(from, to, &cursor);
            let mut told = Vec::new();
            let mut failed = 0;
            for (works, share) in steps.iter().cycle().take(5_000) {
                let Some(run) = replay.running() else { break };
                let Chunk::Read(first, last) = run.chunk(&cursor, finalized, &LIMITS) else {
                    return Err(TestCaseError::fail("nothing was taken back"));
                };
                prop_assert!(first <= last && last <= to);
                prop_assert!(last <= finalized || first > finalized);
                let most = if first <= finalized { 100 } else { 7 };
                prop_assert!(last - first < most);
                if *works || failed == FAILURES_MAX - 2 {
                    // An endpoint may give the beginning only.
                    let through = last.min(first + share - 1);
                    told.extend(first..=through);
                    run.told(through, 1);
                    failed = 0;
                } else {
                    run.stumbled("away".to_owned(), Instant::now(), 1.0);
                    failed += 1;
                }
            }
            prop_assert_eq!(told, (from..=to).collect::<Vec<_>>());
            let status = replay.status(&Name::new("dao").unwrap()).unwrap();
            prop_assert_eq!((status.state, status.next_block), (ReplayState::Done, to + 1));
        }
    }

    #[test]
    fn it_ends_when_blocks_of_it_are_taken_back_or_it_fails_too_often() {
        let mut cursor = cursor(50, 10);
        let mut replay = begun(20, 40, &cursor);
        cursor.retracted(block(40));
        assert_eq!(replay.running().unwrap().chunk(&cursor, 10, &LIMITS), Chunk::Read(20, 26));
        cursor.retracted(block(39));
        assert_eq!(replay.running().unwrap().chunk(&cursor, 10, &LIMITS), Chunk::None);
        let status = replay.status(&Name::new("dao").unwrap()).unwrap();
        assert_eq!(status.state, ReplayState::Failed);
        assert!(status.why.unwrap().contains("taken back"));

        replay.begin(ask(20, 39), 5, &cursor).unwrap();
        for _ in 0..FAILURES_MAX {
            replay.running().unwrap().stumbled(
                "the endpoint is away".to_owned(),
                Instant::now(),
                0.5,
            );
        }
        let status = replay.status(&Name::new("dao").unwrap()).unwrap();
        assert_eq!(status.state, ReplayState::Failed);
        assert_eq!(status.why.as_deref(), Some("the endpoint is away"));
    }

    #[test]
    fn blocks_of_another_branch_are_not_told() {
        let cursor = cursor(50, 10);
        let mut other = block(30);
        other.hash = B256::repeat_byte(0xee);
        assert!(announced(&[block(29), block(30)], 10, &cursor));
        assert!(!announced(&[block(29), other], 10, &cursor));
        assert!(announced(&[other], 30, &cursor), "final blocks have no other branch");
    }
}

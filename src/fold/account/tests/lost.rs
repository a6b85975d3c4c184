//! Whatever a stream loses of a contract whose blocks are orphaned now and then.

use std::collections::HashSet;

use super::*;

/// Blocks so deep are never orphaned.
const FINALITY: usize = 5;

/// One thing that happens to a chain.
#[derive(Clone, Debug)]
enum Step {
    /// So many new blocks, with so many events each, and one watermark.
    Grows(usize, u64),
    /// So many blocks at most are orphaned.
    Forks(usize),
    /// A new block has so many events, and a crash lets only some of them be said before
    /// all are; unless the block is orphaned before that.
    Crashes(u64, u64, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1_usize..4, 0_u64..3).prop_map(|(blocks, events)| Step::Grows(blocks, events)),
        1 => (1_usize..=FINALITY).prop_map(Step::Forks),
        1 => (0_u64..3, 0_u64..3, any::<bool>())
            .prop_map(|(said, more, orphaned)| Step::Crashes(said + more, said, orphaned)),
    ];
    prop::collection::vec(step, 1..24)
}

/// A contract, the branch that it follows, and the stream.
#[derive(Default)]
struct Teller {
    /// How many events each block has.
    branch: Vec<(BlockRef, u64)>,
    finalized: usize,
    blocks_made: u64,
    after: Option<BlockRef>,
    said: Vec<(u64, Said)>,
    rewinds: Vec<(u64, Rewind)>,
    /// Readers are started again behind each so many messages; 0 is never.
    restarts: usize,
    /// Blocks are final when they are read: watermarks don't list them.
    late: bool,
}

impl Teller {
    fn next(&self) -> u64 {
        let said = self.said.last().map_or(0, |(at, _)| *at);
        said.max(self.rewinds.last().map_or(0, |(at, _)| *at)) + 1
    }

    fn say(&mut self, said: Said) {
        self.said.push((self.next(), said));
    }

    /// Says the events from a height on, and closes them.
    fn tell_from(&mut self, height: usize) {
        let told = self.branch[height..].to_vec();
        let Some((through, _)) = told.last().copied() else { return };
        self.finalized = self.finalized.max(self.branch.len().saturating_sub(FINALITY));
        let blocks = told.iter().map(|(block, _)| *block);
        let recent = blocks.filter(|_| !self.late).collect();
        let closed: Vec<Said> = told
            .into_iter()
            .flat_map(|(block, events)| (0..events).map(move |index| event_of(block, index)))
            .collect();
        let EventSum { events: count, digest } = closed.iter().map(id_of).collect();
        closed.into_iter().for_each(|event| self.say(event));
        self.say(Said::Watermark(Box::new(Watermark::Progress {
            chain: name(),
            chain_id: 1,
            contract: name(),
            through,
            recent,
            finalized: self.finalized as u64,
            events: Some(count),
            digest: Some(digest),
            after: self.after,
        })));
        self.after = Some(through);
    }

    fn retract(&mut self, kept: usize, after: Option<BlockRef>) {
        let common = kept.checked_sub(1).map_or_else(|| block(0), |last| self.branch[last].0);
        self.say(Said::Watermark(Box::new(Watermark::Retraction {
            chain: name(),
            chain_id: 1,
            contract: name(),
            from: common.number + 1,
            to: self.branch.len() as u64,
            common,
            after,
        })));
        self.after = Some(common);
    }

    fn grow(&mut self, events: u64) -> BlockRef {
        self.blocks_made += 1;
        let hash = B256::left_padding_from(&self.blocks_made.to_be_bytes());
        let block = BlockRef { hash, ..block(self.branch.len() as u64 + 1) };
        self.branch.push((block, events));
        block
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Grows(blocks, events) => {
                let height = self.branch.len();
                for _ in 0..blocks {
                    self.grow(events);
                }
                self.tell_from(height);
            }
            Step::Crashes(events, told, orphaned) => {
                let height = self.branch.len();
                let block = self.grow(events);
                (0..told).for_each(|index| self.say(event_of(block, index)));
                if orphaned {
                    self.branch.pop();
                    self.grow(events);
                }
                self.tell_from(height);
            }
            Step::Forks(depth) => {
                let kept = self.branch.len().saturating_sub(depth).max(self.finalized);
                if kept < self.branch.len() {
                    self.retract(kept, self.after);
                    self.branch.truncate(kept);
                }
            }
        }
    }

    fn rewind(&mut self, from_block: u64) {
        // What lacks may have been orphaned since.
        let kept = (from_block as usize - 1).min(self.branch.len());
        self.rewinds.push((self.next(), rewind(kept as u64 + 1)));
        self.retract(kept, None);
        self.tell_from(kept);
    }

    fn account(&self) -> Account {
        Account::new(self.rewinds.clone())
    }

    /// What a reader that was started again has of it, or what it is.
    fn restarted(&self, account: Account, read: usize) -> Account {
        let counts = account.counts();
        let is_time = self.restarts > 0 && read.is_multiple_of(self.restarts);
        match is_time && !counts.is_empty() {
            true => Account::resumed(self.rewinds.clone(), &counts),
            false => account,
        }
    }

    /// The lowest block of which the stream lacks something.
    fn lost_from(&self) -> Option<u64> {
        let mut account = self.account();
        let mut lost = None;
        for (read, (sequence, said)) in self.said.iter().enumerate() {
            account = self.restarted(account, read);
            match said {
                Said::Event(event) => drop(account.event(*sequence, event)),
                Said::Watermark(watermark) => {
                    if let Err(hole) = account.watermark(*sequence, watermark) {
                        account.pass_over(watermark);
                        lost = lost.into_iter().chain([hole.from_block]).min();
                    }
                }
            }
        }
        lost
    }

    /// What a reader has in the end, if it was told of rewinds first.
    fn read(&self) -> HashSet<EventId> {
        let mut account = self.account();
        let (mut pending, mut complete) = (Vec::new(), Vec::new());
        for (read, (sequence, said)) in self.said.iter().enumerate() {
            account = self.restarted(account, read);
            match said {
                Said::Event(event) if account.event(*sequence, event) => {
                    pending.push((event.block, event.id));
                }
                Said::Watermark(watermark) if account.watermark(*sequence, watermark).unwrap() => {
                    // As a merge does: events of a branch that was left.
                    if let Watermark::Progress { recent, .. } = &**watermark {
                        pending.retain(|(block, _)| {
                            recent.iter().all(|it| it.number != block.number || it == block)
                        });
                    }
                    let through = watermark.complete_through().number;
                    complete.append(&mut pending);
                    complete.retain(|(block, _)| block.number <= through);
                }
                _ => {}
            }
        }
        complete.into_iter().map(|(_, id)| id).collect()
    }

    fn canonical(&self) -> HashSet<EventId> {
        let events = self
            .branch
            .iter()
            .flat_map(|(block, events)| (0..*events).map(|index| id_of(&event_of(*block, index))));
        events.collect()
    }
}

/// A block's events stood in for one of its sibling: their watermark and the retraction of
/// it are lost, and so is one of the other's.
#[test]
fn events_of_a_branch_that_was_left_stand_in_for_no_others() {
    for restarts in 0..4 {
        let mut teller = Teller { restarts, late: restarts == 3, ..Teller::default() };
        let steps = [Step::Grows(1, 0), Step::Forks(1), Step::Grows(1, 2), Step::Forks(1)];
        steps.iter().for_each(|step| teller.take(step));
        teller.take(&Step::Grows(2, 1));
        // The watermark of the first two events, its retraction, and the event after them.
        teller.said.drain(4..7);
        assert_eq!(teller.lost_from(), Some(1));
        teller.rewind(1);
        assert_eq!(teller.lost_from(), None);
        assert_eq!(teller.read(), teller.canonical());
    }
}

/// A rewind voids the watermark that told a block's events from those of its sibling, whose
/// own watermark and retraction are lost: it must void these events, too.
#[test]
fn a_rewind_leaves_no_events_of_a_branch_that_was_left() {
    for restarts in 0..4 {
        let mut teller = Teller { restarts, late: restarts == 3, ..Teller::default() };
        let steps = [Step::Grows(5, 1), Step::Grows(2, 1), Step::Forks(2), Step::Grows(3, 1)];
        steps.iter().for_each(|step| teller.take(step));
        // The watermark of the two events behind the first six messages, and its retraction.
        teller.said.drain(8..10);
        assert_eq!(teller.lost_from(), Some(6));
        teller.rewind(6);
        assert_eq!(teller.lost_from(), None);
        assert_eq!(teller.read(), teller.canonical());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_reader_has_the_canonical_events_whatever_was_lost_and_said_again(
        steps in steps(),
        lost in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        later in prop::collection::vec(steps(), 0..2),
        restarts in 0_usize..4,
        late in any::<bool>(),
    ) {
        let mut teller = Teller { restarts, late, ..Teller::default() };
        steps.iter().for_each(|step| teller.take(step));
        // The last message stays: what a stream loses at its end is another matter.
        for lost in lost {
            let last = teller.said.len().saturating_sub(1);
            if last > 0 {
                teller.said.remove(lost.index(last));
            }
        }
        for more in [Vec::new()].into_iter().chain(later) {
            more.iter().for_each(|step| teller.take(step));
            let mut rewinds = 0;
            while let Some(from_block) = teller.lost_from() {
                rewinds += 1;
                prop_assert!(rewinds < 5, "it is never whole");
                teller.rewind(from_block);
            }
            prop_assert_eq!(teller.read(), teller.canonical());
        }
    }
}

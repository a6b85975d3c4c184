#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, sync::Arc};

use alloy::primitives::B256;
use proptest::prelude::*;

use super::*;
use crate::{
    chain::{
        cursor::{ChainView, Confirmations, Cursor, Limits, Plan},
        headers::HeaderWindow,
    },
    domain::BlockRef,
};

/// Whose a part is, and its blocks.
type Blocks = (MemberId, u64, u64);

const LIMITS: FeedLimits = FeedLimits {
    calls: 3,
    held_bytes_max: 600_000,
    range_bytes: 40_000,
    range_blocks_max: 500,
    patience: Duration::from_secs(2),
};

/// Bytes of a member's part: some members' histories are dense.
fn bytes_of(member: MemberId, from: u64, through: u64) -> usize {
    let a_block = [3, 40, 400][member.0 % 3];
    usize::try_from(through - from + 1).unwrap() * a_block
}

/// An endpoint, and readers who note what they are handed.
struct World {
    feed: Feed<Blocks>,
    now: Duration,
    calls: BTreeMap<RangeId, FeedCall>,
    /// By member: the next block that it must be handed.
    next: Vec<(MemberId, u64)>,
    limit: u64,
    crowd_max: usize,
    answers: usize,
}

impl World {
    fn new(starts: &[u64], limit: u64, crowd_max: usize) -> Self {
        Self::within(LIMITS, starts, limit, crowd_max)
    }

    fn within(limits: FeedLimits, starts: &[u64], limit: u64, crowd_max: usize) -> Self {
        let mut feed = Feed::new(limits);
        let next = starts.iter().map(|start| (feed.join(), *start)).collect();
        let calls = BTreeMap::new();
        Self { feed, now: Duration::ZERO, calls, next, limit, crowd_max, answers: 0 }
    }

    fn call(&mut self) {
        while let Some(call) = self.feed.next_call(self.now) {
            assert!(!call.members.is_empty() && call.from <= call.to && call.to <= self.limit);
            assert!(call.members.iter().all(|(_, from)| (call.from..=call.to).contains(from)));
            assert!(self.calls.insert(call.id, call).is_none());
        }
        assert!(self.feed.called() <= LIMITS.calls);
    }

    fn ask(&mut self, member: usize) {
        let (id, from) = self.next[member];
        if from > self.limit {
            return;
        }
        self.feed.ask(id, from, self.limit, self.now);
        self.call();
        self.take(member);
    }

    fn take(&mut self, member: usize) -> bool {
        let (id, next) = &mut self.next[member];
        let Some(part) = self.feed.take(*id) else { return false };
        assert_eq!(part.from, *next, "without a gap");
        assert_eq!(part.value, (*id, part.from, part.through), "each block once, and its own");
        *next = part.through + 1;
        true
    }

    /// Answers one of the calls, wholly or up to a share of it.
    fn answer(&mut self, which: usize, share: f64) {
        let Some(id) = self.calls.keys().nth(which % self.calls.len().max(1)).copied() else {
            return;
        };
        let call = self.calls.remove(&id).unwrap();
        self.answers += 1;
        if call.members.len() > self.crowd_max {
            self.feed.failed(id, FeedFailure::Crowded, self.now, 0.0);
            return self.call();
        }
        let width = (call.to - call.from) as f64;
        let through = call.from + (width * share) as u64;
        let parts = call
            .members
            .iter()
            .filter(|(_, from)| *from <= through)
            .map(|(id, from)| (*id, bytes_of(*id, *from, through), (*id, *from, through)));
        self.feed.answered(id, through, parts.collect());
        self.call();
    }

    fn fail(&mut self, which: usize) {
        let Some(id) = self.calls.keys().nth(which % self.calls.len().max(1)).copied() else {
            return;
        };
        self.calls.remove(&id);
        self.feed.failed(id, FeedFailure::Other, self.now, 0.5);
        self.call();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.call();
    }

    /// Everybody but `stuck` asks until it has all.
    fn finish(&mut self, stuck: Option<usize>) {
        for _ in 0..5_000 {
            let mut done = true;
            for member in (0..self.next.len()).filter(|member| Some(*member) != stuck) {
                if self.next[member].1 <= self.limit {
                    done = false;
                    self.ask(member);
                }
            }
            if done {
                return;
            }
            self.answer(0, 1.0);
            if self.calls.is_empty() {
                let wake = self.feed.wakes_at(self.now);
                self.pass(wake.map_or(Duration::from_millis(1), |at| at - self.now));
            }
        }
        panic!("it does not end: {:?} {:?} {:?}", self.now, self.calls, self.feed);
    }
}

#[derive(Clone, Debug)]
enum Deed {
    Ask(usize),
    Answer(usize, f64),
    Fail(usize),
    Pass(u64),
    /// A member goes back, or begins later.
    Begin(usize, u64),
    Grow(u64),
    Forget,
    GiveUp(usize),
    Leave(usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        8 => (0..4_usize).prop_map(Deed::Ask),
        8 => (0..3_usize, 0.0..=1.0).prop_map(|(call, share)| Deed::Answer(call, share)),
        4 => (0..3_usize).prop_map(|call| Deed::Answer(call, 1.0)),
        1 => (0..3_usize).prop_map(Deed::Fail),
        1 => (0..4_000_u64).prop_map(Deed::Pass),
        1 => (0..4_usize, 0..6_000_u64).prop_map(|(member, from)| Deed::Begin(member, from)),
        1 => (0..900_u64).prop_map(Deed::Grow),
        1 => (0..4_usize).prop_map(Deed::GiveUp),
        1 => (0..4_usize).prop_map(Deed::Leave),
        1 => Just(Deed::Forget),
    ];
    proptest::collection::vec(deed, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::with_cases(100) })]

    /// Whatever order answers come in, however much of a range they cover,
    /// whoever joins, leaves, rewinds, waits no more or never takes: each is handed
    /// every block of its span once, in order; and all come to the end.
    #[test]
    fn every_block_once_and_in_order_whatever_happens(
        starts in proptest::collection::vec(0..5_000_u64, 4),
        crowd in 1..5_usize,
        deeds in deeds(),
        stuck in proptest::option::of(0..4_usize),
    ) {
        let mut world = World::new(&starts, 4_000, crowd);
        for deed in deeds {
            match deed {
                Deed::Ask(member) => world.ask(member),
                Deed::Answer(call, share) => world.answer(call, share),
                Deed::Fail(call) => world.fail(call),
                Deed::Pass(ms) => world.pass(Duration::from_millis(ms)),
                Deed::Begin(member, from) => world.next[member].1 = from,
                Deed::Grow(by) => {
                    world.limit += by;
                    for (member, _) in world.next.clone() {
                        world.feed.reach(member, world.limit);
                    }
                }
                Deed::Forget => world.feed.forget(),
                Deed::GiveUp(member) => world.feed.give_up(MemberId(member)),
                Deed::Leave(member) => world.feed.leave(MemberId(member)),
            }
            // What is held for whoever has only its first is what one range is.
            let most = LIMITS.held_bytes_max + 4 * 400 * 500;
            prop_assert!(world.feed.held_bytes() <= most);
        }
        world.finish(stuck);
    }
}

#[test]
fn contracts_at_one_place_share_their_ranges_and_a_late_one_catches_up() {
    let roomy = FeedLimits { held_bytes_max: 6_000_000, ..LIMITS };
    let mut world = World::within(roomy, &[3_000, 3_000, 3_000, 0], 100_000, 9);
    world.finish(None);
    let shared = world.answers;
    let mut dense = World::within(roomy, &[3_000, 3_000, 3_000], 100_000, 9);
    dense.finish(None);
    assert!(shared <= dense.answers + 60, "{shared} calls, {} without the late one", dense.answers);
}

#[test]
fn one_that_never_takes_does_not_keep_the_others_waiting() {
    let mut world = World::new(&[0, 0, 0], 1_000_000, 9);
    world.ask(2);
    for _ in 0..50 {
        world.answer(0, 1.0);
    }
    // The third is dense and takes nothing; time passes only by its patience.
    world.limit = 60_000;
    world.finish(Some(2));
    assert!(world.feed.held_bytes() <= LIMITS.held_bytes_max);
    world.finish(None);
}

#[test]
fn what_is_read_in_advance_is_bounded_by_bytes_and_ranges() {
    let mut world = World::new(&[0, 0, 0], 10_000_000, 9);
    for member in 0..3 {
        world.ask(member);
    }
    for _ in 0..500 {
        world.answer(0, 1.0);
    }
    assert!(world.calls.is_empty(), "it went on: {:?}", world.feed);
    assert!(world.feed.held_bytes() <= LIMITS.held_bytes_max);
}

#[test]
fn nothing_is_read_for_one_that_left_and_what_was_under_way_is_not_for_it() {
    let mut world = World::new(&[0], 1_000, 9);
    world.ask(0);
    let (id, _) = world.next[0];
    world.feed.leave(id);
    assert!(!world.feed.waits(id));
    while !world.calls.is_empty() {
        world.answer(0, 1.0);
    }
    assert_eq!(world.feed.held_bytes(), 0);
    // It comes back as another, from the same place.
    world.ask(0);
    world.answer(0, 1.0);
    assert!(world.take(0));
}

#[test]
fn a_failed_range_is_told_to_who_waits_for_it_and_tried_again_after_a_pause() {
    let mut world = World::new(&[0], 100, 9);
    world.ask(0);
    let id = *world.calls.keys().next().unwrap();
    world.calls.clear();
    let told = world.feed.failed(id, FeedFailure::Other, world.now, 0.0);
    assert_eq!(told, [MemberId(0)]);
    world.call();
    assert!(world.calls.is_empty());
    let at = world.feed.wakes_at(world.now).unwrap();
    assert_eq!(at, Duration::from_millis(250));
    world.pass(at);
    assert_eq!(world.calls.len(), 1);
    let again = world.feed.failed(id, FeedFailure::Other, world.now, 0.0);
    assert_eq!(again, [], "it was told once and has not asked since");
    assert_eq!(world.feed.wakes_at(world.now), Some(at + Duration::from_millis(500)));
}

fn header(number: u64) -> BlockRef {
    let hash = |number: u64| B256::left_padding_from(&(number + 1).to_be_bytes());
    let parent_hash = number.checked_sub(1).map(hash).unwrap_or_default();
    BlockRef { number, hash: hash(number), parent_hash, time: number }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::with_cases(60) })]

    /// Where history ends and the head begins, while the head moves on:
    /// whichever way a block is read, it is read once and none is left out.
    #[test]
    fn backfill_live_seam(
        start in 0..60_u64,
        confirmations in 0..12_u64,
        finality in 1..10_u64,
        steps in proptest::collection::vec((0..6_u64, 0.0..=1.0), 60..200),
    ) {
        let mut cursor = Cursor::new(start, Confirmations::Blocks(confirmations));
        let mut world = World::new(&[start], u64::MAX, 9);
        let mut window = HeaderWindow::new(30);
        let limits = Limits { blocks: 20, unfinalized_blocks: 5 };
        let (mut head, mut older, mut seen) = (40, BTreeMap::new(), Vec::new());
        (0..=head).for_each(|number| drop(window.observe(header(number)).unwrap()));
        // The head stops at last, so that all can be read.
        for (growth, share) in steps.into_iter().chain([(0, 1.0); 400]) {
            for number in head + 1..=head + growth {
                window.observe(header(number)).unwrap();
            }
            head += growth;
            let finalized = head.saturating_sub(finality);
            let view = ChainView {
                latest: header(head),
                safe: None,
                finalized,
                window: Arc::new(window.clone()),
                older: std::mem::take(&mut older),
                frozen: None,
            };
            match cursor.plan(&view, &limits) {
                Plan::Idle => {}
                Plan::NeedHeader { number } => drop(older.insert(number, header(number))),
                Plan::Fetch { from, .. } if from <= finalized => {
                    world.limit = finalized.min(head - confirmations);
                    world.next[0].1 = from;
                    world.ask(0);
                    world.answer(0, share);
                    world.take(0);
                    let next = world.next[0].1;
                    seen.extend(from..next);
                    if next > from {
                        cursor.advanced(header(next - 1), &[], finalized);
                    }
                }
                Plan::Fetch { from, to } => {
                    let recent: Vec<_> = (from..=to).map(header).collect();
                    cursor.links(&recent).unwrap();
                    seen.extend(from..=to);
                    cursor.advanced(header(to), &recent, finalized);
                }
                plan => prop_assert!(false, "{plan:?}"),
            }
        }
        let all: Vec<u64> = (start..=head - confirmations).collect();
        prop_assert_eq!(seen, all);
    }
}

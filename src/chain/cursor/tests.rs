#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::{
    chain::headers::{HeadChange, tests::Chain},
    domain::Name,
};

const LIMITS: Limits = Limits { blocks: 7, unfinalized_blocks: 3 };

/// A contract actor without I/O, and the consumer behind it.
struct Reader {
    cursor: Cursor,
    start_block: u64,
    confirmations: Confirmations,
    window: HeaderWindow,
    /// The finality that the chain reports: it never falls.
    finalized: u64,
    /// Blocks whose events the consumer holds.
    announced: BTreeMap<u64, BlockRef>,
    stream: Vec<Watermark>,
}

impl Reader {
    fn new(start_block: u64, confirmations: Confirmations) -> Self {
        Self {
            cursor: Cursor::new(start_block, confirmations),
            start_block,
            confirmations,
            window: HeaderWindow::new(64),
            finalized: 0,
            announced: BTreeMap::new(),
            stream: vec![],
        }
    }

    fn restart(&mut self) {
        self.cursor = Cursor::new(self.start_block, self.confirmations);
        for watermark in &self.stream {
            self.cursor.replay(watermark);
        }
        self.window = HeaderWindow::new(64);
    }

    fn see(&mut self, chain: &Chain, finality: u64) -> ChainView {
        let change = chain.show(&mut self.window);
        assert!(!matches!(change, HeadChange::FinalityViolated { .. }));
        self.finalized = self.finalized.max(chain.head().number.saturating_sub(finality));
        ChainView {
            latest: chain.head(),
            safe: None,
            finalized: self.finalized,
            window: Arc::new(self.window.clone()),
            older: BTreeMap::new(),
            frozen: None,
        }
    }

    /// Carries out one plan; false when there is nothing to do.
    fn step(&mut self, chain: &Chain, view: &mut ChainView) -> bool {
        let plan = self.cursor.plan(view, &LIMITS);
        let (name, chain_id) = (Name::new("c").unwrap(), 1);
        let watermark = match plan {
            Plan::Idle => return false,
            Plan::NeedHeader { number } => {
                assert!(view.header(number).is_none(), "asked for a header that it has");
                view.older.insert(number, chain.canonical[number as usize]);
                return true;
            }
            Plan::Fetch { from, to } => {
                let expected = self
                    .announced
                    .last_key_value()
                    .map_or(self.start_block, |(number, _)| number + 1);
                assert_eq!(from, expected, "a block was skipped or repeated");
                assert!(to >= from);
                for block in &chain.canonical[from as usize..=to as usize] {
                    self.announced.insert(block.number, *block);
                }
                let recent: Vec<_> = chain.canonical[from as usize..=to as usize]
                    .iter()
                    .filter(|block| block.number > view.finalized || block.number == to)
                    .copied()
                    .collect();
                self.cursor.links(&recent).unwrap();
                Watermark::Progress {
                    chain: name.clone(),
                    chain_id,
                    contract: name,
                    through: chain.canonical[to as usize],
                    recent,
                    finalized: view.finalized,
                    events: None,
                    digest: None,
                    after: None,
                }
            }
            Plan::Retract { from, to, common } => {
                assert_eq!(Some(&to), self.announced.keys().next_back());
                assert_eq!(common, chain.canonical[common.number as usize]);
                assert_eq!(from, common.number + 1);
                self.announced.split_off(&from);
                Watermark::Retraction {
                    chain: name.clone(),
                    chain_id,
                    contract: name,
                    from,
                    to,
                    common,
                    after: None,
                }
            }
            Plan::Frozen { reason } => panic!("{reason}"),
        };
        self.cursor.replay(&watermark);
        self.stream.push(watermark);
        true
    }

    fn settle(&mut self, chain: &Chain, finality: u64) {
        let mut view = self.see(chain, finality);
        while self.step(chain, &mut view) {}
    }
}

fn view_of(chain: &Chain, finalized: u64) -> ChainView {
    let mut window = HeaderWindow::new(64);
    for block in &chain.canonical {
        let _ = window.observe(*block);
    }
    ChainView {
        latest: chain.head(),
        safe: None,
        finalized,
        window: Arc::new(window),
        older: BTreeMap::new(),
        frozen: None,
    }
}

#[test]
fn a_block_is_confirmed_when_that_many_stand_on_it() {
    let view = view_of(&Chain::new(11), 4);
    assert_eq!(Confirmations::Blocks(0).confirmed(&view), Some(10));
    assert_eq!(Confirmations::Blocks(2).confirmed(&view), Some(8));
    assert_eq!(Confirmations::Blocks(11).confirmed(&view), None);
    assert_eq!(Confirmations::Safe.confirmed(&view), Some(4));
    assert_eq!(Confirmations::Finalized.confirmed(&view), Some(4));
}

#[test]
fn a_head_that_lags_is_no_reorg() {
    let mut chain = Chain::new(20);
    let mut reader = Reader::new(0, Confirmations::Blocks(0));
    reader.settle(&chain, 64);
    chain.canonical.truncate(15);
    reader.window = HeaderWindow::new(64);
    let view = reader.see(&chain, 64);
    assert_eq!(reader.cursor.plan(&view, &LIMITS), Plan::Idle);
    // Back at its height, on another branch, it is one.
    let common = chain.head();
    chain.extend(2);
    let mut view = reader.see(&chain, 64);
    view.older.extend(chain.canonical.iter().map(|block| (block.number, *block)));
    assert_eq!(reader.cursor.plan(&view, &LIMITS), Plan::Retract { from: 15, to: 19, common });
}

#[test]
fn a_fork_below_what_was_announced_as_final_freezes() {
    let mut chain = Chain::new(30);
    let mut reader = Reader::new(0, Confirmations::Blocks(0));
    reader.settle(&chain, 5);
    chain.reorg(10, 12);
    let mut view = view_of(&chain, 20);
    view.older.extend(chain.canonical.iter().map(|block| (block.number, *block)));
    let plan = reader.cursor.plan(&view, &LIMITS);
    assert!(
        matches!(plan, Plan::Frozen { reason: Frozen::BelowFinality { finalized: 24, .. } }),
        "{plan:?}"
    );
}

#[test]
fn another_chain_behind_the_endpoint_freezes() {
    let mut reader = Reader::new(0, Confirmations::Blocks(0));
    reader.settle(&Chain::new(30), 5);
    let plan = reader.cursor.plan(&view_of(&Chain::new(3), 0), &LIMITS);
    assert_eq!(plan, Plan::Frozen { reason: Frozen::HeadBelowFinality { head: 2, finalized: 24 } });
}

#[test]
fn a_restored_tip_is_compared_even_below_finality() {
    let old = Chain::new(10);
    let mut reader = Reader::new(0, Confirmations::Finalized);
    reader.settle(&old, 0);
    reader.restart();
    // The chain was reset and is longer than ever.
    let mut other = Chain::new(1);
    other.reorg(0, 3);
    other.reorg(2, 400);
    let view = reader.see(&other, 0);
    assert_eq!(reader.cursor.plan(&view, &LIMITS), Plan::NeedHeader { number: 9 });
}

#[test]
fn a_reorg_below_the_first_block_of_a_young_cursor_retracts_all() {
    let mut chain = Chain::new(12);
    let mut reader = Reader::new(8, Confirmations::Blocks(0));
    reader.settle(&chain, 100);
    chain.reorg(6, 9);
    let view = view_of(&chain, 0);
    assert_eq!(
        reader.cursor.plan(&view, &LIMITS),
        Plan::Retract { from: 8, to: 11, common: chain.canonical[7] }
    );
}

#[test]
fn a_step_that_does_not_stand_on_the_tip_is_refused() {
    let chain = Chain::new(6);
    let mut reader = Reader::new(0, Confirmations::Blocks(0));
    reader.settle(&chain, 64);
    let mut next = BlockRef { number: 6, parent_hash: chain.head().hash, ..chain.head() };
    assert_eq!(reader.cursor.links(&[next]), Ok(()));
    next.parent_hash = chain.canonical[4].hash;
    assert_eq!(reader.cursor.links(&[next]), Err(Unlinked { block: next }));
}

#[test]
fn what_is_remembered_does_not_grow_with_the_chain() {
    let mut chain = Chain::new(1);
    let mut reader = Reader::new(0, Confirmations::Blocks(0));
    for _ in 0..50 {
        chain.extend(20);
        reader.settle(&chain, 16);
    }
    assert!(reader.cursor.recent.len() <= 18, "{}", reader.cursor.recent.len());
}

#[test]
fn nothing_is_planned_while_the_chain_is_frozen() {
    let chain = Chain::new(30);
    let mut reader = Reader::new(0, Confirmations::Finalized);
    let mut view = reader.see(&chain, 5);
    view.frozen = Some("a reorg below finality".into());
    assert_eq!(reader.cursor.plan(&view, &LIMITS), Plan::Idle);
    view.frozen = None;
    assert_eq!(reader.cursor.plan(&view, &LIMITS), Plan::Fetch { from: 0, to: 6 });
}

#[test]
fn a_short_tail_would_freeze_for_ever_and_is_known_to_be_short() {
    let mut chain = Chain::new(30);
    let mut reader = Reader::new(0, Confirmations::Blocks(0));
    for _ in 0..20 {
        reader.settle(&chain, 10);
        chain.extend(1);
    }
    // What another contract's backfill would leave of the tail: the last only.
    let (short, whole) = (&reader.stream[reader.stream.len() - 1..], &reader.stream);
    chain.canonical.pop();
    chain.reorg(2, 3);
    let plan = |stream: &[Watermark]| {
        let mut cursor = Cursor::new(0, Confirmations::Blocks(0));
        stream.iter().for_each(|watermark| cursor.replay(watermark));
        let mut view = view_of(&chain, 0);
        view.older.extend(chain.canonical.iter().map(|block| (block.number, *block)));
        cursor.plan(&view, &LIMITS)
    };
    assert!(!Cursor::reaches_finality(short));
    assert!(matches!(plan(short), Plan::Frozen { .. }));
    assert!(Cursor::reaches_finality(whole));
    assert!(matches!(plan(whole), Plan::Retract { .. }));
    // The first that suffices is enough, and nothing less.
    let enough = (0..whole.len()).rfind(|from| Cursor::reaches_finality(&whole[*from..])).unwrap();
    assert!(matches!(plan(&whole[enough..]), Plan::Retract { .. }));
    assert!(!Cursor::reaches_finality(&[]));
}

#[derive(Clone, Debug)]
enum Move {
    Extend(u64),
    Reorg { depth: u64, length: u64 },
    Steps(usize),
    Restart,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => (1u64..25).prop_map(Move::Extend),
        3 => (0u64..15, 1u64..20).prop_map(|(depth, length)| Move::Reorg { depth, length }),
        4 => (1usize..8).prop_map(Move::Steps),
        1 => Just(Move::Restart),
    ];
    prop::collection::vec(one, 1..60)
}

proptest! {
    #[test]
    fn no_head_movement_makes_it_skip_or_repeat_a_block(
        moves in moves(),
        start_block in 0u64..30,
        depth in 0u64..6,
    ) {
        const FINALITY: u64 = 20;
        let confirmations = Confirmations::Blocks(depth);
        let mut chain = Chain::new(5);
        let mut reader = Reader::new(start_block, confirmations);
        for next in moves {
            match next {
                Move::Extend(length) => chain.extend(length),
                Move::Reorg { depth, length } => {
                    // Never below what the chain has finalised.
                    let most = chain.head().number.saturating_sub(reader.finalized);
                    chain.reorg(depth.min(most), length);
                }
                Move::Steps(count) => {
                    let mut view = reader.see(&chain, FINALITY);
                    for _ in 0..count {
                        if !reader.step(&chain, &mut view) {
                            break;
                        }
                    }
                }
                Move::Restart => reader.restart(),
            }
        }
        // A chain in the end grows past where it was.
        chain.extend(40);
        reader.settle(&chain, FINALITY);
        let confirmed = chain.head().number - depth;
        let expected: BTreeMap<_, _> = chain
            .canonical
            .iter()
            .filter(|block| (start_block..=confirmed).contains(&block.number))
            .map(|block| (block.number, *block))
            .collect();
        let odd = (0..=confirmed).find(|n| reader.announced.get(n) != expected.get(n));
        prop_assert_eq!(odd, None);
        prop_assert_eq!(reader.announced.len(), expected.len());
    }
}

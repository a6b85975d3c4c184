#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// A chain whose head moves; keeps orphaned blocks for look-ups by hash.
pub(crate) struct Chain {
    pub canonical: Vec<BlockRef>,
    pub all: HashMap<B256, BlockRef>,
    salt: u64,
}

impl Chain {
    pub fn new(length: u64) -> Self {
        let mut chain = Self { canonical: vec![], all: HashMap::new(), salt: 0 };
        chain.extend(length);
        chain
    }

    pub fn extend(&mut self, length: u64) {
        for _ in 0..length {
            self.salt += 1;
            let number = self.canonical.len() as u64;
            let block = BlockRef {
                number,
                hash: alloy::primitives::keccak256(self.salt.to_be_bytes()),
                parent_hash: self.canonical.last().map_or(B256::ZERO, |last| last.hash),
                time: 1000 + number,
            };
            self.canonical.push(block);
            self.all.insert(block.hash, block);
        }
    }

    /// Orphans the newest `depth` blocks (never genesis), then mines `length` ≥ 1.
    pub fn reorg(&mut self, depth: u64, length: u64) {
        let keep = (self.canonical.len() as u64).saturating_sub(depth).max(1);
        self.canonical.truncate(keep as usize);
        self.extend(length.max(1));
    }

    pub fn head(&self) -> BlockRef {
        *self.canonical.last().unwrap()
    }

    /// Shows the head to a window, fetching what it asks for.
    pub fn show(&self, window: &mut HeaderWindow) -> HeadChange {
        let mut header = self.head();
        loop {
            match window.observe(header) {
                Ok(change) => return change,
                Err(need) => header = self.all[&need.hash],
            }
        }
    }
}

fn linked(window: &HeaderWindow) -> bool {
    let headers: Vec<_> = window.iter().collect();
    headers
        .windows(2)
        .all(|pair| pair[1].parent_hash == pair[0].hash && pair[1].number == pair[0].number + 1)
}

#[test]
fn a_late_header_of_the_same_branch_changes_nothing() {
    let chain = Chain::new(10);
    let mut window = HeaderWindow::new(8);
    for block in &chain.canonical {
        window.observe(*block).unwrap();
    }
    assert_eq!(window.observe(chain.canonical[5]), Ok(HeadChange::Same));
    assert_eq!(window.head(), Some(&chain.head()));
}

#[test]
fn a_fork_below_a_full_window_violates_finality_and_leaves_it_alone() {
    let mut chain = Chain::new(20);
    let mut window = HeaderWindow::new(4);
    for block in &chain.canonical {
        window.observe(*block).unwrap();
    }
    let before: Vec<_> = window.iter().copied().collect();
    chain.reorg(9, 12);
    assert!(matches!(chain.show(&mut window), HeadChange::FinalityViolated { .. }));
    assert_eq!(window.iter().copied().collect::<Vec<_>>(), before);
}

#[test]
fn a_fork_just_below_a_young_window_is_still_named() {
    let mut chain = Chain::new(20);
    let mut window = HeaderWindow::new(8);
    chain.show(&mut window);
    let (orphan, common) = (chain.head(), chain.canonical[18]);
    chain.reorg(1, 2);
    assert_eq!(
        chain.show(&mut window),
        HeadChange::Reorged { common, orphaned: vec![orphan], to: chain.head() }
    );
    chain.reorg(9, 9);
    assert!(matches!(chain.show(&mut window), HeadChange::Replaced { .. }));
}

#[test]
fn a_gap_wider_than_the_window_begins_it_anew_at_once() {
    let mut chain = Chain::new(5);
    let mut window = HeaderWindow::new(4);
    chain.show(&mut window);
    chain.extend(50);
    assert_eq!(chain.show(&mut window), HeadChange::Replaced { from: 54, to: chain.head() });
}

#[test]
fn blooms_of_the_newest_headers_are_remembered() {
    let mut window = HeaderWindow::new(8);
    let hash = |n: usize| alloy::primitives::keccak256(n.to_be_bytes());
    for n in 0..=BLOOMS_MAX {
        window.note_bloom(hash(n), Bloom::repeat_byte(1));
        window.note_bloom(hash(n), Bloom::repeat_byte(2));
    }
    assert_eq!(window.bloom(&hash(0)), None);
    assert_eq!(window.bloom(&hash(BLOOMS_MAX)), Some(&Bloom::repeat_byte(1)));
}

#[test]
fn a_header_below_the_window_that_nothing_led_to_tells_nothing() {
    let mut chain = Chain::new(20);
    let mut window = HeaderWindow::new(8);
    chain.show(&mut window);
    for lagging in [18, 17, 3] {
        assert_eq!(window.observe(chain.canonical[lagging]), Ok(HeadChange::Same));
        assert_eq!(window.head(), Some(&chain.head()));
    }
    // Rolled back, the chain shows it when it has grown to our heights again.
    chain.reorg(10, 2);
    assert_eq!(chain.show(&mut window), HeadChange::Same);
    chain.extend(20);
    assert!(matches!(chain.show(&mut window), HeadChange::Replaced { .. }));
    assert_eq!(window.head(), Some(&chain.head()));
}

#[test]
fn what_is_final_is_not_replaced_within_the_window_either() {
    let mut chain = Chain::new(20);
    let mut window = HeaderWindow::new(16);
    for block in &chain.canonical {
        window.observe(*block).unwrap();
    }
    window.finalize(15);
    window.finalize(12);
    let ours = chain.canonical[15];
    assert_eq!(window.checkpoint(), Some(&ours));
    chain.reorg(4, 5);
    assert!(matches!(chain.show(&mut window), HeadChange::Reorged { .. }));
    chain.reorg(6, 9);
    let branch = chain.canonical[15];
    assert_eq!(chain.show(&mut window), HeadChange::FinalityViolated { ours, branch });
    assert_eq!(window.at(15), Some(&ours));
}

#[test]
fn a_window_that_grows_is_young_again() {
    let chain = Chain::new(20);
    let mut window = HeaderWindow::new(4);
    for block in &chain.canonical[10..] {
        window.observe(*block).unwrap();
    }
    assert!(window.is_full());
    window.grow(8);
    window.grow(6);
    assert_eq!((window.capacity(), window.is_full()), (8, false));
    assert_eq!(window.checkpoint(), None);
}

/// What a window is shown next.
#[derive(Clone, Debug)]
enum Move {
    /// Orphans so many blocks and mines so many.
    Reorg(u64, u64),
    /// A header that is so far behind, on the canonical branch.
    Lag(usize),
    /// Two heads of one height in turn, so often.
    Flap(u8),
    /// So deep is final.
    Finalize(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (0u64..12, 1u64..20).prop_map(|(depth, length)| Move::Reorg(depth, length)),
        3 => (0usize..30).prop_map(Move::Lag),
        1 => (1u8..5).prop_map(Move::Flap),
        1 => (0u64..12).prop_map(Move::Finalize),
    ];
    prop::collection::vec(one, 1..40)
}

proptest! {
    #[test]
    fn any_sequence_of_branches_ends_with_the_canonical_chain(
        moves in moves(),
        capacity in 2usize..24,
    ) {
        let mut chain = Chain::new(3);
        let mut window = HeaderWindow::new(capacity);
        for block in &chain.canonical {
            let _ = window.observe(*block);
        }
        // The branch that the window has seen, and what of it is final.
        let mut seen = chain.canonical.clone();
        let mut finalized = 0;
        for step in moves {
            let shown = match step {
                Move::Reorg(depth, length) => {
                    chain.reorg(depth, length);
                    // A chain that was rolled back below what is known waits.
                    while chain.head().number < window.oldest().unwrap().number {
                        prop_assert_eq!(chain.show(&mut window), HeadChange::Same);
                        chain.extend(1);
                    }
                    1
                }
                Move::Flap(times) => {
                    for _ in 0..times {
                        chain.reorg(1, 1);
                        match chain.show(&mut window) {
                            HeadChange::Reorged { orphaned, to, .. } => {
                                prop_assert_eq!(orphaned, vec![*seen.last().unwrap()]);
                                prop_assert_eq!(to, chain.head());
                            }
                            HeadChange::FinalityViolated { ours, .. } => {
                                prop_assert!(finalized >= ours.number || capacity == 1);
                                window = HeaderWindow::new(capacity);
                                finalized = 0;
                                chain.show(&mut window);
                            }
                            other => prop_assert!(
                                matches!(other, HeadChange::Replaced { .. }), "{:?}", other
                            ),
                        }
                        seen = chain.canonical.clone();
                    }
                    0
                }
                Move::Lag(behind) => {
                    let before: Vec<_> = window.iter().copied().collect();
                    let late = chain.canonical.len().saturating_sub(1 + behind);
                    prop_assert_eq!(window.observe(chain.canonical[late]), Ok(HeadChange::Same));
                    prop_assert_eq!(window.iter().copied().collect::<Vec<_>>(), before);
                    0
                }
                Move::Finalize(depth) => {
                    finalized = finalized.max(chain.head().number.saturating_sub(depth));
                    window.finalize(finalized);
                    0
                }
            };
            for _ in 0..shown {
                match chain.show(&mut window) {
                    HeadChange::FinalityViolated { ours, .. } => {
                        prop_assert_ne!(chain.canonical.get(ours.number as usize), Some(&ours));
                        prop_assert_eq!(seen.get(ours.number as usize), Some(&ours));
                        // A person decides; here: take the new branch.
                        window = HeaderWindow::new(capacity);
                        finalized = 0;
                        chain.show(&mut window);
                    }
                    HeadChange::Reorged { common, orphaned, to } => {
                        prop_assert_eq!(to, chain.head());
                        prop_assert_eq!(chain.canonical[common.number as usize], common);
                        prop_assert_eq!(&seen[common.number as usize + 1..], &orphaned[..]);
                        prop_assert!(common.number >= finalized, "what is final stays");
                    }
                    HeadChange::Extended { from, to } => {
                        prop_assert_eq!(to, chain.head());
                        prop_assert_eq!(from, seen.len() as u64);
                    }
                    HeadChange::Replaced { .. } | HeadChange::Same => {}
                }
                seen = chain.canonical.clone();
            }
            prop_assert!(linked(&window));
            prop_assert_eq!(window.head(), Some(&chain.head()));
            prop_assert!(window.iter().all(|block| chain.canonical[block.number as usize] == *block));
            prop_assert!(window.iter().count() <= capacity);
        }
    }
}

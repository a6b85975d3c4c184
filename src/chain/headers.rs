//! Follows one chain's head and says which blocks were orphaned.
//!
//! The window believes whichever header it is shown last; whether one
//! endpoint's head is to be believed is decided before it is shown here. It
//! never sees a clock or a socket: a header it lacks is asked for by hash.

use std::{collections::VecDeque, sync::Arc};

use crate::domain::BlockRef;
use alloy::primitives::{B256, Bloom};

/// The newest canonical headers, linked by parent hash.
#[derive(Clone, Debug)]
pub struct HeaderWindow {
    capacity: usize,
    /// Ascending, without gaps.
    headers: VecDeque<BlockRef>,
    /// A branch that does not reach the window yet, newest first.
    branch: Vec<BlockRef>,
    /// Blooms of the headers that came last, oldest first.
    blooms: VecDeque<(B256, Arc<Bloom>)>,
}

/// Blooms that are remembered: what contracts read above finality stands near
/// the head.
const BLOOMS_MAX: usize = 512;

/// What a header changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadChange {
    /// It is known already: the same head, or a late answer.
    Same,
    /// It continues the chain.
    Extended {
        /// First new height.
        from: u64,
        /// The new head.
        to: BlockRef,
    },
    /// It stands on another branch.
    Reorged {
        /// The last block that both branches share.
        common: BlockRef,
        /// What is no longer canonical, oldest first.
        orphaned: Vec<BlockRef>,
        /// The new head; it may be lower than the old one.
        to: BlockRef,
    },
    /// Between it and the window lies more than the window can hold, or the
    /// window is too young to reach the fork: it begins anew with this branch,
    /// and nothing is said about the blocks before it. Whoever announced blocks compares them
    /// by number.
    Replaced {
        /// First height of the new window.
        from: u64,
        /// The new head.
        to: BlockRef,
    },
    /// The fork lies below a full window: stop this chain and tell an operator.
    /// The window is left as it was.
    FinalityViolated {
        /// The oldest block of the window, which the new branch lacks.
        oldest: BlockRef,
        /// The block of the new branch at its deepest known height.
        branch: BlockRef,
    },
}

/// A header is missing between the window and a new head. Get it **by hash**
/// and observe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("header {number} ({hash}) is needed")]
pub struct NeedAncestor {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

impl HeaderWindow {
    /// An empty window of at most `capacity` headers, at least two: as deep as
    /// reorgs are followed.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(2),
            headers: VecDeque::new(),
            branch: Vec::new(),
            blooms: VecDeque::new(),
        }
    }

    /// The newest header.
    #[must_use]
    pub fn head(&self) -> Option<&BlockRef> {
        self.headers.back()
    }

    /// The oldest header.
    #[must_use]
    pub fn oldest(&self) -> Option<&BlockRef> {
        self.headers.front()
    }

    /// The canonical header at a height, if the window reaches it.
    #[must_use]
    pub fn at(&self, number: u64) -> Option<&BlockRef> {
        let offset = number.checked_sub(self.headers.front()?.number)?;
        self.headers.get(usize::try_from(offset).ok()?)
    }

    /// How many headers it holds at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether a fork below its oldest header is a violation of finality: it
    /// holds as many headers as it can.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.headers.len() >= self.capacity || self.oldest().is_some_and(|h| h.number == 0)
    }

    /// Keeps the bloom of a header's logs, for as long as it is among the
    /// newest.
    pub fn note_bloom(&mut self, hash: B256, bloom: Bloom) {
        if self.bloom(&hash).is_none() {
            self.blooms.push_back((hash, Arc::new(bloom)));
            while self.blooms.len() > BLOOMS_MAX {
                self.blooms.pop_front();
            }
        }
    }

    /// The bloom of a header, if it is still known.
    #[must_use]
    pub fn bloom(&self, hash: &B256) -> Option<&Bloom> {
        self.blooms.iter().rev().find(|(of, _)| of == hash).map(|(_, bloom)| &**bloom)
    }

    /// All headers, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &BlockRef> {
        self.headers.iter()
    }

    /// A header was seen: a new head, or an ancestor that was asked for.
    ///
    /// # Errors
    /// When an ancestor is needed first. The branch so far is kept; a header
    /// that is not that ancestor begins another branch.
    pub fn observe(&mut self, header: BlockRef) -> Result<HeadChange, NeedAncestor> {
        if self.at(header.number).is_some_and(|known| known.hash == header.hash) {
            self.branch.clear();
            return Ok(HeadChange::Same);
        }
        let asked_for = self.branch.last().is_some_and(|child| {
            child.parent_hash == header.hash && child.number.checked_sub(1) == Some(header.number)
        });
        if !asked_for {
            self.branch.clear();
        }
        self.branch.push(header);

        let (Some(oldest), Some(head)) = (self.oldest().copied(), self.head().copied()) else {
            return Ok(self.replace());
        };
        if header.number < oldest.number {
            // Below the window, which was too young to be violated. One step
            // below, its parent hash still tells what the branches share.
            return Ok(if header.hash == oldest.parent_hash {
                self.branch.pop();
                self.connect(header)
            } else {
                self.replace()
            });
        }
        let Some(parent_number) = header.number.checked_sub(1) else {
            return Ok(self.violated(oldest, header));
        };
        if let Some(parent) = self.at(parent_number).copied() {
            if parent.hash == header.parent_hash {
                return Ok(self.connect(parent));
            }
        } else if parent_number > head.number {
            // Wider than the window: walking it would tell nothing about what
            // the window holds.
            if header.number - head.number > self.capacity as u64 {
                return Ok(self.replace());
            }
        } else if self.is_full() {
            return Ok(self.violated(oldest, header));
        }
        Err(NeedAncestor { number: parent_number, hash: header.parent_hash })
    }

    /// Puts the branch on top of `common`.
    fn connect(&mut self, common: BlockRef) -> HeadChange {
        let mut orphaned = Vec::new();
        while self.head().is_some_and(|head| head.number > common.number) {
            orphaned.extend(self.headers.pop_back());
        }
        orphaned.reverse();
        if self.headers.is_empty() {
            self.headers.push_back(common);
        }
        let to = self.adopt_branch().unwrap_or(common);
        if orphaned.is_empty() {
            HeadChange::Extended { from: common.number + 1, to }
        } else {
            HeadChange::Reorged { common, orphaned, to }
        }
    }

    /// Starts over with the branch alone.
    fn replace(&mut self) -> HeadChange {
        self.headers.clear();
        match (self.branch.last().copied(), self.adopt_branch()) {
            (Some(from), Some(to)) => HeadChange::Replaced { from: from.number, to },
            _ => HeadChange::Same,
        }
    }

    fn violated(&mut self, oldest: BlockRef, branch: BlockRef) -> HeadChange {
        self.branch.clear();
        HeadChange::FinalityViolated { oldest, branch }
    }

    /// Moves the branch to the end of the window and gives its head.
    fn adopt_branch(&mut self) -> Option<BlockRef> {
        let head = self.branch.first().copied();
        self.headers.extend(self.branch.drain(..).rev());
        while self.headers.len() > self.capacity {
            self.headers.pop_front();
        }
        head
    }
}

#[cfg(test)]
pub(crate) mod tests {
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

    proptest! {
        #[test]
        fn any_sequence_of_branches_ends_with_the_canonical_chain(
            moves in prop::collection::vec((0u64..12, 1u64..20), 1..40),
            capacity in 2usize..24,
        ) {
            let mut chain = Chain::new(3);
            let mut window = HeaderWindow::new(capacity);
            for block in &chain.canonical {
                let _ = window.observe(*block);
            }
            for (depth, length) in moves {
                let before = chain.canonical.clone();
                chain.reorg(depth, length);
                let change = chain.show(&mut window);
                prop_assert!(linked(&window));
                match change {
                    HeadChange::FinalityViolated { oldest, .. } => {
                        prop_assert_ne!(chain.canonical.get(oldest.number as usize), Some(&oldest));
                        // A person decides; here: take the new branch.
                        window = HeaderWindow::new(capacity);
                        chain.show(&mut window);
                    }
                    HeadChange::Reorged { common, orphaned, to } => {
                        prop_assert_eq!(to, chain.head());
                        prop_assert_eq!(chain.canonical[common.number as usize], common);
                        prop_assert_eq!(&before[common.number as usize + 1..], &orphaned[..]);
                    }
                    HeadChange::Extended { from, to } => {
                        prop_assert_eq!(to, chain.head());
                        prop_assert_eq!(from, before.len() as u64);
                    }
                    HeadChange::Replaced { .. } | HeadChange::Same => {}
                }
                prop_assert_eq!(window.head(), Some(&chain.head()));
                prop_assert!(window.iter().all(|block| chain.canonical[block.number as usize] == *block));
                prop_assert!(window.iter().count() <= capacity);
            }
        }
    }
}

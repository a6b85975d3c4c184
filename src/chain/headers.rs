//! Follows one chain's head and says which blocks were orphaned.
//!
//! The window believes whichever header it is shown last; whether one
//! endpoint's head is to be believed is decided before it is shown here (see
//! [`agreement`](super::agreement)). It never sees a clock or a socket: a
//! header it lacks is asked for by hash.

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
    /// What is known to be final, if anything.
    finalized: Option<u64>,
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
    /// The fork lies below what is final, or below a full window: stop this
    /// chain and tell an operator. The window is left as it was.
    FinalityViolated {
        /// A block that can't be orphaned any more, which the new branch lacks.
        ours: BlockRef,
        /// What the new branch has at that height.
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
            finalized: None,
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

    /// Whether a header has another hash than the canonical one of its height.
    #[must_use]
    pub fn contradicts(&self, header: &BlockRef) -> bool {
        self.at(header.number).is_some_and(|known| known.hash != header.hash)
    }

    /// Blocks up to this height are final. It never goes back.
    pub fn finalize(&mut self, number: u64) {
        self.finalized = Some(self.finalized.map_or(number, |before| before.max(number)));
    }

    /// The highest block of which a contradiction is a violation of finality,
    /// if the window knows one.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&BlockRef> {
        let oldest = self.oldest().filter(|_| self.is_full());
        self.finalized.and_then(|number| self.at(number)).or(oldest)
    }

    /// Holds more headers from now on, up to `capacity`. The older ones don't
    /// come back: it is young again until it has grown.
    pub fn grow(&mut self, capacity: usize) {
        self.capacity = self.capacity.max(capacity);
    }

    /// Forgets a branch that does not reach the window yet.
    pub fn drop_branch(&mut self) {
        self.branch.clear();
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
        if let Some(ours) = self.at(header.number).copied()
            && self.finalized.is_some_and(|finalized| header.number <= finalized)
        {
            return Ok(self.violated(ours, header));
        }
        if header.number < oldest.number {
            // Below the window. Unless a branch was followed down to there it
            // tells nothing about what the window holds: an endpoint that
            // lags, or a chain that was rolled back, which shows when it has
            // grown to our heights again.
            if !asked_for {
                self.branch.clear();
                return Ok(HeadChange::Same);
            }
            // One step below a window that was too young to be violated, its
            // parent hash still tells what the branches share.
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

    fn violated(&mut self, ours: BlockRef, branch: BlockRef) -> HeadChange {
        self.branch.clear();
        HeadChange::FinalityViolated { ours, branch }
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
pub(crate) mod tests;

//! Which contracts a factory has created, as far as its events are announced.
//!
//! A contract that is configured by its creation event has as many addresses
//! as were created; it may be read only so far as all creations are known, or
//! logs of a child would be missed. Whoever announces the factory's events
//! keeps the census; it goes back when they are retracted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy::primitives::Address;

use super::cursor::ChainView;
use crate::domain::BlockRef;

/// Addresses, each with the block of its first creation.
pub type Children = BTreeMap<Address, u64>;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    creations: BTreeSet<(u64, Address)>,
    known: Known,
}

/// What is known of a factory's children at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// All creations up to this block are known; none before the first.
    pub tip: Option<BlockRef>,
    /// The children.
    pub children: Arc<Children>,
    /// Counts how often the census went back: what was known before does not
    /// hold any more.
    pub retractions: u64,
}

impl Census {
    /// The event of block `number` names a child.
    pub fn created(&mut self, number: u64, child: Address) {
        if self.creations.insert((number, child)) {
            let children = Arc::make_mut(&mut self.known.children);
            let first = children.entry(child).or_insert(number);
            *first = (*first).min(number);
        }
    }

    /// All creations up to `tip` are in.
    pub fn complete(&mut self, tip: BlockRef) {
        self.known.tip = Some(tip);
    }

    /// What came after `common` did not happen.
    pub fn retracted(&mut self, common: BlockRef) {
        let gone = self.creations.split_off(&(common.number.saturating_add(1), Address::ZERO));
        self.known.tip = Some(common);
        self.known.retractions += 1;
        if gone.is_empty() {
            return;
        }
        let mut children = Children::new();
        for (number, child) in &self.creations {
            children.entry(*child).or_insert(*number);
        }
        self.known.children = Arc::new(children);
    }

    /// Begins anew, with what stands up to `tip`.
    pub fn restored(
        &mut self,
        creations: impl IntoIterator<Item = (u64, Address)>,
        tip: Option<BlockRef>,
    ) {
        let retractions = self.known.retractions + 1;
        *self = Self::default();
        for (number, child) in creations {
            self.created(number, child);
        }
        (self.known.tip, self.known.retractions) = (tip, retractions);
    }

    /// What is known now.
    #[must_use]
    pub fn known(&self) -> Known {
        self.known.clone()
    }
}

impl Known {
    /// The last block up to which children can be read on the branch of this
    /// view; none while the census is of another branch, or has not begun.
    #[must_use]
    pub fn reach(&self, view: &ChainView) -> Option<u64> {
        let tip = self.tip?;
        let canonical = match view.header(tip.number) {
            Some(header) => header.hash == tip.hash,
            None => tip.number <= view.finalized,
        };
        canonical.then_some(tip.number)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy::primitives::B256;
    use proptest::prelude::*;

    use super::*;

    fn block(number: u64) -> BlockRef {
        BlockRef { number, hash: B256::ZERO, parent_hash: B256::ZERO, time: number }
    }

    fn child(n: u8) -> Address {
        Address::repeat_byte(n)
    }

    #[test]
    fn a_child_counts_from_its_first_creation_and_goes_with_the_last_that_is_left() {
        let mut census = Census::default();
        for (number, n) in [(3, 1), (5, 1), (5, 2), (9, 3)] {
            census.created(number, child(n));
        }
        census.complete(block(9));
        let known = census.known();
        assert_eq!(known.children[&child(1)], 3);
        census.retracted(block(4));
        let children: Vec<Address> = census.known().children.keys().copied().collect();
        assert_eq!(children, [child(1)]);
        assert_eq!(census.known().tip, Some(block(4)));
        census.retracted(block(2));
        assert!(census.known().children.is_empty());
        assert_eq!(known.children.len(), 3, "what was handed out does not change");
    }

    proptest! {
        /// Whatever was retracted and told again, the census is that of the
        /// creations that stand.
        #[test]
        fn a_census_is_that_of_the_branch(
            branches in prop::collection::vec(
                (0u64..20, prop::collection::vec((1u64..6, 0u8..8), 0..8)), 1..8),
        ) {
            let mut census = Census::default();
            let mut standing: Vec<(u64, Address)> = Vec::new();
            let mut tip = 0;
            for (common, creations) in branches {
                let common = common.min(tip);
                census.retracted(block(common));
                standing.retain(|(number, _)| *number <= common);
                let mut number = common;
                for (step, n) in creations {
                    number += step;
                    census.created(number, child(n));
                    standing.push((number, child(n)));
                }
                tip = number;
                census.complete(block(tip));
                let mut naive = Children::new();
                for (number, child) in &standing {
                    let first = naive.entry(*child).or_insert(*number);
                    *first = (*number).min(*first);
                }
                prop_assert_eq!(&*census.known().children, &naive);
                prop_assert_eq!(census.known().tip, Some(block(tip)));
            }
        }
    }
}

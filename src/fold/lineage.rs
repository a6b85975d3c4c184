//! Which block hashes are vouched for at which height, and where vouchers
//! disagree.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;

use crate::domain::Position;

/// Hashes by (chain, height) with how many vouch for each. Two hashes at one
/// height prove that one of the vouchers is on an orphaned branch.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    heights: BTreeMap<(u64, u64), BTreeMap<B256, Vouched>>,
    disputed: BTreeSet<(u64, u64)>,
}

#[derive(Debug)]
struct Vouched {
    by: usize,
    time: u64,
}

impl Lineage {
    pub(super) fn vouch(&mut self, chain_id: u64, number: u64, hash: B256, time: u64) {
        let at = (chain_id, number);
        let hashes = self.heights.entry(at).or_default();
        hashes.entry(hash).or_insert(Vouched { by: 0, time }).by += 1;
        if hashes.len() > 1 {
            self.disputed.insert(at);
        }
    }

    pub(super) fn withdraw(&mut self, chain_id: u64, number: u64, hash: B256) {
        let at = (chain_id, number);
        let Some(hashes) = self.heights.get_mut(&at) else { return };
        if let Some(vouched) = hashes.get_mut(&hash) {
            vouched.by -= 1;
            if vouched.by == 0 {
                hashes.remove(&hash);
            }
        }
        if hashes.len() < 2 {
            self.disputed.remove(&at);
        }
        if hashes.is_empty() {
            self.heights.remove(&at);
        }
    }

    /// The lowest disputed height of each chain that has one.
    pub(super) fn disputes(&self) -> BTreeMap<u64, u64> {
        // Reversed, so that the lowest height of a chain is inserted last.
        self.disputed.iter().rev().copied().collect()
    }

    /// The first position that could belong to a disputed block: everything
    /// before it is on lineages that agree.
    pub(super) fn first_disputed(&self) -> Option<Position> {
        self.disputed
            .iter()
            .filter_map(|at| {
                let time = self.heights.get(at)?.values().map(|vouched| vouched.time).min()?;
                Some(Position {
                    time,
                    chain_id: at.0,
                    block: at.1,
                    transaction_index: 0,
                    log_index: 0,
                })
            })
            .min()
    }

    /// Ends of the known blocks of a chain above `number`, in order.
    pub(super) fn ends_above(
        &self,
        chain_id: u64,
        number: Option<u64>,
    ) -> impl Iterator<Item = Position> {
        let from = number.map_or(Some(0), |number| number.checked_add(1));
        from.into_iter()
            .flat_map(move |from| self.heights.range((chain_id, from)..=(chain_id, u64::MAX)))
            .filter_map(|(&(chain_id, number), hashes)| {
                let time = hashes.values().next()?.time;
                Some(Position::end_of_block(chain_id, number, time))
            })
    }
}

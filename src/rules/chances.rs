//! What a user can still do for an achievement: the votes that are open, or open
//! soon, of the governors whose votes it looks at.

use alloy::primitives::{Address, U256};
use serde::Serialize;

use super::{
    memory::State,
    model::{Achievement, RuleSet},
    proposals::{Followed, Within},
    tree::{EventKind, Leaf, Over},
};
use crate::{
    domain::{Name, unlock::decimal},
    governance::{Clock, queries},
};

/// Chances that are told at most, of the soonest.
const CHANCES_MAX: usize = 8;

/// A proposal on which the user can vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chance {
    /// The governor.
    pub governor: Name,
    /// The proposal.
    #[serde(with = "decimal")]
    pub proposal_id: U256,
    /// First line of its description.
    pub title: String,
    /// What the governor counts time in: block numbers, or seconds since the Unix
    /// epoch.
    pub clock: Clock,
    /// Voting opens after this point.
    pub opens_after: u64,
    /// The last point at which a vote counts.
    pub closes_after: u64,
    /// Whether the user has voted on it.
    pub voted: bool,
}

impl RuleSet {
    /// The votes that are still open to a user for an achievement, the soonest first.
    /// Of governors that the set follows: others' ends it does not know.
    pub(super) fn chances(
        &self,
        state: &State,
        achievement: &Achievement,
        user: Address,
    ) -> Vec<Chance> {
        let mut chances: Vec<Chance> = Vec::new();
        for followed in &self.followed {
            let mut kinds = achievement.leaves.iter().flat_map(|leaf| self.kinds(leaf));
            if kinds.any(|kind| kind.contract == followed.governor) {
                chances.extend(open(followed, state, user));
            }
        }
        chances.sort_by_key(|chance| (chance.closes_after, chance.proposal_id));
        chances.truncate(CHANCES_MAX);
        chances
    }

    /// The events that a leaf looks at.
    fn kinds(&self, leaf: &Leaf) -> Vec<&EventKind> {
        let of = |place: usize| self.meters.get(place).into_iter().flat_map(|it| it.looks_at());
        match leaf {
            Leaf::Events(leaf) => of(leaf.meter).collect(),
            Leaf::Ratio(leaf) => match leaf.over {
                Over::Own(over) => of(leaf.meter).chain(of(over)).collect(),
                Over::Everybody { .. } => of(leaf.meter).collect(),
            },
            Leaf::Holds(_) | Leaf::Listed(_) => Vec::new(),
        }
    }
}

fn open(followed: &Followed, state: &State, user: Address) -> Vec<Chance> {
    let paths = Within { state, place: followed.place };
    let open = queries::due_before(&paths, u64::MAX).into_iter();
    open.map(|proposal| Chance {
        governor: followed.governor.clone(),
        proposal_id: proposal.proposal_id,
        title: proposal.title,
        clock: followed.clock,
        opens_after: proposal.snapshot,
        closes_after: proposal.deadline,
        voted: followed.has_voted(state, proposal.proposal_id, user),
    })
    .collect()
}

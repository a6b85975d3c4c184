//! What an achievement asks: a tree of conditions, and what stands at its leaves.

use std::{collections::BTreeSet, fmt, sync::Arc};

use alloy::primitives::{Address, B256, U256};

use super::{meter::Window, number::Number};
use crate::domain::Name;

/// A tree over an achievement's leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Index into [`Achievement::leaves`](super::model::Achievement).
    Leaf(usize),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    AtLeast(usize, Vec<Condition>),
    /// The leaf's events did not come so far, and can't any more: its window is
    /// over.
    Not(usize),
    Score {
        at_least: U256,
        members: Vec<Scored>,
    },
}

/// What gives points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scored {
    /// So many for each that a leaf's meter shows.
    Each { points: u64, leaf: usize },
    /// So many while a condition holds.
    Once { points: u64, condition: Condition },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// A user's events have come far enough.
    Events(EventLeaf),
    /// Enough tokens in a user's hands.
    Holds(HoldsLeaf),
    /// A user's events, as a part of everybody's.
    Ratio(RatioLeaf),
    /// Whether the user is on a list.
    Listed(ListedLeaf),
}

/// A list, and whether to be on it or off it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedLeaf {
    pub(super) list: Name,
    pub(super) users: Arc<BTreeSet<Address>>,
    pub(super) among: bool,
}

/// What part of something a user must have taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RatioLeaf {
    /// Index into [`RuleSet::meters`](super::model::RuleSet): what the user did.
    pub(super) meter: usize,
    /// Of how much.
    pub(super) over: Over,
    /// Hundredths of a percent: 7,500 are three quarters.
    pub(super) at_least_bps: u64,
    /// Before there is as much as this, nobody has any part.
    pub(super) of_at_least: u64,
}

/// What a part is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// What happened to everybody, and its place in [`RuleSet::tallies`](super::model::RuleSet).
    Everybody { tally: Tally, place: usize },
    /// What happened to the user: index into [`RuleSet::meters`](super::model::RuleSet).
    Own(usize),
}

/// Events that are the same for everybody, and when they count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tally {
    /// Which.
    pub(super) kinds: BTreeSet<EventKind>,
    pub(super) window: Window,
}

/// What a meter must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EventLeaf {
    /// Index into [`RuleSet::meters`](super::model::RuleSet).
    pub(super) meter: usize,
    pub(super) bound: Bound,
}

/// What a number must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    AtLeast(Number),
    AtMost(Number),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EventKind {
    pub(super) contract: Name,
    pub(super) event: Name,
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.contract, self.event)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HoldsLeaf {
    pub(super) tokens: Holding,
    /// Without a break for so many seconds.
    pub(super) held_for: Option<u64>,
}

/// So much of something in somebody's hands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holding {
    pub(super) what: Having,
    /// Whose.
    pub(super) contract: Name,
    pub(super) at_least: U256,
    /// Under what the state keeps it; [`Self::UNPLACED`] until that is settled for all of a set.
    pub(super) place: u32,
}

impl Holding {
    /// Nothing is kept under it.
    pub(super) const UNPLACED: u32 = u32::MAX;
}

/// What users have of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Having {
    /// ERC-721 tokens.
    Tokens,
    /// The ERC-721 token with this id.
    Token(U256),
    /// An amount of an ERC-20 token.
    Amount,
    /// An amount of a type of tokens, as of ERC-1155.
    Item(U256),
    /// Attestations of a schema by somebody, as of EAS.
    Attestations { schema: B256, attester: Address },
    /// Others that have any of it and let the user vote with it.
    Delegators,
}

impl Leaf {
    /// What must be shown.
    pub(super) fn bound(&self) -> Bound {
        match self {
            Self::Events(leaf) => leaf.bound,
            Self::Listed(_) => Bound::AtLeast(Number::Uint(U256::from(1))),
            // Of what the ratio comes to, in hundredths of a percent.
            Self::Ratio(leaf) => Bound::AtLeast(Number::Uint(U256::from(leaf.at_least_bps))),
            Self::Holds(leaf) => Bound::AtLeast(Number::Uint(leaf.tokens.at_least)),
        }
    }
}

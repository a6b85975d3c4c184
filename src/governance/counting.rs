//! How governors of different makes decide, and what each must be asked for that.
//!
//! | counting | succeeds with more for than against, and | asked | when |
//! | --- | --- | --- | --- |
//! | standard | for + abstain >= quorum | `quorum(snapshot)` | voting is open |
//! | bravo | for >= quorum | `quorumVotes()` | voting is open |
//! | nouns | for >= quorum | `quorumVotes(proposal)` | voting is over |
//! | word | as it says | `state(proposal)`, as of the block after the deadline | voting is over |
//!
//! Each answer is a function of the canonical chain: a checkpoint (OpenZeppelin since
//! 4.7.2), a constant (Bravo, Alpha), something that is fixed when the vote is over
//! (the dynamic quorum of Nouns), or the state of one block. Only the last needs an
//! endpoint that still has that block's state.

use std::fmt;

use alloy::primitives::U256;
use serde::{Deserialize, Serialize};

use super::{ProposalState, Tallies};

/// How a governor decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counting {
    /// OpenZeppelin's `GovernorCountingSimple` and what follows it
    /// (`quorum=for,abstain`).
    #[default]
    Standard,
    /// Compound's Governor Bravo and Alpha: abstentions don't count towards the quorum.
    Bravo,
    /// Nouns: as Bravo, with a quorum that grows with the votes against.
    Nouns,
    /// Otherwise: votes don't tell, the contract does (voting modules of Optimism).
    Word,
}

/// What a governor is asked about one proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// `quorum(uint256)` at a point of its clock.
    Quorum {
        /// The point.
        snapshot: u64,
    },
    /// `quorumVotes()`.
    QuorumVotes,
    /// `quorumVotes(uint256)` of the proposal.
    QuorumVotesOf,
    /// `state(uint256)` of the proposal as of a block: the number of the state.
    State {
        /// The block.
        block: u64,
    },
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quorum { snapshot } => write!(f, "quorum({snapshot})"),
            Self::QuorumVotes => f.write_str("quorumVotes()"),
            Self::QuorumVotesOf => f.write_str("quorumVotes(uint256)"),
            Self::State { block } => write!(f, "state(uint256) in block {block}"),
        }
    }
}

impl Counting {
    /// For settings that were written before there were others.
    pub(super) fn is_standard(&self) -> bool {
        *self == Self::Standard
    }

    /// What it must be asked about a proposal.
    #[must_use]
    pub fn ask(self, snapshot: u64, deadline: u64) -> Ask {
        match self {
            Self::Standard => Ask::Quorum { snapshot },
            Self::Bravo => Ask::QuorumVotes,
            Self::Nouns => Ask::QuorumVotesOf,
            Self::Word => Ask::State { block: deadline.saturating_add(1) },
        }
    }

    /// Whether it can be asked only when voting is over.
    #[must_use]
    pub fn is_known_late(self) -> bool {
        matches!(self, Self::Nouns | Self::Word)
    }

    /// Whether a proposal succeeded, by its votes and the answer.
    pub(super) fn succeeds(self, tallies: &Tallies, answer: U256) -> bool {
        let cast = tallies.cast;
        match self {
            Self::Standard => tallies.succeeds(answer),
            Self::Bravo | Self::Nouns => cast.in_favour > cast.against && cast.in_favour >= answer,
            // What is queued, executed or expired has succeeded before.
            Self::Word => matches!(
                u8::try_from(answer).ok().and_then(ProposalState::of_contract),
                Some(
                    ProposalState::Succeeded
                        | ProposalState::Queued
                        | ProposalState::Executed
                        | ProposalState::Expired
                )
            ),
        }
    }

    /// The quorum, if the answer is one.
    pub(super) fn quorum(self, answer: Option<U256>) -> Option<U256> {
        answer.filter(|_| self != Self::Word)
    }
}

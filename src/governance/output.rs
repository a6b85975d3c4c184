//! What the fold says to the outside.

use alloy::primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use super::{
    Benefits, ProposalState, Tallies, Weights,
    wire::{checksummed, optional_decimal},
};
use crate::{
    domain::{EventId, Position, unlock::decimal},
    fold::AsJson,
};

/// One thing to tell. `kind` names the variant in messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Output {
    /// A proposal was created or is in another state.
    ProposalState(Box<ProposalChange>),
    /// A vote was counted.
    Vote(Box<CountedVote>),
    /// A delegate's vote weighs less: somebody voted with a part of it.
    VoteReduced(Box<ReducedVote>),
    /// A holder has other benefits than before.
    BenefitsChanged(BenefitsChange),
    /// The governor must be asked, as a rule for `quorum(snapshot)`. Said once; what
    /// is to be asked, also after an undo or a restart, is in
    /// [`super::queries::asks`].
    QuorumNeeded {
        /// The proposal.
        #[serde(with = "decimal")]
        proposal_id: U256,
        /// The point of the governor's clock at which weights are read.
        snapshot: u64,
    },
    /// An event that changed nothing: a dead letter.
    Unreadable {
        /// The event.
        event: EventId,
        /// Why, for a person.
        why: String,
    },
}

impl AsJson for Output {}

impl Output {
    /// `<what>` of `merit.v1.governance.<chain>.<governor>.<what>`.
    ///
    /// Changed benefits have a subject of their own
    /// (`merit.v1.benefits.<address>`); needed quorums and unreadable events
    /// are for the daemon itself. They are named too, for logs and metrics.
    #[must_use]
    pub fn subject_token(&self) -> &'static str {
        match self {
            Self::ProposalState(change) => change.to.subject_token(),
            Self::Vote(_) => "vote",
            Self::VoteReduced(_) => "vote_reduced",
            Self::BenefitsChanged(_) => "benefits",
            Self::QuorumNeeded { .. } => "quorum_needed",
            Self::Unreadable { .. } => "unreadable",
        }
    }
}

/// A proposal came into a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalChange {
    /// The proposal.
    #[serde(with = "decimal")]
    pub proposal_id: U256,
    /// The state announced before; none for a new proposal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<ProposalState>,
    /// The state now.
    pub to: ProposalState,
    /// Who proposed it.
    #[serde(with = "checksummed")]
    pub proposer: Address,
    /// First line of its description, at most 200 characters.
    pub title: String,
    /// Votes so far.
    pub tallies: Tallies,
    /// What the votes had to reach; from the decision on. None where the governor
    /// says itself how it decided.
    #[serde(with = "optional_decimal", skip_serializing_if = "Option::is_none", default)]
    pub quorum: Option<U256>,
    /// The block of the log that said so; for what follows from a block clock
    /// alone, the first block of the new state. None for what follows from
    /// time alone: which block was the first past it, no event tells.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub block: Option<u64>,
    /// The time of the log's block; for what follows from time alone, the
    /// first second of the new state. None for what follows from a block
    /// clock alone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time: Option<u64>,
}

/// A vote as it counts, with what its voter held when it was cast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedVote {
    /// The proposal.
    #[serde(with = "decimal")]
    pub proposal_id: U256,
    /// Who voted.
    #[serde(with = "checksummed")]
    pub voter: Address,
    /// 0 against, 1 for, 2 abstain, 255 split by `params`.
    pub support: u8,
    /// The weight that the governor emitted.
    #[serde(with = "decimal")]
    pub weight: U256,
    /// How the weight was counted.
    pub counted: Weights,
    /// The params of `vote_cast_with_params`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub params: Option<Bytes>,
    /// The voter's benefits at the vote's position, whatever came later.
    pub benefits: Benefits,
    /// The counted weights times the multiplier, each rounded down, summed.
    #[serde(with = "decimal")]
    pub effective_weight: U256,
    /// The log's event.
    pub event: EventId,
    /// Where the log stands.
    pub position: Position,
    /// The log's block.
    pub block_hash: B256,
    /// The log's transaction.
    pub transaction_hash: B256,
}

/// A delegate's vote after somebody voted with what had been delegated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReducedVote {
    /// The proposal.
    #[serde(with = "decimal")]
    pub proposal_id: U256,
    /// Whose vote.
    #[serde(with = "checksummed")]
    pub delegate: Address,
    /// What it weighs less.
    pub taken: Weights,
    /// The log's event.
    pub event: EventId,
    /// Where the log stands.
    pub position: Position,
    /// The log's block.
    pub block_hash: B256,
    /// The log's transaction.
    pub transaction_hash: B256,
}

/// A holder's benefits changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenefitsChange {
    /// Whose.
    #[serde(with = "checksummed")]
    pub holder: Address,
    /// What they were; none for who had no benefits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<Benefits>,
    /// What they are from `after.as_of` on; without sources when the last
    /// was lost.
    pub after: Benefits,
}

impl BenefitsChange {
    /// What the holder has once this is said, or (`false`) taken back.
    #[must_use]
    pub fn left(&self, said: bool) -> Option<&Benefits> {
        match said {
            true => Some(&self.after).filter(|after| !after.sources.is_empty()),
            false => self.before.as_ref(),
        }
    }
}

//! Counting votes, each voter once.

use alloy::primitives::{Bytes, U256, U512};
use serde::{Deserialize, Serialize};

use super::{
    Benefits, Output, ProposalState,
    fields::Fields,
    keys,
    output::{CountedVote, ReducedVote},
    proposal::Proposal,
    unusable::Unusable,
};
use crate::{
    domain::{Event, Position, unlock::decimal},
    fold::{JsonPaths as _, PathsMut},
};

/// Support of a fractional vote (OpenZeppelin's `GovernorCountingFractional`).
const FRACTIONAL: u8 = 255;

/// Weight by what it supports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    /// Support 0.
    #[serde(with = "decimal")]
    pub against: U256,
    /// Support 1; `for` in messages.
    #[serde(with = "decimal", rename = "for")]
    pub in_favour: U256,
    /// Support 2.
    #[serde(with = "decimal")]
    pub abstain: U256,
}

impl Weights {
    /// The weights of a vote, by OpenZeppelin's counting: 0, 1, 2, or 255
    /// with three packed `uint128` (against, for, abstain) as params.
    fn of_vote(
        id: U256,
        support: u8,
        weight: U256,
        params: Option<&Bytes>,
    ) -> Result<Self, Unusable> {
        let mut weights = Self::default();
        match (support, params.map(AsRef::as_ref)) {
            (0, _) => weights.against = weight,
            (1, _) => weights.in_favour = weight,
            (2, _) => weights.abstain = weight,
            (FRACTIONAL, Some(split)) if split.len() == 48 => {
                let part = |index: usize| U256::from_be_slice(&split[16 * index..16 * (index + 1)]);
                weights = Self { against: part(0), in_favour: part(1), abstain: part(2) };
                if weights.total() > weight {
                    return Err(Unusable::SplitExceedsWeight { id, weight });
                }
            }
            _ => return Err(Unusable::UnknownSupport { id, support: support.into() }),
        }
        Ok(weights)
    }

    /// All three together; at most `U256::MAX`.
    #[must_use]
    pub fn total(&self) -> U256 {
        self.against.saturating_add(self.in_favour).saturating_add(self.abstain)
    }

    /// Both together. A governor's own sums are checked, so that saturating
    /// is never seen for votes that a chain accepted.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            against: self.against.saturating_add(other.against),
            in_favour: self.in_favour.saturating_add(other.in_favour),
            abstain: self.abstain.saturating_add(other.abstain),
        }
    }

    /// Without another; `None` where that is more.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Option<Self> {
        Some(Self {
            against: self.against.checked_sub(other.against)?,
            in_favour: self.in_favour.checked_sub(other.in_favour)?,
            abstain: self.abstain.checked_sub(other.abstain)?,
        })
    }

    /// Each times one of another over one of a third, rounded down.
    fn scaled(&self, by: &Self, over: &Self) -> Self {
        let part = |number: U256, by: U256, over: U256| {
            if over.is_zero() {
                return number;
            }
            let product = U512::from(number) * U512::from(by);
            (product / U512::from(over)).saturating_to()
        };
        Self {
            against: part(self.against, by.against, over.against),
            in_favour: part(self.in_favour, by.in_favour, over.in_favour),
            abstain: part(self.abstain, by.abstain, over.abstain),
        }
    }

    fn with(&self, benefits: &Benefits) -> Self {
        Self {
            against: benefits.apply_to(self.against),
            in_favour: benefits.apply_to(self.in_favour),
            abstain: benefits.apply_to(self.abstain),
        }
    }
}

/// A proposal's votes, summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tallies {
    /// As the governor counts: what decides.
    pub cast: Weights,
    /// With each voter's benefits: what the community sees beside it.
    pub effective: Weights,
    /// Distinct voters.
    pub voters: u64,
}

impl Tallies {
    /// By OpenZeppelin's `GovernorCountingSimple`: more for than against, and
    /// for and abstain together reach the quorum.
    #[must_use]
    pub fn succeeds(&self, quorum: U256) -> bool {
        let present = self.cast.in_favour.saturating_add(self.cast.abstain);
        self.cast.in_favour > self.cast.against && present >= quorum
    }
}

/// What one voter cast on one proposal, in one or several casts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoterRecord {
    /// As the governor counts.
    pub cast: Weights,
    /// With the benefits that the voter had at each cast.
    pub effective: Weights,
    /// How many events: more than one only with fractional votes.
    pub casts: u64,
    /// The last of them.
    pub last: Position,
}

/// What a vote supports.
fn support_of(fields: &Fields<'_>) -> Result<u8, Unusable> {
    // Bounded by the type that the field has in every governor's ABI.
    let support = fields.small("support", u8::MAX.into())?;
    Ok(u8::try_from(support).unwrap_or(u8::MAX))
}

/// Takes `vote_reduced` (OpenZeppelin's `GovernorCountingOverridable`): somebody voted
/// with what a delegate had voted with. The vote itself is told as
/// `override_vote_cast`.
pub(super) fn reduce(
    event: &Event,
    state: &mut dyn PathsMut,
    output: &mut Vec<Output>,
) -> Result<(), Unusable> {
    let fields = Fields(event);
    let id = fields.uint("proposal_id")?;
    let delegate = fields.address("delegate")?;
    let weight = fields.uint("weight")?;
    let taken = Weights::of_vote(id, support_of(&fields)?, weight, None)?;
    let key = keys::vote(id, delegate);
    let Some(before) = state.get::<VoterRecord>(&key) else {
        return Err(Unusable::NeverVoted { id, voter: delegate });
    };
    let Some(cast) = before.cast.minus(&taken) else {
        return Err(Unusable::ReducedBelowZero { id, voter: delegate, weight });
    };
    // Of what counts with benefits the same part.
    let effective = before.effective.scaled(&cast, &before.cast);
    let tallies_key = keys::tallies(id);
    let tallies: Tallies = state.get(&tallies_key).unwrap_or_default();
    // What a voter cast is among all, so that nothing falls below zero.
    let without =
        |all: Weights, gone: Option<Weights>| gone.and_then(|gone| all.minus(&gone)).unwrap_or(all);
    let tallies = Tallies {
        cast: without(tallies.cast, Some(taken)),
        effective: without(tallies.effective, before.effective.minus(&effective)),
        ..tallies
    };
    state.put(&tallies_key, &tallies);
    state.put(&key, &VoterRecord { cast, effective, ..before });
    output.push(Output::VoteReduced(Box::new(ReducedVote {
        proposal_id: id,
        delegate,
        taken,
        event: event.id,
        position: event.position,
        block_hash: event.block.hash,
        transaction_hash: event.origin.transaction_hash,
    })));
    Ok(())
}

/// Takes `vote_cast`, `vote_cast_with_params` and `override_vote_cast`.
pub(super) fn cast(
    event: &Event,
    state: &mut dyn PathsMut,
    output: &mut Vec<Output>,
) -> Result<(), Unusable> {
    let fields = Fields(event);
    let proposal_id = fields.uint("proposal_id")?;
    let voter = fields.address("voter")?;
    let weight = fields.uint("weight")?;
    let support = support_of(&fields)?;
    let params = fields.optional_bytes("params")?;
    let counted = Weights::of_vote(proposal_id, support, weight, params.as_ref())?;

    let proposal: Proposal = state
        .get(&keys::proposal(proposal_id))
        .ok_or(Unusable::UnknownProposal { id: proposal_id })?;
    if proposal.state != ProposalState::Active {
        let state = proposal.state;
        return Err(Unusable::OutsideWindow { id: proposal_id, voter, state });
    }

    let benefits = match state.get::<Benefits>(&keys::benefits(voter)) {
        Some(held) => Benefits { as_of: event.position, ..held },
        None => Benefits::none(event.position),
    };
    let effective = counted.with(&benefits);

    let vote_key = keys::vote(proposal_id, voter);
    let before: Option<VoterRecord> = state.get(&vote_key);
    let tallies_key = keys::tallies(proposal_id);
    let mut tallies: Tallies = state.get(&tallies_key).unwrap_or_default();
    tallies.cast = tallies.cast.plus(&counted);
    tallies.effective = tallies.effective.plus(&effective);
    tallies.voters = tallies.voters.saturating_add(u64::from(before.is_none()));
    state.put(&tallies_key, &tallies);

    let record = match before {
        Some(before) => VoterRecord {
            cast: before.cast.plus(&counted),
            effective: before.effective.plus(&effective),
            casts: before.casts.saturating_add(1),
            last: event.position,
        },
        None => VoterRecord { cast: counted, effective, casts: 1, last: event.position },
    };
    state.put(&vote_key, &record);

    output.push(Output::Vote(Box::new(CountedVote {
        proposal_id,
        voter,
        support,
        weight,
        counted,
        params,
        benefits,
        effective_weight: effective.total(),
        event: event.id,
        position: event.position,
        block_hash: event.block.hash,
        transaction_hash: event.origin.transaction_hash,
    })));
    Ok(())
}

//! One governor's proposals and votes, and the benefits of those who vote.
//!
//! A fold over the events of a governor and of the NFT and achievements
//! contracts whose tokens give benefits. It derives what no contract emits
//! (voting opened, succeeded, defeated, expired) and says of each vote what
//! its voter held at that position, whatever happened later.
//!
//! It knows nothing of brokers, stores, endpoints or the present time. The
//! one thing that it must be told from outside, a proposal's quorum, and why
//! that leaves it a pure function of the chain, is in `proposal.rs`.

mod benefits;
mod counting;
mod fields;
mod holdings;
mod keys;
mod output;
mod proposal;
pub mod queries;
mod settings;
mod timeline;
mod unusable;
mod votes;
mod wire;

#[cfg(test)]
mod tests;

use alloy::primitives::{B256, U256, keccak256};

pub use benefits::{BenefitRule, BenefitSource, Benefits, Stack};
pub use counting::{Ask, Counting};
pub use output::{BenefitsChange, CountedVote, Output, ProposalChange, ReducedVote};
pub use proposal::ProposalState;
pub use settings::{Clock, InvalidSettings, Settings};
pub use votes::{Tallies, VoterRecord, Weights};

use crate::{
    domain::Event,
    fold::{Fold, PathsMut, State},
};
use timeline::{Timeline, Told};
use unusable::Unusable;

/// Events of governors that say nothing of a proposal or a vote.
const WITHOUT_MEANING: &[&str] = &[
    "admin_changed",
    // Alligator's: the governor tells the same votes.
    "alligator_vote_cast",
    "alligator_votes_cast",
    "beacon_upgraded",
    "eip712_domain_changed",
    "initialized",
    "late_quorum_vote_extension_set",
    "new_admin",
    "new_implementation",
    "new_pending_admin",
    "ownership_transfer_started",
    "ownership_transferred",
    "paused",
    // Nouns: of candidates, and beside `proposal_created`.
    "candidate_feedback_sent",
    "feedback_sent",
    "proposal_candidate_canceled",
    "proposal_candidate_created",
    "proposal_candidate_updated",
    "proposal_created_on_timelock_v1",
    "proposal_created_with_requirements",
    "proposal_description_updated",
    "proposal_guardian_set",
    "proposal_threshold_set",
    "proposal_transactions_updated",
    "proposal_type_updated",
    "proposal_updated",
    "quorum_numerator_updated",
    "quorum_updated",
    "refundable_vote",
    "role_admin_changed",
    "role_granted",
    "role_revoked",
    "super_quorum_numerator_updated",
    "timelock_change",
    "unpaused",
    "signature_added",
    "upgraded",
    // Beside `vote_cast`.
    "vote_cast_with_client_id",
    "voting_delay_set",
    "voting_period_set",
];

/// The fold of one governor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Governance {
    settings: Settings,
}

impl Governance {
    /// A fold by the given settings.
    ///
    /// # Errors
    /// When a benefit rule can't mean what it says.
    pub fn new(settings: Settings) -> Result<Self, InvalidSettings> {
        settings.validate()?;
        Ok(Self { settings })
    }

    /// Names the settings. A [`State`] that was folded by other settings
    /// holds benefits and deadlines of those: fold it again from the stream.
    #[must_use]
    pub fn version(&self) -> B256 {
        // Numbers, names and lists: serialising them to memory can't fail.
        keccak256(serde_json::to_vec(&self.settings).unwrap_or_default())
    }

    /// How it decides.
    #[must_use]
    pub fn counting(&self) -> Counting {
        self.settings.counting
    }

    /// Remembers the governor's answer to what [`queries::asks`] lists; to be
    /// called where the fold's changes are recorded, between two blocks. What
    /// waited for it is announced when the next block begins.
    ///
    /// True when the answer was needed: for another proposal, or a second
    /// time, it changes nothing.
    pub fn learn(&self, state: &mut dyn PathsMut, proposal_id: U256, answer: U256) -> bool {
        let (settings, output) = (&self.settings, &mut Vec::new());
        Timeline { settings, state, output }.learn(proposal_id, answer, Told::WhenAsked)
    }

    /// Remembers an answer before the clock moves a proposal on, so that nothing ever
    /// waits for it: for whoever asks about each proposal of [`queries::due_before`].
    pub fn learn_ahead(&self, state: &mut dyn PathsMut, proposal_id: U256, answer: U256) -> bool {
        let (settings, output) = (&self.settings, &mut Vec::new());
        Timeline { settings, state, output }.learn(proposal_id, answer, Told::Ahead)
    }

    /// As [`Fold::begin_block`].
    pub fn pass(&self, block: u64, time: u64, state: &mut dyn PathsMut, output: &mut Vec<Output>) {
        Timeline { settings: &self.settings, state, output }.begin_block(block, time);
    }

    /// As [`Fold::apply`].
    pub fn follow(&self, event: &Event, state: &mut dyn PathsMut, output: &mut Vec<Output>) {
        // Every error comes before the first change of state.
        if let Err(why) = self.take(event, state, output) {
            output.push(Output::Unreadable { event: event.id, why: why.to_string() });
        }
    }

    fn take(
        &self,
        event: &Event,
        state: &mut dyn PathsMut,
        output: &mut Vec<Output>,
    ) -> Result<(), Unusable> {
        let settings = &self.settings;
        if event.contract != settings.governor {
            if settings.benefits.iter().all(|rule| rule.nft != event.contract) {
                return Err(Unusable::UnknownContract { contract: event.contract.clone() });
            }
            return holdings::apply(&settings.benefits, event, state, output);
        }
        match event.name.as_str() {
            "vote_cast" | "vote_cast_with_params" => votes::cast(event, state, output),
            "proposal_created" => Timeline { settings, state, output }.create(event),
            "override_vote_cast" => votes::cast(event, state, output),
            "vote_reduced" => votes::reduce(event, state, output),
            "proposal_extended" | "proposal_objection_period_set" | "proposal_deadline_updated" => {
                Timeline { settings, state, output }.extend(event)
            }
            "proposal_queued" | "proposal_executed" | "proposal_canceled" | "proposal_vetoed" => {
                Timeline { settings, state, output }.log(event)
            }
            name if WITHOUT_MEANING.contains(&name) => Ok(()),
            _ => {
                let (contract, name) = (event.contract.clone(), event.name.clone());
                Err(Unusable::UnknownEvent { contract, name })
            }
        }
    }
}

impl Fold for Governance {
    type Output = Output;
    type Key = String;

    /// Blocks of other chains, on which only benefits are held, decide
    /// nothing. May be called again for the same block, and need not be
    /// called for each: what is said does not depend on it.
    fn begin_block(
        &self,
        chain_id: u64,
        block: u64,
        time: u64,
        state: &mut State,
        output: &mut Vec<Output>,
    ) {
        if chain_id == self.settings.chain_id {
            self.pass(block, time, state, output);
        }
    }

    fn apply(&self, event: &Event, state: &mut State, output: &mut Vec<Output>) {
        self.follow(event, state, output);
    }
}

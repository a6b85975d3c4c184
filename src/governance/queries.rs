//! What stands in the [`State`], for the API, the command line and the
//! daemon's own questions. Nothing here changes it.

use std::collections::BTreeMap;

use alloy::primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::{
    Ask, Benefits, Counting, ProposalState, Tallies, VoterRecord, keys,
    proposal::Proposal,
    wire::{checksummed, optional_decimal},
};
use crate::{
    domain::unlock::decimal,
    fold::{JsonPaths as _, Paths},
};

/// A proposal as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProposalView {
    /// The proposal.
    #[serde(with = "decimal")]
    pub proposal_id: U256,
    /// Its state, derived ones and [`ProposalState::AwaitingQuorum`] too.
    pub state: ProposalState,
    /// Who proposed it.
    #[serde(with = "checksummed")]
    pub proposer: Address,
    /// First line of its description, at most 200 characters.
    pub title: String,
    /// The block of its creation.
    pub created_block: u64,
    /// Voting opens after this point of the governor's clock.
    pub snapshot: u64,
    /// The last point of the clock at which votes count.
    pub deadline: u64,
    /// When it may be executed, in seconds since the Unix epoch; 0 without a
    /// timelock.
    pub eta: Option<u64>,
    /// What the votes have to reach, once known.
    #[serde(with = "optional_decimal")]
    pub quorum: Option<U256>,
    /// Votes so far.
    pub tallies: Tallies,
}

/// A voter of a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VoterView {
    /// Who voted.
    #[serde(with = "checksummed")]
    pub voter: Address,
    /// What.
    #[serde(flatten)]
    pub vote: VoterRecord,
}

/// A holder and the benefits that follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HolderView {
    /// Who holds.
    #[serde(with = "checksummed")]
    pub holder: Address,
    /// What it gives.
    pub benefits: Benefits,
}

/// All proposals, the oldest first.
#[must_use]
pub fn proposals(state: &dyn Paths) -> Vec<ProposalView> {
    let mut all: Vec<ProposalView> = keys::after(state, keys::PROPOSALS)
        .filter_map(|(key, id)| Some(view(state, id, state.get(key)?)))
        .collect();
    all.sort_by_key(|proposal| (proposal.created_block, proposal.proposal_id));
    all
}

/// How many proposals are in each state, by its name. It is asked all the time, so nothing
/// else is read of them.
#[must_use]
pub fn states(state: &dyn Paths) -> BTreeMap<String, u64> {
    #[derive(Deserialize)]
    struct Standing {
        state: String,
    }
    let mut states = BTreeMap::new();
    for (key, _) in keys::after::<U256>(state, keys::PROPOSALS) {
        if let Some(Standing { state }) = state.get(key) {
            *states.entry(state).or_default() += 1;
        }
    }
    states
}

/// One proposal with its voters, in the order of their addresses; none once
/// voting is over.
#[must_use]
pub fn proposal(state: &dyn Paths, id: U256) -> Option<(ProposalView, Vec<VoterView>)> {
    let proposal = view(state, id, state.get(&keys::proposal(id))?);
    let prefix = keys::votes(id);
    let voters = keys::after(state, &prefix)
        .filter_map(|(key, voter)| Some(VoterView { voter, vote: state.get(key)? }))
        .collect();
    Some((proposal, voters))
}

/// A holder's benefits; none for who has none.
#[must_use]
pub fn benefits(state: &dyn Paths, holder: Address) -> Option<Benefits> {
    state.get(&keys::benefits(holder))
}

/// Under what the state has a holder's benefits.
#[must_use]
pub fn benefits_key(holder: Address) -> String {
    keys::benefits(holder)
}

/// Everyone who has benefits, in the order of their addresses.
#[must_use]
pub fn holders(state: &dyn Paths) -> Vec<HolderView> {
    keys::after(state, keys::BENEFITS)
        .filter_map(|(key, holder)| Some(HolderView { holder, benefits: state.get(key)? }))
        .collect()
}

/// What governors must be asked for, by the proposals: what
/// [`super::Output::QuorumNeeded`] asked for and an undo or a crash before
/// the commit took back stands here again.
#[must_use]
pub fn asks(state: &dyn Paths, counting: Counting) -> Vec<(U256, Ask)> {
    let asked = keys::after(state, keys::ASKED).filter_map(|(_, id)| {
        let proposal: Proposal = state.get(&keys::proposal(id))?;
        Some((id, counting.ask(proposal.snapshot, proposal.deadline)))
    });
    asked.collect()
}

/// The proposals that the governor's clock moves on before it shows `now`, in
/// the order in which they fall due.
#[must_use]
pub fn due_before(state: &dyn Paths, now: u64) -> Vec<ProposalView> {
    let due = |key: &str| {
        let (time, id) = key.strip_prefix(keys::OPEN)?.split_once('/')?;
        let (time, id): (u64, U256) = (time.parse().ok()?, id.parse().ok()?);
        (time < now).then_some(id)
    };
    let due: Vec<U256> = state.keys(keys::OPEN).map_while(due).collect();
    due.into_iter().filter_map(|id| Some(proposal(state, id)?.0)).collect()
}

fn view(state: &dyn Paths, proposal_id: U256, proposal: Proposal) -> ProposalView {
    ProposalView {
        proposal_id,
        state: proposal.state,
        proposer: proposal.proposer,
        title: proposal.title,
        created_block: proposal.created,
        snapshot: proposal.snapshot,
        deadline: proposal.deadline,
        eta: proposal.eta,
        quorum: proposal.answer,
        tallies: state.get(&keys::tallies(proposal_id)).unwrap_or_default(),
    }
}

//! OpenZeppelin's governor with simple counting and no timelock, by block number.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy::{
    primitives::{Address, B256, Bytes, U256, aliases::U48, keccak256},
    sol_types::{SolInterface as _, SolValue as _},
};

use super::{Call, Change as Any, Done, Reverted, abi::IGovernor as abi, error, supply, votes_of};
use crate::simulation::chain::{Deployment, state::State};

/// How the token and the governor tell the time.
pub(super) const CLOCK_MODE: &str = "mode=blocknumber&from=default";
/// Blocks from a proposal to its vote.
const VOTING_DELAY: u64 = 1;
/// Blocks that a vote is open.
const VOTING_PERIOD: u64 = 20;
/// A quorum is one part of so many of all votes.
const QUORUM_PART: u64 = 5;

const PENDING: u8 = 0;
const ACTIVE: u8 = 1;
const DEFEATED: u8 = 3;
const SUCCEEDED: u8 = 4;

/// Its storage.
#[derive(Clone, Debug, Default)]
pub(in crate::simulation::chain) struct Governor {
    /// By age.
    ids: Vec<U256>,
    proposals: BTreeMap<U256, Arc<Proposal>>,
}

/// A proposal.
#[derive(Clone, Debug)]
pub(in crate::simulation::chain) struct Proposal {
    id: U256,
    proposer: Address,
    snapshot: u64,
    deadline: u64,
    /// Against, for, abstaining.
    votes: [U256; 3],
    voters: BTreeSet<Address>,
}

/// A change of it.
#[derive(Clone, Debug)]
pub(in crate::simulation::chain) enum Change {
    Proposed(Arc<Proposal>),
    Voted { id: U256, voter: Address, support: usize, weight: U256 },
}

impl Governor {
    /// The id of a proposal by its place among all that there are.
    pub(in crate::simulation::chain) fn id(&self, place: usize) -> Option<U256> {
        self.ids.get(place).copied()
    }

    pub(in crate::simulation::chain) fn apply(&mut self, change: Change) {
        match change {
            Change::Proposed(proposal) => {
                self.ids.push(proposal.id);
                self.proposals.insert(proposal.id, proposal);
            }
            Change::Voted { id, voter, support, weight } => {
                let Some(proposal) = self.proposals.get_mut(&id) else { return };
                let proposal = Arc::make_mut(proposal);
                proposal.voters.insert(voter);
                if let Some(votes) = proposal.votes.get_mut(support) {
                    *votes += weight;
                }
            }
        }
    }

    fn find(&self, id: U256) -> Result<&Proposal, Reverted> {
        let found = self.proposals.get(&id).map(Arc::as_ref);
        found.ok_or_else(|| error(&abi::GovernorNonexistentProposal { proposalId: id }))
    }
}

impl Proposal {
    fn state(&self, clock: u64) -> u8 {
        let [against, in_favour, abstaining] = self.votes;
        if self.snapshot >= clock {
            PENDING
        } else if self.deadline >= clock {
            ACTIVE
        } else if in_favour > against && in_favour + abstaining >= quorum() {
            SUCCEEDED
        } else {
            DEFEATED
        }
    }
}

fn quorum() -> U256 {
    supply() / U256::from(QUORUM_PART)
}

/// Runs a call of it; `None` where it has no such function.
pub(super) fn run(
    state: &State,
    at: &Deployment,
    call: &Call<'_>,
) -> Option<Result<Done, Reverted>> {
    let known = abi::IGovernorCalls::abi_decode(call.input).ok()?;
    Some(act(&state.governor, at, call, known))
}

fn act(
    of: &Governor,
    at: &Deployment,
    call: &Call<'_>,
    known: abi::IGovernorCalls,
) -> Result<Done, Reverted> {
    use abi::IGovernorCalls as Calls;
    let none = (String::new(), Bytes::new());
    let past = |timepoint: U256, answer: U256| match timepoint < U256::from(call.block) {
        true => Ok(answer.abi_encode()),
        false => {
            let clock = U48::from(call.block);
            Err(error(&abi::ERC5805FutureLookup { timepoint, clock }))
        }
    };
    let answer = match known {
        Calls::propose(it) => return propose(of, at, call, it),
        Calls::castVote(it) => return vote(of, at, call, (it.proposalId, it.support), none),
        Calls::castVoteWithReason(it) => {
            return vote(of, at, call, (it.proposalId, it.support), (it.reason, none.1));
        }
        Calls::castVoteWithReasonAndParams(it) => {
            return vote(of, at, call, (it.proposalId, it.support), (it.reason, it.params));
        }
        Calls::state(it) => U256::from(of.find(it.proposalId)?.state(call.block)).abi_encode(),
        // What nobody proposed began and ended at 0.
        Calls::proposalSnapshot(it) => {
            U256::from(of.find(it.proposalId).map_or(0, |it| it.snapshot)).abi_encode()
        }
        Calls::proposalDeadline(it) => {
            U256::from(of.find(it.proposalId).map_or(0, |it| it.deadline)).abi_encode()
        }
        Calls::proposalProposer(it) => {
            of.find(it.proposalId).map_or(Address::ZERO, |it| it.proposer).abi_encode()
        }
        Calls::proposalEta(_) | Calls::proposalThreshold(_) => U256::ZERO.abi_encode(),
        Calls::proposalNeedsQueuing(_) => false.abi_encode(),
        Calls::proposalVotes(it) => {
            of.find(it.proposalId).map_or([U256::ZERO; 3], |it| it.votes).abi_encode()
        }
        Calls::hasVoted(it) => {
            of.find(it.proposalId).is_ok_and(|p| p.voters.contains(&it.account)).abi_encode()
        }
        Calls::quorum(it) => past(it.timepoint, quorum())?,
        Calls::getVotes(it) => past(it.timepoint, votes_of(it.account))?,
        Calls::votingDelay(_) => U256::from(VOTING_DELAY).abi_encode(),
        Calls::votingPeriod(_) => U256::from(VOTING_PERIOD).abi_encode(),
        Calls::clock(_) => U256::from(call.block).abi_encode(),
        Calls::CLOCK_MODE(_) => CLOCK_MODE.abi_encode(),
        Calls::COUNTING_MODE(_) => "support=bravo&quorum=for,abstain".abi_encode(),
        Calls::name(_) => "MeritGovernor".abi_encode(),
        Calls::token(_) => at.token.abi_encode(),
    };
    Ok(Done::answer(answer))
}

fn propose(
    of: &Governor,
    at: &Deployment,
    call: &Call<'_>,
    it: abi::proposeCall,
) -> Result<Done, Reverted> {
    let abi::proposeCall { targets, values, calldatas, description } = it;
    let hash = keccak256(&description);
    let whole = (targets.clone(), values.clone(), calldatas.clone(), hash).abi_encode_params();
    let id = U256::from_be_bytes(keccak256(whole).0);
    if let Ok(there) = of.find(id) {
        return Err(unexpected(id, there.state(call.block), B256::ZERO));
    }
    let snapshot = call.block + VOTING_DELAY;
    let deadline = snapshot + VOTING_PERIOD;
    let proposal = Proposal {
        id,
        proposer: call.from,
        snapshot,
        deadline,
        votes: [U256::ZERO; 3],
        voters: BTreeSet::new(),
    };
    let event = abi::ProposalCreated {
        proposalId: id,
        proposer: call.from,
        signatures: vec![String::new(); targets.len()],
        targets,
        values,
        calldatas,
        voteStart: U256::from(snapshot),
        voteEnd: U256::from(deadline),
        description,
    };
    let change = Any::Governor(Change::Proposed(Arc::new(proposal)));
    Ok(Done::deed(at.governor, &event, Some(change)).giving(id.abi_encode()))
}

fn vote(
    of: &Governor,
    at: &Deployment,
    call: &Call<'_>,
    (id, support): (U256, u8),
    (reason, params): (String, Bytes),
) -> Result<Done, Reverted> {
    let (proposal, voter) = (of.find(id)?, call.from);
    let state = proposal.state(call.block);
    if state != ACTIVE {
        let expected = B256::from(U256::from(1) << usize::from(ACTIVE));
        return Err(unexpected(id, state, expected));
    }
    if proposal.voters.contains(&voter) {
        return Err(error(&abi::GovernorAlreadyCastVote { voter }));
    }
    let place = usize::from(support);
    if place >= proposal.votes.len() {
        return Err(error(&abi::GovernorInvalidVoteType {}));
    }
    let weight = votes_of(voter);
    let change = Some(Any::Governor(Change::Voted { id, voter, support: place, weight }));
    let done = if params.is_empty() {
        let event = abi::VoteCast { voter, proposalId: id, support, weight, reason };
        Done::deed(at.governor, &event, change)
    } else {
        let event =
            abi::VoteCastWithParams { voter, proposalId: id, support, weight, reason, params };
        Done::deed(at.governor, &event, change)
    };
    Ok(done.giving(weight.abi_encode()))
}

fn unexpected(id: U256, current: u8, expected: B256) -> Reverted {
    error(&abi::GovernorUnexpectedProposalState {
        proposalId: id,
        current,
        expectedStates: expected,
    })
}

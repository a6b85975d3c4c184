//! The governors whose proposals a set follows.
//!
//! A set that asks how votes ended folds the governor ([`Governance`]) within its
//! own state. That depends on what only the chain can tell: the quorum, and for
//! a governor that counts blocks the time of the first block after the deadline.
//! A block waits for it ([`Fold::waits`](crate::fold::Fold::waits)): so whichever
//! blocks are looked at, and whenever the answers come, the order of all
//! decisions is the same.

use alloy::primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::{
    facts::Facts,
    memory::{self, Counted, Kept, Key, State},
    model::RuleSet,
};
use crate::{
    domain::{Event, Name},
    fold::{Paths, PathsMut},
    governance::{
        Ask, Clock, CountedVote, Governance, Output, ProposalState, ReducedVote, Weights, queries,
    },
};

/// A governor whose proposals a set follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Followed {
    pub(super) governor: Name,
    /// Among those followed.
    pub(super) place: u32,
    pub(super) chain_id: u64,
    pub(super) clock: Clock,
    /// Whose votes it counts, if anybody asks who could have voted.
    pub(super) votes: Option<Name>,
    pub(super) governance: Governance,
}

/// What a governor's chain must tell before a block can begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The governor's configured name.
    pub governor: Name,
    /// The proposal it is about.
    pub proposal_id: U256,
    /// What is asked.
    pub asked: Asked,
}

/// See [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// What the governor says of the proposal.
    Governor(Ask),
    /// The time of a block of the governor's chain, in seconds since the Unix
    /// epoch.
    BlockTime {
        /// Its number.
        block: u64,
    },
}

/// What one voter cast on a proposal that is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ballot {
    /// The last vote.
    pub(super) log: Counted,
    pub(super) against: U256,
    pub(super) in_favour: U256,
    pub(super) abstain: U256,
}

/// Voting on a proposal is over.
pub(super) struct Settlement {
    /// When, in seconds since the Unix epoch.
    pub(super) time: u64,
    pub(super) place: u32,
    pub(super) proposal_id: U256,
    pub(super) proposer: Address,
    pub(super) succeeded: bool,
    pub(super) cast: Weights,
    pub(super) voters: u64,
}

/// A governor's paths within the set's state.
pub(super) struct Within<S> {
    pub(super) state: S,
    pub(super) place: u32,
}

impl<S: std::ops::Deref<Target = State>> Paths for Within<S> {
    fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.state.value(&Key::Path(self.place, path.into()))?.bytes()
    }

    fn under<'s>(&'s self, prefix: &'s str) -> Box<dyn Iterator<Item = &'s str> + 's> {
        let from = self.state.listed(Key::Path(self.place, prefix.into())..);
        let here = from.map_while(|(key, _)| match key {
            Key::Path(place, path) if *place == self.place => Some(path.as_str()),
            _ => None,
        });
        Box::new(here.take_while(move |path| path.starts_with(prefix)))
    }
}

impl PathsMut for Within<&mut State> {
    fn write(&mut self, path: &str, value: Option<Box<[u8]>>) {
        self.state.set(Key::Path(self.place, path.into()), value.map(Kept::Bytes));
    }
}

impl Followed {
    /// What must be learned before a block of any chain can begin.
    fn questions(&self, state: &State, chain_id: u64, block: u64, time: u64) -> Vec<Question> {
        let Some(now) = self.now(chain_id, block, time) else { return Vec::new() };
        let mut questions = Vec::new();
        for proposal in queries::due_before(&Within { state, place: self.place }, now) {
            let proposal_id = proposal.proposal_id;
            let mut ask = |asked| {
                questions.push(Question { governor: self.governor.clone(), proposal_id, asked });
            };
            let counting = self.governance.counting();
            let is_over = proposal.deadline < now;
            if proposal.quorum.is_none() && (is_over || !counting.is_known_late()) {
                ask(Asked::Governor(counting.ask(proposal.snapshot, proposal.deadline)));
            }
            let ends = Key::Ends(self.place, proposal_id.into());
            if self.clock == Clock::Block && is_over && state.value(&ends).is_none() {
                ask(Asked::BlockTime { block: proposal.deadline + 1 });
            }
        }
        questions
    }

    /// What the clock shows, where a block says so: seconds are the same on all
    /// chains.
    fn now(&self, chain_id: u64, block: u64, time: u64) -> Option<u64> {
        (self.clock == Clock::Timestamp || chain_id == self.chain_id)
            .then(|| self.clock.at(block, time))
    }

    /// A block begins.
    fn begin(&self, state: &mut State, chain: u64, block: u64, time: u64) -> Vec<Settlement> {
        if self.now(chain, block, time).is_none() {
            return Vec::new();
        }
        let mut said = Vec::new();
        let paths = &mut Within { state: &mut *state, place: self.place };
        self.governance.pass(block, time, paths, &mut said);
        self.settled(state, said)
    }

    /// An event of the governor.
    fn follow(&self, event: &Event, log: &Counted, state: &mut State) -> Vec<Settlement> {
        let mut said = Vec::new();
        let paths = &mut Within { state: &mut *state, place: self.place };
        self.governance.follow(event, paths, &mut said);
        for said in &said {
            match said {
                Output::Vote(vote) => self.note(vote, log, state),
                Output::VoteReduced(vote) => self.reduce(vote, state),
                Output::ProposalState(change) if change.to == ProposalState::Pending => {
                    let key = Key::Proposed(self.place, change.proposal_id.into());
                    memory::write(state, key, log);
                    self.note_snapshot(change.proposal_id, state);
                }
                _ => {}
            }
        }
        self.settled(state, said)
    }

    /// Keeps for which point of the clock votes are counted: at the end of the vote
    /// nothing else knows it any more.
    fn note_snapshot(&self, proposal_id: U256, state: &mut State) {
        if self.votes.is_none() {
            return;
        }
        let paths = Within { state: &*state, place: self.place };
        let snapshot = queries::proposal(&paths, proposal_id).map(|(view, _)| view.snapshot);
        let key = Key::Snapshot(self.place, proposal_id.into());
        memory::write_or_remove(state, key, snapshot.as_ref());
    }

    /// For which point of the clock votes on a proposal were counted, once.
    pub(super) fn take_snapshot(&self, state: &mut State, proposal_id: U256) -> Option<u64> {
        let key = Key::Snapshot(self.place, proposal_id.into());
        let snapshot = memory::read(state, &key);
        state.set(key, None);
        snapshot
    }

    /// Whether somebody has voted on a proposal that is not settled yet.
    pub(super) fn has_voted(&self, state: &State, proposal_id: U256, voter: Address) -> bool {
        state.value(&Key::Ballot(self.place, proposal_id.into(), voter)).is_some()
    }

    fn note(&self, vote: &CountedVote, log: &Counted, state: &mut State) {
        let key = Key::Ballot(self.place, vote.proposal_id.into(), vote.voter);
        let before: Option<Ballot> = memory::read(state, &key);
        let weights = Weights {
            against: before.as_ref().map_or(U256::ZERO, |ballot| ballot.against),
            in_favour: before.as_ref().map_or(U256::ZERO, |ballot| ballot.in_favour),
            abstain: before.as_ref().map_or(U256::ZERO, |ballot| ballot.abstain),
        };
        let Weights { against, in_favour, abstain } = weights.plus(&vote.counted);
        memory::write(state, key, &Ballot { log: log.clone(), against, in_favour, abstain });
    }

    fn reduce(&self, vote: &ReducedVote, state: &mut State) {
        let key = Key::Ballot(self.place, vote.proposal_id.into(), vote.delegate);
        let Some(ballot) = memory::read::<Ballot>(state, &key) else { return };
        let Ballot { log, against, in_favour, abstain } = ballot;
        let cast = Weights { against, in_favour, abstain };
        // The governance fold has checked it.
        let Weights { against, in_favour, abstain } = cast.minus(&vote.taken).unwrap_or(cast);
        memory::write(state, key, &Ballot { log, against, in_favour, abstain });
    }

    fn settled(&self, state: &mut State, said: Vec<Output>) -> Vec<Settlement> {
        let mut settlements = Vec::new();
        for said in said {
            let Output::ProposalState(change) = said else { continue };
            let proposal_id = change.proposal_id;
            match change.to {
                ProposalState::Succeeded | ProposalState::Defeated => {
                    let ends = Key::Ends(self.place, proposal_id.into());
                    // A log says its time; what the clock says of a block was
                    // asked for.
                    let time = change.time.or_else(|| memory::read(state, &ends));
                    state.set(ends, None);
                    settlements.push(Settlement {
                        time: time.unwrap_or_default(),
                        place: self.place,
                        proposal_id,
                        proposer: change.proposer,
                        succeeded: change.to == ProposalState::Succeeded,
                        cast: change.tallies.cast,
                        voters: change.tallies.voters,
                    });
                }
                // It had no outcome, or has had it.
                ProposalState::Canceled | ProposalState::Vetoed => {
                    self.ballots(proposal_id, state);
                    self.take_snapshot(state, proposal_id);
                }
                _ => {}
            }
        }
        settlements
    }

    /// Takes what was cast on a proposal, in the order of the voters.
    pub(super) fn ballots(&self, proposal_id: U256, state: &mut State) -> Vec<(Address, Ballot)> {
        let key = |voter| Key::Ballot(self.place, proposal_id.into(), voter);
        let all = key(Address::ZERO)..=key(Address::repeat_byte(0xff));
        let voters = state.listed(all).filter_map(|(key, _)| match key {
            Key::Ballot(_, _, voter) => Some(*voter),
            _ => None,
        });
        let voters: Vec<Address> = voters.collect();
        let mut ballots = Vec::new();
        for voter in voters {
            ballots.extend(memory::read(state, &key(voter)).map(|ballot| (voter, ballot)));
            state.set(key(voter), None);
        }
        ballots
    }
}

impl RuleSet {
    /// What must be learned before a block begins.
    #[must_use]
    pub fn questions(&self, state: &State, chain_id: u64, block: u64, time: u64) -> Vec<Question> {
        let of = |followed: &Followed| followed.questions(state, chain_id, block, time);
        self.followed.iter().flat_map(of).collect()
    }

    /// Remembers an answer; to be called where the fold's changes are recorded.
    pub fn learn(&self, state: &mut State, question: &Question, answer: U256) {
        let followed = self.followed.iter().find(|it| it.governor == question.governor);
        let Some(followed) = followed else { return };
        let (place, proposal_id) = (followed.place, question.proposal_id);
        match question.asked {
            Asked::Governor(_) => {
                let paths = &mut Within { state, place };
                followed.governance.learn_ahead(paths, proposal_id, answer);
            }
            Asked::BlockTime { .. } => {
                let time: u64 = answer.saturating_to();
                memory::write(state, Key::Ends(place, proposal_id.into()), &time);
            }
        }
    }

    /// The governors whose proposals it follows.
    pub fn followed(&self) -> impl Iterator<Item = &Name> {
        self.followed.iter().map(|followed| &followed.governor)
    }

    /// What ends before a block begins, in the order of time.
    pub(super) fn endings(
        &self,
        state: &mut State,
        chain_id: u64,
        block: u64,
        time: u64,
    ) -> Vec<Settlement> {
        let mut all = Vec::new();
        for followed in &self.followed {
            all.extend(followed.begin(state, chain_id, block, time));
        }
        // Stable: what ends at one time keeps the order of governors and deadlines.
        all.sort_by_key(|settlement| settlement.time);
        all
    }

    /// What an event ends.
    pub(super) fn ended_by(&self, facts: &Facts<'_>, state: &mut State) -> Vec<Settlement> {
        for followed in &self.followed {
            followed.note_power(facts, state);
        }
        let followed = self.followed.iter().find(|it| it.governor == facts.event.contract);
        followed.map_or_else(Vec::new, |it| it.follow(facts.event, &facts.log, state))
    }
}

//! Proposals in the [`State`]: logs and the clock applied to them, and the
//! indexes by which what is due is found without a look at all others.

use alloy::primitives::U256;

use super::{
    Clock, Output, ProposalState, Settings, Tallies,
    fields::Fields,
    keys,
    output::ProposalChange,
    proposal::{CannotFollow, Moment, Proposal, Step, Turn, Votes},
    unusable::Unusable,
};
use crate::{
    domain::Event,
    fold::{JsonPaths as _, PathsMut},
};

/// Longest title, in characters.
const TITLE_CHARS: usize = 200;

/// When an answer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Voting is open, or over.
    WhenAsked,
    /// The clock is past the point at which it can be asked, and no block after it
    /// has begun.
    Ahead,
}

/// One governor's proposals while something is applied to them.
pub(super) struct Timeline<'a> {
    pub(super) settings: &'a Settings,
    pub(super) state: &'a mut dyn PathsMut,
    pub(super) output: &'a mut Vec<Output>,
}

impl Timeline<'_> {
    /// Takes `proposal_created`.
    pub(super) fn create(&mut self, event: &Event) -> Result<(), Unusable> {
        let fields = Fields(event);
        let id = fields.uint("proposal_id")?;
        let proposal = Proposal {
            proposer: fields.address("proposer")?,
            title: title(&fields.text("description")?),
            created: event.position.block,
            snapshot: fields.timepoint("vote_start")?,
            deadline: fields.timepoint("vote_end")?,
            state: ProposalState::Pending,
            eta: None,
            answer: None,
            held: Vec::new(),
        };
        if self.state.get::<Proposal>(&keys::proposal(id)).is_some() {
            return Err(Unusable::ProposalExists { id });
        }
        let at = moment_of(event);
        self.announce(id, &proposal, &Tallies::default(), None, ProposalState::Pending, None, at);
        self.store(id, None, &proposal);
        Ok(())
    }

    /// Takes a log that moves a proposal on.
    pub(super) fn log(&mut self, event: &Event) -> Result<(), Unusable> {
        let fields = Fields(event);
        let id = fields.uint("proposal_id")?;
        let step = match event.name.as_str() {
            "proposal_queued" => Step::Queued { eta: fields.timepoint("eta")? },
            "proposal_executed" => Step::Executed,
            "proposal_vetoed" => Step::Vetoed,
            _ => Step::Canceled,
        };
        let mut proposal = self.known(id)?;
        let before = proposal.clone();
        let (tallies, mut turns) = (self.tallies(id), Vec::new());
        let votes = self.votes(&tallies);
        proposal.advance(step, moment_of(event), votes, &mut turns).map_err(
            |CannotFollow(state)| Unusable::CannotFollow { id, state, name: event.name.clone() },
        )?;
        self.finish(id, &before, &proposal, &tallies, turns);
        Ok(())
    }

    /// Takes what moves a deadline: `proposal_extended` (`GovernorPreventLateQuorum`)
    /// and the objection period of Nouns only ever move it later, as the contract's
    /// `max` has it; Optimism's manager sets it.
    pub(super) fn extend(&mut self, event: &Event) -> Result<(), Unusable> {
        let fields = Fields(event);
        let id = fields.uint("proposal_id")?;
        let moved = match event.name.as_str() {
            "proposal_objection_period_set" => "objection_period_end_block",
            "proposal_deadline_updated" => "deadline",
            _ => "extended_deadline",
        };
        let moved_to = fields.timepoint(moved)?;
        let before = self.known(id)?;
        let state = before.state;
        if !matches!(state, ProposalState::Pending | ProposalState::Active) {
            return Err(Unusable::CannotFollow { id, state, name: event.name.clone() });
        }
        let deadline = match moved {
            "deadline" => moved_to,
            _ => before.deadline.max(moved_to),
        };
        let after = Proposal { deadline, ..before.clone() };
        self.store(id, Some(&before), &after);
        Ok(())
    }

    /// Moves on all that the clock is past, in the order in which it fell due.
    pub(super) fn begin_block(&mut self, block: u64, time: u64) {
        let clock = self.settings.clock;
        let now = clock.at(block, time);
        while let Some((due, id)) = keys::first_due(self.state, keys::OPEN)
            && due < now
        {
            // Gone in any case: whatever stands there, this loop ends.
            self.state.remove(&keys::open(due, id));
            let after = due.saturating_add(1);
            let at = match clock {
                Clock::Block => Moment { block: Some(after), time: None },
                Clock::Timestamp => Moment { block: None, time: Some(after) },
            };
            self.tick(
                id,
                |state| match state {
                    ProposalState::Pending => Step::Opened,
                    _ => Step::Deadline,
                },
                at,
            );
        }
        while let Some((expiry, id)) = keys::first_due(self.state, keys::GRACE)
            && expiry <= time
        {
            self.state.remove(&keys::grace(expiry, id));
            self.tick(id, |_| Step::Expired, Moment { block: None, time: Some(expiry) });
        }
    }

    /// Remembers an answer that was asked for. The next block acts on it.
    pub(super) fn learn(&mut self, id: U256, answer: U256, when: Told) -> bool {
        let Ok(before) = self.known(id) else { return false };
        let counting = self.settings.counting;
        let is_due = match when {
            Told::WhenAsked => before.needs_answer(counting),
            Told::Ahead => {
                let is_open = before.state == ProposalState::Active && counting.is_known_late();
                before.answer.is_none() && (before.state == ProposalState::Pending || is_open)
            }
        };
        if !is_due {
            return false;
        }
        let after = Proposal { answer: Some(answer), ..before.clone() };
        self.store(id, Some(&before), &after);
        true
    }

    fn tick(&mut self, id: U256, step: impl FnOnce(ProposalState) -> Step, at: Moment) {
        let Ok(mut proposal) = self.known(id) else { return };
        let before = proposal.clone();
        let (tallies, mut turns) = (self.tallies(id), Vec::new());
        if proposal.state == ProposalState::AwaitingQuorum {
            proposal.resume(self.votes(&tallies), &mut turns);
        } else if proposal
            .advance(step(proposal.state), at, self.votes(&tallies), &mut turns)
            .is_err()
        {
            // The indexes name only proposals in a state that the step fits.
            return;
        }
        self.finish(id, &before, &proposal, &tallies, turns);
    }

    fn known(&self, id: U256) -> Result<Proposal, Unusable> {
        self.state.get(&keys::proposal(id)).ok_or(Unusable::UnknownProposal { id })
    }

    fn tallies(&self, id: U256) -> Tallies {
        self.state.get(&keys::tallies(id)).unwrap_or_default()
    }

    fn votes<'t>(&self, tallies: &'t Tallies) -> Votes<'t> {
        Votes { counting: self.settings.counting, tallies }
    }

    fn finish(
        &mut self,
        id: U256,
        before: &Proposal,
        after: &Proposal,
        tallies: &Tallies,
        turns: Vec<Turn>,
    ) {
        for turn in turns {
            self.announce(id, after, tallies, Some(turn.from), turn.to, turn.quorum, turn.at);
        }
        self.store(id, Some(before), after);
    }

    #[allow(clippy::too_many_arguments)] // one per field of the message
    fn announce(
        &mut self,
        proposal_id: U256,
        proposal: &Proposal,
        tallies: &Tallies,
        from: Option<ProposalState>,
        to: ProposalState,
        quorum: Option<U256>,
        at: Moment,
    ) {
        self.output.push(Output::ProposalState(Box::new(ProposalChange {
            proposal_id,
            from,
            to,
            proposer: proposal.proposer,
            title: proposal.title.clone(),
            tallies: *tallies,
            quorum,
            block: at.block,
            time: at.time,
        })));
    }

    /// Writes a record and brings the indexes to what it says. When voting is
    /// over, what each voter cast is forgotten: the tallies have it, and a
    /// community's whole history of votes would not fit into memory.
    fn store(&mut self, id: U256, before: Option<&Proposal>, after: &Proposal) {
        let active = |proposal: &Proposal| proposal.state == ProposalState::Active;
        if before.is_some_and(active) && !active(after) {
            let prefix = keys::votes(id);
            let cast: Vec<String> = self.state.keys(&prefix).map(str::to_owned).collect();
            cast.iter().for_each(|key| self.state.remove(key));
        }
        let grace = self.settings.grace_period_s;
        let indexed = |proposal: &Proposal| {
            [
                proposal.due().map(|due| keys::open(due, id)),
                proposal.expires(grace).map(|expiry| keys::grace(expiry, id)),
            ]
        };
        for key in before.map(indexed).into_iter().flatten().flatten() {
            self.state.remove(&key);
        }
        for key in indexed(after).into_iter().flatten() {
            self.state.put(&key, &());
        }
        let needs = |proposal: &Proposal| proposal.needs_answer(self.settings.counting);
        match (before.is_some_and(needs), needs(after)) {
            (false, true) => {
                self.state.put(&keys::asked(id), &after.snapshot);
                let snapshot = after.snapshot;
                self.output.push(Output::QuorumNeeded { proposal_id: id, snapshot });
            }
            (true, false) => self.state.remove(&keys::asked(id)),
            _ => {}
        }
        self.state.put(&keys::proposal(id), after);
    }
}

fn moment_of(event: &Event) -> Moment {
    Moment { block: Some(event.position.block), time: Some(event.position.time) }
}

fn title(description: &str) -> String {
    description.lines().next().unwrap_or_default().trim().chars().take(TITLE_CHARS).collect()
}

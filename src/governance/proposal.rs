//! One proposal's states, and what leads from one to the next.
//!
//! Logs tell of creation, queuing, execution and cancellation. That voting
//! began, how it ended and that a queued proposal expired follows from the
//! clock: no contract emits it. A log always wins over what was derived: a
//! governor that queues a proposal has thereby said that it succeeded.
//!
//! **Quorum.** `quorum(snapshot)` stands in no event, so the governor has to
//! be asked. Its answer reads history by checkpoint (OpenZeppelin since
//! 4.7.2, CVE-2022-31198), which makes it a pure function of the canonical
//! chain; but *when* it is learned is not. So a decision that lacks it waits:
//! the proposal is [`ProposalState::AwaitingQuorum`], and everything that its
//! logs say further is held back until the answer is there. The sequence of a
//! proposal's announcements, and each one's content, is thus the same
//! whenever the answer comes; only the time of announcing differs.

use std::fmt;

use alloy::primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::{
    Counting, Tallies,
    wire::{checksummed, optional_decimal},
};

/// The states of a proposal, as OpenZeppelin's `IGovernor.ProposalState`
/// names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProposalState {
    /// Created; voting has not begun.
    Pending,
    /// The clock is past the snapshot and not past the deadline.
    Active,
    /// Due to be decided, but the quorum is not known yet. Never announced.
    AwaitingQuorum,
    /// More for than against, and the quorum reached.
    Succeeded,
    /// Not succeeded at the deadline.
    Defeated,
    /// In the timelock.
    Queued,
    /// Done.
    Executed,
    /// Called off.
    Canceled,
    /// Called off by who may (Nouns).
    Vetoed,
    /// Queued and not executed within the grace period.
    Expired,
}

impl ProposalState {
    /// What `state(uint256)` answers: OpenZeppelin's `IGovernor.ProposalState`, which
    /// Bravo's is too, and beyond it that of Nouns.
    #[must_use]
    pub fn of_contract(state: u8) -> Option<Self> {
        match state {
            0 => Some(Self::Pending),
            1 => Some(Self::Active),
            2 => Some(Self::Canceled),
            3 => Some(Self::Defeated),
            4 => Some(Self::Succeeded),
            5 => Some(Self::Queued),
            6 => Some(Self::Expired),
            7 => Some(Self::Executed),
            8 => Some(Self::Vetoed),
            // Its objection period; and before that, while it may be updated.
            9 => Some(Self::Active),
            10 => Some(Self::Pending),
            _ => None,
        }
    }

    /// `<what>` of the subject that announces this state.
    #[must_use]
    pub fn subject_token(self) -> &'static str {
        match self {
            Self::Pending => "created",
            Self::Active => "active",
            Self::AwaitingQuorum => "awaiting_quorum",
            Self::Succeeded => "succeeded",
            Self::Defeated => "defeated",
            Self::Queued => "queued",
            Self::Executed => "executed",
            Self::Canceled => "canceled",
            Self::Vetoed => "vetoed",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for ProposalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            other => other.subject_token(),
        })
    }
}

/// What moves a proposal on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(super) enum Step {
    /// The clock is past the snapshot.
    Opened,
    /// The clock is past the deadline.
    Deadline,
    /// A log: queued until `eta`, in seconds; 0 without a timelock.
    Queued { eta: u64 },
    /// A log: executed.
    Executed,
    /// A log: canceled.
    Canceled,
    /// A log: vetoed.
    Vetoed,
    /// The block time is past the grace period.
    Expired,
}

/// When a step was: what is known of it for certain, whichever blocks the
/// fold was shown. See [`super::ProposalChange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moment {
    pub(super) block: Option<u64>,
    pub(super) time: Option<u64>,
}

/// A step that waits for the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    step: Step,
    at: Moment,
}

/// A change of state to announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) from: ProposalState,
    pub(super) to: ProposalState,
    pub(super) quorum: Option<U256>,
    pub(super) at: Moment,
}

/// A step that can't follow upon the state that the proposal is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CannotFollow(pub(super) ProposalState);

/// By what a vote is decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Votes<'t> {
    pub(super) counting: Counting,
    pub(super) tallies: &'t Tallies,
}

/// What is remembered of a proposal beside its votes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Proposal {
    #[serde(with = "checksummed")]
    pub(super) proposer: Address,
    pub(super) title: String,
    /// The block of its creation.
    pub(super) created: u64,
    /// The last point of the clock before voting, at which weights are read.
    pub(super) snapshot: u64,
    /// The last point of the clock at which votes count.
    pub(super) deadline: u64,
    pub(super) state: ProposalState,
    pub(super) eta: Option<u64>,
    /// What the governor answered: as a rule the quorum. See [`Counting`].
    #[serde(
        with = "optional_decimal",
        skip_serializing_if = "Option::is_none",
        default,
        rename = "quorum"
    )]
    pub(super) answer: Option<U256>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) held: Vec<Held>,
}

impl Proposal {
    /// The point past which the clock moves it on by itself.
    pub(super) fn due(&self) -> Option<u64> {
        match self.state {
            ProposalState::Pending => Some(self.snapshot),
            ProposalState::Active => Some(self.deadline),
            // Overdue: decided as soon as the quorum is there.
            ProposalState::AwaitingQuorum => self.answer.map(|_| 0),
            _ => None,
        }
    }

    /// The block time, in seconds, at which it expires.
    pub(super) fn expires(&self, grace_period_s: Option<u64>) -> Option<u64> {
        match (self.state, self.eta, grace_period_s) {
            (ProposalState::Queued, Some(eta), Some(grace)) if eta > 0 => {
                Some(eta.saturating_add(grace))
            }
            _ => None,
        }
    }

    /// Whether the governor must be asked.
    pub(super) fn needs_answer(&self, counting: Counting) -> bool {
        self.answer.is_none()
            && match self.state {
                ProposalState::Active => !counting.is_known_late(),
                state => state == ProposalState::AwaitingQuorum,
            }
    }

    /// Takes one step, or holds it back until the quorum is known.
    pub(super) fn advance(
        &mut self,
        step: Step,
        at: Moment,
        votes: Votes<'_>,
        turns: &mut Vec<Turn>,
    ) -> Result<(), CannotFollow> {
        use ProposalState::{
            Active, AwaitingQuorum, Canceled, Defeated, Executed, Expired, Pending, Queued,
            Succeeded, Vetoed,
        };
        let counting = votes.counting;
        let turn = |proposal: &mut Self, to, turns: &mut Vec<Turn>| {
            proposal.turn(counting, to, at, turns);
        };
        match (self.state, step) {
            (AwaitingQuorum, _) => return self.hold(step, at),
            (Pending, Step::Opened) => turn(self, Active, turns),
            (Pending | Active, Step::Canceled | Step::Vetoed) => {
                // Never decided: whether the answer came in time must not show.
                self.answer = None;
                turn(self, if step == Step::Vetoed { Vetoed } else { Canceled }, turns);
            }
            (Succeeded | Defeated | Queued | Expired, Step::Canceled) => {
                turn(self, Canceled, turns);
            }
            (Succeeded | Defeated | Queued | Expired | Canceled, Step::Vetoed) => {
                turn(self, Vetoed, turns);
            }
            (Queued, Step::Expired) => turn(self, Expired, turns),
            (Active, Step::Deadline) => match self.answer {
                None => self.wait(step, at),
                Some(answer) if counting.succeeds(votes.tallies, answer) => {
                    turn(self, Succeeded, turns);
                }
                Some(_) => turn(self, Defeated, turns),
            },
            // Before the deadline: a super quorum (OpenZeppelin 5.3). After a
            // defeat: the governor counts otherwise than we do.
            (Pending | Active | Defeated, Step::Queued { .. } | Step::Executed) => {
                if self.answer.is_none() {
                    self.wait(step, at);
                } else {
                    turn(self, Succeeded, turns);
                    return self.advance(step, at, votes, turns);
                }
            }
            (Succeeded | Expired, Step::Queued { eta }) => {
                self.eta = Some(eta);
                turn(self, Queued, turns);
            }
            (Succeeded | Queued | Expired, Step::Executed) => turn(self, Executed, turns),
            (state, _) => return Err(CannotFollow(state)),
        }
        Ok(())
    }

    /// Takes the steps that waited for the quorum, in their order.
    pub(super) fn resume(&mut self, votes: Votes<'_>, turns: &mut Vec<Turn>) {
        if self.state == ProposalState::AwaitingQuorum && self.answer.is_some() {
            self.state = ProposalState::Active;
            for held in std::mem::take(&mut self.held) {
                // `hold` took nothing that can't follow upon the one before.
                let _ = self.advance(held.step, held.at, votes, turns);
            }
        }
    }

    fn turn(&mut self, by: Counting, to: ProposalState, at: Moment, turns: &mut Vec<Turn>) {
        turns.push(Turn { from: self.state, to, quorum: by.quorum(self.answer), at });
        self.state = to;
    }

    fn wait(&mut self, step: Step, at: Moment) {
        self.state = ProposalState::AwaitingQuorum;
        self.held.push(Held { step, at });
    }

    fn hold(&mut self, step: Step, at: Moment) -> Result<(), CannotFollow> {
        let excludes = |held: &Held| {
            matches!(held.step, Step::Executed | Step::Canceled | Step::Vetoed)
                || std::mem::discriminant(&held.step) == std::mem::discriminant(&step)
        };
        if self.held.iter().any(excludes) {
            return Err(CannotFollow(self.state));
        }
        self.held.push(Held { step, at });
        Ok(())
    }
}

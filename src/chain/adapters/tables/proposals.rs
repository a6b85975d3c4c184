//! What Compound began and nearly every governor kept: proposals, votes, settings.

use crate::chain::adapters::spec::{EventSpec, event};

/// Nothing is indexed, which OpenZeppelin kept for compatibility with Governor
/// Bravo (`IGovernor.sol`).
pub(super) const LIFE: &[EventSpec] = &[
    event(
        "proposal_created",
        "event ProposalCreated(uint256 proposal_id, address proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, uint256 vote_start, uint256 vote_end, string description)",
    ),
    // `eta` in seconds since the Unix epoch.
    event("proposal_queued", "event ProposalQueued(uint256 proposal_id, uint256 eta)"),
    event("proposal_executed", "event ProposalExecuted(uint256 proposal_id)"),
    event("proposal_canceled", "event ProposalCanceled(uint256 proposal_id)"),
];

/// Since Governor Bravo: with a reason.
pub(super) const VOTES: &[EventSpec] = &[event(
    "vote_cast",
    "event VoteCast(address indexed voter, uint256 proposal_id, uint8 support, uint256 weight, string reason)",
)];

/// In the unit of the governor's clock, and the threshold in votes.
pub(super) const SETTINGS: &[EventSpec] = &[
    event("voting_delay_set", "event VotingDelaySet(uint256 old_value, uint256 new_value)"),
    event("voting_period_set", "event VotingPeriodSet(uint256 old_value, uint256 new_value)"),
    event(
        "proposal_threshold_set",
        "event ProposalThresholdSet(uint256 old_value, uint256 new_value)",
    ),
];

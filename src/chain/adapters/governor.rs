//! OpenZeppelin Governor 4 and 5 (`IGovernor`, `GovernorSettings`,
//! `GovernorVotesQuorumFraction`, `GovernorPreventLateQuorum`,
//! `GovernorTimelockControl`).

use super::layout::EventSpec;

const fn event(name: &'static str, declaration: &'static str) -> EventSpec {
    EventSpec { name, declaration, zero: &[] }
}

pub(super) const EVENTS: &[EventSpec] = &[
    event(
        "proposal_created",
        "event ProposalCreated(uint256 proposal_id, address proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, uint256 vote_start, uint256 vote_end, string description)",
    ),
    event(
        "vote_cast",
        "event VoteCast(address indexed voter, uint256 proposal_id, uint8 support, uint256 weight, string reason)",
    ),
    // Since 4.6 emitted instead of VoteCast when a vote carries parameters.
    event(
        "vote_cast_with_params",
        "event VoteCastWithParams(address indexed voter, uint256 proposal_id, uint8 support, uint256 weight, string reason, bytes params)",
    ),
    // `eta` in seconds since the Unix epoch.
    event("proposal_queued", "event ProposalQueued(uint256 proposal_id, uint256 eta)"),
    event("proposal_executed", "event ProposalExecuted(uint256 proposal_id)"),
    event("proposal_canceled", "event ProposalCanceled(uint256 proposal_id)"),
    event(
        "proposal_extended",
        "event ProposalExtended(uint256 indexed proposal_id, uint64 extended_deadline)",
    ),
    event(
        "quorum_numerator_updated",
        "event QuorumNumeratorUpdated(uint256 old_quorum_numerator, uint256 new_quorum_numerator)",
    ),
    event("voting_delay_set", "event VotingDelaySet(uint256 old_value, uint256 new_value)"),
    event("voting_period_set", "event VotingPeriodSet(uint256 old_value, uint256 new_value)"),
    event(
        "proposal_threshold_set",
        "event ProposalThresholdSet(uint256 old_value, uint256 new_value)",
    ),
    event("timelock_change", "event TimelockChange(address old_timelock, address new_timelock)"),
];

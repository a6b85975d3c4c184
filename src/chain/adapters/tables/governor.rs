//! Extensions of OpenZeppelin's Governor 4 and 5 (`GovernorCountingFractional`,
//! `GovernorCountingOverridable`, `GovernorPreventLateQuorum`,
//! `GovernorVotesQuorumFraction`, `GovernorVotesSuperQuorumFraction`,
//! `GovernorTimelockControl`, `GovernorProposalGuardian`), and of Compound's
//! governor of 2024, which is built on them.

use crate::chain::adapters::spec::{EventSpec, event};

pub(super) const EVENTS: &[EventSpec] = &[
    // Since 4.6 emitted instead of VoteCast when a vote carries parameters.
    event(
        "vote_cast_with_params",
        "event VoteCastWithParams(address indexed voter, uint256 proposal_id, uint8 support, uint256 weight, string reason, bytes params)",
    ),
    // Since 5.2 a delegator may vote with what it delegated. `vote_reduced`
    // says of the delegate how much of its vote that took back: it is nobody's
    // vote, so it has no field `voter`.
    event(
        "override_vote_cast",
        "event OverrideVoteCast(address indexed voter, uint256 proposal_id, uint8 support, uint256 weight, string reason)",
    ),
    event(
        "vote_reduced",
        "event VoteReduced(address indexed delegate, uint256 proposal_id, uint8 support, uint256 weight)",
    ),
    event(
        "proposal_extended",
        "event ProposalExtended(uint256 indexed proposal_id, uint64 extended_deadline)",
    ),
    event(
        "late_quorum_vote_extension_set",
        "event LateQuorumVoteExtensionSet(uint64 old_value, uint64 new_value)",
    ),
    event(
        "quorum_numerator_updated",
        "event QuorumNumeratorUpdated(uint256 old_quorum_numerator, uint256 new_quorum_numerator)",
    ),
    event(
        "super_quorum_numerator_updated",
        "event SuperQuorumNumeratorUpdated(uint256 old_super_quorum_numerator, uint256 new_super_quorum_numerator)",
    ),
    // Compound's governor: a quorum in votes.
    event("quorum_updated", "event QuorumUpdated(uint256 old_quorum, uint256 new_quorum)"),
    event("timelock_change", "event TimelockChange(address old_timelock, address new_timelock)"),
    event(
        "proposal_guardian_set",
        "event ProposalGuardianSet(address old_proposal_guardian, address new_proposal_guardian)",
    ),
    event(
        "proposal_guardian_set",
        "event ProposalGuardianSet(address old_proposal_guardian, uint96 old_proposal_guardian_expiry, address new_proposal_guardian, uint96 new_proposal_guardian_expiry)",
    ),
];

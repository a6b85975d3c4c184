//! Optimism's governor, built on OpenZeppelin 4, and Alligator, the contract
//! through which sub-delegates vote on it.

use crate::chain::adapters::spec::{EventSpec, event};

/// A proposal is announced by one of five events, never by two: OpenZeppelin's
/// and these. Before their parameters were indexed the contract had them
/// without, so both are known.
pub(super) const EVENTS: &[EventSpec] = &[
    event(
        "proposal_created",
        "event ProposalCreated(uint256 indexed proposal_id, address indexed proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, uint256 vote_start, uint256 vote_end, string description, uint8 proposal_type)",
    ),
    event(
        "proposal_created",
        "event ProposalCreated(uint256 proposal_id, address proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, uint256 vote_start, uint256 vote_end, string description, uint8 proposal_type)",
    ),
    event(
        "proposal_created",
        "event ProposalCreated(uint256 indexed proposal_id, address indexed proposer, address indexed voting_module, bytes proposal_data, uint256 vote_start, uint256 vote_end, string description, uint8 proposal_type)",
    ),
    event(
        "proposal_created",
        "event ProposalCreated(uint256 proposal_id, address proposer, address voting_module, bytes proposal_data, uint256 vote_start, uint256 vote_end, string description, uint8 proposal_type)",
    ),
    // Before proposals had types.
    event(
        "proposal_created",
        "event ProposalCreated(uint256 proposal_id, address proposer, address voting_module, bytes proposal_data, uint256 vote_start, uint256 vote_end, string description)",
    ),
    event(
        "proposal_created",
        "event ProposalCreated(uint256 indexed proposal_id, address indexed proposer, address indexed voting_module, bytes proposal_data, uint256 vote_start, uint256 vote_end, string description)",
    ),
    event(
        "proposal_deadline_updated",
        "event ProposalDeadlineUpdated(uint256 proposal_id, uint64 deadline)",
    ),
    event(
        "proposal_type_updated",
        "event ProposalTypeUpdated(uint256 indexed proposal_id, uint8 proposal_type)",
    ),
    event(
        "proposal_type_updated",
        "event ProposalTypeUpdated(uint256 proposal_id, uint8 proposal_type)",
    ),
    // Emitted by Alligator. The governor tells the same vote, of the same
    // voter, as `vote_cast_with_params`: that one is to be credited.
    event(
        "alligator_vote_cast",
        "event VoteCast(address indexed proxy, address indexed voter, address[] authority, uint256 proposal_id, uint8 support)",
    ),
    event(
        "alligator_votes_cast",
        "event VotesCast(address[] proxies, address indexed voter, address[][] authorities, uint256 proposal_id, uint8 support)",
    ),
];

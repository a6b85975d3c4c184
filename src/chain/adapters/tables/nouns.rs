//! Nouns DAO, its forks, and its contract for what comes before proposals.

use crate::chain::adapters::spec::{EventSpec, event};

/// Beside what Governor Bravo has.
pub(super) const EVENTS: &[EventSpec] = &[
    // All three come beside `proposal_created`, under a name of their own so
    // that no proposal counts twice: versions 1 and 2, 3, and 4.
    event(
        "proposal_created_with_requirements",
        "event ProposalCreatedWithRequirements(uint256 proposal_id, address proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, uint256 vote_start, uint256 vote_end, uint256 proposal_threshold, uint256 quorum_votes, string description)",
    ),
    event(
        "proposal_created_with_requirements",
        "event ProposalCreatedWithRequirements(uint256 proposal_id, address proposer, address[] signers, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, uint256 vote_start, uint256 vote_end, uint256 update_period_end_block, uint256 proposal_threshold, uint256 quorum_votes, string description)",
    ),
    event(
        "proposal_created_with_requirements",
        "event ProposalCreatedWithRequirements(uint256 proposal_id, address[] signers, uint256 update_period_end_block, uint256 proposal_threshold, uint256 quorum_votes, uint32 indexed client_id)",
    ),
    event(
        "proposal_created_on_timelock_v1",
        "event ProposalCreatedOnTimelockV1(uint256 proposal_id)",
    ),
    event("proposal_vetoed", "event ProposalVetoed(uint256 proposal_id)"),
    event(
        "proposal_objection_period_set",
        "event ProposalObjectionPeriodSet(uint256 indexed proposal_id, uint256 objection_period_end_block)",
    ),
    event(
        "proposal_updated",
        "event ProposalUpdated(uint256 indexed proposal_id, address indexed proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, string description, string update_message)",
    ),
    event(
        "proposal_transactions_updated",
        "event ProposalTransactionsUpdated(uint256 indexed proposal_id, address indexed proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, string update_message)",
    ),
    event(
        "proposal_description_updated",
        "event ProposalDescriptionUpdated(uint256 indexed proposal_id, address indexed proposer, string description, string update_message)",
    ),
    // Beside `vote_cast`.
    event(
        "vote_cast_with_client_id",
        "event VoteCastWithClientId(address indexed voter, uint256 indexed proposal_id, uint32 indexed client_id)",
    ),
    // Beside `vote_cast`, too. What the contract calls `voter` is `tx.origin`,
    // who need not have voted: the name keeps it from being credited.
    event(
        "refundable_vote",
        "event RefundableVote(address indexed tx_origin, uint256 refund_amount, bool refund_sent)",
    ),
];

/// Forks index more of the same events (`NounsDAOEventsFork.sol`).
pub(super) const FORK: &[EventSpec] = &[
    event(
        "proposal_created",
        "event ProposalCreated(uint256 indexed proposal_id, address indexed proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, uint256 vote_start, uint256 vote_end, string description)",
    ),
    event(
        "proposal_created_with_requirements",
        "event ProposalCreatedWithRequirements(uint256 indexed proposal_id, address indexed proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, uint256 vote_start, uint256 vote_end, uint256 proposal_threshold, uint256 quorum_votes, string description)",
    ),
    event(
        "vote_cast",
        "event VoteCast(address indexed voter, uint256 indexed proposal_id, uint8 support, uint256 weight, string reason)",
    ),
    event("proposal_queued", "event ProposalQueued(uint256 indexed proposal_id, uint256 eta)"),
    event("proposal_executed", "event ProposalExecuted(uint256 indexed proposal_id)"),
    event("proposal_canceled", "event ProposalCanceled(uint256 indexed proposal_id)"),
    event("new_admin", "event NewAdmin(address indexed old_admin, address indexed new_admin)"),
    event(
        "new_pending_admin",
        "event NewPendingAdmin(address indexed old_pending_admin, address indexed new_pending_admin)",
    ),
];

/// `NounsDAOData`, a contract at another address. `proposer` is a candidate's.
pub(super) const DATA: &[EventSpec] = &[
    event(
        "proposal_candidate_created",
        "event ProposalCandidateCreated(address indexed proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, string description, string slug, uint256 proposal_id_to_update, bytes32 encoded_proposal_hash)",
    ),
    event(
        "proposal_candidate_updated",
        "event ProposalCandidateUpdated(address indexed proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, string description, string slug, uint256 proposal_id_to_update, bytes32 encoded_proposal_hash, string reason)",
    ),
    event(
        "proposal_candidate_canceled",
        "event ProposalCandidateCanceled(address indexed proposer, string slug)",
    ),
    event(
        "signature_added",
        "event SignatureAdded(address indexed signer, bytes sig, uint256 expiration_timestamp, address proposer, string slug, uint256 proposal_id_to_update, bytes32 encoded_proposal_hash, bytes32 sig_digest, string reason)",
    ),
    event(
        "feedback_sent",
        "event FeedbackSent(address indexed sender, uint256 proposal_id, uint8 support, string reason)",
    ),
    event(
        "candidate_feedback_sent",
        "event CandidateFeedbackSent(address indexed sender, address indexed proposer, string slug, uint8 support, string reason)",
    ),
];

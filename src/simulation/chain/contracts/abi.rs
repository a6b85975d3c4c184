//! Calls, events and errors of the contracts; `contracts/src` explains them.

// The macro's items can't carry docs of their own, and an event with nine fields makes a
// constructor with nine arguments.
#![allow(missing_docs, clippy::too_many_arguments, clippy::module_name_repetitions)]

alloy::sol! {
    #[derive(Debug)]
    interface IAchievements {
        event AchievementUnlocked(address indexed user, uint256 indexed id, uint256 tokenId, bytes proofData);
        event AchievementSkipped(address indexed user, uint256 indexed id);
        event AchievementRevoked(address indexed user, uint256 indexed id, uint256 tokenId, bytes reason);
        event RoleGranted(bytes32 indexed role, address indexed account, address indexed sender);
        event RoleRevoked(bytes32 indexed role, address indexed account, address indexed sender);
        event Paused(address account);
        event Unpaused(address account);

        error AchievementAlreadyUnlocked(address user, uint256 id);
        error AchievementNotDefined(uint256 id);
        error AchievementNotUnlocked(address user, uint256 id);
        error InvalidUser(address user);
        error LengthMismatch(uint256 users, uint256 ids, uint256 proofs);
        error EmptyBatch();
        error EnforcedPause();
        error ExpectedPause();
        error AccessControlUnauthorizedAccount(address account, bytes32 neededRole);

        function unlockAchievement(address user, uint256 id, bytes proofData) external;
        function batchUnlockAchievements(address[] users, uint256[] ids, bytes[] proofs) external;
        function revokeAchievement(address user, uint256 id, bytes reason) external;
        function pause() external;
        function unpause() external;
        function grantRole(bytes32 role, address account) external;
        function revokeRole(bytes32 role, address account) external;
        function hasAchievement(address user, uint256 id) external view returns (bool);
        function isDefined(uint256 id) external view returns (bool);
        function tokenOf(address user, uint256 id) external view returns (uint256);
        function hasRole(bytes32 role, address account) external view returns (bool);
        function getRoleAdmin(bytes32 role) external view returns (bytes32);
        function paused() external view returns (bool);
        function UNLOCKER_ROLE() external view returns (bytes32);
        function REVOKER_ROLE() external view returns (bytes32);
        function DEFAULT_ADMIN_ROLE() external view returns (bytes32);
    }

    #[derive(Debug)]
    interface IGovernor {
        event ProposalCreated(uint256 proposalId, address proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, uint256 voteStart, uint256 voteEnd, string description);
        event VoteCast(address indexed voter, uint256 proposalId, uint8 support, uint256 weight, string reason);
        event VoteCastWithParams(address indexed voter, uint256 proposalId, uint8 support, uint256 weight, string reason, bytes params);

        error GovernorNonexistentProposal(uint256 proposalId);
        error GovernorUnexpectedProposalState(uint256 proposalId, uint8 current, bytes32 expectedStates);
        error GovernorAlreadyCastVote(address voter);
        error GovernorInvalidVoteType();
        error ERC5805FutureLookup(uint256 timepoint, uint48 clock);

        function propose(address[] targets, uint256[] values, bytes[] calldatas, string description) external returns (uint256);
        function castVote(uint256 proposalId, uint8 support) external returns (uint256);
        function castVoteWithReason(uint256 proposalId, uint8 support, string reason) external returns (uint256);
        function castVoteWithReasonAndParams(uint256 proposalId, uint8 support, string reason, bytes params) external returns (uint256);
        function state(uint256 proposalId) external view returns (uint8);
        function proposalSnapshot(uint256 proposalId) external view returns (uint256);
        function proposalDeadline(uint256 proposalId) external view returns (uint256);
        function proposalProposer(uint256 proposalId) external view returns (address);
        function proposalEta(uint256 proposalId) external view returns (uint256);
        function proposalNeedsQueuing(uint256 proposalId) external view returns (bool);
        function proposalVotes(uint256 proposalId) external view returns (uint256 againstVotes, uint256 forVotes, uint256 abstainVotes);
        function hasVoted(uint256 proposalId, address account) external view returns (bool);
        function quorum(uint256 timepoint) external view returns (uint256);
        function getVotes(address account, uint256 timepoint) external view returns (uint256);
        function votingDelay() external view returns (uint256);
        function votingPeriod() external view returns (uint256);
        function proposalThreshold() external view returns (uint256);
        function clock() external view returns (uint48);
        function CLOCK_MODE() external view returns (string);
        function COUNTING_MODE() external view returns (string);
        function name() external view returns (string);
        function token() external view returns (address);
    }

    #[derive(Debug)]
    interface IToken {
        error ERC5805FutureLookup(uint256 timepoint, uint48 clock);

        function getVotes(address account) external view returns (uint256);
        function getPastVotes(address account, uint256 timepoint) external view returns (uint256);
        function getPastTotalSupply(uint256 timepoint) external view returns (uint256);
        function balanceOf(address account) external view returns (uint256);
        function totalSupply() external view returns (uint256);
        function clock() external view returns (uint48);
        function CLOCK_MODE() external view returns (string);
        function name() external view returns (string);
        function symbol() external view returns (string);
        function decimals() external view returns (uint8);
    }

    #[derive(Debug)]
    interface IBadge {
        event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);

        error OwnableUnauthorizedAccount(address account);
        error ERC721InvalidOwner(address owner);
        error ERC721InvalidReceiver(address receiver);
        error ERC721NonexistentToken(uint256 tokenId);
        error ERC721IncorrectOwner(address sender, uint256 tokenId, address owner);
        error ERC721InsufficientApproval(address operator, uint256 tokenId);

        function mint(address to) external returns (uint256);
        function burn(uint256 tokenId) external;
        function transferFrom(address from, address to, uint256 tokenId) external;
        function balanceOf(address owner) external view returns (uint256);
        function ownerOf(uint256 tokenId) external view returns (address);
        function supportsInterface(bytes4 interfaceId) external view returns (bool);
        function owner() external view returns (address);
        function name() external view returns (string);
        function symbol() external view returns (string);
    }

    #[derive(Debug)]
    interface IInbox {
        event Contributed(address indexed member, bytes32 indexed topic, uint256 amount, string note);

        function contribute(bytes32 topic, uint256 amount, string note) external;
    }
}

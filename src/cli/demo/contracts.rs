//! The demo's contracts: their built artifacts, and the calls the story makes.

use alloy::{primitives::Bytes, sol_types::SolValue};

/// A built contract of `contracts/artifacts`.
#[derive(Clone, Copy, Debug)]
pub struct Artifact {
    name: &'static str,
    json: &'static str,
}

macro_rules! artifact {
    ($name:literal) => {
        Artifact {
            name: $name,
            json: include_str!(concat!("../../../contracts/artifacts/", $name, ".json")),
        }
    };
}

/// ERC-721 that keeps achievements, soulbound.
pub const ACHIEVEMENT_NFT: Artifact = artifact!("AchievementNFT");
/// Who has which achievement.
pub const ACHIEVEMENT_MANAGER: Artifact = artifact!("AchievementManager");
/// ERC-20 with votes.
pub const TOKEN: Artifact = artifact!("MeritToken");
/// Executes what was decided.
pub const TIMELOCK: Artifact = artifact!("MeritTimelock");
/// OpenZeppelin Governor.
pub const GOVERNOR: Artifact = artifact!("MeritGovernor");
/// Plain ERC-721.
pub const BADGE: Artifact = artifact!("Badge");
/// A contract that only its ABI describes.
pub const INBOX: Artifact = artifact!("Inbox");

impl Artifact {
    /// Creation code with the constructor's arguments behind it; `None`
    /// when the built file has no bytecode.
    #[must_use]
    pub fn creation_code(&self, arguments: &[u8]) -> Option<Vec<u8>> {
        let json: serde_json::Value = serde_json::from_str(self.json).ok()?;
        let code: Bytes = json.get("bytecode")?.as_str()?.parse().ok()?;
        Some([code.as_ref(), arguments].concat())
    }

    /// The contract's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The artifact as it is in the repository: an ABI file for kind `abi`.
    #[must_use]
    pub fn json(&self) -> &'static str {
        self.json
    }
}

/// ABI-encodes constructor arguments.
pub fn arguments<T: SolValue>(values: T) -> Vec<u8>
where
    for<'a> <T::SolType as alloy::sol_types::SolType>::Token<'a>:
        alloy::sol_types::abi::TokenSeq<'a>,
{
    values.abi_encode_params()
}

pub use abi::{IAchievements, IBadge, IGovernor, IInbox, ITimelock, IToken};

// The macro's items can't carry docs of their own, and an event with nine
// fields makes a constructor with nine arguments; contracts/src explains them.
#[allow(missing_docs, clippy::too_many_arguments)]
mod abi {
    alloy::sol! {
        interface IToken {
            function mint(address to, uint256 amount) external;
            function delegate(address delegatee) external;
            function transfer(address to, uint256 amount) external returns (bool);
        }
        interface IGovernor {
            event ProposalCreated(uint256 proposalId, address proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, uint256 voteStart, uint256 voteEnd, string description);
            event VoteCast(address indexed voter, uint256 proposalId, uint8 support, uint256 weight, string reason);
            event VoteCastWithParams(address indexed voter, uint256 proposalId, uint8 support, uint256 weight, string reason, bytes params);
            function propose(address[] targets, uint256[] values, bytes[] calldatas, string description) external returns (uint256);
            function castVoteWithReason(uint256 proposalId, uint8 support, string reason) external returns (uint256);
            function queue(address[] targets, uint256[] values, bytes[] calldatas, bytes32 descriptionHash) external returns (uint256);
            function execute(address[] targets, uint256[] values, bytes[] calldatas, bytes32 descriptionHash) external returns (uint256);
            function hashProposal(address[] targets, uint256[] values, bytes[] calldatas, bytes32 descriptionHash) external view returns (uint256);
            function state(uint256 proposalId) external view returns (uint8);
            function proposalDeadline(uint256 proposalId) external view returns (uint256);
        }
        interface ITimelock {
            function grantRole(bytes32 role, address account) external;
            function PROPOSER_ROLE() external view returns (bytes32);
        }
        interface IBadge {
            event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);
            function mint(address to) external returns (uint256);
            function burn(uint256 tokenId) external;
            function transferFrom(address from, address to, uint256 tokenId) external;
        }
        interface IAchievements {
            event AchievementUnlocked(address indexed user, uint256 indexed id, uint256 tokenId, bytes proofData);
            event AchievementRevoked(address indexed user, uint256 indexed id, uint256 tokenId, bytes reason);
            function defineAchievement(uint256 id, string uri) external;
            function hasAchievement(address user, uint256 id) external view returns (bool);
            function unlockAchievement(address user, uint256 id, bytes proofData) external;
            function pause() external;
            function unpause() external;
            function grantRole(bytes32 role, address account) external;
            function revokeRole(bytes32 role, address account) external;
        }
        interface IInbox {
            event Contributed(address indexed member, bytes32 indexed topic, uint256 amount, string note);
            function contribute(bytes32 topic, uint256 amount, string note) external;
        }
    }
}

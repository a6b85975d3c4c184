//! Kinds of contracts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a watched contract is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An OpenZeppelin Governor, version 4 or 5, with its extensions.
    Governor,
    /// Compound's Governor Bravo, and governors made from it.
    GovernorBravo,
    /// Compound's Governor Alpha, and governors made from it.
    GovernorAlpha,
    /// Nouns DAO, its forks, or its data contract.
    Nouns,
    /// Optimism's governor, or Alligator.
    OptimismGovernor,
    /// An ERC-20 token with votes (ERC-5805).
    Votes,
    /// An ERC-721 token, with ERC-2309, ERC-4906, ERC-5192, ERC-5484 and votes.
    Erc721,
    /// An ERC-1155 token.
    Erc1155,
    /// An ERC-6909 token.
    Erc6909,
    /// A timelock of OpenZeppelin or Compound.
    Timelock,
    /// The Ethereum Attestation Service.
    Eas,
    /// A contract that keeps achievements.
    Achievements,
    /// Any contract, for who controls it: roles, ownership, upgrades.
    Access,
    /// Any contract, by its ABI file.
    Abi,
}

impl Kind {
    /// Those whose events are known without an ABI file.
    pub const STANDARD: [Self; 13] = [
        Self::Governor,
        Self::GovernorBravo,
        Self::GovernorAlpha,
        Self::Nouns,
        Self::OptimismGovernor,
        Self::Votes,
        Self::Erc721,
        Self::Erc1155,
        Self::Erc6909,
        Self::Timelock,
        Self::Eas,
        Self::Achievements,
        Self::Access,
    ];

    /// The name as configuration writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Governor => "governor",
            Self::GovernorBravo => "governor_bravo",
            Self::GovernorAlpha => "governor_alpha",
            Self::Nouns => "nouns",
            Self::OptimismGovernor => "optimism_governor",
            Self::Votes => "votes",
            Self::Erc721 => "erc721",
            Self::Erc1155 => "erc1155",
            Self::Erc6909 => "erc6909",
            Self::Timelock => "timelock",
            Self::Eas => "eas",
            Self::Achievements => "achievements",
            Self::Access => "access",
            Self::Abi => "abi",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

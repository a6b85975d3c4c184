//! What a contract can be, and how a governor decides and counts time.

use serde::Deserialize;

/// What a watched contract is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContractKind {
    /// OpenZeppelin Governor 4 or 5.
    Governor,
    /// Compound's Governor Bravo.
    GovernorBravo,
    /// Compound's Governor Alpha.
    GovernorAlpha,
    /// Nouns DAO, its forks, or its data contract.
    Nouns,
    /// Optimism's governor, or Alligator.
    OptimismGovernor,
    /// ERC-20 with votes.
    Votes,
    /// ERC-721, with ranges, metadata updates, locks and votes.
    Erc721,
    /// ERC-1155.
    Erc1155,
    /// ERC-6909.
    Erc6909,
    /// OpenZeppelin's or Compound's timelock.
    Timelock,
    /// Ethereum Attestation Service.
    Eas,
    /// An achievement manager.
    Achievements,
    /// Any contract, for who controls it.
    Access,
    /// Any contract, by its ABI file.
    Abi,
}

impl ContractKind {
    /// Whether it is one of proposals and votes.
    #[must_use]
    pub fn is_governor(self) -> bool {
        matches!(
            self,
            Self::Governor
                | Self::GovernorBravo
                | Self::GovernorAlpha
                | Self::Nouns
                | Self::OptimismGovernor
        )
    }
}

/// How a governor decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GovernorCounting {
    /// For and abstain reach `quorum(snapshot)`.
    Standard,
    /// For reaches `quorumVotes()`.
    Bravo,
    /// For reaches `quorumVotes(proposal)`, which is known when voting is over.
    Nouns,
    /// As `state(proposal)` says.
    Word,
}

/// How a governor counts time (ERC-6372 `CLOCK_MODE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GovernorClock {
    /// `mode=blocknumber`.
    Block,
    /// `mode=timestamp`.
    Timestamp,
}

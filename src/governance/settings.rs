//! What a governor's fold is told once, by the configuration.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{BenefitRule, Counting};
use crate::domain::Name;

/// What the governor counts time in (ERC-6372's `CLOCK_MODE()`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Block numbers of the chain that the governor is on.
    ///
    /// Not for chains where `block.number` is another chain's (Arbitrum).
    #[default]
    Block,
    /// Seconds since the Unix epoch.
    Timestamp,
}

impl Clock {
    /// What the clock shows in a block.
    #[must_use]
    pub fn at(self, block: u64, time: u64) -> u64 {
        match self {
            Self::Block => block,
            Self::Timestamp => time,
        }
    }
}

/// One governor and the benefits that its voters can have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// EIP-155 id of the chain that the governor is on.
    pub chain_id: u64,
    /// The governor's configured name.
    pub governor: Name,
    /// What it counts time in.
    pub clock: Clock,
    /// For governors behind a Compound timelock: a queued proposal expires
    /// this many seconds after its eta (`GRACE_PERIOD()`). Without it nothing expires, as behind
    /// OpenZeppelin's `TimelockController`.
    pub grace_period_s: Option<u64>,
    /// How it decides.
    #[serde(default, skip_serializing_if = "Counting::is_standard")]
    pub counting: Counting,
    /// What tokens and achievements give to their holders.
    pub benefits: Vec<BenefitRule>,
}

/// Why settings can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// Two rules of one name: sources of benefits could not be told apart.
    #[error("two benefits are named `{name}`: rename one")]
    DuplicateName {
        /// The name.
        name: Name,
    },
    /// A multiplier below 1x.
    #[error(
        "weight_multiplier_bps of benefit `{name}` is {bps}, less than 10000 (1x): a benefit \
         never takes weight away; write 20000 for 2x"
    )]
    MultiplierBelowOne {
        /// The rule.
        name: Name,
        /// What it says.
        bps: u32,
    },
    /// A cap below 1x.
    #[error(
        "cap_bps of benefit `{name}` is {bps}, less than 10000 (1x): write 20000 for at most 2x"
    )]
    CapBelowOne {
        /// The rule.
        name: Name,
        /// What it says.
        bps: u32,
    },
    /// A list of achievements that names none.
    #[error(
        "achievement_ids of benefit `{name}` is empty: name an id, or remove the key so that any \
         achievement counts"
    )]
    NoAchievementIds {
        /// The rule.
        name: Name,
    },
    /// The governor as a giver of benefits.
    #[error("benefit `{name}` names the governor as its nft: name an NFT or achievements contract")]
    GovernorGivesNothing {
        /// The rule.
        name: Name,
    },
}

impl Settings {
    pub(super) fn validate(&self) -> Result<(), InvalidSettings> {
        let mut names = BTreeSet::new();
        for rule in &self.benefits {
            let name = rule.name.clone();
            if !names.insert(&rule.name) {
                return Err(InvalidSettings::DuplicateName { name });
            }
            if rule.weight_multiplier_bps < BenefitRule::ONE_BPS {
                let bps = rule.weight_multiplier_bps;
                return Err(InvalidSettings::MultiplierBelowOne { name, bps });
            }
            if let Some(bps) = rule.cap_bps.filter(|cap| *cap < BenefitRule::ONE_BPS) {
                return Err(InvalidSettings::CapBelowOne { name, bps });
            }
            if rule.achievement_ids.as_ref().is_some_and(Vec::is_empty) {
                return Err(InvalidSettings::NoAchievementIds { name });
            }
            if rule.nft == self.governor {
                return Err(InvalidSettings::GovernorGivesNothing { name });
            }
        }
        Ok(())
    }
}

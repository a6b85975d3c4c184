//! Achievements earned, and what becomes of them.

use std::fmt;

use alloy::primitives::{Address, B256, Keccak256, U256};
use serde::{Deserialize, Serialize};

use super::{EventId, Name};

/// Names the effect "this user has this achievement of this contract": the
/// same for every request of it, so that it can land only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnlockId(pub B256);

impl UnlockId {
    /// The id of an effect: keccak-256 of (chain id, contract, achievement, user).
    #[must_use]
    pub fn of(chain_id: u64, contract: Address, achievement: U256, user: Address) -> Self {
        let mut hasher = Keccak256::new();
        hasher.update(chain_id.to_be_bytes());
        hasher.update(contract);
        hasher.update(achievement.to_be_bytes::<32>());
        hasher.update(user);
        Self(hasher.finalize())
    }
}

impl fmt::Display for UnlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One log that counted towards an achievement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceItem {
    /// The event's id.
    pub event: EventId,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The contract's configured name.
    pub contract: Name,
    /// The event's standard name.
    pub name: Name,
    /// Block number.
    pub block: u64,
    /// Block hash.
    pub block_hash: B256,
    /// Transaction hash.
    pub transaction_hash: B256,
    /// Index of the log within its block.
    pub log_index: u64,
}

/// Why an achievement was earned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Hash of the rule set's text as it was evaluated.
    pub rule_version: B256,
    /// The logs that counted, in position order, at most
    /// [`Evidence::MAX_ITEMS`] of them: the latest.
    pub items: Vec<EvidenceItem>,
    /// How many logs counted in all.
    pub total: u64,
}

impl Evidence {
    /// How many logs an evidence names.
    pub const MAX_ITEMS: usize = 32;

    /// What goes on chain as `proofData`: keccak-256 over the rule version,
    /// the total and the named event ids in order.
    #[must_use]
    pub fn commitment(&self) -> B256 {
        let mut hasher = Keccak256::new();
        hasher.update(self.rule_version);
        hasher.update(self.total.to_be_bytes());
        for item in &self.items {
            hasher.update(item.event.0);
        }
        hasher.finalize()
    }
}

/// What becomes of a landed achievement whose evidence is retracted.
///
/// Several rule sets may ask for one effect with different policies: the
/// mildest counts, since `keep` promises its members that what is earned stays.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum OnRetract {
    /// Take it back on chain.
    #[default]
    Revoke,
    /// Leave it and tell an operator, once.
    Alert,
    /// Leave it.
    Keep,
}

impl OnRetract {
    /// The word in rule files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Alert => "alert",
            Self::Keep => "keep",
        }
    }
}

/// How much an unlock's landing is worth waiting for, or paying for.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Waits for a full batch and for a tip that few others offer.
    Low,
    /// As the signer's batch settings say, at a usual tip.
    #[default]
    Normal,
    /// Goes before others and at once, at a tip that few blocks refuse.
    High,
}

impl Urgency {
    /// The word in rule files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// Whether nobody said anything else.
    #[must_use]
    pub fn is_normal(&self) -> bool {
        *self == Self::Normal
    }
}

/// A rule set's demand that a user gets an achievement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockRequest {
    /// The effect this asks for.
    pub id: UnlockId,
    /// The rule set that asks.
    pub rule_set: Name,
    /// The achievement's configured name.
    pub achievement: Name,
    /// The achievement's id in its contract.
    #[serde(with = "decimal")]
    pub achievement_id: U256,
    /// Of an achievement that can be earned again: for the so many-th time, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<u64>,
    /// Name of the contract that keeps achievements.
    pub contract: Name,
    /// The signer that lands it.
    pub signer: Name,
    /// Who earned it.
    #[serde(with = "checksummed")]
    pub user: Address,
    /// What becomes of it when its evidence is orphaned.
    pub on_retract: OnRetract,
    /// How urgent it is.
    #[serde(default, skip_serializing_if = "Urgency::is_normal")]
    pub urgency: Urgency,
    /// Why.
    pub evidence: Evidence,
}

/// The states of an unlock, as the last token of its subject names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnlockState {
    /// A rule set asks for it.
    Requested,
    /// A transaction that carries it was broadcast.
    Submitted,
    /// It is on chain, deep enough.
    Unlocked,
    /// The contract refuses it for good.
    Rejected,
    /// Its evidence was orphaned.
    Retracted,
    /// It was taken back on chain.
    Revoked,
}

impl UnlockState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Requested,
        Self::Submitted,
        Self::Unlocked,
        Self::Rejected,
        Self::Retracted,
        Self::Revoked,
    ];

    /// The subject token.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Submitted => "submitted",
            Self::Unlocked => "unlocked",
            Self::Rejected => "rejected",
            Self::Retracted => "retracted",
            Self::Revoked => "revoked",
        }
    }
}

/// The data of a message on `merit.v1.unlocks.<rule_set>.<achievement>.<state>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockMessage {
    /// What became of it.
    pub state: UnlockState,
    /// What was asked for.
    pub request: UnlockRequest,
    /// The transaction that carries it, once there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transaction_hash: Option<B256>,
    /// Stable code of why it was rejected, or retracted while its evidence stands; `GET /api/v1/codes` has its text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<String>,
    /// That in words: why it was rejected, decoded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// Addresses as EIP-55 checksummed text; any case is read.
pub mod checksummed {
    use alloy::primitives::Address;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the checksummed form.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &Address, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.to_checksum(None))
    }

    /// Reads an address in any case.
    ///
    /// # Errors
    /// When it is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        Address::deserialize(deserializer)
    }
}

/// 256-bit integers as decimal strings.
pub mod decimal {
    use alloy::primitives::U256;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes a decimal string.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &U256, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads a decimal string.
    ///
    /// # Errors
    /// When it is none, or beyond 256 bits.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<U256, D::Error> {
        let text = String::deserialize(deserializer)?;
        U256::from_str_radix(&text, 10)
            .map_err(|error| D::Error::custom(format!("`{text}` is no 256-bit decimal: {error}")))
    }
}

//! What the outside is told about transactions.

use alloy::primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};

use super::{Name, UnlockId};

/// The states of a transaction, as the last token of its subject names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionState {
    /// Signed and written down; not yet sent.
    Signed,
    /// A node has it.
    Sent,
    /// A dearer transaction of the same nonce and effect was signed.
    Replaced,
    /// It is in a block.
    Mined,
    /// It is deep enough.
    Confirmed,
    /// It is in a block and had no effect.
    Reverted,
    /// No pool holds it any more, or a foreign transaction used its nonce.
    Dropped,
    /// A reorg took it off the chain; it is sent again.
    Reorged,
    /// An empty transaction of the same nonce is deep enough in its place: it was
    /// given up, and its effect gets another nonce if it is still wanted.
    Cancelled,
}

impl TransactionState {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Signed,
        Self::Sent,
        Self::Replaced,
        Self::Mined,
        Self::Confirmed,
        Self::Reverted,
        Self::Dropped,
        Self::Reorged,
        Self::Cancelled,
    ];

    /// The subject token.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Sent => "sent",
            Self::Replaced => "replaced",
            Self::Mined => "mined",
            Self::Confirmed => "confirmed",
            Self::Reverted => "reverted",
            Self::Dropped => "dropped",
            Self::Reorged => "reorged",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The data of a message on `merit.v1.transactions.<signer>.<state>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionMessage {
    /// What became of it.
    pub state: TransactionState,
    /// The signer's configured name.
    pub signer: Name,
    /// The signer's address.
    #[serde(with = "super::unlock::checksummed")]
    pub from: Address,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The nonce.
    pub nonce: u64,
    /// Hash of the newest attempt, or of the one that was mined.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hash: Option<B256>,
    /// Counts what the signer has said of transactions, from 1; older versions did not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serial: Option<u64>,
    /// What it does: `unlock`, `revoke`, or `fill_gap`.
    pub purpose: String,
    /// The effects it carries.
    pub unlocks: Vec<UnlockId>,
    /// The signed bytes, once, when they are written down: with them anybody
    /// can send it again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub raw: Option<Bytes>,
    /// The block it is in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub block: Option<u64>,
    /// Gas that it used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gas_used: Option<u64>,
    /// What it cost, in wei, decimal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fee_wei: Option<String>,
    /// Stable code of what went wrong.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<String>,
    /// What went wrong, for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

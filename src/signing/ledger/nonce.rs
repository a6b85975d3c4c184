//! What one nonce of the signer is for, and what became of it.

use alloy::{
    consensus::{Transaction as _, TxEnvelope},
    eips::Decodable2718,
    primitives::{Address, B256, Bytes, U256},
};
use serde::{Deserialize, Serialize};

use crate::{
    domain::{BlockRef, UnlockId},
    signing::{decimal_u128, item::Effect},
};

/// What a nonce is for. Never changes once an attempt was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Purpose {
    /// Gives these achievements.
    Unlock {
        /// In the order of the calldata.
        items: Vec<UnlockId>,
    },
    /// Takes one back.
    Revoke {
        /// Which.
        item: UnlockId,
    },
    /// Only uses the nonce up, so that later ones can be mined.
    FillGap,
}

impl Purpose {
    /// The items it is about.
    #[must_use]
    pub fn items(&self) -> &[UnlockId] {
        match self {
            Self::Unlock { items } => items,
            Self::Revoke { item } => std::slice::from_ref(item),
            Self::FillGap => &[],
        }
    }

    /// What it does to them.
    #[must_use]
    pub fn effect(&self) -> Option<Effect> {
        match self {
            Self::Unlock { .. } => Some(Effect::Unlock),
            Self::Revoke { .. } => Some(Effect::Revoke),
            Self::FillGap => None,
        }
    }
}

/// The call that has the effect. Its value is always 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The contract, or the signer itself when a gap is filled.
    pub to: Address,
    /// Input data.
    pub calldata: Bytes,
    /// Gas limit.
    pub gas_limit: u64,
}

/// Whether an attempt has the nonce's effect or only uses the nonce up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptKind {
    /// The nonce's call.
    Effect,
    /// An empty transfer of the signer to itself, for a call that no node
    /// takes: the nonce must be used all the same.
    Cancel,
}

/// One signed transaction for a nonce. All attempts of a nonce compete; at
/// most one is mined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Transaction hash.
    pub hash: B256,
    /// The signed bytes (EIP-2718), as they are broadcast.
    pub raw: Bytes,
    /// See [`AttemptKind`].
    pub kind: AttemptKind,
    /// Wei per gas; the gas price of a legacy transaction.
    #[serde(with = "decimal_u128")]
    pub max_fee_per_gas: u128,
    /// Wei per gas; the gas price of a legacy transaction.
    #[serde(with = "decimal_u128")]
    pub max_priority_fee_per_gas: u128,
    /// Seconds since the Unix epoch.
    pub signed_at_unix_s: u64,
}

/// What a successful transaction did to one item, by its logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Landed by this transaction.
    Unlocked,
    /// The contract had it already.
    Skipped,
    /// Taken back.
    Revoked,
}

/// How the mined attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Execution {
    /// Status 1. An item without outcome left no log that we know.
    Succeeded {
        /// By item.
        outcomes: Vec<(UnlockId, Outcome)>,
    },
    /// Status 0: nothing happened but the nonce was used.
    Reverted {
        /// Stable code.
        code: String,
        /// For people.
        reason: String,
    },
}

/// A mined attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mined {
    /// Which attempt.
    pub hash: B256,
    /// The block it is in.
    pub block: BlockRef,
    /// How it ended.
    pub execution: Execution,
}

/// What became of a nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Fate {
    /// Not mined, as far as we know.
    Open,
    /// Mined; a reorg may still undo it. Items stay bound.
    Mined(Mined),
    /// Mined deep enough: its outcomes are applied.
    Confirmed(Mined),
    /// A transaction that we did not sign used the nonce, deep enough.
    Foreign {
        /// Its hash, where it is known.
        hash: Option<B256>,
    },
}

/// One nonce: one effect, for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NonceRecord {
    /// The nonce.
    pub nonce: u64,
    /// What it is for.
    pub purpose: Purpose,
    /// The call that does it.
    pub call: Call,
    /// All that was signed for it, oldest first.
    pub attempts: Vec<Attempt>,
    /// Whether an attempt reached a node.
    pub sent: bool,
    /// What became of it.
    pub fate: Fate,
}

impl NonceRecord {
    /// Whether its fate may still change the items bound to it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.fate, Fate::Open | Fate::Mined(_))
    }

    /// The newest attempt: the one to broadcast and to outbid.
    #[must_use]
    pub fn newest(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// An attempt by its hash.
    #[must_use]
    pub fn attempt(&self, hash: B256) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.hash == hash)
    }

    /// The first field in which the signed bytes are not what this nonce is
    /// for: broadcasting them would give the nonce another effect.
    pub(super) fn difference(&self, attempt: &Attempt, signer: Address) -> Option<&'static str> {
        let mut bytes = attempt.raw.as_ref();
        let Ok(envelope) = TxEnvelope::decode_2718(&mut bytes) else {
            return Some("raw");
        };
        let (to, calldata) = match attempt.kind {
            AttemptKind::Effect => (self.call.to, &self.call.calldata),
            AttemptKind::Cancel => (signer, &Bytes::new()),
        };
        // A cancelled nonce stays cancelled: its items are promised a new life.
        let revived = attempt.kind == AttemptKind::Effect
            && self.attempts.iter().any(|earlier| earlier.kind == AttemptKind::Cancel);
        [
            ("hash", *envelope.tx_hash() == attempt.hash && bytes.is_empty()),
            ("nonce", envelope.nonce() == self.nonce),
            ("to", envelope.to() == Some(to)),
            ("input", envelope.input() == calldata),
            ("value", envelope.value() == U256::ZERO),
            ("kind", !revived),
        ]
        .into_iter()
        .find_map(|(field, same)| (!same).then_some(field))
    }
}

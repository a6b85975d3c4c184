//! A header whose hash can be recomputed.

use std::collections::BTreeMap;

use alloy::consensus;
use alloy::network::AnyHeader;
use alloy::primitives::B256;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::Lie;
use crate::chain::answers;
use crate::domain::BlockRef;

/// A block's header with all its fields, as `eth_getBlockByHash` or
/// `eth_getBlockByNumber` answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullHeader {
    /// The block's hash, as told.
    pub hash: B256,
    /// The fields; those that were not told are zero.
    pub fields: consensus::Header,
    /// Hashes of its transactions, as told; `None` when the answer has no list.
    /// Full transactions are taken for the hashes they name.
    pub transactions: Option<Vec<B256>>,
    proof: HeaderProof,
}

/// Whether a header's hash commits to its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderProof {
    /// The hash is that of the fields: whoever trusts the hash may trust every
    /// field. Unknown fields beside them (Arbitrum's `sendRoot`) don't matter.
    Proven,
    /// All fields are known, and their hash is another. On a chain whose
    /// headers are hashed as Ethereum's, a field was altered. By itself it
    /// proves nothing: chains on top of CometBFT (Cronos) tell Ethereum's
    /// fields and another hash, and a field that a later fork added may have
    /// been left out. See [`FullHeader::contradicts`] for what convicts.
    Differs {
        /// The hash of the fields.
        computed: B256,
    },
    /// The hash can't be recomputed from what was told.
    Unprovable {
        /// Why.
        why: OddHeader,
    },
}

/// Why a header's hash can't be recomputed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OddHeader {
    /// A field that all Ethereum headers have is not there.
    #[error("the header has no {field}")]
    Missing {
        /// Its JSON name.
        field: &'static str,
    },
    /// A field that Ethereum's headers don't have may be hashed with them.
    #[error("the header has field {field}, which is not Ethereum's")]
    Unknown {
        /// Its JSON name; the first, when there are several.
        field: String,
    },
    /// The base fee is larger than can be represented.
    #[error("the base fee of the header exceeds 64 bits")]
    BaseFee,
}

/// Members of a block's answer that are no fields of its header.
const BESIDE_THE_HEADER: [&str; 4] = ["size", "totalDifficulty", "uncles", "withdrawals"];

impl FullHeader {
    /// Whether the hash commits to the fields.
    #[must_use]
    pub fn proof(&self) -> &HeaderProof {
        &self.proof
    }

    /// Whether the hash was recomputed from the fields, see
    /// [`HeaderProof::Proven`].
    #[must_use]
    pub fn hash_is_proven(&self) -> bool {
        self.proof == HeaderProof::Proven
    }

    /// Number, hash, parent and time.
    #[must_use]
    pub fn block(&self) -> BlockRef {
        BlockRef {
            number: self.fields.number,
            hash: self.hash,
            parent_hash: self.fields.parent_hash,
            time: self.fields.timestamp,
        }
    }

    /// The same without its transactions' hashes, which nothing proves.
    #[must_use]
    pub fn without_transactions(&self) -> Self {
        Self {
            hash: self.hash,
            fields: self.fields.clone(),
            transactions: None,
            proof: self.proof.clone(),
        }
    }

    /// Whether another header of the same block commits to the same receipts:
    /// what two endpoints tell alike where neither's hash proves it.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let (mine, theirs) = (&self.fields, &other.fields);
        self.hash == other.hash
            && mine.number == theirs.number
            && mine.parent_hash == theirs.parent_hash
            && mine.receipts_root == theirs.receipts_root
            && mine.transactions_root == theirs.transactions_root
            && mine.logs_bloom == theirs.logs_bloom
    }

    /// What is false in this header, given one of the same hash that is
    /// proven: from another endpoint, or from the same one earlier. `None` when
    /// nothing is, and when `proven` is not, or is another block's.
    #[must_use]
    pub fn contradicts(&self, proven: &Self) -> Option<Lie> {
        if !proven.hash_is_proven() || self.hash != proven.hash {
            return None;
        }
        let (told, truth) = (&self.fields, &proven.fields);
        let what = if told.number != truth.number {
            "number"
        } else if told.parent_hash != truth.parent_hash {
            "parent"
        } else if told.timestamp != truth.timestamp {
            "time"
        } else if told.receipts_root != truth.receipts_root {
            "receipts root"
        } else if told.transactions_root != truth.transactions_root {
            "transactions root"
        } else if told.logs_bloom != truth.logs_bloom {
            "bloom"
        } else {
            return None;
        };
        Some(Lie::AlteredHeader { block: truth.number, hash: self.hash, what })
    }
}

impl From<&FullHeader> for answers::Header {
    fn from(header: &FullHeader) -> Self {
        Self {
            block: header.block(),
            logs_bloom: header.fields.logs_bloom,
            base_fee: header.fields.base_fee_per_gas,
            gas_limit: header.fields.gas_limit,
        }
    }
}

#[derive(Deserialize)]
struct Told {
    hash: B256,
    #[serde(default)]
    transactions: Option<Vec<TransactionHash>>,
    // What the members above and these fields leave over is kept by name only.
    #[serde(flatten)]
    header: AnyHeader,
    #[serde(flatten)]
    other: BTreeMap<String, IgnoredAny>,
}

impl<'de> Deserialize<'de> for FullHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Told { hash, transactions, header, other } = Told::deserialize(deserializer)?;
        let odd = oddity(&header, other);
        let fields = header.into_header_with_defaults();
        let computed = fields.hash_slow();
        let proof = match odd {
            _ if computed == hash => HeaderProof::Proven,
            Some(why) => HeaderProof::Unprovable { why },
            None => HeaderProof::Differs { computed },
        };
        let transactions =
            transactions.map(|list| list.into_iter().map(|TransactionHash(hash)| hash).collect());
        Ok(Self { hash, fields, transactions, proof })
    }
}

fn oddity(header: &AnyHeader, other: BTreeMap<String, IgnoredAny>) -> Option<OddHeader> {
    let missing = |field| Some(OddHeader::Missing { field });
    if header.mix_hash.is_none() {
        return missing("mixHash");
    }
    if header.nonce.is_none() {
        return missing("nonce");
    }
    // The type takes an empty state root (Tron's) for zero.
    if header.state_root.is_zero() {
        return missing("stateRoot");
    }
    // The type takes a larger base fee for this one.
    if header.base_fee_per_gas == Some(u64::MAX) {
        return Some(OddHeader::BaseFee);
    }
    let mut names = other.into_keys().filter(|name| !BESIDE_THE_HEADER.contains(&name.as_str()));
    names.next().map(|field| OddHeader::Unknown { field })
}

/// A transaction as a block names it: its hash, or an object with it.
struct TransactionHash(B256);

impl<'de> Deserialize<'de> for TransactionHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HashOrObject)
    }
}

struct HashOrObject;

impl<'de> Visitor<'de> for HashOrObject {
    type Value = TransactionHash;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a transaction hash or a transaction")
    }

    fn visit_str<E: serde::de::Error>(self, hash: &str) -> Result<Self::Value, E> {
        hash.parse().map(TransactionHash).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        #[derive(Deserialize)]
        struct Transaction {
            hash: B256,
        }
        let Transaction { hash } = Transaction::deserialize(MapAccessDeserializer::new(map))?;
        Ok(TransactionHash(hash))
    }
}

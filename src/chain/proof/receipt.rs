//! A receipt as `eth_getBlockReceipts` answers it, and its bytes in the trie.

use std::collections::BTreeMap;

use alloy::consensus::Eip658Value;
use alloy::primitives::{B256, Bloom, Bytes, Log, LogData, U64, logs_bloom};
use alloy::rlp::{Encodable, Header};
use serde::{Deserialize, Deserializer, de::IgnoredAny};

/// Legacy transactions have no type byte (EIP-2718).
const LEGACY: u8 = 0;
/// Set-code transactions (EIP-7702), the last type that Ethereum has.
const SET_CODE: u8 = 4;
/// A deposit from layer 1 on OP Stack chains.
const DEPOSIT: u8 = 0x7e;
/// Arbitrum's transaction that starts each block.
const ARBITRUM_INTERNAL: u8 = 0x6a;

/// What layer-2 chains tell of a receipt beside what its bytes hold.
const BESIDE_THE_RECEIPT: [&str; 15] = [
    "blockTimestamp",
    "daFootprintGasScalar",
    "gasUsedForL1",
    "l1BaseFeeScalar",
    "l1BlobBaseFee",
    "l1BlobBaseFeeScalar",
    "l1BlockNumber",
    "l1Fee",
    "l1FeeScalar",
    "l1GasPrice",
    "l1GasUsed",
    "operatorFeeConstant",
    "operatorFeeScalar",
    "revertReason",
    "timeboosted",
];

/// A receipt as told: parsed from JSON, nothing checked.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub(super) kind: u8,
    /// Status, or the state root of blocks before Byzantium (EIP-658); `None`
    /// when neither was told.
    pub(super) outcome: Option<Eip658Value>,
    pub(super) cumulative_gas_used: u64,
    /// The bloom that was told, or else its logs'.
    pub(super) bloom: Bloom,
    /// Whether `bloom` is that of the logs.
    pub(super) bloom_holds: bool,
    pub(super) logs: Vec<ToldLog>,
    /// Nonce and version of a deposit since OP Stack's Canyon, when both are
    /// part of its bytes.
    pub(super) deposit: Option<(u64, u64)>,
    pub(super) transaction_hash: B256,
    pub(super) transaction_index: u64,
    pub(super) block_hash: B256,
    /// A member of the JSON object that we know nothing of.
    pub(super) unknown: Option<String>,
}

/// A log as a receipt tells it: what its bytes hold, and its alleged place.
#[derive(Clone, Debug)]
pub(super) struct ToldLog {
    pub(super) log: Log,
    pub(super) log_index: Option<u64>,
    pub(super) transaction_hash: Option<B256>,
    pub(super) transaction_index: Option<u64>,
    pub(super) block_hash: Option<B256>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReceipt {
    #[serde(default, rename = "type")]
    kind: Option<U64>,
    #[serde(default)]
    status: Option<U64>,
    #[serde(default)]
    root: Option<Bytes>,
    cumulative_gas_used: U64,
    #[serde(default)]
    logs_bloom: Option<Bloom>,
    logs: Vec<ToldLog>,
    #[serde(default)]
    deposit_nonce: Option<U64>,
    #[serde(default)]
    deposit_receipt_version: Option<U64>,
    transaction_hash: B256,
    transaction_index: U64,
    block_hash: B256,
    // Named, so that serde skips them instead of buffering them for `other`.
    #[serde(default, rename = "blockNumber")]
    _block_number: IgnoredAny,
    #[serde(default, rename = "from")]
    _from: IgnoredAny,
    #[serde(default, rename = "to")]
    _to: IgnoredAny,
    #[serde(default, rename = "contractAddress")]
    _contract_address: IgnoredAny,
    #[serde(default, rename = "gasUsed")]
    _gas_used: IgnoredAny,
    #[serde(default, rename = "effectiveGasPrice")]
    _effective_gas_price: IgnoredAny,
    #[serde(default, rename = "blobGasUsed")]
    _blob_gas_used: IgnoredAny,
    #[serde(default, rename = "blobGasPrice")]
    _blob_gas_price: IgnoredAny,
    #[serde(flatten)]
    other: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLog {
    address: alloy::primitives::Address,
    topics: Vec<B256>,
    data: Bytes,
    #[serde(default)]
    log_index: Option<U64>,
    #[serde(default)]
    transaction_hash: Option<B256>,
    #[serde(default)]
    transaction_index: Option<U64>,
    #[serde(default)]
    block_hash: Option<B256>,
}

impl<'de> Deserialize<'de> for ToldLog {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawLog::deserialize(deserializer)?;
        Ok(Self {
            log: Log { address: raw.address, data: LogData::new_unchecked(raw.topics, raw.data) },
            log_index: raw.log_index.map(|index| index.to()),
            transaction_hash: raw.transaction_hash,
            transaction_index: raw.transaction_index.map(|index| index.to()),
            block_hash: raw.block_hash,
        })
    }
}

impl<'de> Deserialize<'de> for Receipt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawReceipt::deserialize(deserializer)?;
        let kind: u64 = raw.kind.map_or(0, |kind| kind.to());
        let kind = u8::try_from(kind).map_err(serde::de::Error::custom)?;
        let post_state = raw.root.as_ref().and_then(|root| B256::try_from(&root[..]).ok());
        let outcome = match raw.status {
            Some(status) => Some(Eip658Value::Eip658(!status.is_zero())),
            None => post_state.map(Eip658Value::PostState),
        };
        let deposit = match (kind, raw.deposit_nonce, raw.deposit_receipt_version) {
            (DEPOSIT, Some(nonce), Some(version)) => Some((nonce.to(), version.to())),
            _ => None,
        };
        let computed = logs_bloom(raw.logs.iter().map(|told| &told.log));
        let bloom = raw.logs_bloom.unwrap_or(computed);
        let mut names = raw.other.into_keys();
        Ok(Self {
            kind,
            outcome,
            cumulative_gas_used: raw.cumulative_gas_used.to(),
            bloom,
            bloom_holds: bloom == computed,
            logs: raw.logs,
            deposit,
            transaction_hash: raw.transaction_hash,
            transaction_index: raw.transaction_index.to(),
            block_hash: raw.block_hash,
            unknown: names.find(|name| !BESIDE_THE_RECEIPT.contains(&name.as_str())),
        })
    }
}

impl Receipt {
    /// Whether the bytes of such receipts are known for sure, so that a root
    /// that differs is their fault. Others are tried in the common form, and a
    /// root that agrees proves them as well.
    pub(super) fn is_of_known_form(&self) -> bool {
        match self.kind {
            LEGACY..=SET_CODE | ARBITRUM_INTERNAL => true,
            // Before Canyon nonce and version are not hashed; some endpoints
            // leave them out later, too.
            DEPOSIT => self.deposit.is_some(),
            _ => false,
        }
    }

    /// Appends the bytes that are the trie's value: EIP-2718's type byte, then
    /// RLP of outcome, gas, bloom, logs, and what a deposit adds (OP Stack
    /// specification, "Deposit Receipt").
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let logs_payload = self.logs.iter().map(|told| told.log.length()).sum();
        let logs_header = Header { list: true, payload_length: logs_payload };
        let mut payload_length = self.outcome.map_or(0, |outcome| outcome.length())
            + self.cumulative_gas_used.length()
            + self.bloom.length()
            + logs_header.length_with_payload();
        if let Some((nonce, version)) = self.deposit {
            payload_length += nonce.length() + version.length();
        }
        if self.kind != LEGACY {
            out.push(self.kind);
        }
        Header { list: true, payload_length }.encode(out);
        if let Some(outcome) = self.outcome {
            outcome.encode(out);
        }
        self.cumulative_gas_used.encode(out);
        self.bloom.encode(out);
        logs_header.encode(out);
        for told in &self.logs {
            told.log.encode(out);
        }
        if let Some((nonce, version)) = self.deposit {
            nonce.encode(out);
            version.encode(out);
        }
    }
}

//! The methods that the endpoint answers.

use std::sync::atomic::{AtomicU64, Ordering};

use alloy::{
    primitives::{Address, B256, Bytes, U64, U256},
    sol_types::SolValue as _,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{
    chain::{BASE_FEE, Chain, FINAL_DEPTH, GAS_EACH, SAFE_DEPTH},
    content::contract_at,
    filter::Filter,
    render::Json,
};

/// A JSON-RPC error.
#[derive(Debug)]
pub struct Refusal {
    /// Its code.
    pub code: i64,
    /// Its words.
    pub message: String,
}

impl Refusal {
    /// Wrong parameters.
    pub fn params(message: impl Into<String>) -> Self {
        Self { code: -32_602, message: message.into() }
    }
}

/// The chain as far as it is shown.
#[derive(Clone, Copy)]
pub struct View {
    /// The last block shown.
    pub head: u64,
}

impl View {
    /// The number that a tag or a number in hex names.
    pub fn number(self, text: &str) -> Result<u64, Refusal> {
        match text {
            "latest" | "pending" => Ok(self.head),
            "safe" => Ok(self.head.saturating_sub(SAFE_DEPTH)),
            "finalized" => Ok(self.head.saturating_sub(FINAL_DEPTH)),
            "earliest" => Ok(0),
            number => number
                .strip_prefix("0x")
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .ok_or_else(|| Refusal::params(format!("{number} is neither a block nor a tag"))),
        }
    }
}

/// Answers calls about a chain whose head may be held back.
pub struct Node {
    /// The chain, of which blocks beyond the head are not shown.
    pub chain: Chain,
    /// The last block shown.
    pub head: AtomicU64,
    /// Most logs of one answer.
    pub most_logs: usize,
}

/// A block's number, tag or hash, also as an object (EIP-1898).
#[derive(Deserialize)]
#[serde(untagged)]
enum BlockId {
    Hash(B256),
    Name(String),
    #[serde(rename_all = "camelCase")]
    ByHash {
        block_hash: B256,
    },
    #[serde(rename_all = "camelCase")]
    ByNumber {
        block_number: String,
    },
}

#[derive(Deserialize)]
struct CallRequest {
    #[serde(default, alias = "input")]
    data: Option<Bytes>,
}

impl Node {
    fn view(&self) -> View {
        View { head: self.head.load(Ordering::Acquire) }
    }

    /// A shown block that an id names.
    fn block(&self, id: &BlockId) -> Result<Option<u64>, Refusal> {
        let view = self.view();
        let number = match id {
            BlockId::Hash(hash) | BlockId::ByHash { block_hash: hash } => {
                self.chain.number_of(hash)
            }
            BlockId::Name(name) | BlockId::ByNumber { block_number: name } => {
                Some(view.number(name)?)
            }
        };
        Ok(number.filter(|number| *number <= view.head))
    }

    /// A shown transaction.
    fn transaction(&self, hash: &B256) -> Option<u64> {
        let head = self.view().head;
        let ordinal = self.chain.transaction_of(hash)?;
        (self.chain.shape.place(ordinal).0 <= head).then_some(ordinal)
    }

    /// Writes the result of a call.
    ///
    /// # Errors
    /// What goes into the answer instead; nothing is written then.
    pub fn answer(
        &self,
        method: &str,
        params: Option<&RawValue>,
        out: &mut Json,
    ) -> Result<(), Refusal> {
        match method {
            "eth_chainId" => out.number(self.chain.shape.chain_id),
            "net_version" => out.0.push_str(&format!("\"{}\"", self.chain.shape.chain_id)),
            "web3_clientVersion" => out.0.push_str("\"replay/v1.0.0\""),
            "net_listening" => out.0.push_str("true"),
            "eth_syncing" => out.0.push_str("false"),
            "eth_accounts" => out.0.push_str("[]"),
            "eth_blockNumber" => out.number(self.view().head),
            "eth_gasPrice" => out.number(BASE_FEE + 1_000_000_000),
            "eth_maxPriorityFeePerGas" => out.number(1_000_000_000),
            "eth_estimateGas" => out.number(GAS_EACH),
            "eth_getTransactionCount" | "eth_getBalance" => out.number(0),
            "eth_getBlockByNumber" | "eth_getBlockByHash" => {
                let (id, whole): (BlockId, Option<bool>) = read(params)?;
                let (number, whole) = (self.block(&id)?, whole.unwrap_or_default());
                let written = number.and_then(|n| self.chain.write_block(out, n, whole));
                written.unwrap_or_else(|| out.0.push_str("null"));
            }
            "eth_getBlockReceipts" => {
                let (id,): (BlockId,) = read(params)?;
                match self.block(&id)? {
                    None => out.0.push_str("null"),
                    Some(number) => {
                        let shape = &self.chain.shape;
                        let all = 0..shape.transactions_in(number);
                        let ordinals = all.map(|index| shape.ordinal(number, index));
                        out.list(ordinals, |out, ordinal| self.chain.write_receipt(out, ordinal));
                    }
                }
            }
            "eth_getTransactionReceipt" => {
                let (hash,): (B256,) = read(params)?;
                match self.transaction(&hash) {
                    None => out.0.push_str("null"),
                    Some(ordinal) => self.chain.write_receipt(out, ordinal),
                }
            }
            "eth_getTransactionByHash" => {
                let (hash,): (B256,) = read(params)?;
                match self.transaction(&hash) {
                    None => out.0.push_str("null"),
                    Some(ordinal) => self.chain.write_transaction(out, ordinal),
                }
            }
            "eth_getLogs" => {
                let (filter,): (Filter,) = read(params)?;
                filter.write_logs(&self.chain, self.view(), self.most_logs, out)?;
            }
            "eth_getCode" => {
                let (address, _): (Address, Option<BlockId>) = read(params)?;
                let there = contract_at(&address, self.chain.shape.contracts).is_some();
                out.bytes(if there { &[0x60, 0x80, 0x60, 0x40, 0x52] } else { &[] });
            }
            "eth_call" => {
                let (request, _): (CallRequest, Option<BlockId>) = read(params)?;
                out.bytes(&self.call(&request.data.unwrap_or_default()));
            }
            "eth_feeHistory" => {
                let (count, newest, percentiles): (U64, BlockId, Option<Vec<f64>>) = read(params)?;
                let newest = self.block(&newest)?.unwrap_or(self.view().head);
                self.fee_history(count.to(), newest, percentiles.map_or(0, |all| all.len()), out);
            }
            other => {
                let message = format!("the method {other} does not exist/is not available");
                return Err(Refusal { code: -32_601, message });
            }
        }
        Ok(())
    }

    /// What a contract says, by the call's selector.
    fn call(&self, data: &[u8]) -> Vec<u8> {
        match data {
            // CLOCK_MODE()
            [0x4b, 0xf5, 0xd7, 0xe9, ..] => "mode=blocknumber&from=default".to_owned().abi_encode(),
            // clock()
            [0x91, 0xdd, 0xad, 0xf4, ..] => U256::from(self.view().head).abi_encode(),
            // quorum(uint256)
            [0xf8, 0xce, 0x56, 0x0a, ..] => U256::from(1_000).abi_encode(),
            // Whether it has something, mostly.
            _ => true.abi_encode(),
        }
    }

    fn fee_history(&self, count: u64, newest: u64, percentiles: usize, out: &mut Json) {
        let count = count.clamp(1, 1_024).min(newest + 1);
        out.0.push('{');
        out.key("oldestBlock").number(newest + 1 - count);
        out.key("baseFeePerGas").list(0..=count, |out, _| out.number(BASE_FEE));
        out.key("gasUsedRatio").list(0..count, |out, _| out.0.push_str("0.5"));
        if percentiles > 0 {
            out.key("reward").list(0..count, |out, _| {
                out.list(0..percentiles, |out, _| out.number(1_000_000_000));
            });
        }
        out.0.push('}');
    }
}

/// Positional parameters; those left out at the end are `null`.
fn read<T: DeserializeOwned + Arity>(params: Option<&RawValue>) -> Result<T, Refusal> {
    let mut given: Vec<serde_json::Value> = match params {
        None => Vec::new(),
        Some(params) => serde_json::from_str(params.get())
            .map_err(|error| Refusal::params(format!("parameters are no list: {error}")))?,
    };
    given.resize(T::ARITY, serde_json::Value::Null);
    serde_json::from_value(given.into()).map_err(|error| Refusal::params(error.to_string()))
}

/// How many parameters there are.
trait Arity {
    const ARITY: usize;
}
impl<A> Arity for (A,) {
    const ARITY: usize = 1;
}
impl<A, B> Arity for (A, B) {
    const ARITY: usize = 2;
}
impl<A, B, C> Arity for (A, B, C) {
    const ARITY: usize = 3;
}

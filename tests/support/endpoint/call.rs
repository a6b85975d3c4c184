//! One JSON-RPC call, and where a block stands in its parameters.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{B256, U64},
    rpc::types::Filter,
};
use serde_json::{Value as Json, json};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub id: Json,
    pub method: String,
    pub params: Vec<Json>,
}

/// An `eth_call` that runs creation code, as some nodes refuse to.
pub const CREATION: &str = "eth_call of creation code";

impl Call {
    pub fn new(method: &str, params: Vec<Json>) -> Self {
        Self { id: Json::Null, method: method.to_owned(), params }
    }

    /// `None` when it is no call.
    pub fn read(body: &Json) -> Option<Self> {
        Some(Self {
            id: body["id"].clone(),
            method: body["method"].as_str()?.to_owned(),
            params: body["params"].as_array().cloned().unwrap_or_default(),
        })
    }

    /// What rules call it: its method, and [`CREATION`] too where it is one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let to_nobody = self.params.first().is_some_and(|request| request["to"].is_null());
        let creation = (self.method == "eth_call" && to_nobody).then_some(CREATION);
        std::iter::once(self.method.as_str()).chain(creation)
    }

    /// Where its block's number or tag stands, if it asks about one.
    pub fn block_place(&self) -> Option<usize> {
        Some(match self.method.as_str() {
            "eth_getBlockByNumber" | "eth_getBlockReceipts" => 0,
            "eth_call"
            | "eth_estimateGas"
            | "eth_getBalance"
            | "eth_getCode"
            | "eth_getTransactionCount"
            | "eth_feeHistory" => 1,
            "eth_getStorageAt" => 2,
            _ => return None,
        })
    }

    /// The number or tag of the block it asks about; `None` as well when that
    /// is a hash.
    pub fn block(&self) -> Option<BlockNumberOrTag> {
        match self.params.get(self.block_place()?) {
            Some(block) => serde_json::from_value(block.clone()).ok(),
            // Left out.
            None => Some(BlockNumberOrTag::Latest),
        }
    }

    pub fn set_block(&mut self, number: u64) {
        let Some(place) = self.block_place() else { return };
        if place < self.params.len() {
            self.params[place] = hex(number);
        } else if place == self.params.len() {
            self.params.push(hex(number));
        }
    }

    /// Whether a block is all it asks for: an unknown one is then `null` and
    /// no error.
    pub fn gets_block(&self) -> bool {
        matches!(
            self.method.as_str(),
            "eth_getBlockByNumber" | "eth_getBlockByHash" | "eth_getBlockReceipts"
        )
    }

    /// The hash of the block it asks about, if that is how it asks.
    pub fn block_hash(&self) -> Option<B256> {
        let param = match self.method.as_str() {
            "eth_getBlockByHash" | "eth_getBlockReceipts" => self.params.first()?,
            "eth_getLogs" => &self.params.first()?["blockHash"],
            _ => self.params.get(self.block_place()?)?,
        };
        let hash = if param.is_object() { &param["blockHash"] } else { param };
        serde_json::from_value(hash.clone()).ok()
    }

    pub fn set_block_hash(&mut self, hash: B256) {
        let place = self.block_place().unwrap_or(0);
        let Some(param) = self.params.get_mut(place) else { return };
        let at = if param.is_object() { &mut param["blockHash"] } else { param };
        *at = json!(hash);
    }

    /// What logs it asks for.
    pub fn filter(&self) -> Option<Filter> {
        (self.method == "eth_getLogs")
            .then(|| serde_json::from_value(self.params.first()?.clone()).ok())?
    }
}

/// A number as JSON-RPC has it.
pub(super) fn hex(number: u64) -> Json {
    json!(U64::from(number))
}

/// And back.
pub(super) fn number(json: &Json) -> Option<u64> {
    serde_json::from_value::<U64>(json.clone()).ok().map(|number| number.to())
}

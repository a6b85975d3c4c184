//! JSON-RPC, as an endpoint of the chain answers it.

mod asked;
mod blocks;
mod calls;
mod fees;
mod transactions;

use alloy::primitives::{U64, U256};
use serde::Serialize;
use serde_json::{Value as Json, value::RawValue};

use self::asked::Asked;
use super::{Chain, Refusal, block::raw};

/// What one endpoint sees of the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Its head is so many blocks behind: what is newer does not exist for it, and the
    /// transactions in there still wait.
    pub behind: u64,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorObject {
    /// JSON-RPC's code.
    pub code: i64,
    /// In geth's words.
    pub message: String,
    /// A revert's bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
}

type Answer = Result<Box<RawValue>, ErrorObject>;

impl ErrorObject {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// Most of what geth refuses has no code of its own.
    fn plain(message: impl Into<String>) -> Self {
        Self::new(-32_000, message)
    }

    fn invalid(place: usize, why: impl std::fmt::Display) -> Self {
        Self::new(-32_602, format!("invalid argument {place}: {why}"))
    }
}

impl From<Refusal> for ErrorObject {
    fn from(refusal: Refusal) -> Self {
        Self::plain(refusal.to_string())
    }
}

impl Chain {
    /// Answers a call.
    ///
    /// # Errors
    /// With what an endpoint would refuse it.
    pub fn answer(
        &mut self,
        method: &str,
        params: &Json,
        view: View,
    ) -> Result<Box<RawValue>, ErrorObject> {
        let asked = Asked { params, head: self.number().saturating_sub(view.behind) };
        match method {
            "eth_chainId" => Ok(raw(&U64::from(self.chain_id))),
            "net_version" => Ok(raw(&self.chain_id.to_string())),
            "web3_clientVersion" => Ok(raw(&"Geth/v1.16.0-stable/linux-amd64/go1.24.4")),
            "eth_syncing" => Ok(raw(&false)),
            "eth_blockNumber" => Ok(raw(&U64::from(asked.head))),
            "eth_getBlockByNumber" => self.block_by_number(&asked),
            "eth_getBlockByHash" => self.block_by_hash(&asked),
            "eth_getBlockReceipts" => self.block_receipts(&asked),
            "eth_getLogs" => self.get_logs(&asked),
            "eth_getTransactionReceipt" => self.receipt(&asked),
            "eth_getTransactionByHash" => self.transaction_by_hash(&asked),
            "eth_getTransactionCount" => self.transaction_count(&asked),
            "eth_sendRawTransaction" => self.send(&asked),
            "eth_getBalance" => self.balance_of(&asked),
            "eth_getCode" => self.code_of(&asked),
            "eth_call" => self.call(&asked),
            "eth_estimateGas" => self.estimate_gas(&asked),
            "eth_gasPrice" => Ok(raw(&U256::from(self.gas_price(asked.head)))),
            "eth_maxPriorityFeePerGas" => Ok(raw(&U256::from(super::transaction::TIP))),
            "eth_feeHistory" => self.fee_history(&asked),
            _ => {
                let why = format!("the method {method} does not exist/is not available");
                Err(ErrorObject::new(-32_601, why))
            }
        }
    }
}

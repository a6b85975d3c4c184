//! Receipts that are not what the node has.

use serde_json::{Value as Json, json};

/// What becomes of the answers to `eth_getTransactionReceipt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptLie {
    /// Nothing that was mined is.
    Hidden,
    /// What had its effect had none.
    Failed,
}

impl ReceiptLie {
    pub(super) fn tell(self, mut receipt: Json) -> Json {
        match self {
            Self::Hidden => Json::Null,
            Self::Failed => {
                if let Some(status) = receipt.get_mut("status") {
                    *status = json!("0x0");
                }
                receipt
            }
        }
    }
}

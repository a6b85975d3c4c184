//! A transaction before and after its signature.

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope, TxLegacy},
    eips::{Encodable2718 as _, eip2930::AccessList},
    primitives::{B256, Bytes, Signature, TxKind, U256},
};

use crate::signing::{
    fees::Fees,
    ledger::{Attempt, AttemptKind, Call},
};

/// What is to be signed: EIP-1559 or, by the kind of fees, a legacy
/// transaction with EIP-155 replay protection.
pub(super) struct Unsigned {
    kind: Kind,
    fees: Fees,
}

enum Kind {
    Dynamic(TxEip1559),
    Legacy(TxLegacy),
}

/// A signed transaction, ready to be recorded and then broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTx {
    /// Transaction hash.
    pub hash: B256,
    /// EIP-2718 bytes.
    pub raw: Bytes,
    fees: Fees,
}

impl Unsigned {
    pub(super) fn new(chain_id: u64, nonce: u64, call: &Call, fees: Fees) -> Self {
        let (to, input, value) = (TxKind::Call(call.to), call.calldata.clone(), U256::ZERO);
        let gas_limit = call.gas_limit;
        let kind = match fees {
            Fees::Dynamic { max_fee_per_gas, max_priority_fee_per_gas } => {
                Kind::Dynamic(TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to,
                    value,
                    access_list: AccessList::default(),
                    input,
                })
            }
            Fees::Legacy { gas_price } => {
                let chain_id = Some(chain_id);
                Kind::Legacy(TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input })
            }
        };
        Self { kind, fees }
    }

    /// What the key signs.
    pub(super) fn signature_hash(&self) -> B256 {
        match &self.kind {
            Kind::Dynamic(transaction) => transaction.signature_hash(),
            Kind::Legacy(transaction) => transaction.signature_hash(),
        }
    }

    pub(super) fn signed(self, signature: Signature) -> SignedTx {
        let envelope: TxEnvelope = match self.kind {
            Kind::Dynamic(transaction) => transaction.into_signed(signature).into(),
            Kind::Legacy(transaction) => transaction.into_signed(signature).into(),
        };
        let (hash, raw) = (*envelope.tx_hash(), envelope.encoded_2718().into());
        SignedTx { hash, raw, fees: self.fees }
    }
}

impl SignedTx {
    /// As the ledger records it.
    #[must_use]
    pub fn into_attempt(self, kind: AttemptKind, signed_at_unix_s: u64) -> Attempt {
        Attempt {
            hash: self.hash,
            raw: self.raw,
            kind,
            max_fee_per_gas: self.fees.max_per_gas(),
            max_priority_fee_per_gas: self.fees.tip_per_gas(),
            signed_at_unix_s,
        }
    }
}

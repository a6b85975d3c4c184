//! A transaction: the daemon's as it signed it, or a member's, whose signature is made up.

use alloy::{
    consensus::{
        SignableTransaction as _, Transaction as _, TxEip1559, TxEnvelope, transaction::Recovered,
    },
    eips::eip2718::Decodable2718 as _,
    primitives::{Address, B256, Signature, TxKind, U256},
    rpc::types::{Transaction as RpcTransaction, TransactionInfo},
};

/// What every transaction costs.
const BASE_GAS: u64 = 21_000;
/// What a byte of its calldata costs.
const BYTE_GAS: u64 = 16;
/// Gas that a member allows beside that.
const MEMBERS_GAS: u64 = 200_000;
/// What a member pays for a place in a block, wei per gas.
pub(super) const TIP: u128 = 1_000_000_000;
/// The most that a member pays: always enough.
const MEMBERS_MAX: u128 = 1_000_000_000_000_000_000;

/// A transaction, with whom it is from.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) envelope: TxEnvelope,
    pub(super) hash: B256,
    pub(super) from: Address,
    /// Whether it came signed: others need no balance.
    pub(super) is_signed: bool,
}

impl Transaction {
    /// Reads one that somebody signed.
    pub(super) fn read(raw: &[u8]) -> Option<Self> {
        let envelope = TxEnvelope::decode_2718_exact(raw).ok()?;
        let signed = envelope.signature_hash();
        let from = envelope.signature().recover_address_from_prehash(&signed).ok()?;
        Some(Self { hash: *envelope.tx_hash(), envelope, from, is_signed: true })
    }

    /// A member's. What is made up as its signature tells members apart, who may say the
    /// same with the same nonce.
    pub(super) fn of_member(
        chain_id: u64,
        (from, nonce): (Address, u64),
        (to, value): (Address, U256),
        input: Vec<u8>,
    ) -> Self {
        let transaction = TxEip1559 {
            chain_id,
            nonce,
            gas_limit: intrinsic(&input) + MEMBERS_GAS,
            max_fee_per_gas: MEMBERS_MAX,
            max_priority_fee_per_gas: TIP,
            to: TxKind::Call(to),
            value,
            access_list: Default::default(),
            input: input.into(),
        };
        let signature = Signature::new(U256::from_be_slice(from.as_slice()), U256::ONE, false);
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        Self { hash: *envelope.tx_hash(), envelope, from, is_signed: false }
    }

    /// Gas that it uses whatever it does.
    pub(super) fn intrinsic_gas(&self) -> u64 {
        intrinsic(self.envelope.input())
    }

    /// The most that it may cost.
    pub(super) fn cost(&self) -> U256 {
        let gas = U256::from(self.envelope.gas_limit());
        (gas * U256::from(self.envelope.max_fee_per_gas())).saturating_add(self.envelope.value())
    }

    /// The most of a tip that it pays.
    pub(super) fn max_tip(&self) -> u128 {
        let price = || self.envelope.max_fee_per_gas();
        self.envelope.max_priority_fee_per_gas().unwrap_or_else(price)
    }

    /// What it pays above a base fee; `None` where it does not pay that.
    pub(super) fn tip(&self, base_fee: u64) -> Option<u128> {
        let above = self.envelope.max_fee_per_gas().checked_sub(base_fee.into())?;
        Some(above.min(self.max_tip()))
    }

    /// As endpoints tell it.
    pub(super) fn told(&self, at: TransactionInfo) -> RpcTransaction {
        let recovered = Recovered::new_unchecked(self.envelope.clone(), self.from);
        RpcTransaction::from_transaction(recovered, at)
    }
}

/// What a call with such an input costs whatever it does.
pub(super) fn intrinsic(input: &[u8]) -> u64 {
    BASE_GAS + BYTE_GAS * input.len() as u64
}

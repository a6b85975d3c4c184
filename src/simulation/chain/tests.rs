#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod blocks;
mod calls;
mod pool;
mod walk;

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    primitives::{Bytes, TxKind},
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol_types::SolCall as _,
};
use serde_json::{Value as Json, json};

use super::{
    contracts::{UNLOCKER_ROLE, abi::IAchievements},
    *,
};

const CHAIN_ID: u64 = 31_337;
const GWEI: u128 = 1_000_000_000;

fn member(number: u8) -> Address {
    Address::repeat_byte(number)
}

fn key() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(7)).unwrap()
}

/// A chain on which the key has a hundred ether and may unlock.
fn chain() -> Chain {
    let mut chain = Chain::new(CHAIN_ID, 1_000, Deployment::usual());
    let to = key().address();
    chain.act(Act::Fund { to, wei: U256::from(100) * U256::from(GWEI * GWEI) });
    chain.act(Act::GrantRole { role: *UNLOCKER_ROLE, to });
    chain.mine(1_002, 10);
    chain
}

/// A call of the contract that keeps achievements, signed by the key.
fn signed(nonce: u64, fees: (u128, u128), gas_limit: u64, input: impl Into<Bytes>) -> Vec<u8> {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit,
        max_fee_per_gas: fees.0,
        max_priority_fee_per_gas: fees.1,
        to: TxKind::Call(Deployment::usual().achievements),
        value: U256::ZERO,
        access_list: Default::default(),
        input: input.into(),
    };
    let signature = key().sign_hash_sync(&transaction.signature_hash()).unwrap();
    TxEnvelope::from(transaction.into_signed(signature)).encoded_2718()
}

/// The usual fees, with enough gas.
fn sent(chain: &mut Chain, nonce: u64, input: impl Into<Bytes>) -> B256 {
    chain.submit(&signed(nonce, (10 * GWEI, GWEI), 1_000_000, input)).unwrap()
}

fn batch(users: &[Address]) -> Vec<u8> {
    let ids = users.iter().map(|_| U256::ONE).collect();
    let proofs = users.iter().map(|_| Bytes::from_static(&[1, 2])).collect();
    let users = users.to_vec();
    IAchievements::batchUnlockAchievementsCall { users, ids, proofs }.abi_encode()
}

fn ask(chain: &mut Chain, method: &str, params: Json) -> Result<Json, ErrorObject> {
    ask_behind(chain, 0, method, params)
}

fn ask_behind(
    chain: &mut Chain,
    behind: u64,
    method: &str,
    params: Json,
) -> Result<Json, ErrorObject> {
    let answer = chain.answer(method, &params, View { behind })?;
    Ok(serde_json::from_str(answer.get()).unwrap())
}

/// Blocks with something of everything in them.
fn lively() -> Chain {
    let mut chain = chain();
    chain.act(Act::Propose { who: member(1) });
    chain.act(Act::MintBadge { to: member(5) });
    chain.act(Act::Contribute { who: member(3), amount: 60 });
    chain.mine(1_004, 10);
    chain.mine(1_006, 10);
    chain.act(Act::Vote { who: member(1), proposal: 0, support: 1, params: false });
    chain.act(Act::Vote { who: member(2), proposal: 0, support: 0, params: true });
    chain.act(Act::PassBadge { token: 1, to: member(4) });
    sent(&mut chain, 0, batch(&[member(1), member(2)]));
    chain.mine(1_008, 10);
    chain
}

//! What a chain asks for gas at present, and what a signer pays.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes, U256},
    rpc::types::FeeHistory,
};

use crate::{
    chain::{client::ChainClient, rpc::RpcError},
    config,
    domain::Urgency,
    signing::{
        calls,
        fees::{FeePolicy, Market, percentile},
    },
};

/// Least tip, wei per gas: for chains whose recent blocks were empty.
const MIN_TIP: u128 = 1_000_000;
/// Blocks whose tips are looked at.
const FEE_BLOCKS: u64 = 10;
/// Bytes of a signed transaction beside its calldata.
const ENVELOPE_BYTES: usize = 120;

/// A signer's prices, as its configuration says.
#[must_use]
pub fn policy(signer: &config::Signer) -> FeePolicy {
    FeePolicy {
        price_margin_percent: signer.price_margin_percent,
        min_tip: MIN_TIP,
        max_fee_per_gas: signer.max_fee_per_gas.saturating_to(),
    }
}

/// What the chain asks, at the tips that an urgency offers.
///
/// # Errors
/// See [`RpcError`].
pub async fn market(
    client: &ChainClient,
    newest: BlockNumberOrTag,
    urgency: Urgency,
) -> Result<Market, RpcError> {
    let history = client.fee_history(FEE_BLOCKS, newest, &[percentile(urgency)]).await?;
    match of_history(&history) {
        Some(market) => Ok(market),
        None => Ok(Market::Legacy { gas_price: client.gas_price().await? }),
    }
}

/// What recent blocks say; `None` on a chain without EIP-1559, which has no base fees, or
/// zeros.
pub(crate) fn of_history(history: &FeeHistory) -> Option<Market> {
    let next_base_fee = history.base_fee_per_gas.last().copied()?;
    if history.base_fee_per_gas.iter().all(|fee| *fee == 0) {
        return None;
    }
    let used = history.gas_used_ratio.iter().map(|ratio| *ratio > 0.0);
    let rewards = history.reward.iter().flatten().zip(used).filter(|(_, used)| *used);
    let rewards = rewards.filter_map(|(reward, _)| reward.first().copied()).collect();
    Some(Market::Dynamic { next_base_fee, rewards })
}

/// What a rollup charges now for posting a call's data, in wei, as its oracle
/// says; `None` when that is no answer.
///
/// # Errors
/// See [`RpcError`].
pub async fn data_fee(
    client: &ChainClient,
    oracle: Address,
    calldata: &Bytes,
) -> Result<Option<U256>, RpcError> {
    // Nonce, fees, gas, address and signature take so many bytes besides.
    let mut transaction = calldata.to_vec();
    transaction.resize(transaction.len() + ENVELOPE_BYTES, 0xff);
    let question = calls::l1_fee(transaction.into());
    let answer = client.read(oracle, question, BlockNumberOrTag::Latest.into()).await?;
    Ok(<[u8; 32]>::try_from(&answer[..]).map(U256::from_be_bytes).ok())
}

/// What a rollup may charge once the transaction is mined: half more than it
/// says now, since the fees of the chain below may rise meanwhile.
#[must_use]
pub fn risen(data_fee: U256) -> U256 {
    data_fee.saturating_mul(U256::from(3)) / U256::from(2)
}

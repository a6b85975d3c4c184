//! What a chain asks for gas at present, and what a signer pays.

use alloy::eips::BlockNumberOrTag;

use crate::{
    chain::{client::ChainClient, rpc::RpcError},
    config,
    domain::Urgency,
    signing::fees::{FeePolicy, Market, percentile},
};

/// Least tip, wei per gas: for chains whose recent blocks were empty.
const MIN_TIP: u128 = 1_000_000;
/// Blocks whose tips are looked at.
const FEE_BLOCKS: u64 = 10;

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
    // A chain without EIP-1559 has no base fees, or zeros.
    match history.base_fee_per_gas.last().copied() {
        Some(next_base_fee) if history.base_fee_per_gas.iter().any(|fee| *fee > 0) => {
            let used = history.gas_used_ratio.iter().map(|ratio| *ratio > 0.0);
            let rewards = history.reward.unwrap_or_default();
            let rewards = rewards.into_iter().zip(used).filter(|(_, used)| *used);
            let rewards = rewards.filter_map(|(reward, _)| reward.first().copied()).collect();
            Ok(Market::Dynamic { next_base_fee, rewards })
        }
        _ => Ok(Market::Legacy { gas_price: client.gas_price().await? }),
    }
}

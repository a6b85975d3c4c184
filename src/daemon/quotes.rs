//! What an unlock is going to cost, as HTTP asks for it.

use std::{collections::BTreeMap, sync::Arc};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256, keccak256, utils::format_ether},
};
use serde_json::{Value as Json, json};

use crate::{
    actors::{
        market::{data_fee, market, policy, risen},
        shared::ChainLink,
    },
    api::ApiProblem,
    config,
    domain::{Name, UnlockId, Urgency},
    signing::{
        calls::{self, Target},
        fees::Market,
        gas::GasBook,
        quote::{DataFees, Markets, quote, usual},
    },
    supervisor::Tree,
};

/// Knows the signers, and what they have learned.
#[derive(Clone)]
pub(super) struct QuoteDesk {
    pub(super) tree: Tree,
    pub(super) signers: Arc<BTreeMap<Name, Quoted>>,
}

/// What is known of a signer beforehand.
pub(super) struct Quoted {
    pub(super) link: ChainLink,
    pub(super) config: config::Signer,
    /// Of a rollup.
    pub(super) l1_fee_oracle: Option<Address>,
}

impl QuoteDesk {
    pub(super) async fn quote(&self, signer: &str) -> Result<Json, ApiProblem> {
        let quoted = self.signers.get(signer).ok_or_else(|| {
            let known: Vec<&str> = self.signers.keys().map(Name::as_str).collect();
            ApiProblem::NotFound(format!("no signer of this name; known: {}", known.join(", ")))
        })?;
        let Quoted { link, config, .. } = quoted;
        let asked = |urgency| market(&link.client, BlockNumberOrTag::Latest, urgency);
        let market = |urgency| async move {
            asked(urgency).await.map_err(|error| ApiProblem::Unavailable(error.to_string()))
        };
        let markets = Markets {
            low: market(Urgency::Low).await?,
            normal: market(Urgency::Normal).await?,
            high: market(Urgency::High).await?,
        };
        let policy = policy(config);
        let batch = u64::try_from(config.batch_max_items).unwrap_or(u64::MAX);
        let data = data_fees(quoted, batch).await?;
        let quote = quote(&self.learned(signer), batch, &markets, &policy, &data);
        let base_fee = match &markets.normal {
            Market::Dynamic { next_base_fee, .. } => Some(next_base_fee.to_string()),
            Market::Legacy { .. } => None,
        };
        Ok(json!({
            "signer": signer,
            "chain": link.name,
            "next_base_fee_wei": base_fee,
            "unlock": quote,
            // What a rollup charges, within the likely cost.
            "data_ether": quoted.l1_fee_oracle.map(|_| format_ether(data.likely_wei)),
            "unlock_ether": {
                "low": format_ether(quote.low_wei),
                "likely": format_ether(quote.likely_wei),
                "high": format_ether(quote.high_wei),
            },
        }))
    }

    /// What the signer's receipts taught, as it showed last.
    fn learned(&self, signer: &str) -> GasBook {
        let actor = format!("signer/{signer}");
        let child = self.tree.snapshot().into_iter().find(|child| child.name == actor);
        let gas = child.and_then(|child| child.observed.get("gas").cloned());
        gas.and_then(|gas| serde_json::from_value(gas).ok()).unwrap_or_default()
    }
}

/// What a rollup charges for an unlock's data in a full batch, in a usual one,
/// and alone.
async fn data_fees(quoted: &Quoted, batch: u64) -> Result<DataFees, ApiProblem> {
    let Some(oracle) = quoted.l1_fee_oracle else { return Ok(DataFees::default()) };
    let each = async |items: u64| {
        let items = items.max(1);
        let calldata = calls::unlock(&sample(items));
        let fee = data_fee(&quoted.link.client, oracle, &calldata).await;
        let fee = fee.map_err(|error| ApiProblem::Unavailable(error.to_string()))?;
        let fee = fee.ok_or_else(|| {
            ApiProblem::Unavailable(format!("{oracle} does not answer getL1Fee(bytes)"))
        })?;
        Ok::<U256, ApiProblem>(fee / U256::from(items))
    };
    let (low_wei, likely_wei) = (each(batch).await?, each(usual(batch)).await?);
    Ok(DataFees { low_wei, likely_wei, high_wei: risen(each(1).await?).max(likely_wei) })
}

/// Unlocks whose bytes are as hard to compress as real ones.
fn sample(items: u64) -> Vec<Target> {
    let target = |number: u64| {
        let drawn: B256 = keccak256(number.to_be_bytes());
        Target {
            id: UnlockId(drawn),
            user: Address::from_word(drawn),
            achievement_id: U256::from(7),
            proof: keccak256(drawn),
        }
    };
    (0..items).map(target).collect()
}

//! What an unlock is going to cost, as HTTP asks for it.

use std::{collections::BTreeMap, sync::Arc};

use alloy::{eips::BlockNumberOrTag, primitives::utils::format_ether};
use serde_json::{Value as Json, json};

use crate::{
    actors::{
        market::{market, policy},
        shared::ChainLink,
    },
    api::ApiProblem,
    config,
    domain::{Name, Urgency},
    signing::{
        fees::Market,
        gas::GasBook,
        quote::{Markets, quote},
    },
    supervisor::Tree,
};

/// Knows the signers, and what they have learned.
#[derive(Clone)]
pub(super) struct QuoteDesk {
    pub(super) tree: Tree,
    pub(super) signers: Arc<BTreeMap<Name, (ChainLink, config::Signer)>>,
}

impl QuoteDesk {
    pub(super) async fn quote(&self, signer: &str) -> Result<Json, ApiProblem> {
        let (link, config) = self.signers.get(signer).ok_or_else(|| {
            let known: Vec<&str> = self.signers.keys().map(Name::as_str).collect();
            ApiProblem::NotFound(format!("no signer of this name; known: {}", known.join(", ")))
        })?;
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
        let quote = quote(&self.learned(signer), batch, &markets, &policy);
        let base_fee = match &markets.normal {
            Market::Dynamic { next_base_fee, .. } => Some(next_base_fee.to_string()),
            Market::Legacy { .. } => None,
        };
        Ok(json!({
            "signer": signer,
            "chain": link.name,
            "next_base_fee_wei": base_fee,
            "unlock": quote,
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

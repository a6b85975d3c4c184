//! What landing something is going to cost, as far as that is known before.

use alloy::primitives::{
    U256,
    utils::{format_ether, parse_units},
};
use serde_json::{Value as Json, json};

use super::{super::asker::Asker, Setting};
use crate::{rules::RuleSet, signing::gas::GasBook};

/// Gas of taking one back: a call that burns a token.
const REVOKE_GAS: u64 = 75_000;

/// What an unlock and a revocation cost.
#[derive(Debug)]
pub(super) struct Cost {
    unlock_gas: u64,
    /// Wei; `None` where nobody could be asked.
    gas_price: Option<u128>,
}

impl Cost {
    /// Of a set's achievements, in batches as its signer makes them.
    pub(super) async fn of(setting: &Setting, set: &RuleSet, gas_price: Option<u128>) -> Self {
        let config = &setting.config;
        let contract = config.contract(set.achievements_contract());
        let chain = contract.and_then(|contract| config.chain(&contract.chain));
        let signers = set.achievements().iter().flat_map(|it| &it.signers);
        let signers: Vec<_> = config
            .signers
            .iter()
            .filter(|it| signers.clone().any(|name| *name == it.name))
            .collect();
        let batch = signers.iter().map(|it| it.batch_max_items as u64).min().unwrap_or(1).max(1);
        let price = match (gas_price, chain) {
            (Some(price), _) => Some(price),
            (None, Some(chain)) => Asker::open(chain, 0).await.0.gas_price().await.ok(),
            (None, None) => None,
        };
        Self { unlock_gas: GasBook::default().of_batch(batch) / batch, gas_price: price }
    }

    pub(super) fn json(&self, unlocks: usize, revocations: usize) -> Json {
        let gas = self.gas(unlocks, revocations);
        json!({
            "unlocks": unlocks,
            "revocations": revocations,
            "gas": gas,
            "gas_price_wei": self.gas_price.map(|price| price.to_string()),
            "ether": self.ether(gas),
        })
    }

    pub(super) fn text(&self, unlocks: usize, revocations: usize) -> String {
        let gas = self.gas(unlocks, revocations);
        let priced = self.gas_price.zip(self.ether(gas));
        let ether = priced.map(|(price, ether)| {
            let gwei = alloy::primitives::utils::format_units(U256::from(price), "gwei");
            format!(", {ether} ether at {} gwei", gwei.unwrap_or_default())
        });
        format!(
            "about {gas} gas for {unlocks} unlocks and {revocations} revocations{}",
            ether.unwrap_or_default()
        )
    }

    fn gas(&self, unlocks: usize, revocations: usize) -> u64 {
        let of = |count: usize, each: u64| (count as u64).saturating_mul(each);
        of(unlocks, self.unlock_gas).saturating_add(of(revocations, REVOKE_GAS))
    }

    fn ether(&self, gas: u64) -> Option<String> {
        let wei = U256::from(self.gas_price?).saturating_mul(U256::from(gas));
        Some(format_ether(wei))
    }
}

/// A price like "12 gwei".
pub(super) fn price(text: &str) -> Result<u128, String> {
    let wrong = || "write a price like \"12 gwei\" or \"0.5 gwei\"".to_owned();
    let (number, unit) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let wei = parse_units(number, unit.trim()).map_err(|_| wrong())?;
    u128::try_from(wei.get_absolute()).map_err(|_| wrong())
}

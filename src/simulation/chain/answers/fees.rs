//! What gas costs.

use alloy::{eips::BlockNumberOrTag, primitives::U64, rpc::types::FeeHistory};
use serde::Deserialize;

use super::{Answer, Asked, Chain, ErrorObject, raw};
use crate::simulation::chain::{block::Block, transaction::TIP};

/// Blocks that a history has at most, as at geth.
const HISTORY_MAX: u64 = 1024;

/// A number, in hex or not.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Plain(u64),
    Hex(U64),
}

impl Chain {
    /// What the block after the head of an endpoint asks, with a usual tip.
    pub(super) fn gas_price(&self, head: u64) -> u128 {
        u128::from(self.base_fee_after(head)) + TIP
    }

    fn base_fee_after(&self, number: u64) -> u64 {
        self.block(number + 1).map_or(self.next_base_fee, |block| block.base_fee())
    }

    pub(super) fn fee_history(&self, asked: &Asked<'_>) -> Answer {
        let count = match asked.at(0)? {
            Count::Plain(count) => count,
            Count::Hex(count) => count.to(),
        };
        let newest = self.height(asked, asked.or(1, BlockNumberOrTag::Latest)?);
        if newest > asked.head {
            let head = asked.head;
            return Err(ErrorObject::plain(format!(
                "request beyond head block: requested {newest}, head {head}"
            )));
        }
        let percentiles: Vec<f64> = asked.or(2, Vec::new())?;
        let oldest = (newest + 1).saturating_sub(count.clamp(1, HISTORY_MAX));
        let blocks = || (oldest..=newest).filter_map(|number| self.block(number));
        let mut base_fee_per_gas: Vec<u128> = blocks().map(|it| it.base_fee().into()).collect();
        base_fee_per_gas.push(self.base_fee_after(newest).into());
        let ratio = |it: &Block| it.header.gas_used as f64 / it.header.gas_limit as f64;
        Ok(raw(&FeeHistory {
            base_fee_per_gas,
            gas_used_ratio: blocks().map(|it| ratio(it)).collect(),
            oldest_block: oldest,
            reward: (!percentiles.is_empty())
                .then(|| blocks().map(|it| rewards(it, &percentiles)).collect()),
            ..FeeHistory::default()
        }))
    }
}

/// The tips below which so many percent of a block's gas were paid; zeros of an empty one.
fn rewards(block: &Block, percentiles: &[f64]) -> Vec<u128> {
    let tip = |it: &super::super::block::Mined| it.transaction.tip(block.base_fee());
    let paid = block.transactions.iter().map(|it| (tip(it).unwrap_or_default(), it.gas_used));
    let mut paid: Vec<(u128, u64)> = paid.collect();
    paid.sort_unstable();
    let all = block.header.gas_used as f64;
    let below = |percent: f64| {
        let mut sum = 0;
        let reached = paid.iter().find(|(_, gas)| {
            sum += gas;
            sum as f64 >= all * percent / 100.0
        });
        reached.or(paid.last()).map_or(0, |(tip, _)| *tip)
    };
    percentiles.iter().map(|percent| below(*percent)).collect()
}

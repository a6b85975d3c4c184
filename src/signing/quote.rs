//! What an unlock is going to cost: low, likely and high.

use alloy::primitives::U256;
use serde::Serialize;

use super::{
    fees::{Decision, FeePolicy, Market},
    gas::GasBook,
};
use crate::domain::unlock::decimal;

/// What the chain asks, by three tips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markets {
    /// At the tips of what can wait.
    pub low: Market,
    /// At usual tips.
    pub normal: Market,
    /// At the tips of what is urgent.
    pub high: Market,
}

/// What a rollup charges for posting one unlock's data, in wei; zeros on other
/// chains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataFees {
    /// In a full batch.
    pub low_wei: U256,
    /// In a batch of a quarter of what one may hold.
    pub likely_wei: U256,
    /// Alone, at what may be charged once it is mined.
    pub high_wei: U256,
}

/// Items of a usual batch: a quarter of what one may hold.
#[must_use]
pub fn usual(batch_max: u64) -> u64 {
    (batch_max / 4).max(1)
}

/// The cost of one unlock, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quote {
    /// In a full batch, at fees that fall by an eighth, with the tip of what can
    /// wait.
    #[serde(serialize_with = "decimal::serialize")]
    pub low_wei: U256,
    /// In a batch of a quarter of what one may hold, at present fees.
    #[serde(serialize_with = "decimal::serialize")]
    pub likely_wei: U256,
    /// Alone, with all of its gas limit used, at the most that is offered for
    /// what is urgent, or at the cap.
    #[serde(serialize_with = "decimal::serialize")]
    pub high_wei: U256,
    /// Gas of one unlock in a full batch.
    pub gas_in_batch: u64,
    /// Gas of one unlock alone.
    pub gas_alone: u64,
}

/// Quotes an unlock. `batch_max` are the items that one transaction may hold.
#[must_use]
pub fn quote(
    gas: &GasBook,
    batch_max: u64,
    markets: &Markets,
    policy: &FeePolicy,
    data: &DataFees,
) -> Quote {
    let each = |items: u64| gas.of_batch(items.max(1)).div_ceil(items.max(1));
    let (full, at_present, alone) = (each(batch_max), each(usual(batch_max)), gas.of_batch(1));
    let wei = |gas: u64, per_gas: u128| U256::from(gas).saturating_mul(U256::from(per_gas));
    let cap = policy.max_fee_per_gas;
    let most = match policy.price(&markets.high) {
        Decision::Pay(fees) => fees.max_per_gas(),
        Decision::Wait { .. } | Decision::AtCap { .. } => cap,
    };
    let limit = alone.saturating_mul(100 + super::gas::BufferPercent::MAX).div_ceil(100);
    let low = policy.paid(&markets.low, true).min(cap);
    let likely = policy.paid(&markets.normal, false).min(cap);
    Quote {
        low_wei: wei(full, low).saturating_add(data.low_wei),
        likely_wei: wei(at_present, likely).saturating_add(data.likely_wei),
        high_wei: wei(limit, most.max(likely)).saturating_add(data.high_wei),
        gas_in_batch: full,
        gas_alone: alone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: FeePolicy =
        FeePolicy { price_margin_percent: 10, min_tip: 5, max_fee_per_gas: 1_000_000 };

    fn markets(base: u128, tips: [u128; 3]) -> Markets {
        let market = |tip| Market::Dynamic { next_base_fee: base, rewards: vec![tip] };
        Markets { low: market(tips[0]), normal: market(tips[1]), high: market(tips[2]) }
    }

    #[test]
    fn a_quote_is_of_a_full_batch_a_usual_one_and_alone() {
        let gas = GasBook::default();
        let markets = markets(800, [10, 20, 90]);
        let quoted = |data| quote(&gas, 50, &markets, &POLICY, &data);
        let quote = quoted(DataFees::default());
        assert_eq!(quote.gas_in_batch, gas.per_item() + GasBook::BASE / 50);
        assert_eq!(quote.gas_alone, gas.per_item() + GasBook::BASE);
        // 7/8 of the base fee, and the tip with its margin.
        assert_eq!(quote.low_wei, U256::from(quote.gas_in_batch * 711));
        assert_eq!(quote.likely_wei, U256::from((gas.per_item() + GasBook::BASE / 12) * 822));
        // Twice the base fee with margin, and the tip with its own.
        assert_eq!(quote.high_wei, U256::from(quote.gas_alone * 13 / 10 * (1_760 + 99)));
        let [low_wei, likely_wei, high_wei] = [3, 4, 50].map(U256::from);
        let on_a_rollup = quoted(DataFees { low_wei, likely_wei, high_wei });
        assert_eq!(on_a_rollup.low_wei, quote.low_wei + low_wei);
        assert_eq!(on_a_rollup.likely_wei, quote.likely_wei + likely_wei);
        assert_eq!(on_a_rollup.high_wei, quote.high_wei + high_wei);
    }

    proptest! {
        #[test]
        fn low_likely_and_high_are_in_order(
            base in 0..1u128 << 60, tip in 0..1u128 << 60, batch in 0..500_u64, cap in 1..1u128 << 70,
            legacy in any::<bool>(),
        ) {
            let markets = if legacy {
                let market = Market::Legacy { gas_price: base };
                Markets { low: market.clone(), normal: market.clone(), high: market }
            } else {
                markets(base, [tip / 2, tip, tip.saturating_mul(2)])
            };
            let policy = FeePolicy { max_fee_per_gas: cap, ..POLICY };
            let quote = quote(&GasBook::default(), batch, &markets, &policy, &DataFees::default());
            prop_assert!(quote.low_wei <= quote.likely_wei && quote.likely_wei <= quote.high_wei);
        }
    }
}

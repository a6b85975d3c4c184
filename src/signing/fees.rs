//! What to pay per gas, when to wait instead, and what a replacement must offer.
//!
//! All prices are wei per gas.

use serde::{Deserialize, Serialize};

use super::decimal_u128;
use crate::domain::Urgency;

/// What one transaction offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Fees {
    /// EIP-1559.
    Dynamic {
        /// The most it pays in all.
        #[serde(with = "decimal_u128")]
        max_fee_per_gas: u128,
        /// The tip to the block's maker.
        #[serde(with = "decimal_u128")]
        max_priority_fee_per_gas: u128,
    },
    /// A chain without base fee.
    Legacy {
        /// What it pays.
        #[serde(with = "decimal_u128")]
        gas_price: u128,
    },
}

impl Fees {
    /// The most that one gas can cost.
    #[must_use]
    pub fn max_per_gas(self) -> u128 {
        match self {
            Self::Dynamic { max_fee_per_gas, .. } => max_fee_per_gas,
            Self::Legacy { gas_price } => gas_price,
        }
    }

    /// The tip; the whole price on a chain without base fee.
    #[must_use]
    pub fn tip_per_gas(self) -> u128 {
        match self {
            Self::Dynamic { max_priority_fee_per_gas, .. } => max_priority_fee_per_gas,
            Self::Legacy { gas_price } => gas_price,
        }
    }
}

/// What the chain asks at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Market {
    /// From `eth_feeHistory` with one percentile, see [`percentile`].
    Dynamic {
        /// Base fee of the next block: the last of `baseFeePerGas`.
        next_base_fee: u128,
        /// That percentile's reward of each recent block that has transactions.
        rewards: Vec<u128>,
    },
    /// From `eth_gasPrice`.
    Legacy {
        /// What it says.
        gas_price: u128,
    },
}

/// Which of the tips that recent blocks took is offered, in percent.
#[must_use]
pub fn percentile(urgency: Urgency) -> f64 {
    match urgency {
        Urgency::Low => 25.0,
        Urgency::Normal => 50.0,
        Urgency::High => 90.0,
    }
}

/// A signer's prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeePolicy {
    /// Added to tip and price, in percent: the guide asks for 10.
    pub price_margin_percent: u32,
    /// Least tip, for chains whose recent blocks were empty.
    pub min_tip: u128,
    /// Never offer more than this in all.
    pub max_fee_per_gas: u128,
}

/// Whether to send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// At this price.
    Pay(Fees),
    /// The next block asks more than the cap: wait for fees to fall, or raise it.
    Wait {
        /// What the next block asks, with tip.
        needed: u128,
        /// The cap.
        cap: u128,
    },
    /// Only as a replacement: the least that outbids the old price is above the cap.
    AtCap {
        /// That least.
        needed: u128,
        /// The cap.
        cap: u128,
    },
}

impl FeePolicy {
    /// The price of a first attempt.
    #[must_use]
    pub fn price(&self, market: &Market) -> Decision {
        let (wish, needed) = self.wish(market);
        let cap = self.max_fee_per_gas;
        if needed > cap {
            return Decision::Wait { needed, cap };
        }
        Decision::Pay(match wish {
            Fees::Dynamic { max_fee_per_gas, max_priority_fee_per_gas } => {
                let max_fee_per_gas = max_fee_per_gas.min(cap);
                Fees::Dynamic {
                    max_fee_per_gas,
                    max_priority_fee_per_gas: max_priority_fee_per_gas.min(max_fee_per_gas),
                }
            }
            Fees::Legacy { gas_price } => Fees::Legacy { gas_price: gas_price.min(cap) },
        })
    }

    /// The price of an attempt that replaces one at `old`: what the market
    /// asks, and in both fields at least what every client demands.
    #[must_use]
    pub fn replace(&self, old: Fees, market: &Market) -> Decision {
        let cap = self.max_fee_per_gas;
        let least = Fees::Dynamic {
            max_fee_per_gas: outbid(old.max_per_gas()),
            max_priority_fee_per_gas: outbid(old.tip_per_gas()),
        };
        if least.max_per_gas() > cap {
            return Decision::AtCap { needed: least.max_per_gas(), cap };
        }
        match self.price(market) {
            Decision::Pay(Fees::Legacy { gas_price }) => {
                Decision::Pay(Fees::Legacy { gas_price: gas_price.max(least.max_per_gas()) })
            }
            Decision::Pay(Fees::Dynamic { max_fee_per_gas, max_priority_fee_per_gas }) => {
                Decision::Pay(Fees::Dynamic {
                    max_fee_per_gas: max_fee_per_gas.max(least.max_per_gas()),
                    max_priority_fee_per_gas: max_priority_fee_per_gas.max(least.tip_per_gas()),
                })
            }
            // Outbidding ourselves below the base fee would only spend the headroom.
            refused => refused,
        }
    }

    /// The price of an empty transfer that takes the place of one at `old`: as
    /// [`Self::replace`], but the cap may be passed by the one step that the
    /// clients' rule asks for above it. It is a hundredth of a batch's gas, and without
    /// it a transaction at the cap could never be given up.
    #[must_use]
    pub fn cancel(&self, old: Fees, market: &Market) -> Decision {
        let cap = outbid(self.max_fee_per_gas);
        Self { max_fee_per_gas: cap, ..*self }.replace(old, market)
    }

    /// What is going to be paid per gas, without the headroom that is offered;
    /// `falling`: when the base fee falls as far as one block lets it.
    #[must_use]
    pub fn paid(&self, market: &Market, falling: bool) -> u128 {
        match market {
            Market::Dynamic { next_base_fee, rewards } => {
                let tip = self.with_margin(median(rewards)).max(self.min_tip);
                // EIP-1559: an empty block lowers it by an eighth.
                let fall = if falling { next_base_fee / 8 } else { 0 };
                (next_base_fee - fall).saturating_add(tip)
            }
            Market::Legacy { gas_price } => self.with_margin(*gas_price).max(self.min_tip),
        }
    }

    // What we would like to offer, and what the next block asks at least.
    fn wish(&self, market: &Market) -> (Fees, u128) {
        match market {
            Market::Dynamic { next_base_fee, rewards } => {
                let tip = self.with_margin(median(rewards)).max(self.min_tip);
                // Twice the base fee stands six full blocks of +12.5 % (EIP-1559).
                let max = self.with_margin(next_base_fee.saturating_mul(2)).saturating_add(tip);
                let fees = Fees::Dynamic { max_fee_per_gas: max, max_priority_fee_per_gas: tip };
                (fees, next_base_fee.saturating_add(tip))
            }
            Market::Legacy { gas_price } => {
                let price = self.with_margin(*gas_price).max(self.min_tip);
                (Fees::Legacy { gas_price: price }, *gas_price)
            }
        }
    }

    fn with_margin(&self, price: u128) -> u128 {
        let margin = price.saturating_mul(self.price_margin_percent.into()).div_ceil(100);
        price.saturating_add(margin)
    }
}

/// geth, erigon and reth demand 10 % more in both fields, some providers
/// 12.5 %; always more than before, also from zero.
fn outbid(old: u128) -> u128 {
    old.saturating_mul(9).div_ceil(8).max(old.saturating_add(1))
}

// The lower middle of an even count: a tip that half the blocks took.
fn median(values: &[u128]) -> u128 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: FeePolicy =
        FeePolicy { price_margin_percent: 10, min_tip: 5, max_fee_per_gas: 1_000 };

    fn dynamic(next_base_fee: u128, rewards: &[u128]) -> Market {
        Market::Dynamic { next_base_fee, rewards: rewards.to_vec() }
    }

    #[test]
    fn the_tip_is_the_median_reward_and_the_price_stands_six_full_blocks() {
        assert_eq!(
            POLICY.price(&dynamic(100, &[900, 10, 20])),
            Decision::Pay(Fees::Dynamic { max_fee_per_gas: 242, max_priority_fee_per_gas: 22 })
        );
    }

    #[test]
    fn empty_blocks_leave_the_least_tip() {
        assert_eq!(
            POLICY.price(&dynamic(100, &[])),
            Decision::Pay(Fees::Dynamic { max_fee_per_gas: 225, max_priority_fee_per_gas: 5 })
        );
    }

    #[test]
    fn a_fee_spike_waits_under_the_cap() {
        // Headroom is cut at the cap; only what the next block asks makes us wait.
        let capped = POLICY.price(&dynamic(900, &[10]));
        assert!(matches!(capped, Decision::Pay(fees) if fees.max_per_gas() == 1_000));
        assert_eq!(
            POLICY.price(&dynamic(995, &[10])),
            Decision::Wait { needed: 1_006, cap: 1_000 }
        );
        assert_eq!(
            POLICY.price(&Market::Legacy { gas_price: 1_001 }),
            Decision::Wait { needed: 1_001, cap: 1_000 }
        );
    }

    #[test]
    fn a_chain_without_base_fee_is_paid_its_gas_price_with_margin() {
        assert_eq!(
            POLICY.price(&Market::Legacy { gas_price: 101 }),
            Decision::Pay(Fees::Legacy { gas_price: 112 })
        );
    }

    #[test]
    fn a_replacement_above_the_cap_is_refused() {
        let old = Fees::Dynamic { max_fee_per_gas: 900, max_priority_fee_per_gas: 1 };
        assert_eq!(
            POLICY.replace(old, &dynamic(10, &[1])),
            Decision::AtCap { needed: 1_013, cap: 1_000 }
        );
    }

    #[test]
    fn what_is_at_the_cap_can_still_be_cancelled() {
        let old = Fees::Dynamic { max_fee_per_gas: 1_000, max_priority_fee_per_gas: 10 };
        assert!(matches!(POLICY.replace(old, &dynamic(10, &[1])), Decision::AtCap { .. }));
        let fees = Fees::Dynamic { max_fee_per_gas: 1_125, max_priority_fee_per_gas: 12 };
        assert_eq!(POLICY.cancel(old, &dynamic(10, &[1])), Decision::Pay(fees));
        // The next block would not take it.
        assert!(matches!(POLICY.cancel(old, &dynamic(2_000, &[1])), Decision::Wait { .. }));
        // One step above the cap, and no more.
        assert!(matches!(POLICY.cancel(fees, &dynamic(10, &[1])), Decision::AtCap { .. }));
        let below = Fees::Dynamic { max_fee_per_gas: 100, max_priority_fee_per_gas: 10 };
        assert_eq!(
            POLICY.cancel(below, &dynamic(10, &[1])),
            POLICY.replace(below, &dynamic(10, &[1]))
        );
    }

    proptest! {
        #[test]
        fn a_price_is_well_formed_and_under_the_cap(
            base in 0..u128::MAX, rewards in prop::collection::vec(0..u128::MAX, 0..8), cap in 0..u128::MAX,
        ) {
            let policy = FeePolicy { max_fee_per_gas: cap, ..POLICY };
            if let Decision::Pay(fees) = policy.price(&Market::Dynamic { next_base_fee: base, rewards }) {
                prop_assert!(fees.tip_per_gas() <= fees.max_per_gas());
                prop_assert!(fees.max_per_gas() <= cap);
                prop_assert!(fees.max_per_gas() >= base);
            }
        }

        #[test]
        fn a_replacement_meets_the_rule_of_every_client(
            max in 0..1u128 << 100, tip in 0..1u128 << 100, base in 0..1u128 << 90,
        ) {
            let old = Fees::Dynamic { max_fee_per_gas: max.max(tip), max_priority_fee_per_gas: tip };
            let policy = FeePolicy { max_fee_per_gas: 1 << 110, ..POLICY };
            let Decision::Pay(new) = policy.replace(old, &dynamic(base, &[tip / 2])) else {
                return Err(TestCaseError::fail("there is room under the cap"));
            };
            for (before, after) in [(old.max_per_gas(), new.max_per_gas()), (old.tip_per_gas(), new.tip_per_gas())] {
                prop_assert!(after > before && after * 8 >= before * 9);
            }
            prop_assert!(new.tip_per_gas() <= new.max_per_gas());
        }
    }
}

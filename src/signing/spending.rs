//! What a signer spends per UTC day, against its budget.
//!
//! A transaction reserves its worst case (gas limit × highest price) before
//! it is signed and settles for what its receipt says. Reservations outlive
//! midnight, since they may still be spent; what was spent does not.

use std::collections::BTreeMap;

use alloy::primitives::U256;
use serde::{Deserialize, Serialize};

use crate::domain::unlock::decimal;

const SECONDS_PER_DAY: u64 = 86_400;

/// One signer's day. The shell keeps it with the ledger's records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// Days since the Unix epoch.
    day: u64,
    #[serde(with = "decimal")]
    spent_wei: U256,
    // By nonce: all attempts of a nonce cost once.
    reserved_wei: BTreeMap<u64, U256>,
}

/// A reservation would pass the day's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the day's budget of {budget_wei} wei has {left_wei} wei left, {needed_wei} are needed; \
     it is whole again at {resets_at_unix_s} (Unix time), or raise `daily_budget_eth`"
)]
pub struct OverBudget {
    /// The budget.
    pub budget_wei: U256,
    /// What is neither spent nor reserved.
    pub left_wei: U256,
    /// The worst case of the transaction.
    pub needed_wei: U256,
    /// The next UTC midnight, in seconds since the Unix epoch.
    pub resets_at_unix_s: u64,
}

impl Spending {
    /// Reserves the worst case of a nonce's newest attempt, in place of what
    /// was reserved for the nonce before.
    ///
    /// # Errors
    /// When that would pass the budget; the earlier reservation then stands.
    pub fn reserve(
        &mut self,
        nonce: u64,
        worst_case_wei: U256,
        budget_wei: U256,
        now_unix_s: u64,
    ) -> Result<(), OverBudget> {
        self.roll(now_unix_s);
        let others = self
            .reserved_wei
            .iter()
            .filter(|(held, _)| **held != nonce)
            .fold(self.spent_wei, |sum, (_, wei)| sum.saturating_add(*wei));
        if others.saturating_add(worst_case_wei) > budget_wei {
            return Err(OverBudget {
                budget_wei,
                left_wei: budget_wei.saturating_sub(others),
                needed_wei: worst_case_wei,
                resets_at_unix_s: (self.day + 1).saturating_mul(SECONDS_PER_DAY),
            });
        }
        self.reserved_wei.insert(nonce, worst_case_wei);
        Ok(())
    }

    /// A nonce cost this much (0 when a foreign transaction used it). Told
    /// again, it changes nothing.
    pub fn settle(&mut self, nonce: u64, cost_wei: U256, now_unix_s: u64) {
        self.roll(now_unix_s);
        if self.reserved_wei.remove(&nonce).is_some() {
            self.spent_wei = self.spent_wei.saturating_add(cost_wei);
        }
    }

    /// Spent today, without reservations.
    #[must_use]
    pub fn spent_wei(&self) -> U256 {
        self.spent_wei
    }

    // A clock that steps back must not open a second budget for a day.
    fn roll(&mut self, now_unix_s: u64) {
        let today = now_unix_s / SECONDS_PER_DAY;
        if today > self.day {
            self.day = today;
            self.spent_wei = U256::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn wei(n: u64) -> U256 {
        U256::from(n)
    }

    #[test]
    fn reservations_and_costs_share_one_budget() {
        let mut spending = Spending::default();
        spending.reserve(1, wei(60), wei(100), 0).unwrap();
        let refused = spending.reserve(2, wei(50), wei(100), 0).unwrap_err();
        assert_eq!((refused.left_wei, refused.resets_at_unix_s), (wei(40), SECONDS_PER_DAY));
        spending.settle(1, wei(20), 0);
        spending.reserve(2, wei(80), wei(100), 0).unwrap();
        assert_eq!(spending.spent_wei(), wei(20));
    }

    #[test]
    fn a_replacement_takes_the_place_of_its_nonces_reservation() {
        let mut spending = Spending::default();
        spending.reserve(1, wei(60), wei(100), 0).unwrap();
        spending.reserve(1, wei(90), wei(100), 0).unwrap();
        assert!(spending.reserve(1, wei(101), wei(100), 0).is_err());
        spending.settle(1, wei(30), 0);
        spending.settle(1, wei(30), 0);
        assert_eq!(spending.spent_wei(), wei(30));
    }

    #[test]
    fn midnight_forgets_what_was_spent_but_not_what_is_reserved() {
        let mut spending = Spending::default();
        spending.reserve(1, wei(50), wei(100), 10).unwrap();
        spending.settle(1, wei(50), 20);
        spending.reserve(2, wei(40), wei(100), 30).unwrap();
        assert!(spending.reserve(3, wei(70), wei(100), SECONDS_PER_DAY).is_err());
        spending.reserve(3, wei(60), wei(100), SECONDS_PER_DAY).unwrap();
        // A clock that steps back stays in the new day.
        assert!(spending.reserve(4, wei(1), wei(100), 0).is_err());
    }

    #[test]
    fn a_day_survives_its_record() {
        let mut spending = Spending::default();
        spending.reserve(7, U256::MAX, U256::MAX, 0).unwrap();
        let record = serde_json::to_vec(&spending).unwrap();
        assert_eq!(serde_json::from_slice::<Spending>(&record).unwrap(), spending);
    }
}

//! What a signer spends per UTC day, against its budget and those of the rule
//! sets that it lands achievements for.
//!
//! A transaction reserves its worst case (gas limit × highest price) before
//! it is signed and settles for what its receipt says. Reservations outlive
//! midnight, since they may still be spent; what was spent does not. A rule
//! set answers for its share of a batch's items.

use std::collections::BTreeMap;

use alloy::primitives::U256;
use serde::{Deserialize, Serialize};

use crate::domain::{Name, unlock::decimal};

const SECONDS_PER_DAY: u64 = 86_400;

/// How many items each rule set has in a transaction.
pub type Shares = BTreeMap<Name, u64>;

/// One signer's day. The shell keeps it with the ledger's records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// Days since the Unix epoch.
    day: u64,
    #[serde(with = "decimal")]
    spent_wei: U256,
    // By nonce: all attempts of a nonce cost once.
    reserved_wei: BTreeMap<u64, U256>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    shares: BTreeMap<u64, Shares>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    spent_by_set_wei: BTreeMap<Name, U256>,
}

/// What may be spent in a day, in wei.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// By the signer.
    pub signer: U256,
    /// For the rule sets that have a budget of their own.
    pub rule_sets: BTreeMap<Name, U256>,
}

/// A reservation would pass a day's budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the day's budget {}of {budget_wei} wei has {left_wei} wei left, {needed_wei} are needed; \
     it is whole again at {resets_at_unix_s} (Unix time), or raise `{}`",
    self.whose(), self.key()
)]
pub struct OverBudget {
    /// Of this rule set; of the signer where there is none.
    pub rule_set: Option<Name>,
    /// The budget.
    pub budget_wei: U256,
    /// What is neither spent nor reserved.
    pub left_wei: U256,
    /// The worst case of the transaction, or of the rule set's share of it.
    pub needed_wei: U256,
    /// The next UTC midnight, in seconds since the Unix epoch.
    pub resets_at_unix_s: u64,
}

impl OverBudget {
    fn whose(&self) -> String {
        self.rule_set.as_ref().map_or_else(String::new, |set| format!("of rule set `{set}` "))
    }

    fn key(&self) -> &'static str {
        if self.rule_set.is_some() { "daily_budget" } else { "daily_budget_eth" }
    }
}

impl Spending {
    /// Reserves the worst case of a nonce's newest attempt, in place of what
    /// was reserved for the nonce before. `shares` are the items of each rule
    /// set in it; a nonce without items is the signer's own affair.
    ///
    /// # Errors
    /// When that would pass a budget; the earlier reservation then stands.
    pub fn reserve(
        &mut self,
        nonce: u64,
        worst_case_wei: U256,
        shares: &Shares,
        budgets: &Budgets,
        now_unix_s: u64,
    ) -> Result<(), Box<OverBudget>> {
        self.roll(now_unix_s);
        let resets_at_unix_s = (self.day + 1).saturating_mul(SECONDS_PER_DAY);
        let fits = |rule_set: Option<&Name>, held: U256, needed_wei: U256, budget_wei: U256| {
            if held.saturating_add(needed_wei) <= budget_wei {
                return Ok(());
            }
            let left_wei = budget_wei.saturating_sub(held);
            let rule_set = rule_set.cloned();
            let over = OverBudget { rule_set, budget_wei, left_wei, needed_wei, resets_at_unix_s };
            Err(Box::new(over))
        };
        let others = || self.reserved_wei.iter().filter(|(held, _)| **held != nonce);
        let held = others().fold(self.spent_wei, |sum, (_, wei)| sum.saturating_add(*wei));
        fits(None, held, worst_case_wei, budgets.signer)?;
        for set in shares.keys() {
            let Some(budget) = budgets.rule_sets.get(set) else { continue };
            let spent = self.spent_by_set_wei.get(set).copied().unwrap_or_default();
            let held = others().fold(spent, |sum, (nonce, wei)| {
                let shares = self.shares.get(nonce);
                sum.saturating_add(shares.map_or(U256::ZERO, |shares| part(*wei, shares, set)))
            });
            fits(Some(set), held, part(worst_case_wei, shares, set), *budget)?;
        }
        self.reserved_wei.insert(nonce, worst_case_wei);
        if shares.is_empty() {
            self.shares.remove(&nonce);
        } else {
            self.shares.insert(nonce, shares.clone());
        }
        Ok(())
    }

    /// A nonce cost this much (0 when a foreign transaction used it). Told
    /// again, it changes nothing.
    pub fn settle(&mut self, nonce: u64, cost_wei: U256, now_unix_s: u64) {
        self.roll(now_unix_s);
        let shares = self.shares.remove(&nonce).unwrap_or_default();
        if self.reserved_wei.remove(&nonce).is_none() {
            return;
        }
        self.spent_wei = self.spent_wei.saturating_add(cost_wei);
        for set in shares.keys() {
            let spent = self.spent_by_set_wei.entry(set.clone()).or_default();
            *spent = spent.saturating_add(part(cost_wei, &shares, set));
        }
    }

    /// What nonces under way may cost at most, but for this one.
    #[must_use]
    pub fn reserved_but_for(&self, nonce: u64) -> U256 {
        let others = self.reserved_wei.iter().filter(|(held, _)| **held != nonce);
        others.fold(U256::ZERO, |sum, (_, wei)| sum.saturating_add(*wei))
    }

    /// Spent on the day of this time, without reservations.
    #[must_use]
    pub fn spent_wei(&self, now_unix_s: u64) -> U256 {
        if self.is_over(now_unix_s) { U256::ZERO } else { self.spent_wei }
    }

    /// The same by rule set; those that spent something the day before have
    /// their zero.
    pub fn spent_by_set_wei(&self, now_unix_s: u64) -> impl Iterator<Item = (&Name, U256)> {
        let over = self.is_over(now_unix_s);
        let spent = move |wei: U256| if over { U256::ZERO } else { wei };
        self.spent_by_set_wei.iter().map(move |(set, wei)| (set, spent(*wei)))
    }

    fn is_over(&self, now_unix_s: u64) -> bool {
        now_unix_s / SECONDS_PER_DAY > self.day
    }

    // A clock that steps back must not open a second budget for a day.
    fn roll(&mut self, now_unix_s: u64) {
        if self.is_over(now_unix_s) {
            self.day = now_unix_s / SECONDS_PER_DAY;
            self.spent_wei = U256::ZERO;
            self.spent_by_set_wei.retain(|_, wei| !wei.is_zero());
            self.spent_by_set_wei.values_mut().for_each(|wei| *wei = U256::ZERO);
        }
    }
}

/// A rule set's part of a cost, rounded up: parts never come to less than the
/// whole.
fn part(wei: U256, shares: &Shares, set: &Name) -> U256 {
    let all: u64 = shares.values().sum();
    let own = shares.get(set).copied().unwrap_or_default();
    if own >= all {
        return wei;
    }
    // Above 2^192 wei nothing is left that a share could be taken of.
    let (own, all) = (U256::from(own), U256::from(all));
    wei.checked_mul(own).map_or(wei, |product| product.div_ceil(all))
}

#[cfg(test)]
mod tests;

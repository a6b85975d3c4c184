//! Budgets of the day: the signer's, and those of rule sets. One that is used
//! up holds whose it is and nobody else, and is told of once.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Bytes, U256, utils::format_ether};
use serde_json::{Value as Json, json};

use super::{SignerActor, Trouble, books::Books, unix_ms};
use crate::{
    actors::{
        market::{data_fee, risen},
        messages,
    },
    domain::{Name, UnlockId},
    signing::{
        ledger::Changes,
        spending::{Budgets, OverBudget, Shares},
    },
};

/// Budgets that were found to be used up: by rule set, or of the signer.
#[derive(Debug, Default)]
pub(super) struct Exhausted(BTreeMap<Option<Name>, Since>);

#[derive(Debug)]
struct Since {
    /// When it is looked at again: what is under way may cost less than it
    /// reserved.
    retry_at_unix_s: u64,
    /// Midnight: then it is told of anew.
    resets_at_unix_s: u64,
}

/// A used-up budget is looked at again so often, seconds.
const RETRY_EVERY_S: u64 = 30;

impl Exhausted {
    /// Notes it; true when that is news.
    fn note(&mut self, over: &OverBudget, now_unix_s: u64) -> bool {
        self.0.retain(|_, since| since.resets_at_unix_s > now_unix_s);
        let (retry_at_unix_s, resets_at_unix_s) =
            (now_unix_s + RETRY_EVERY_S, over.resets_at_unix_s);
        let since = Since { retry_at_unix_s, resets_at_unix_s };
        self.0.insert(over.rule_set.clone(), since).is_none()
    }

    fn sets(&self, now_unix_s: u64) -> impl Iterator<Item = &Name> {
        let held = self.0.iter().filter(move |(_, since)| since.retry_at_unix_s > now_unix_s);
        held.filter_map(|(set, _)| set.as_ref())
    }

    /// Whose they are.
    pub(super) fn shown(&self) -> Json {
        let whose = |set: &Option<Name>| match set {
            Some(set) => json!(set),
            None => json!("signer"),
        };
        self.0.keys().map(whose).collect()
    }
}

impl SignerActor {
    /// Rule sets that nothing new is signed for now.
    pub(super) fn held_sets(&self) -> BTreeSet<Name> {
        let mut held = self.spec.shared.pauses.now().rule_sets;
        held.extend(self.exhausted.sets(unix_ms() / 1000).cloned());
        held
    }

    /// Refuses what the signer could not pay for beside all that is under way:
    /// a node would take it or not, and no later nonce could be mined before it.
    pub(super) async fn require_balance(
        &mut self,
        books: &Books,
        nonce: u64,
        worst_wei: U256,
    ) -> Result<(), Trouble> {
        let address = self.spec.key.address();
        let balance = self.balance_now().await?;
        self.balance = Some((balance, self.balance.map_or(0, |(_, at)| at)));
        let needed = books.spending.reserved_but_for(nonce).saturating_add(worst_wei);
        if balance >= needed {
            return Ok(());
        }
        Err(Trouble::Held(format!(
            "{address} has {} ether, and what is under way and next may cost {}: fund it",
            format_ether(balance),
            format_ether(needed)
        )))
    }

    /// What a rollup may charge for posting a call's data.
    pub(super) async fn l1_fee(&self, calldata: &Bytes) -> Result<U256, Trouble> {
        let Some(oracle) = self.spec.l1_fee_oracle else { return Ok(U256::ZERO) };
        let fee = data_fee(&self.spec.link.client, oracle, calldata).await?.ok_or_else(|| {
            Trouble::Held(format!("{oracle} does not answer getL1Fee(bytes): is it the oracle?"))
        })?;
        Ok(risen(fee))
    }

    /// Reserves a nonce's worst case, not yet durably.
    pub(super) fn reserve(
        &self,
        books: &mut Books,
        nonce: u64,
        worst_wei: U256,
        items: &[UnlockId],
    ) -> Result<(), Box<OverBudget>> {
        let mut shares = Shares::new();
        for item in items.iter().filter_map(|id| books.ledger.item(*id)) {
            *shares.entry(item.request().rule_set.clone()).or_default() += 1;
        }
        let budgets = Budgets {
            signer: self.spec.config.daily_budget,
            rule_sets: (*self.spec.set_budgets).clone(),
        };
        books.spending.reserve(nonce, worst_wei, &shares, &budgets, unix_ms() / 1000)
    }

    /// A batch does not fit into a budget. Returns whether to go on with another.
    pub(super) async fn over_budget(
        &mut self,
        books: &mut Books,
        over: Box<OverBudget>,
    ) -> Result<bool, Trouble> {
        if self.exhausted.note(&over, unix_ms() / 1000) {
            tracing::warn!(signer = %self.name(), "{over}");
            let mark = self.mark();
            let notice = messages::signer_notice(self.name(), &over.to_string(), &mark)?;
            self.notices.push(notice);
            self.commit(books, Changes::default(), Vec::new()).await?;
        }
        if over.rule_set.is_some() { Ok(true) } else { Err(Trouble::Held(over.to_string())) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_used_up_budget_is_told_of_once_a_day_and_looked_at_again() {
        let set = Name::new("quests").unwrap();
        let over = OverBudget {
            rule_set: Some(set.clone()),
            budget_wei: U256::ZERO,
            left_wei: U256::ZERO,
            needed_wei: U256::ZERO,
            resets_at_unix_s: 1_000,
        };
        let mut exhausted = Exhausted::default();
        assert!(exhausted.note(&over, 100));
        assert_eq!(exhausted.sets(129).collect::<Vec<_>>(), [&set]);
        assert_eq!(exhausted.sets(130).count(), 0, "it may have room again");
        assert!(!exhausted.note(&over, 131));
        let signers = OverBudget { rule_set: None, ..over.clone() };
        assert!(exhausted.note(&signers, 140));
        assert_eq!(exhausted.shown(), json!(["signer", "quests"]));
        assert!(exhausted.note(&OverBudget { resets_at_unix_s: 2_000, ..over }, 1_000));
        assert_eq!(exhausted.shown(), json!(["quests"]));
    }
}

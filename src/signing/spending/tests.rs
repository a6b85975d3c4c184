//! Budgets are kept, whoever's they are.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn wei(n: u64) -> U256 {
    U256::from(n)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn shares(of: &[(&str, u64)]) -> Shares {
    of.iter().map(|(set, items)| (name(set), *items)).collect()
}

fn budgets(signer: u64, rule_sets: &[(&str, u64)]) -> Budgets {
    let rule_sets = rule_sets.iter().map(|(set, budget)| (name(set), wei(*budget))).collect();
    Budgets { signer: wei(signer), rule_sets }
}

fn reserve(
    spending: &mut Spending,
    nonce: u64,
    worst: u64,
    now: u64,
) -> Result<(), Box<OverBudget>> {
    spending.reserve(nonce, wei(worst), &Shares::new(), &budgets(100, &[]), now)
}

#[test]
fn reservations_and_costs_share_one_budget() {
    let mut spending = Spending::default();
    reserve(&mut spending, 1, 60, 0).unwrap();
    let refused = reserve(&mut spending, 2, 50, 0).unwrap_err();
    assert_eq!((refused.left_wei, refused.resets_at_unix_s), (wei(40), SECONDS_PER_DAY));
    assert!(refused.to_string().contains("raise `daily_budget_eth`"), "{refused}");
    spending.settle(1, wei(20), 0);
    reserve(&mut spending, 2, 80, 0).unwrap();
    assert_eq!(spending.spent_wei(0), wei(20));
}

#[test]
fn a_replacement_takes_the_place_of_its_nonces_reservation() {
    let mut spending = Spending::default();
    reserve(&mut spending, 1, 60, 0).unwrap();
    reserve(&mut spending, 1, 90, 0).unwrap();
    assert!(reserve(&mut spending, 1, 101, 0).is_err());
    spending.settle(1, wei(30), 0);
    spending.settle(1, wei(30), 0);
    assert_eq!(spending.spent_wei(0), wei(30));
}

#[test]
fn what_was_spent_is_shown_until_midnight() {
    let mut spending = Spending::default();
    let all = budgets(1_000, &[]);
    spending.reserve(1, wei(60), &shares(&[("a", 1), ("b", 2)]), &all, 0).unwrap();
    spending.settle(1, wei(30), 0);
    let shown = |spending: &Spending, now| -> Vec<(String, U256)> {
        let by_set = spending.spent_by_set_wei(now);
        by_set.map(|(set, spent)| (set.to_string(), spent)).collect()
    };
    let told = |a, b| vec![("a".to_owned(), wei(a)), ("b".to_owned(), wei(b))];
    assert_eq!(shown(&spending, SECONDS_PER_DAY - 1), told(10, 20));
    assert_eq!(spending.spent_wei(SECONDS_PER_DAY - 1), wei(30));
    // Also when nothing is spent on the next day.
    assert_eq!(shown(&spending, SECONDS_PER_DAY), told(0, 0));
    assert_eq!(spending.spent_wei(SECONDS_PER_DAY), wei(0));
    spending.settle(9, wei(0), SECONDS_PER_DAY);
    assert_eq!(shown(&spending, SECONDS_PER_DAY), told(0, 0));
    // A rule set that is gone is shown for a day.
    spending.settle(9, wei(0), 2 * SECONDS_PER_DAY);
    assert_eq!(shown(&spending, 2 * SECONDS_PER_DAY), []);
}

#[test]
fn midnight_forgets_what_was_spent_but_not_what_is_reserved() {
    let mut spending = Spending::default();
    reserve(&mut spending, 1, 50, 10).unwrap();
    spending.settle(1, wei(50), 20);
    reserve(&mut spending, 2, 40, 30).unwrap();
    assert!(reserve(&mut spending, 3, 70, SECONDS_PER_DAY).is_err());
    reserve(&mut spending, 3, 60, SECONDS_PER_DAY).unwrap();
    // A clock that steps back stays in the new day.
    assert!(reserve(&mut spending, 4, 1, 0).is_err());
}

#[test]
fn a_rule_set_answers_for_its_share_and_stops_alone() {
    let mut spending = Spending::default();
    let budgets = budgets(1_000, &[("quests", 30)]);
    let both = shares(&[("quests", 1), ("votes", 3)]);
    spending.reserve(1, wei(100), &both, &budgets, 0).unwrap();
    let refused = spending.reserve(2, wei(100), &both, &budgets, 0).unwrap_err();
    assert_eq!(refused.rule_set, Some(name("quests")));
    assert_eq!((refused.left_wei, refused.needed_wei), (wei(5), wei(25)));
    assert!(refused.to_string().contains("of rule set `quests`"), "{refused}");
    let votes = shares(&[("votes", 4)]);
    spending.reserve(2, wei(100), &votes, &budgets, 0).unwrap();
    // It cost less than was reserved: there is room again.
    spending.settle(1, wei(41), 0);
    let spent = |spending: &Spending, now| {
        spending.spent_by_set_wei(now).find(|(set, _)| **set == name("quests")).map(|(_, wei)| wei)
    };
    assert_eq!(spent(&spending, 0), Some(wei(11)));
    spending.reserve(3, wei(76), &both, &budgets, 0).unwrap();
    // Tomorrow it begins anew, but for what is under way.
    assert!(spending.reserve(4, wei(48), &both, &budgets, SECONDS_PER_DAY).is_err());
    spending.reserve(4, wei(44), &both, &budgets, SECONDS_PER_DAY).unwrap();
    assert_eq!(spent(&spending, SECONDS_PER_DAY), Some(wei(0)));
}

#[test]
fn a_day_survives_its_record() {
    let mut spending = Spending::default();
    let all = Budgets { signer: U256::MAX, rule_sets: BTreeMap::new() };
    spending.reserve(7, U256::MAX, &shares(&[("a", 1), ("b", 2)]), &all, 0).unwrap();
    let record = serde_json::to_vec(&spending).unwrap();
    assert_eq!(serde_json::from_slice::<Spending>(&record).unwrap(), spending);
    // As it was written before rule sets had budgets.
    let old = r#"{"day":3,"spent_wei":"5","reserved_wei":{"1":"0x2"}}"#;
    let old: Spending = serde_json::from_str(old).unwrap();
    assert_eq!(old.spent_wei(3 * SECONDS_PER_DAY), wei(5));
}

proptest! {
    /// Whatever is reserved and settled: the sum of worst cases under way and of
    /// what was spent never passes a budget, when nothing costs more than its
    /// worst case.
    #[test]
    fn no_order_of_events_passes_a_budget(
        steps in prop::collection::vec(
            (0..6_u64, 1..60_u64, 0..4_u64, 0..4_u64, 0..101_u64, any::<bool>()), 1..60,
        ),
    ) {
        let budgets = budgets(100, &[("a", 40)]);
        let (mut spending, mut spent, mut spent_a) = (Spending::default(), 0, U256::ZERO);
        let mut reserved: BTreeMap<u64, (u64, Shares)> = BTreeMap::new();
        for (nonce, worst, a, b, percent, settles) in steps {
            if settles {
                if let Some((worst, shares)) = reserved.remove(&nonce) {
                    let cost = worst * percent.min(100) / 100;
                    spending.settle(nonce, wei(cost), 0);
                    spent += cost;
                    spent_a += if shares.is_empty() { wei(0) } else { part(wei(cost), &shares, &name("a")) };
                }
                continue;
            }
            let shares: Shares = shares(&[("a", a), ("b", b)]).into_iter().filter(|(_, n)| *n > 0).collect();
            if spending.reserve(nonce, wei(worst), &shares, &budgets, 0).is_ok() {
                reserved.insert(nonce, (worst, shares));
            }
            let all: u64 = reserved.values().map(|(worst, _)| worst).sum();
            prop_assert!(all + spent <= 100);
            let of_a = reserved.values().filter(|(_, shares)| shares.contains_key(&name("a")));
            let of_a = of_a.fold(spent_a, |sum, (worst, shares)| sum + part(wei(*worst), shares, &name("a")));
            prop_assert!(of_a <= wei(40));
            prop_assert_eq!(spending.spent_wei(0), wei(spent));
        }
    }
}

//! What holding something gives.

use serde_json::json;

use super::*;
use crate::governance::{BenefitSource, InvalidSettings, queries};

fn multiplier(history: &History, holder: u8) -> u32 {
    queries::benefits(&history.state, address(holder)).map_or(10_000, |b| b.multiplier_bps)
}

fn unlocked(user: u8, id: u64) -> Json {
    json!({ "user": person(user), "id": text(id), "token_id": text(id), "proof_data": "0x" })
}

fn badge(bps: u32) -> Vec<BenefitRule> {
    vec![rule("gold", "badge", bps, Stack::Max, None)]
}

#[test]
fn a_vote_carries_the_benefits_at_its_position_not_later_ones() {
    let mut history = History::of(badge(20_000));
    history.begin(1).create(7, 10, 20).mint("badge", 1, 1).begin(11);
    history.vote(7, 1, 1, 10).transfer("badge", 1, 2, 1).vote(7, 2, 1, 10).begin(12);
    history.transfer("badge", 2, 3, 1).vote(7, 3, 0, 10);
    history.transfer("badge", 3, 4, 1).vote(7, 5, 0, 10);
    let seen: Vec<_> = history
        .votes()
        .iter()
        .map(|vote| (vote.benefits.multiplier_bps, vote.effective_weight, vote.benefits.as_of))
        .collect();
    let ten = U256::from(10);
    let twenty = U256::from(20);
    assert_eq!(
        seen,
        [
            (20_000, twenty, position(11, 0)),
            (20_000, twenty, position(11, 2)),
            (20_000, twenty, position(12, 1)),
            (10_000, ten, position(12, 3)),
        ]
    );
    let (_, voters) = queries::proposal(&history.state, U256::from(7)).unwrap();
    assert_eq!(voters[0].vote.effective.in_favour, twenty, "what came later changes no vote");
}

#[test]
fn a_transfer_before_the_vote_within_one_block_takes_the_benefit_away() {
    let mut history = History::of(badge(20_000));
    history.begin(1).create(7, 10, 20).mint("badge", 1, 1).begin(11);
    history.transfer("badge", 1, 2, 1).vote(7, 1, 1, 10);
    assert!(history.votes()[0].benefits.sources.is_empty());
}

#[test]
fn of_max_rules_the_largest_counts_and_sum_rules_add() {
    let mut history = History::of(vec![
        rule("a", "nft-a", 12_000, Stack::Max, None),
        rule("b", "nft-b", 15_000, Stack::Max, None),
        rule("c", "nft-c", 11_000, Stack::Sum, None),
        rule("d", "nft-d", 10_500, Stack::Sum, None),
    ]);
    history.begin(1).mint("nft-a", 1, 1);
    assert_eq!(multiplier(&history, 1), 12_000);
    history.mint("nft-b", 1, 1);
    assert_eq!(multiplier(&history, 1), 15_000);
    history.mint("nft-c", 1, 1);
    assert_eq!(multiplier(&history, 1), 16_000);
    history.mint("nft-d", 1, 1);
    assert_eq!(multiplier(&history, 1), 16_500);
}

#[test]
fn the_smallest_cap_of_the_rules_that_apply_bounds_the_whole() {
    let mut history = History::of(vec![
        rule("a", "nft-a", 30_000, Stack::Max, Some(25_000)),
        rule("b", "nft-b", 20_000, Stack::Sum, Some(22_000)),
        rule("c", "nft-c", 10_000, Stack::Sum, Some(10_000)),
    ]);
    history.begin(1).mint("nft-a", 1, 1);
    assert_eq!(multiplier(&history, 1), 25_000);
    history.mint("nft-b", 1, 1);
    assert_eq!(multiplier(&history, 1), 22_000);
    history.mint("nft-c", 2, 1);
    assert_eq!(multiplier(&history, 1), 22_000, "a cap of a rule that does not apply");
}

#[test]
fn stacked_multipliers_do_not_overflow() {
    let rules = (0..10)
        .map(|n| rule(&format!("r{n}"), "badge", u32::MAX, Stack::Sum, None))
        .collect::<Vec<_>>();
    let mut history = History::of(rules);
    history.begin(1).mint("badge", 1, 1);
    assert_eq!(multiplier(&history, 1), u32::MAX);
}

#[test]
fn several_tokens_give_a_benefit_once_and_say_how_many_they_are() {
    let mut history = History::of(badge(20_000));
    history.begin(1).mint("badge", 1, 1).mint("badge", 1, 2);
    let benefits = queries::benefits(&history.state, address(1)).unwrap();
    assert_eq!(benefits.multiplier_bps, 20_000);
    assert_eq!(benefits.sources, [BenefitSource { name: name("gold"), held: 2 }]);
}

#[test]
fn only_a_real_change_is_told() {
    let mut rules = badge(20_000);
    rules.push(BenefitRule {
        achievement_ids: Some(vec![U256::from(5)]),
        ..rule("steady", "awards", 11_000, Stack::Sum, None)
    });
    let mut history = History::of(rules);
    history.begin(1).mint("badge", 1, 1).transfer("badge", 1, 1, 1);
    history.log("awards", "achievement_unlocked", unlocked(1, 6));
    history.log("awards", "achievement_unlocked", unlocked(1, 5));
    history.log("awards", "achievement_unlocked", unlocked(1, 5));
    history.transfer("badge", 1, 2, 1);
    let told: Vec<_> = history
        .benefit_changes()
        .iter()
        .map(|change| {
            let before = change.before.as_ref().map(|benefits| benefits.multiplier_bps);
            (change.holder, before, change.after.multiplier_bps)
        })
        .collect();
    assert_eq!(
        told,
        [
            (address(1), None, 20_000),
            (address(1), Some(20_000), 21_000),
            (address(1), Some(21_000), 11_000),
            (address(2), None, 20_000),
        ]
    );
    assert_eq!(history.benefit_changes()[1].after.as_of, position(1, 3));
}

/// Thresholds: one badge gives something, three give more.
#[test]
fn so_many_tokens_are_a_threshold() {
    let mut history = History::of(vec![
        rule("one", "badge", 11_000, Stack::Max, None),
        BenefitRule { at_least: 3, ..rule("three", "badge", 15_000, Stack::Max, None) },
    ]);
    history.begin(1);
    let mut multipliers = Vec::new();
    for token in 1..=4 {
        history.mint("badge", 1, token);
        multipliers.push(multiplier(&history, 1));
    }
    history.transfer("badge", 1, 2, 1).transfer("badge", 1, 2, 2);
    multipliers.push(multiplier(&history, 1));
    assert_eq!(multipliers, [11_000, 11_000, 15_000, 15_000, 11_000]);
}

/// Gates: what a holder may do, without any weight.
#[test]
fn grants_are_those_of_all_rules_that_apply_and_end_with_them() {
    let grants = |names: &[&str]| names.iter().map(|it| name(it)).collect::<Vec<_>>();
    let mut history = History::of(vec![
        BenefitRule {
            grants: grants(&["forum", "propose"]),
            ..rule("member", "badge", 10_000, Stack::Max, None)
        },
        BenefitRule {
            at_least: 2,
            grants: grants(&["forum", "veto"]),
            ..rule("elder", "badge", 10_000, Stack::Max, None)
        },
    ]);
    let granted = |history: &History| {
        let benefits = queries::benefits(&history.state, address(1));
        let grants = benefits.map(|it| it.grants).unwrap_or_default();
        grants.iter().map(|it| it.to_string()).collect::<Vec<_>>().join(" ")
    };
    history.begin(1).mint("badge", 1, 1);
    assert_eq!(granted(&history), "forum propose");
    history.mint("badge", 1, 2);
    assert_eq!(granted(&history), "forum propose veto");
    history.transfer("badge", 1, 2, 2).transfer("badge", 1, 2, 1);
    assert_eq!(granted(&history), "");
    let changes = history.benefit_changes().len();
    assert_eq!(changes, 6, "each of them is told, though no weight changed");
}

#[test]
fn achievements_count_by_id_and_until_they_are_revoked() {
    let mut history = History::of(vec![
        BenefitRule {
            achievement_ids: Some(vec![U256::from(5), U256::from(6)]),
            ..rule("listed", "awards", 12_000, Stack::Sum, None)
        },
        rule("any", "awards", 11_000, Stack::Sum, None),
    ]);
    history.begin(1).log("awards", "achievement_unlocked", unlocked(1, 9));
    assert_eq!(multiplier(&history, 1), 11_000);
    history.log("awards", "achievement_unlocked", unlocked(1, 5));
    assert_eq!(multiplier(&history, 1), 13_000);
    let mut revoked = unlocked(1, 5);
    revoked["reason"] = json!("0x");
    history.log("awards", "achievement_revoked", revoked.clone());
    assert_eq!(multiplier(&history, 1), 11_000);
    revoked["id"] = json!("9");
    history.log("awards", "achievement_revoked", revoked);
    assert!(queries::holders(&history.state).is_empty());
    assert!(everything(&history.state).is_empty(), "nothing is left of who holds nothing");
}

#[test]
fn a_burned_token_gives_nothing_however_the_burn_is_told() {
    let mut history = History::of(badge(20_000));
    history.begin(1).mint("badge", 1, 1).mint("badge", 2, 2);
    history.log("badge", "burned", json!({ "from": person(1), "token_id": "1" }));
    history.transfer("badge", 2, 0, 2);
    assert!(everything(&history.state).is_empty());
}

#[test]
fn a_token_never_seen_minted_takes_nothing_from_its_former_holder() {
    let mut history = History::of(badge(20_000));
    history.begin(1).mint("badge", 1, 2).transfer("badge", 1, 3, 1);
    assert_eq!((multiplier(&history, 1), multiplier(&history, 3)), (20_000, 20_000));
}

#[test]
fn all_holders_are_listed_with_what_they_have() {
    let mut history = History::of(badge(20_000));
    history.begin(1).mint("badge", 2, 1).mint("badge", 1, 2).mint("badge", 3, 3);
    history.transfer("badge", 3, 1, 3);
    let holders: Vec<_> = queries::holders(&history.state)
        .into_iter()
        .map(|view| (view.holder, view.benefits.sources[0].held))
        .collect();
    assert_eq!(holders, [(address(1), 2), (address(2), 1)]);
}

#[test]
fn rules_that_can_not_mean_what_they_say_are_refused() {
    let refused = |rules| {
        let settings = Settings {
            chain_id: CHAIN,
            governor: name("dao"),
            clock: Clock::Block,
            grace_period_s: None,
            counting: Counting::Standard,
            benefits: rules,
        };
        Governance::new(settings).unwrap_err()
    };
    let a = || rule("a", "badge", 20_000, Stack::Max, None);
    assert!(matches!(refused(vec![a(), a()]), InvalidSettings::DuplicateName { .. }));
    assert_eq!(
        refused(vec![BenefitRule { weight_multiplier_bps: 2, ..a() }]).to_string(),
        "weight_multiplier_bps of benefit `a` is 2, less than 10000 (1x): a benefit never takes \
         weight away; write 20000 for 2x"
    );
    let capped = BenefitRule { cap_bps: Some(200), ..a() };
    assert!(matches!(refused(vec![capped]), InvalidSettings::CapBelowOne { .. }));
    let empty = BenefitRule { achievement_ids: Some(Vec::new()), ..a() };
    assert!(matches!(refused(vec![empty]), InvalidSettings::NoAchievementIds { .. }));
    let governor = BenefitRule { nft: name("dao"), ..a() };
    assert!(matches!(refused(vec![governor]), InvalidSettings::GovernorGivesNothing { .. }));
}

#[test]
fn a_rule_reads_from_toml_with_ids_as_numbers_or_decimal_strings() {
    let text = "name = \"steady\"\nnft = \"awards\"\nachievement_ids = [5, \"12\"]\n\
                weight_multiplier_bps = 12000\ncap_bps = 20000";
    let rule: BenefitRule = toml::from_str(text).unwrap();
    assert_eq!(rule.achievement_ids, Some(vec![U256::from(5), U256::from(12)]));
    assert_eq!(rule.stack, Stack::Max);
    let json = serde_json::to_value(&rule).unwrap();
    assert_eq!(json["achievement_ids"], json!(["5", "12"]));
    assert_eq!(serde_json::from_value::<BenefitRule>(json).unwrap(), rule);
    assert!(toml::from_str::<BenefitRule>(&format!("{text}\nmultiplier = 1")).is_err());
    let refused = toml::from_str::<BenefitRule>(&text.replace("12\"", "0x12\"")).unwrap_err();
    assert!(refused.to_string().contains("expected an id: a whole number"), "{refused}");
}

#[test]
fn other_settings_have_another_version() {
    let version = |bps| History::of(badge(bps)).governance.version();
    assert_eq!(version(12_000), version(12_000));
    assert_ne!(version(12_000), version(12_001));
}

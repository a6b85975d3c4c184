//! What held tokens change in governance.

use std::collections::BTreeSet;

use super::Checker;
use crate::{
    config::{
        Benefit, Contract, ContractKind, StackKind,
        amount::{parse_decimal, parse_units},
        raw::RawBenefit,
    },
    domain::Name,
};

/// The most tokens that a benefit may ask for.
const AT_LEAST_MAX: u64 = 1_000_000;

pub(super) fn check_benefits(
    c: &mut Checker<'_>,
    raw: Vec<RawBenefit>,
    contracts: &[Contract],
    contract_names: &BTreeSet<Name>,
) -> Vec<Benefit> {
    let mut names = BTreeSet::new();
    let mut benefits = Vec::new();
    for (i, benefit) in raw.into_iter().enumerate() {
        let key = |part: &str| format!("benefits[{i}].{part}");
        let name = c.name(&key("name"), &benefit.name, &mut names);
        let nft = c.reference(&key("nft"), &benefit.nft, "contract", contract_names);
        let contract = contracts.iter().find(|k| Some(&k.name) == nft.as_ref());
        let kind = contract.map(|k| k.kind);
        if contract.is_some_and(|contract| contract.address().is_none()) {
            let why = "a factory creates contracts of this name, whose tokens have the same ids";
            c.problem(&key("nft"), Some(&benefit.nft), why, "name a contract with an address");
        }
        if !matches!(kind, None | Some(ContractKind::Erc721 | ContractKind::Achievements)) {
            let why = "not a contract of tokens";
            let remedy = "name one of kind erc721 or achievements";
            c.problem(&key("nft"), Some(&benefit.nft), why, remedy);
        }
        let achievement_ids = benefit.achievement_ids.map(|ids| {
            if kind == Some(ContractKind::Erc721) {
                let why = "only a contract of kind achievements has achievement ids";
                c.problem(&key("achievement_ids"), None, why, "remove the key");
            }
            ids.iter()
                .filter_map(|id| {
                    let parsed = parse_decimal(&id.0, 0);
                    if parsed.is_none() {
                        let remedy = "give whole numbers";
                        c.problem(&key("achievement_ids"), Some(&id.0), "not an id", remedy);
                    }
                    parsed
                })
                .collect()
        });
        let at_least = benefit.at_least.unwrap_or(1);
        if !(1..=AT_LEAST_MAX).contains(&at_least) {
            let remedy = "give a whole number from 1 to 1000000";
            c.problem(&key("at_least"), Some(&at_least.to_string()), "out of range", remedy);
        }
        let mut granted = BTreeSet::new();
        let grants: Vec<Name> = benefit
            .grants
            .iter()
            .filter_map(|it| c.name(&key("grants"), it, &mut granted))
            .collect();
        let mut multiplier = |part: &str, text: &str| {
            let parsed = parse_units(text, 4).filter(|bps| (10_000..=1_000_000).contains(bps));
            if parsed.is_none() {
                let remedy = "give \"1\" to \"100\" with at most 4 decimals";
                c.problem(&key(part), Some(text), "not a multiplier", remedy);
            }
            parsed
        };
        let weight = match benefit.weight_multiplier {
            Some(weight) => multiplier("weight_multiplier", &weight.0),
            // What only lets its holder do something changes no weight.
            None => Some(10_000),
        };
        let is_idle = benefit.grants.is_empty() && weight == Some(10_000) && benefit.cap.is_none();
        let cap_bps = benefit.cap.and_then(|cap| multiplier("cap", &cap.0));
        if is_idle {
            let remedy = "give a `weight_multiplier` above 1, or `grants`";
            c.problem(&key("weight_multiplier"), None, "it changes nothing", remedy);
        }
        if let (Some(name), Some(nft), Some(weight_multiplier_bps)) = (name, nft, weight) {
            let stack = benefit.stack.unwrap_or(StackKind::Max);
            benefits.push(Benefit {
                name,
                nft,
                achievement_ids,
                at_least,
                grants,
                weight_multiplier_bps,
                stack,
                cap_bps,
            });
        }
    }
    benefits
}

//! What a configuration means, as far as no chain and no broker is needed:
//! decoders, rule sets, governance and keys.

mod catalog;
mod contract;
mod key;

use std::{collections::BTreeMap, sync::Arc};

use self::{
    catalog::catalog,
    contract::{adapters, calls_of, clock_of, counting_of, not_created},
    key::load_key,
};
use crate::{
    chain::adapters::Adapter,
    config::{self, Config, StackKind},
    domain::{Name, OnRetract},
    facts::{FactSource, WebhookSecret},
    governance::{BenefitRule, Governance, InvalidSettings, Settings, Stack},
    rules::{Catalog, RuleError, RuleSet},
    signing::{calls::Calls, keys::SignerKey},
};

/// What a configuration means, checked as far as no chain is needed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decoders by contract.
    pub adapters: BTreeMap<Name, Adapter>,
    /// Compiled rule sets.
    pub rule_sets: Vec<Arc<RuleSet>>,
    /// Governance folds by governor.
    pub governors: BTreeMap<Name, Governance>,
    /// Who says facts, in the configuration's order.
    pub facts: Vec<Arc<FactSource>>,
    /// Keys by signer.
    pub keys: BTreeMap<Name, Arc<SignerKey>>,
    /// How achievements contracts are called.
    pub calls: BTreeMap<Name, Arc<Calls>>,
}

/// Why a configuration means nothing; all that was found.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problems.join("\n"))]
pub struct PlanError {
    /// One line each, with place and remedy.
    pub problems: Vec<String>,
}

/// Compiles adapters, rules, governance and keys.
///
/// # Errors
/// All problems at once.
pub fn plan(config: &Config) -> Result<Plan, PlanError> {
    let mut problems = Vec::new();
    let adapters = adapters(config, &mut problems);
    for (i, contract) in config.contracts.iter().enumerate() {
        let wrong = not_created(config, &adapters, contract);
        problems.extend(wrong.map(|(key, why)| {
            let file = config.said_by("contracts");
            format!("{file}: contracts[{i}].created_by.{key} (`{}`): {why}", contract.name)
        }));
    }
    let mut calls = BTreeMap::new();
    for (i, contract) in config.contracts.iter().enumerate() {
        match calls_of(contract) {
            Ok(found) => _ = calls.insert(contract.name.clone(), Arc::new(found)),
            Err((key, error)) => problems.push(format!(
                "{}: contracts[{i}].calls.{key} (`{}`): {error}",
                config.said_by("contracts"),
                contract.name,
            )),
        }
    }
    let catalog = catalog(config, &adapters);
    let mut rule_sets: Vec<Arc<RuleSet>> = Vec::new();
    for file in &config.rules {
        let shown = file.path.display().to_string();
        match RuleSet::compile(&shown, &file.text, &catalog) {
            Ok(set) => {
                if let Some(other) = rule_sets.iter().find(|other| other.id() == set.id()) {
                    problems.push(format!(
                        "{shown}: id = `{}`: another file has a rule set of this id; give each its own",
                        other.id()
                    ));
                }
                problems.extend(misplaced_signers(config, &shown, &set));
                problems.extend(irrevocable(&calls, &shown, &set));
                rule_sets.push(Arc::new(set));
            }
            Err(errors) => problems.extend(errors.iter().map(RuleError::to_string)),
        }
    }
    problems.extend(indistinct(&calls, config, &rule_sets));
    let mut governors = BTreeMap::new();
    // The proposals of many governors under one name can't be told apart.
    let followed = |c: &&config::Contract| c.kind.is_governor() && c.address().is_some();
    for contract in config.contracts.iter().filter(followed) {
        match governance(config, contract) {
            Ok(governance) => {
                governors.insert(contract.name.clone(), governance);
            }
            Err(error) => problems.push(format!(
                "{}: benefits, for governor `{}`: {}",
                config.said_by("benefits"),
                contract.name,
                whole(&error)
            )),
        }
    }
    let mut facts = Vec::new();
    for (i, source) in config.facts.iter().enumerate() {
        let secret = source.hmac.as_ref().map(config::SecretRef::resolve).transpose();
        match secret {
            Ok(secret) => facts.push(Arc::new(FactSource {
                name: source.name.clone(),
                events: source.events.clone(),
                signers: source.signers.clone(),
                secret: secret.map(|secret| WebhookSecret::new(secret.expose())),
            })),
            Err(error) => problems.push(format!(
                "{}: facts[{i}].hmac (`{}`): {}",
                config.said_by("facts"),
                source.name,
                whole(&error)
            )),
        }
    }
    let mut keys = BTreeMap::new();
    for (i, signer) in config.signers.iter().enumerate() {
        match load_key(&signer.key) {
            Ok(key) => {
                keys.insert(signer.name.clone(), Arc::new(key));
            }
            Err(error) => problems.push(format!(
                "{}: signers[{i}].key (`{}`): {}",
                config.said_by("signers"),
                signer.name,
                whole(&error)
            )),
        }
    }
    if problems.is_empty() {
        Ok(Plan { adapters, rule_sets, governors, facts, keys, calls })
    } else {
        Err(PlanError { problems })
    }
}

/// What rules can refer to, and how each contract's logs are decoded: all that is
/// needed to try a rule set, without keys.
///
/// # Errors
/// All problems at once.
pub fn references(config: &Config) -> Result<(BTreeMap<Name, Adapter>, Catalog), PlanError> {
    let mut problems = Vec::new();
    let adapters = adapters(config, &mut problems);
    let catalog = catalog(config, &adapters);
    if problems.is_empty() { Ok((adapters, catalog)) } else { Err(PlanError { problems }) }
}

/// An error with its causes.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(&format!(": {said}"));
        }
        cause = error.source();
    }
    text
}

/// Where calls don't say which achievement they are about, two would be one.
fn indistinct(
    calls: &BTreeMap<Name, Arc<Calls>>,
    config: &Config,
    sets: &[Arc<RuleSet>],
) -> Vec<String> {
    let unnamed = calls.iter().filter(|(_, calls)| !calls.names_ids());
    let told = unnamed.filter_map(|(contract, _)| {
        let of_contract = sets.iter().filter(|set| set.achievements_contract() == contract);
        let mut ids = of_contract
            .flat_map(|set| set.achievements())
            .flat_map(|it| (1..=it.cap()).map(|time| it.id_of(time)));
        let (first, second) = (ids.next()?, ids.next()?);
        Some(format!(
            "{}: contract `{contract}`: its calls don't say which achievement they are about, and \
             rule sets give several there ({first}, {second}, …): name an argument `id`, or give \
             each a contract of its own",
            config.said_by("contracts"),
        ))
    });
    told.collect()
}

/// What can't be taken back must not be promised to be.
fn irrevocable(calls: &BTreeMap<Name, Arc<Calls>>, file: &str, set: &RuleSet) -> Vec<String> {
    let contract = set.achievements_contract();
    if calls.get(contract).is_none_or(|calls| calls.can_revoke()) {
        return Vec::new();
    }
    let revoked = set.achievements().iter().filter(|it| it.on_retract == OnRetract::Revoke);
    let told = |achievement: &crate::rules::Achievement| {
        format!(
            "{file}: achievement `{}`: contract `{contract}` has no call to take it back; give \
             `calls.revoke` there, or say on_retract = \"alert\" or \"keep\" here",
            achievement.name
        )
    };
    revoked.map(told).collect()
}

/// A signer can only reach contracts of its own chain.
fn misplaced_signers(config: &Config, file: &str, set: &RuleSet) -> Vec<String> {
    let Some(contract) = config.contract(set.achievements_contract()) else { return Vec::new() };
    let signer_of = |name: &Name| config.signers.iter().find(|signer| signer.name == *name);
    set.achievements()
        .iter()
        .flat_map(|achievement| achievement.signers.iter().map(move |name| (achievement, name)))
        .filter_map(|(achievement, name)| Some((achievement, signer_of(name)?)))
        .filter(|(_, signer)| signer.chain != contract.chain)
        .map(|(achievement, signer)| {
            format!(
                "{file}: achievement `{}`: signer `{}` signs for chain `{}`, and `{}` is on `{}`; \
                 name a signer of that chain",
                achievement.name, signer.name, signer.chain, contract.name, contract.chain
            )
        })
        .collect()
}

fn governance(config: &Config, governor: &config::Contract) -> Result<Governance, InvalidSettings> {
    let on_chain = |benefit: &&config::Benefit| {
        config.contract(&benefit.nft).is_some_and(|nft| nft.chain == governor.chain)
    };
    let rule = |benefit: &config::Benefit| BenefitRule {
        name: benefit.name.clone(),
        nft: benefit.nft.clone(),
        achievement_ids: benefit.achievement_ids.clone(),
        at_least: benefit.at_least,
        grants: benefit.grants.clone(),
        weight_multiplier_bps: benefit.weight_multiplier_bps,
        stack: match benefit.stack {
            StackKind::Max => Stack::Max,
            StackKind::Sum => Stack::Sum,
        },
        cap_bps: benefit.cap_bps,
    };
    Governance::new(Settings {
        chain_id: config.chain(&governor.chain).map(|chain| chain.chain_id).unwrap_or_default(),
        governor: governor.name.clone(),
        clock: clock_of(governor),
        grace_period_s: governor.grace_period_s,
        counting: counting_of(governor),
        benefits: config.benefits.iter().filter(on_chain).map(rule).collect(),
    })
}

//! What a configuration means, as far as no chain and no broker is needed:
//! decoders, rule sets, governance and keys.

use std::{collections::BTreeMap, sync::Arc};

use zeroize::Zeroizing;

use alloy::primitives::Address;

use crate::{
    chain::adapters::{Adapter, AdapterError, Kind},
    config::{
        self, Config, ContractKind, GovernorClock, GovernorCounting, KmsService, Place,
        SecretError, SignerKeySource, StackKind,
    },
    domain::{FieldSchema, FieldType, Name, OnRetract, off_chain::chain_id},
    facts::{FactSource, ID_FIELD, KIND, WebhookSecret},
    governance::{BenefitRule, Clock, Counting, Governance, InvalidSettings, Settings, Stack},
    rules::{Catalog, CatalogContract, RuleError, RuleSet, outcome_events},
    signing::{
        calls::{BadCall, Calls, Signatures},
        keys::{KeyError, KeySpec, KmsKey, SignerKey},
    },
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

fn adapters(config: &Config, problems: &mut Vec<String>) -> BTreeMap<Name, Adapter> {
    let mut adapters = BTreeMap::new();
    for (i, contract) in config.contracts.iter().enumerate() {
        match adapter(contract) {
            Ok(adapter) => {
                adapters.insert(contract.name.clone(), adapter);
            }
            Err(error) => problems.push(format!(
                "{}: contracts[{i}] (`{}`): {}",
                config.said_by("contracts"),
                contract.name,
                whole(&error)
            )),
        }
    }
    adapters
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

fn calls_of(contract: &config::Contract) -> Result<Calls, (&'static str, BadCall)> {
    let Some(config::Calls { unlock, batch, has, revoke }) = contract.calls.clone() else {
        return Ok(Calls::default());
    };
    Calls::custom(&Signatures { unlock, batch, has, revoke })
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

fn adapter(contract: &config::Contract) -> Result<Adapter, AdapterError> {
    Adapter::for_kind(adapter_kind(contract.kind), contract.abi.as_ref())
}

/// What is wrong with the event that creates a contract, if one does.
fn not_created(
    config: &Config,
    adapters: &BTreeMap<Name, Adapter>,
    contract: &config::Contract,
) -> Option<(&'static str, String)> {
    let Place::CreatedBy(creation) = &contract.place else { return None };
    let factory = config.contract(&creation.contract)?;
    let schemas = adapters.get(&factory.name)?.schemas();
    let Some(event) = schemas.iter().find(|schema| schema.name == creation.event) else {
        let known = schemas.iter().map(|schema| schema.name.as_str());
        let remedy = closest(creation.event.as_str(), known);
        return Some((
            "event",
            format!("`{}` has no event `{}`; {remedy}", factory.name, creation.event),
        ));
    };
    match event.field(&creation.field) {
        Some(FieldType::Address) => None,
        Some(other) => {
            let why = format!("field `{}` is {other}; name one that is an address", creation.field);
            Some(("field", why))
        }
        None => {
            let known = event.fields.iter().map(|field| field.name.as_str());
            let remedy = closest(&creation.field, known);
            Some((
                "field",
                format!("event `{}` has no field `{}`; {remedy}", event.name, creation.field),
            ))
        }
    }
}

fn closest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .min_by_key(|name| strsim::damerau_levenshtein(name, given))
        .map_or_else(|| "there is none".to_owned(), |name| format!("did you mean `{name}`?"))
}

fn adapter_kind(kind: ContractKind) -> Kind {
    match kind {
        ContractKind::Governor => Kind::Governor,
        ContractKind::GovernorBravo => Kind::GovernorBravo,
        ContractKind::GovernorAlpha => Kind::GovernorAlpha,
        ContractKind::Nouns => Kind::Nouns,
        ContractKind::OptimismGovernor => Kind::OptimismGovernor,
        ContractKind::Votes => Kind::Votes,
        ContractKind::Erc721 => Kind::Erc721,
        ContractKind::Erc1155 => Kind::Erc1155,
        ContractKind::Erc6909 => Kind::Erc6909,
        ContractKind::Timelock => Kind::Timelock,
        ContractKind::Eas => Kind::Eas,
        ContractKind::Achievements => Kind::Achievements,
        ContractKind::Access => Kind::Access,
        ContractKind::Abi => Kind::Abi,
    }
}

fn catalog(config: &Config, adapters: &BTreeMap<Name, Adapter>) -> Catalog {
    let contract = |contract: &config::Contract| {
        let adapter = adapters.get(&contract.name)?;
        let follows = contract.kind.is_governor() && contract.address().is_some();
        let clock = follows.then(|| clock_of(contract));
        let mut events = adapter.schemas();
        if follows {
            events.extend(outcome_events(contract.votes.is_some()));
        }
        let known = CatalogContract {
            chain_id: config.chain(&contract.chain)?.chain_id,
            address: config.root_of(contract)?,
            created: contract.address().is_none(),
            clock,
            counting: counting_of(contract),
            votes: contract.votes.clone(),
            kind: adapter.kind().as_str().to_owned(),
            events,
        };
        Some((contract.name.clone(), known))
    };
    let said = |facts: &config::Facts| {
        let mut events = facts.events.clone();
        let id = FieldSchema { name: ID_FIELD.to_owned(), field_type: FieldType::Text };
        events.iter_mut().for_each(|event| event.fields.push(id.clone()));
        let known = CatalogContract {
            chain_id: chain_id(&facts.name),
            address: Address::ZERO,
            created: false,
            clock: None,
            counting: Counting::Standard,
            votes: None,
            kind: KIND.to_owned(),
            events,
        };
        (facts.name.clone(), known)
    };
    let contracts = config.contracts.iter().filter_map(contract);
    Catalog {
        contracts: contracts.chain(config.facts.iter().map(said)).collect(),
        groups: config
            .governor_groups
            .iter()
            .map(|group| (group.name.clone(), group.members.clone()))
            .collect(),
        signers: config.signers.iter().map(|signer| signer.name.clone()).collect(),
        links: config
            .lists
            .iter()
            .filter_map(|list| Some((list.name.clone(), Arc::clone(list.members.as_ref()?))))
            .collect(),
        lists: config
            .lists
            .iter()
            .map(|list| (list.name.clone(), Arc::clone(&list.users)))
            .collect(),
    }
}

fn clock_of(governor: &config::Contract) -> Clock {
    match governor.clock {
        GovernorClock::Block => Clock::Block,
        GovernorClock::Timestamp => Clock::Timestamp,
    }
}

fn counting_of(governor: &config::Contract) -> Counting {
    match governor.counting {
        GovernorCounting::Standard => Counting::Standard,
        GovernorCounting::Bravo => Counting::Bravo,
        GovernorCounting::Nouns => Counting::Nouns,
        GovernorCounting::Word => Counting::Word,
    }
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

#[derive(Debug, thiserror::Error)]
enum NoKey {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Key(#[from] KeyError),
}

fn load_key(source: &SignerKeySource) -> Result<SignerKey, NoKey> {
    let spec = match source {
        SignerKeySource::Keystore { path, passphrase } => KeySpec::Keystore {
            path: path.clone(),
            passphrase: Zeroizing::new(passphrase.resolve()?.expose().to_owned()),
        },
        SignerKeySource::Raw(secret) => {
            KeySpec::PrivateKeyHex(Zeroizing::new(secret.resolve()?.expose().to_owned()))
        }
        SignerKeySource::Kms(source) => {
            let (name, endpoint) = (source.key.clone(), source.endpoint.clone());
            let key = match source.service {
                KmsService::Aws => {
                    KmsKey::Aws { key_id: name, region: source.region.clone(), endpoint }
                }
                KmsService::Gcp => KmsKey::Gcp { version: name.parse()?, endpoint },
            };
            KeySpec::Kms { key, address: source.address }
        }
    };
    Ok(SignerKey::load(&spec)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_kind_is_called_in_the_configuration_as_in_messages() {
        for name in [
            "governor",
            "governor_bravo",
            "governor_alpha",
            "nouns",
            "optimism_governor",
            "votes",
            "erc721",
            "erc1155",
            "erc6909",
            "timelock",
            "eas",
            "achievements",
            "access",
            "abi",
        ] {
            let written = serde_json::Value::from(name);
            let kind: ContractKind = serde_json::from_value(written).unwrap();
            assert_eq!(adapter_kind(kind).as_str(), name);
        }
    }
}

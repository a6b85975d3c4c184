//! What a contract of the configuration is: how its logs are decoded, how it is called, how
//! it tells time and counts votes.

use std::collections::BTreeMap;

use super::whole;
use crate::{
    chain::adapters::{Adapter, AdapterError, Kind},
    config::{self, Config, ContractKind, GovernorClock, GovernorCounting, Place},
    domain::{FieldType, Name},
    governance::{Clock, Counting},
    signing::calls::{BadCall, Calls, Signatures},
};

pub(super) fn adapters(config: &Config, problems: &mut Vec<String>) -> BTreeMap<Name, Adapter> {
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

fn adapter(contract: &config::Contract) -> Result<Adapter, AdapterError> {
    Adapter::for_kind(adapter_kind(contract.kind), contract.abi.as_ref())
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

pub(super) fn calls_of(contract: &config::Contract) -> Result<Calls, (&'static str, BadCall)> {
    let Some(config::Calls { unlock, batch, has, revoke }) = contract.calls.clone() else {
        return Ok(Calls::default());
    };
    Calls::custom(&Signatures { unlock, batch, has, revoke })
}

pub(super) fn clock_of(governor: &config::Contract) -> Clock {
    match governor.clock {
        GovernorClock::Block => Clock::Block,
        GovernorClock::Timestamp => Clock::Timestamp,
    }
}

pub(super) fn counting_of(governor: &config::Contract) -> Counting {
    match governor.counting {
        GovernorCounting::Standard => Counting::Standard,
        GovernorCounting::Bravo => Counting::Bravo,
        GovernorCounting::Nouns => Counting::Nouns,
        GovernorCounting::Word => Counting::Word,
    }
}

/// What is wrong with the event that creates a contract, if one does.
pub(super) fn not_created(
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

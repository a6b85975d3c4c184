//! What rules can refer to.

use std::{collections::BTreeMap, sync::Arc};

use alloy::primitives::Address;

use super::contract::{clock_of, counting_of};
use crate::{
    chain::adapters::Adapter,
    config::{self, Config},
    domain::{FieldSchema, FieldType, Name, off_chain::chain_id},
    facts::{ID_FIELD, KIND},
    governance::Counting,
    rules::{Catalog, CatalogContract, outcome_events},
};

pub(super) fn catalog(config: &Config, adapters: &BTreeMap<Name, Adapter>) -> Catalog {
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

//! The actors that read contracts: a feed for each chain, one for each
//! contract, and the censuses between factories and what they create.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

use super::{Plan, StartError, build::child as actor_of, replay::Contracts};
use crate::{
    actors::{
        contract::{
            ContractActor, ContractSpec,
            census::{Created, Keeper},
        },
        feed::FeedActor,
        provisional::{ProvisionalActor, ProvisionalSpec},
        shared::Shared,
    },
    chain::{census::Census, feed::share::Watched},
    config::{self, Config, Creation, Place},
    domain::Name,
    supervisor::{ArbiterClass, StepLimits, Tree},
};

pub(super) fn spawn_contracts(
    config: &Config,
    plan: &Plan,
    tree: &Tree,
    shared: &Shared,
) -> Result<Contracts, StartError> {
    let watched: BTreeMap<&Name, Arc<Watched>> = config
        .contracts
        .iter()
        .filter_map(|contract| {
            let adapter = plan.adapters.get(&contract.name)?;
            Some((&contract.name, Arc::new(ContractActor::watched(contract, adapter))))
        })
        .collect();
    let mut feeds = BTreeMap::new();
    for chain in &config.chains {
        let Some(link) = shared.chains.get(&chain.name).cloned() else { continue };
        let contracts: Vec<Arc<Watched>> = config
            .contracts
            .iter()
            .filter(|contract| contract.chain == chain.name)
            .filter_map(|contract| watched.get(&contract.name).cloned())
            .collect();
        let (shared, chain) = (shared.clone(), chain.clone());
        let name = chain.name.clone();
        let spec = actor_of(config, &format!("feed/{name}"), ArbiterClass::Listen);
        let feed = tree.spawn(spec, move || {
            FeedActor::new(shared.clone(), link.clone(), &chain, &contracts)
        })?;
        feeds.insert(name, feed);
    }
    let censuses = censuses(config);
    let mut spawned = Contracts::new();
    for contract in &config.contracts {
        let (Some(chain), Some(link), Some(adapter), Some(watched), Some(feed)) = (
            config.chain(&contract.chain).cloned(),
            shared.chains.get(&contract.chain).cloned(),
            plan.adapters.get(&contract.name).cloned(),
            watched.get(&contract.name).cloned(),
            feeds.get(&contract.chain).cloned(),
        ) else {
            continue;
        };
        let (created, keepers) = kept_and_followed(&censuses, contract, &watched);
        let (chain, contract) = (Arc::new(chain), Arc::new(contract.clone()));
        let (shared, name) = (shared.clone(), contract.name.clone());
        let child = actor_of(config, &format!("contract/{name}"), ArbiterClass::Listen);
        if contract.provisional {
            let (link, adapter) = (link.clone(), adapter.clone());
            let (feed, watched) = (feed.clone(), Arc::clone(&watched));
            let (spec, shared) = (ProvisionalSpec { link, adapter, feed, watched }, shared.clone());
            let child = actor_of(config, &format!("provisional/{name}"), ArbiterClass::Listen);
            tree.spawn_steps(child, StepLimits::default(), move || {
                ProvisionalActor::new(shared.clone(), spec.clone())
            })?;
        }
        let spec = ContractSpec { link, chain, contract, adapter, feed, watched, created, keepers };
        let actor = tree.spawn_steps(child, StepLimits::default(), move || {
            ContractActor::new(shared.clone(), spec.clone())
        })?;
        spawned.insert(name, actor);
    }
    Ok(spawned)
}

/// Who keeps a census for whom: by the factory, one for each way in which it
/// creates contracts.
type Censuses = BTreeMap<Name, Vec<Keeper>>;

fn censuses(config: &Config) -> Censuses {
    let mut censuses = Censuses::new();
    for contract in &config.contracts {
        let Place::CreatedBy(Creation { contract, event, field }) = &contract.place else {
            continue;
        };
        let keepers = censuses.entry(contract.clone()).or_default();
        if keepers.iter().all(|known| known.event != *event || known.field != *field) {
            let census = Arc::new(watch::channel(Census::default()).0);
            keepers.push(Keeper { event: event.clone(), field: field.clone(), census });
        }
    }
    censuses
}

fn kept_and_followed(
    censuses: &Censuses,
    contract: &config::Contract,
    watched: &Watched,
) -> (Option<Created>, Vec<Keeper>) {
    let followed = match &contract.place {
        Place::At(_) => None,
        Place::CreatedBy(creation) => censuses
            .get(&creation.contract)
            .into_iter()
            .flatten()
            .find(|keeper| keeper.event == creation.event && keeper.field == creation.field)
            .map(|keeper| Created::new(watched, &keeper.census)),
    };
    (followed, censuses.get(&contract.name).cloned().unwrap_or_default())
}

//! From rule sets and governors to the actors that fold.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::child;
use crate::{
    actors::{
        governance::{GovernanceActor, Governor},
        rule_set::{RuleSetActor, Rules},
        shared::Shared,
    },
    config::Config,
    daemon::{DaemonState, Plan, StartError},
    domain::{Name, off_chain},
    fold::Source,
    supervisor::{ArbiterClass, StepLimits, Tree},
};

pub(super) fn spawn_folds(
    config: &Config,
    plan: &Plan,
    tree: &Tree,
    shared: &Shared,
    state: &DaemonState,
) -> Result<(), StartError> {
    let chains = config.chains.iter().map(|chain| (chain.chain_id, chain.name.clone()));
    let facts =
        config.facts.iter().map(|it| (off_chain::chain_id(&it.name), off_chain::off_chain()));
    let names: Arc<BTreeMap<u64, Name>> = Arc::new(chains.chain(facts).collect());
    let mut explainers = BTreeMap::new();
    for set in &plan.rule_sets {
        let followed = set.followed().filter_map(|name| {
            let contract = config.contract(name)?;
            let link = shared.chains.get(&contract.chain)?.clone();
            Some((name.clone(), (contract.address()?, link)))
        });
        let governors = followed.collect();
        let rules = Rules {
            set: Arc::clone(set),
            chains: Arc::clone(&names),
            era: Arc::default(),
            governors,
        };
        let shared = shared.clone();
        let spec = child(config, &format!("rule_set/{}", set.id()), ArbiterClass::Fold);
        let actor = tree.spawn_steps(spec, fold_limits(), move || {
            RuleSetActor::new(shared.clone(), rules.clone())
        })?;
        for achievement in set.achievements() {
            explainers.insert(achievement.name.clone(), actor.clone());
        }
    }
    state.explained_by(explainers);
    for contract in &config.contracts {
        let (Some(fold), Some(link), Some(address)) = (
            plan.governors.get(&contract.name).cloned(),
            shared.chains.get(&contract.chain).cloned(),
            contract.address(),
        ) else {
            continue;
        };
        let mut sources: Vec<Source> = config
            .benefits
            .iter()
            .map(|benefit| &benefit.nft)
            .filter(|nft| config.contract(nft).is_some_and(|c| c.chain == contract.chain))
            .chain([&contract.name])
            .map(|name| Source { chain_id: link.chain_id, contract: name.clone() })
            .collect();
        sources.sort_by(|a, b| a.contract.cmp(&b.contract));
        sources.dedup_by(|a, b| a.contract == b.contract);
        let governor = Governor {
            name: contract.name.clone(),
            address,
            link,
            fold,
            metrics: shared.metrics.clone(),
            sources,
            moved_on: Arc::default(),
            era: Arc::default(),
        };
        let shared = shared.clone();
        let spec = child(config, &format!("governance/{}", contract.name), ArbiterClass::Fold);
        tree.spawn_steps(spec, fold_limits(), move || {
            GovernanceActor::new(shared.clone(), governor.clone())
        })?;
    }
    Ok(())
}

/// A fold may have to be read from the store, or forgotten, whole.
fn fold_limits() -> StepLimits {
    StepLimits { start: Duration::from_secs(600), step: Duration::from_secs(300) }
}

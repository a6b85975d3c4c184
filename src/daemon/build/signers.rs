//! From the signers of a configuration to their actors: what each may call, and spend.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use alloy::primitives::U256;

use super::child;
use crate::{
    actors::{
        shared::Shared,
        signer::{Keeper, SignerActor, SignerSpec},
    },
    config::{self, Config, ContractKind},
    daemon::{Plan, StartError, letters::Signers},
    domain::{Name, OnRetract},
    signing::{
        calls::{Calls, Role},
        reverts::RevertDecoder,
    },
    supervisor::{ArbiterClass, StepLimits, Tree},
};

/// Longest step of a signer: it asks the chain many times over.
const SIGNER_STEP: Duration = Duration::from_secs(120);

pub(super) fn spawn_signers(
    config: &Config,
    plan: &Plan,
    tree: &Tree,
    shared: &Shared,
) -> Result<Signers, StartError> {
    let mut signers = Signers::new();
    for signer in &config.signers {
        let (Some(key), Some(chain), Some(link)) = (
            plan.keys.get(&signer.name).cloned(),
            config.chain(&signer.chain),
            shared.chains.get(&signer.chain).cloned(),
        ) else {
            continue;
        };
        let keeper = |contract: &config::Contract| {
            let calls = plan.calls.get(&contract.name).cloned().unwrap_or_default();
            let roles = roles(plan, &signer.name, &contract.name, &calls);
            let keeper = Keeper {
                name: contract.name.clone(),
                address: contract.address()?,
                roles,
                calls,
                delivery: contract.delivery,
            };
            Some((contract.name.clone(), keeper))
        };
        let keepers: BTreeMap<Name, Keeper> = config
            .contracts
            .iter()
            .filter(|c| c.chain == signer.chain && c.kind == ContractKind::Achievements)
            .filter_map(keeper)
            .collect();
        let own = Arc::new(OnceLock::new());
        let spec = SignerSpec {
            shared: shared.clone(),
            link,
            config: signer.clone(),
            key,
            keepers: Arc::new(keepers),
            set_budgets: Arc::new(set_budgets(plan, &signer.name)),
            decoder: Arc::new(RevertDecoder::new([])),
            tree: tree.clone(),
            own: Arc::clone(&own),
            poll: chain.look_every(),
            l1_fee_oracle: chain.l1_fee_oracle,
            finality_depth: chain.finality_depth,
        };
        let child = child(config, &format!("signer/{}", signer.name), ArbiterClass::Sign);
        let limits = StepLimits { start: SIGNER_STEP, step: SIGNER_STEP };
        let actor = tree.spawn_steps(child, limits, move || SignerActor::new(spec.clone()))?;
        // Set once. A round that is faster than this finds no address, and mans
        // its nonces in the next.
        let _ = own.set(actor.clone());
        signers.insert(signer.name.clone(), actor);
    }
    Ok(signers)
}

/// The roles that a signer needs on a contract: those of the reference one, as
/// far as rules have something landed or taken back there.
fn roles(plan: &Plan, signer: &Name, contract: &Name, calls: &Calls) -> Vec<Role> {
    let sets = plan.rule_sets.iter().filter(|set| set.achievements_contract() == contract);
    let awarded = sets.flat_map(|set| set.achievements());
    let mine: Vec<_> = awarded.filter(|it| it.signers.contains(signer)).collect();
    let revokes = mine.iter().any(|it| it.on_retract == OnRetract::Revoke);
    let needed = [(Role::Unlocker, !mine.is_empty()), (Role::Revoker, revokes)];
    let needed = needed.into_iter().filter(|(_, needed)| *needed && calls.is_reference());
    needed.map(|(role, _)| role).collect()
}

/// What each rule set with a budget may spend through a signer: of several
/// signers each has an equal part.
fn set_budgets(plan: &Plan, signer: &Name) -> BTreeMap<Name, U256> {
    let of = |set: &Arc<crate::rules::RuleSet>| {
        let signers: BTreeSet<&Name> =
            set.achievements().iter().flat_map(|it| &it.signers).collect();
        let budget = set.daily_budget().filter(|_| signers.contains(signer))?;
        Some((set.id().clone(), budget / U256::from(signers.len())))
    };
    plan.rule_sets.iter().filter_map(of).collect()
}

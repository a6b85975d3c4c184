//! From a configuration to its actors.

mod folds;
mod guards;
mod signers;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::{Mutex, mpsc, watch};

use self::{
    folds::spawn_folds,
    guards::{endpoint_of, guard_spec},
    signers::spawn_signers,
};
use super::{
    DaemonState, Plan, StartError,
    broker::Broker,
    contracts::spawn_contracts,
    facts::FactDesk,
    letters::LetterDesk,
    pauses::PauseDesk,
    proofs::ProofDesk,
    quotes::{QuoteDesk, Quoted},
};
use crate::{
    actors::{
        benefits::BenefitsReader,
        endpoint::EndpointHandle,
        facts::FactsActor,
        head::{HeadActor, HeadSpec},
        notices::NoticeActor,
        pauses::Pauses,
        shared::{ChainLink, Shared},
        store::StoreActor,
        wake::{WakeActor, WakeSpec},
    },
    breakers::Guard,
    chain::{
        agreement::Trust,
        client::{ChainClient, ClientLimits},
    },
    config::{self, Config, Confirmations},
    domain::Name,
    store::{Database, StoreHandle, StoreLimits, Table},
    supervisor::{
        ActorRef, ArbiterClass, ChildSpec, Heartbeat, RestartPolicy, StepLimits, Stepper, Tree,
    },
    telemetry::Metrics,
};

/// Spawns every actor of the plan.
pub(super) fn spawn_all(
    config: &Config,
    plan: Plan,
    tree: &Tree,
    database: Arc<Database>,
    broker: &Broker,
    state: &DaemonState,
    metrics: Metrics,
) -> Result<(), StartError> {
    let mut guards = Vec::new();
    let store_guard =
        Guard::new(guard_spec("store", 128, STORE_LIMIT), &metrics).map_err(internal)?;
    guards.push(store_guard.clone());
    let broker_guard = Guard::new(guard_spec("nats", BATCHES_AT_ONCE, BROKER_LIMIT), &metrics)
        .map_err(internal)?;
    guards.push(broker_guard.clone());
    // Before anybody can sign.
    let paused = database.session().get(Table::Meta, Pauses::key()).map_err(internal)?;
    let pauses = Arc::new(Pauses::restore(paused.as_deref()));
    let count = metrics.clone();
    let store = tree.spawn(child(config, "store", ArbiterClass::Dedicated), move || {
        StoreActor::new(&database, count.clone())
    })?;
    let limits = StoreLimits { commit: STORE_LIMIT, read: STORE_LIMIT };
    let store = StoreHandle::new(store, store_guard, limits);

    let (mut chains, mut clients) = (BTreeMap::new(), Vec::new());
    let (tell, lies) = mpsc::channel(LIES_UNTOLD);
    let lies = Arc::new(Mutex::new(lies));
    for chain in &config.chains {
        let mut endpoints = Vec::new();
        for (i, endpoint) in chain.endpoints.iter().enumerate() {
            let name = format!("endpoint/{}/{i}", chain.name);
            let made = endpoint_of(&name, endpoint, &metrics)
                .map_err(|error| StartError::Internal(format!("{name}: {error}")))?;
            guards.push(made.guard().clone());
            let spec = child(config, &name, ArbiterClass::Endpoint);
            let endpoint = made.clone();
            endpoints
                .push(EndpointHandle { actor: tree.spawn(spec, move || made.actor())?, endpoint });
        }
        // Waiting for the rate and in the bulkhead, the call itself, and once more.
        let call = chain.endpoints.iter().map(|e| e.call_timeout).max().unwrap_or_default() * 4;
        let limits = ClientLimits {
            call,
            range_blocks_max: chain.max_range,
            hedge_after: chain.hedge_after,
        };
        let (name, lies) = (chain.name.clone(), Some(tell.clone()));
        let client = ChainClient::new(name, chain.chain_id, endpoints, limits, &metrics, lies);
        clients.push(client.clone());
        let (view, _) = watch::channel(None);
        let link = ChainLink {
            name: chain.name.clone(),
            chain_id: chain.chain_id,
            client,
            view: Arc::new(view),
            resumed: Arc::new(watch::channel(None).0),
        };
        chains.insert(chain.name.clone(), link);
    }
    state.guarded(guards);
    state.serves(clients);
    let run = format!("{:016x}", crate::chance::random::<u64>());
    let connection = broker.connection.clone();
    let mut shared = Shared::new(metrics, store, connection, broker_guard, chains, &run);
    shared.pauses = pauses;
    state.paused_by(PauseDesk::new(config, &plan, &shared));

    let (spec, told) = (child(config, "notices", ArbiterClass::Listen), shared.clone());
    tree.spawn_steps(spec, StepLimits::default(), move || {
        NoticeActor::new(told.clone(), Arc::clone(&lies))
    })?;
    let mut heads = BTreeMap::new();
    for chain in &config.chains {
        let Some(link) = shared.chains.get(&chain.name).cloned() else { continue };
        let tags = chain.finality_tag
            || config.contracts.iter().any(|contract| {
                contract.chain == chain.name
                    && !matches!(contract.confirmations, Confirmations::Blocks(_))
            });
        let trust = Trust { ahead_max: ahead_max(config, &chain.name), ..patience(chain) };
        let spec = HeadSpec {
            finality_depth: chain.finality_depth,
            block_time: chain.block_time,
            poll_interval: chain.poll_interval,
            tags,
            trust,
        };
        let child = child(config, &format!("head/{}", chain.name), ArbiterClass::Listen);
        let metrics = shared.metrics.clone();
        let head = tree.spawn_steps(child, StepLimits::default(), move || {
            HeadActor::new(metrics.clone(), link.clone(), spec)
        })?;
        spawn_wakes(config, tree, &shared, chain, &head)?;
        heads.insert(chain.name.clone(), head);
    }
    state.headed_by(heads);
    let versions = plan.governors.iter();
    let versions = versions.map(|(name, fold)| (name.clone(), fold.version().to_string()));
    state.benefits_from(BenefitsReader::new(shared.clone(), versions.collect()));
    let contracts = Arc::new(spawn_contracts(config, &plan, tree, &shared)?);
    state.replayed_by(Arc::clone(&contracts));
    state.told_facts_at(spawn_facts(config, &plan, tree, &shared)?);
    spawn_folds(config, &plan, tree, &shared, state)?;
    let signers = Arc::new(spawn_signers(config, &plan, tree, &shared)?);
    let connection = shared.connection.clone();
    let linked = |signer: &config::Signer| {
        let link = shared.chains.get(&signer.chain).cloned()?;
        let l1_fee_oracle = config.chain(&signer.chain)?.l1_fee_oracle;
        let quoted = Quoted { link, config: signer.clone(), l1_fee_oracle };
        Some((signer.name.clone(), quoted))
    };
    let linked = Arc::new(config.signers.iter().filter_map(linked).collect());
    state.proved_by(ProofDesk::new(config, &plan, &shared));
    state.quoted_by(QuoteDesk { tree: tree.clone(), signers: linked });
    state.keeps_letters_at(LetterDesk { connection, contracts, signers });
    Ok(())
}

/// Has endpoints announce heads, where they have a WebSocket.
fn spawn_wakes(
    config: &Config,
    tree: &Tree,
    shared: &Shared,
    chain: &config::Chain,
    head: &ActorRef<Stepper<HeadActor>>,
) -> Result<(), StartError> {
    let Some(link) = shared.chains.get(&chain.name) else { return Ok(()) };
    for (i, endpoint) in chain.endpoints.iter().enumerate() {
        let Some(ws) = &endpoint.ws else { continue };
        let name = format!("wake/{}/{i}", chain.name);
        let url = ws.resolve().map_err(internal)?.expose().parse();
        let spec = WakeSpec {
            url: url.map_err(|error| StartError::Internal(format!("{name}: {error}")))?,
            endpoint: i,
            dependency: format!("endpoint/{}/{i}", chain.name),
            link: link.clone(),
            head: head.clone(),
            metrics: shared.metrics.clone(),
        };
        let child = child(config, &name, ArbiterClass::Listen);
        tree.spawn_steps(child, StepLimits::default(), move || WakeActor::new(spec.clone()))?;
    }
    Ok(())
}

/// The head may be ahead of most endpoints by as many blocks as the least
/// confirmed contract waits for, so that only what most have is published.
fn ahead_max(config: &Config, chain: &Name) -> u64 {
    let confirmations = config.contracts.iter().filter(|contract| contract.chain == *chain);
    let blocks = confirmations.filter_map(|contract| match contract.confirmations {
        Confirmations::Blocks(blocks) => Some(blocks),
        Confirmations::Safe | Confirmations::Finalized => None,
    });
    blocks.min().unwrap_or(1).max(1)
}

/// Endpoints of slow chains are waited for longer.
fn patience(chain: &config::Chain) -> Trust {
    let trust = Trust::default();
    Trust { patience: trust.patience.max(chain.block_time * 4), ..trust }
}

/// Facts of one source that wait at once.
const FACTS_QUEUED: usize = 1_024;

fn spawn_facts(
    config: &Config,
    plan: &Plan,
    tree: &Tree,
    shared: &Shared,
) -> Result<FactDesk, StartError> {
    let mut desk = FactDesk::new(shared.metrics.clone());
    for (facts, source) in config.facts.iter().zip(&plan.facts) {
        let (sender, queue) = mpsc::channel(FACTS_QUEUED);
        let queue = Arc::new(Mutex::new(queue));
        let (shared, name, heartbeat) = (shared.clone(), facts.name.clone(), facts.heartbeat);
        let spec = child(config, &format!("facts/{name}"), ArbiterClass::Listen);
        tree.spawn_steps(spec, StepLimits::default(), move || {
            FactsActor::new(shared.clone(), name.clone(), heartbeat, Arc::clone(&queue))
        })?;
        desk.add(source.clone(), sender);
    }
    Ok(desk)
}

/// Lies that wait to be told; what finds no room is in the log all the same.
const LIES_UNTOLD: usize = 64;
/// Publishes at once: fewer than the 50 open batches that a server takes of a
/// stream.
const BATCHES_AT_ONCE: usize = 40;
/// Longest publish: beyond the client's own limit, which is told apart.
const BROKER_LIMIT: Duration = Duration::from_secs(8);
/// Longest store operation.
const STORE_LIMIT: Duration = Duration::from_secs(20);

pub(super) fn child(config: &Config, name: &str, class: ArbiterClass) -> ChildSpec {
    let mut spec = ChildSpec::new(name, class);
    spec.restart = RestartPolicy {
        max_restarts: config.supervisor.max_restarts,
        window: config.supervisor.restart_window,
        ..RestartPolicy::default()
    };
    spec.heartbeat = Heartbeat { every: HEARTBEAT, freeze_after: config.supervisor.freeze_after };
    spec
}

/// How often an actor is asked for its state: what `status` and readiness
/// show is so old.
const HEARTBEAT: Duration = Duration::from_millis(500);

fn internal(error: impl std::fmt::Display) -> StartError {
    StartError::Internal(error.to_string())
}

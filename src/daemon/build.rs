//! From a configuration to its actors.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::{NonZeroU32, NonZeroUsize},
    sync::{Arc, OnceLock},
    time::Duration,
};

use alloy::primitives::U256;
use tokio::sync::{Mutex, mpsc, watch};

use super::{
    DaemonState, Plan, StartError,
    broker::Broker,
    contracts::spawn_contracts,
    facts::FactDesk,
    letters::{LetterDesk, Signers},
    pauses::PauseDesk,
    proofs::ProofDesk,
    quotes::{QuoteDesk, Quoted},
};
use crate::{
    actors::{
        benefits::BenefitsReader,
        endpoint::{Endpoint, EndpointError, EndpointHandle},
        facts::FactsActor,
        governance::{GovernanceActor, Governor},
        head::{HeadActor, HeadSpec},
        notices::NoticeActor,
        pauses::Pauses,
        rule_set::{RuleSetActor, Rules},
        shared::{ChainLink, Shared},
        signer::{Keeper, SignerActor, SignerSpec},
        store::StoreActor,
        wake::{WakeActor, WakeSpec},
    },
    breakers::{BreakerSpec, Guard, GuardSpec, RetrySpec},
    chain::{
        agreement::Trust,
        client::{ChainClient, ClientLimits},
        rate::Plan as RatePlan,
        transport::{EndpointUrl, HttpLimits},
    },
    config::{self, Config, Confirmations, ContractKind, SecretError},
    domain::{Name, OnRetract, off_chain},
    fold::Source,
    signing::{
        calls::{Calls, Role},
        reverts::RevertDecoder,
    },
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

fn spawn_folds(
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

fn spawn_signers(
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

/// Longest step of a signer: it asks the chain many times over.
const SIGNER_STEP: Duration = Duration::from_secs(120);
/// Largest answer of an endpoint: some 100,000 logs.
const RESPONSE_BYTES_MAX: usize = 64 << 20;
/// Lies that wait to be told; what finds no room is in the log all the same.
const LIES_UNTOLD: usize = 64;
/// Failures in a row that open a breaker.
const BREAKER_FAILURES: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);
/// Publishes at once: fewer than the 50 open batches that a server takes of a
/// stream.
const BATCHES_AT_ONCE: usize = 40;
/// Longest publish: beyond the client's own limit, which is told apart.
const BROKER_LIMIT: Duration = Duration::from_secs(8);
/// Longest store operation.
const STORE_LIMIT: Duration = Duration::from_secs(20);

/// A fold may have to be read from the store, or forgotten, whole.
fn fold_limits() -> StepLimits {
    StepLimits { start: Duration::from_secs(600), step: Duration::from_secs(300) }
}

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

/// Bounds for what is one of a kind: waiting takes as long as a call may.
fn guard_spec(dependency: &str, concurrent: usize, limit: Duration) -> GuardSpec {
    GuardSpec {
        dependency: dependency.to_owned(),
        max_concurrent: NonZeroUsize::new(concurrent).unwrap_or(NonZeroUsize::MIN),
        max_queued: concurrent * 8,
        queue_timeout: limit,
        call_timeout: limit,
        breaker: BreakerSpec {
            consecutive_failures: BREAKER_FAILURES,
            cooldown_min: Duration::from_millis(500),
            cooldown_max: Duration::from_secs(15),
        },
        retry: RetrySpec {
            max_attempts: NonZeroU32::MIN.saturating_add(2),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(1),
            budget_percent: 20,
        },
    }
}

fn endpoint_of(
    name: &str,
    endpoint: &config::Endpoint,
    metrics: &Metrics,
) -> Result<Endpoint, EndpointProblem> {
    let url: EndpointUrl = endpoint.url.resolve()?.expose().parse()?;
    let concurrent = usize::try_from(endpoint.max_concurrent).unwrap_or(1);
    let guard = guard_spec(name, concurrent, endpoint.call_timeout);
    let limits = HttpLimits {
        connect_timeout: endpoint.call_timeout,
        // The guard's limit comes first; this one frees the connection.
        total_timeout: endpoint.call_timeout * 2,
        response_bytes_max: RESPONSE_BYTES_MAX,
    };
    let plan = endpoint.rate.as_ref().map(|rate| RatePlan {
        per_second: rate.per_second,
        burst: rate.burst,
        costs: rate.costs.clone(),
        default_cost: rate.default_cost,
    });
    Ok(Endpoint::new(url, guard, limits, plan, metrics)?)
}

#[derive(Debug, thiserror::Error)]
enum EndpointProblem {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Url(#[from] crate::chain::transport::InvalidEndpointUrl),
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

fn internal(error: impl std::fmt::Display) -> StartError {
    StartError::Internal(error.to_string())
}

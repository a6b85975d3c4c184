//! What the daemon shows of itself: readiness, status, metrics.

mod answers;
mod readiness;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use serde_json::Value as Json;

use super::{
    facts::FactDesk, letters::LetterDesk, pauses::PauseDesk, proofs::ProofDesk, quotes::QuoteDesk,
    replay::Contracts,
};
use crate::{
    actors::{benefits::BenefitsReader, head::HeadActor, rule_set::RuleSetActor},
    api::NotReady,
    breakers::Guard,
    chain::client::ChainClient,
    config::Config,
    domain::Name,
    supervisor::{ActorRef, Stepper, Tree},
    telemetry::Metrics,
};

/// See the module.
pub struct DaemonState {
    environment: Name,
    fault_injection: bool,
    tree: Tree,
    metrics: Metrics,
    stage: Mutex<Option<NotReady>>,
    guards: OnceLock<Vec<Guard>>,
    chains: OnceLock<Vec<ChainClient>>,
    benefits: OnceLock<BenefitsReader>,
    facts: OnceLock<FactDesk>,
    /// Rule sets by the achievements they award.
    rule_sets: OnceLock<BTreeMap<Name, ActorRef<Stepper<RuleSetActor>>>>,
    heads: OnceLock<Heads>,
    /// Names of the actors that read each chain's contracts.
    contracts: BTreeMap<Name, Vec<String>>,
    replays: OnceLock<Arc<Contracts>>,
    letters: OnceLock<LetterDesk>,
    quotes: OnceLock<QuoteDesk>,
    proofs: OnceLock<ProofDesk>,
    pauses: OnceLock<PauseDesk>,
}

type Heads = BTreeMap<Name, ActorRef<Stepper<HeadActor>>>;

impl DaemonState {
    /// Whether the circuit breaker of a dependency is open.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn is_barred(&self, dependency: &str) -> bool {
        self.metrics.breaker_state.with_label_values(&[dependency]).get() == 2
    }

    pub(super) fn new(config: &Config, tree: Tree, metrics: Metrics) -> Self {
        let mut contracts: BTreeMap<Name, Vec<String>> = BTreeMap::new();
        for contract in &config.contracts {
            let actor = format!("contract/{}", contract.name);
            contracts.entry(contract.chain.clone()).or_default().push(actor);
        }
        let starting = NotReady { part: "daemon".to_owned(), why: "it is starting".to_owned() };
        Self {
            environment: config.environment.clone(),
            fault_injection: config.fault_injection,
            tree,
            metrics,
            stage: Mutex::new(Some(starting)),
            guards: OnceLock::new(),
            chains: OnceLock::new(),
            benefits: OnceLock::new(),
            facts: OnceLock::new(),
            rule_sets: OnceLock::new(),
            heads: OnceLock::new(),
            contracts,
            replays: OnceLock::new(),
            letters: OnceLock::new(),
            proofs: OnceLock::new(),
            quotes: OnceLock::new(),
            pauses: OnceLock::new(),
        }
    }

    pub(super) fn headed_by(&self, heads: Heads) {
        let _ = self.heads.set(heads);
    }

    /// Whether a contract of the chain waits for a person, as it says in its
    /// state by `frozen`.
    fn contract_waits(&self, chain: &str) -> bool {
        let Some(actors) = self.contracts.get(chain) else { return false };
        let says = |observed: &Json| observed.get("frozen").is_some_and(|frozen| !frozen.is_null());
        let mut children = self.tree.snapshot().into_iter();
        children.any(|child| actors.contains(&child.name) && says(&child.observed))
    }

    fn stage(&self, stage: Option<NotReady>) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    pub(super) fn waiting_for_broker(&self, why: &str) {
        self.stage(Some(NotReady { part: "nats".to_owned(), why: why.to_owned() }));
    }

    pub(super) fn started(&self) {
        self.stage(None);
    }

    pub(super) fn draining(&self) {
        let why = "it is shutting down".to_owned();
        self.stage(Some(NotReady { part: "daemon".to_owned(), why }));
    }

    pub(super) fn guarded(&self, guards: Vec<Guard>) {
        // Set once, at the start.
        let _ = self.guards.set(guards);
    }

    pub(super) fn serves(&self, chains: Vec<ChainClient>) {
        let _ = self.chains.set(chains);
    }

    pub(super) fn benefits_from(&self, reader: BenefitsReader) {
        let _ = self.benefits.set(reader);
    }

    pub(super) fn told_facts_at(&self, desk: FactDesk) {
        let _ = self.facts.set(desk);
    }

    pub(super) fn explained_by(&self, by: BTreeMap<Name, ActorRef<Stepper<RuleSetActor>>>) {
        let _ = self.rule_sets.set(by);
    }

    pub(super) fn paused_by(&self, desk: PauseDesk) {
        let _ = self.pauses.set(desk);
    }

    pub(super) fn replayed_by(&self, contracts: Arc<Contracts>) {
        let _ = self.replays.set(contracts);
    }

    pub(super) fn proved_by(&self, desk: ProofDesk) {
        let _ = self.proofs.set(desk);
    }

    pub(super) fn quoted_by(&self, desk: QuoteDesk) {
        let _ = self.quotes.set(desk);
    }

    pub(super) fn keeps_letters_at(&self, desk: LetterDesk) {
        let _ = self.letters.set(desk);
    }
}

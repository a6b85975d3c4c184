//! What the daemon shows of itself: readiness, status, metrics.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use alloy::primitives::Address;
use futures::future::LocalBoxFuture;
use serde_json::{Value as Json, json};

use super::{
    facts::FactDesk,
    letters::LetterDesk,
    pauses::PauseDesk,
    proofs::ProofDesk,
    quotes::QuoteDesk,
    repair,
    replay::{self, Contracts},
};
use crate::{
    actors::{
        benefits::BenefitsReader,
        contract::replay::StartReplay,
        head::{HeadActor, ResumeFrom, ResumeRefused},
        pauses::Scope,
        rule_set::{Explain, RuleSetActor},
    },
    api::{ApiProblem, LetterAsk, NotReady, Operator, RepairBody},
    breakers::{BreakerState, Guard},
    chain::client::ChainClient,
    config::Config,
    domain::Name,
    supervisor::{ActorRef, ChildState, Stepper, Tree, TreeError},
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

/// How long an actor may take to answer the API.
const ASK_LIMIT: std::time::Duration = std::time::Duration::from_secs(5);

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

/// What answers, once it is there.
fn started<D: Clone>(desk: &OnceLock<D>) -> Result<D, ApiProblem> {
    let starting = || ApiProblem::Unavailable("the daemon is starting".to_owned());
    desk.get().cloned().ok_or_else(starting)
}

impl Operator for DaemonState {
    fn not_ready(&self) -> Vec<NotReady> {
        let stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut parts: Vec<NotReady> = stage.into_iter().collect();
        let guards = self.guards.get().into_iter().flatten().map(Guard::snapshot);
        let guards = guards.map(|guard| (guard.dependency, guard.state == BreakerState::Closed));
        for part in out_of_service(guards.collect()) {
            let why = "its circuit breaker is open: calls to it keep failing".to_owned();
            parts.push(NotReady { part, why });
        }
        for governor in self.benefits.get().into_iter().flat_map(BenefitsReader::cold) {
            let why = "who has which benefits is being read from the store".to_owned();
            parts.push(NotReady { part: format!("cache/{governor}"), why });
        }
        for child in self.tree.snapshot() {
            let why = match child.state {
                ChildState::Running => {
                    child.observed.get("not_ready").and_then(Json::as_str).map(str::to_owned)
                }
                ChildState::Starting => Some("it is starting".to_owned()),
                ChildState::Draining => Some("it is draining".to_owned()),
                state @ (ChildState::BackingOff | ChildState::Failed) => {
                    let end = child.last_end.as_ref().map(|end| end.detail.clone());
                    let given_up = state == ChildState::Failed;
                    let what = if given_up { "given up" } else { "being restarted" };
                    Some(format!("{what} after: {}", end.unwrap_or_default()))
                }
            };
            if let Some(why) = why.filter(|_| is_shown(&child.name, child.state)) {
                parts.push(NotReady { part: child.name, why });
            }
        }
        parts
    }

    fn status(&self) -> Json {
        let guards: Vec<_> = self.guards.get().into_iter().flatten().map(Guard::snapshot).collect();
        let endpoints = self.chains.get().into_iter().flatten().flat_map(ChainClient::status);
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "environment": self.environment,
            "not_ready": self.not_ready(),
            "actors": self.tree.snapshot(),
            "guards": guards,
            "endpoints": endpoints.collect::<Vec<_>>(),
            "paused": self.pauses.get().map(PauseDesk::now),
        })
    }

    fn metrics(&self) -> String {
        self.metrics.ready.set(i64::from(self.not_ready().is_empty()));
        self.metrics.encode()
    }

    fn explain(
        &self,
        achievement: String,
        user: Address,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>> {
        let found = match self.rule_sets.get() {
            None => Err(ApiProblem::Unavailable("the daemon is starting".to_owned())),
            Some(sets) => sets.get(achievement.as_str()).cloned().ok_or_else(|| {
                let known: Vec<&str> = sets.keys().map(Name::as_str).collect();
                let asked: String = achievement.chars().take(Name::MAX_LEN).collect();
                ApiProblem::NotFound(format!(
                    "no rule set awards `{asked}`; known: {}",
                    known.join(", ")
                ))
            }),
        };
        Box::pin(async move {
            let actor = found?;
            let achievement = Name::new(achievement)
                .map_err(|error| ApiProblem::BadRequest(error.to_string()))?;
            actor
                .tell(Explain { achievement, user }, ASK_LIMIT)
                .await
                .map_err(|error| ApiProblem::Unavailable(error.to_string()))?
                .ok_or_else(|| {
                    ApiProblem::Unavailable("the rule set has not read its state yet".to_owned())
                })
        })
    }

    fn proof(
        &self,
        achievement: String,
        user: Address,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>> {
        let desk = started(&self.proofs);
        Box::pin(async move { desk?.prove(&achievement, user).await })
    }

    fn evidence(
        &self,
        achievement: String,
        user: Address,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>> {
        let desk = started(&self.proofs);
        Box::pin(async move { desk?.evidence(&achievement, user).await })
    }

    fn benefits(
        &self,
        governor: &str,
        holder: Address,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>> {
        let found = started(&self.benefits).and_then(|reader| {
            let name = reader.governors().find(|name| name.as_str() == governor).cloned();
            let name = name.ok_or_else(|| {
                let known: Vec<&str> = reader.governors().map(Name::as_str).collect();
                let known = known.join(", ");
                ApiProblem::NotFound(format!("no governor of this name; known: {known}"))
            })?;
            Ok((reader, name))
        });
        Box::pin(async move {
            let (reader, name) = found?;
            let known = reader.read(&name, holder).await;
            let known = known.map_err(|error| ApiProblem::Unavailable(error.to_string()))?;
            Ok(json!({
                "governor": name,
                "holder": holder.to_checksum(None),
                // Null: the holder has none, and had none.
                "benefits": known.benefits,
                "revision": known.revision,
                "known_by": known.level.word(),
            }))
        })
    }

    fn say_fact(
        &self,
        source: &str,
        body: Vec<u8>,
        mac: Option<String>,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>> {
        let (desk, source) = (started(&self.facts), source.to_owned());
        Box::pin(async move { desk?.say(&source, &body, mac.as_deref()).await })
    }

    fn resume(
        &self,
        chain: &str,
        from_block: u64,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>> {
        let head = match self.heads.get() {
            None => Err(ApiProblem::Unavailable("the daemon is starting".to_owned())),
            Some(heads) => heads.get(chain).cloned().ok_or_else(|| {
                let known: Vec<&str> = heads.keys().map(Name::as_str).collect();
                let known = known.join(", ");
                ApiProblem::NotFound(format!("no chain of this name; known: {known}"))
            }),
        };
        let message = ResumeFrom { from_block, contract_waits: self.contract_waits(chain) };
        let chain = chain.to_owned();
        Box::pin(async move {
            let told = head?.tell(message, ASK_LIMIT).await;
            let done = told.map_err(|error| ApiProblem::Unavailable(error.to_string()))?;
            done.map_err(|refused| match refused {
                ResumeRefused::FromGenesis => ApiProblem::BadRequest(refused.to_string()),
                ResumeRefused::NotFrozen | ResumeRefused::AboveFork { .. } => {
                    ApiProblem::Conflict(refused.to_string())
                }
                ResumeRefused::NotLooked => ApiProblem::Unavailable(refused.to_string()),
            })?;
            Ok(json!({ "chain": chain, "from_block": from_block }))
        })
    }

    fn retry(&self, actor: &str) -> LocalBoxFuture<'static, Result<(), ApiProblem>> {
        let (tree, name) = (self.tree.clone(), actor.to_owned());
        Box::pin(async move {
            tree.retry_failed(&name).await.map_err(|error| match error {
                TreeError::Unknown { .. } => ApiProblem::NotFound(error.to_string()),
                TreeError::NotFailed { .. } => ApiProblem::Conflict(error.to_string()),
            })
        })
    }

    fn pause(
        &self,
        scope: Scope,
        paused: bool,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>> {
        let desk = started(&self.pauses);
        Box::pin(async move { desk?.set(&scope, paused).await })
    }

    fn quote(&self, signer: String) -> LocalBoxFuture<'static, Result<Json, ApiProblem>> {
        let desk = started(&self.quotes);
        Box::pin(async move { desk?.quote(&signer).await })
    }

    fn repair(
        &self,
        signer: &str,
        ask: RepairBody,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>> {
        let signers = self.letters.get().map(|desk| Arc::clone(&desk.signers));
        let signer = signer.to_owned();
        Box::pin(async move { repair::repair(signers, &signer, ask).await })
    }

    fn dead_letters(&self, ask: LetterAsk) -> LocalBoxFuture<'static, Result<Json, ApiProblem>> {
        let desk = started(&self.letters);
        Box::pin(async move { desk?.answer(ask).await })
    }

    fn replay(
        &self,
        contract: &str,
        from_block: u64,
        to_block: u64,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>> {
        let found = replay::find(self.replays.get().map(|contracts| &**contracts), contract);
        let ask = StartReplay { from_block, to_block };
        Box::pin(async move { replay::start(found?, ask, ASK_LIMIT).await })
    }

    fn replay_progress(&self, contract: &str) -> LocalBoxFuture<'static, Result<Json, ApiProblem>> {
        let found = replay::find(self.replays.get().map(|contracts| &**contracts), contract);
        Box::pin(async move { replay::progress(found?, ASK_LIMIT).await })
    }

    fn crash(&self, actor: &str) -> LocalBoxFuture<'static, Result<(), ApiProblem>> {
        let (tree, name, allowed) = (self.tree.clone(), actor.to_owned(), self.fault_injection);
        Box::pin(async move {
            if !allowed {
                return Err(ApiProblem::Forbidden(
                    "debug.fault_injection is off in this configuration".to_owned(),
                ));
            }
            tree.crash(&name).await.map_err(|error| ApiProblem::NotFound(error.to_string()))
        })
    }
}

/// Which dependencies can't be used, of pairs of name and health. A chain's
/// endpoints stand in for each other: they count when none is left.
fn out_of_service(guards: Vec<(String, bool)>) -> Vec<String> {
    let chain_of = |name: &str| {
        let (chain, _) = name.strip_prefix("endpoint/")?.rsplit_once('/')?;
        Some(chain.to_owned())
    };
    let served: BTreeSet<String> =
        guards.iter().filter(|(_, well)| *well).filter_map(|(name, _)| chain_of(name)).collect();
    let stood_in_for = |name: &str| chain_of(name).is_some_and(|chain| served.contains(&chain));
    guards
        .into_iter()
        .filter(|(name, well)| !well && !stood_in_for(name))
        .map(|(name, _)| name)
        .collect()
}

/// Transactions come and go with their nonces: one that starts, works or ends
/// is no condition of readiness, one that can't is.
fn is_shown(actor: &str, state: ChildState) -> bool {
    let fails = matches!(state, ChildState::BackingOff | ChildState::Failed);
    fails || !actor.starts_with("tx/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_counts_when_its_chain_has_no_other() {
        let guards = |states: [bool; 3]| {
            let names = ["endpoint/main/0", "endpoint/main/1", "endpoint/side/0"];
            names.map(str::to_owned).into_iter().zip(states).chain([("nats".to_owned(), false)])
        };
        let out = |states| out_of_service(guards(states).collect());
        assert_eq!(out([true, false, true]), ["nats"]);
        assert_eq!(out([false, true, false]), ["endpoint/side/0", "nats"]);
        assert_eq!(out([false, false, true]), ["endpoint/main/0", "endpoint/main/1", "nats"]);
    }

    #[test]
    fn of_transactions_only_those_that_fail_are_shown() {
        for state in [ChildState::Running, ChildState::Starting, ChildState::Draining] {
            assert!(!is_shown("tx/awards/7", state));
            assert!(is_shown("signer/awards", state));
        }
        assert!(is_shown("tx/awards/7", ChildState::Failed));
        assert!(is_shown("tx/awards/7", ChildState::BackingOff));
    }
}

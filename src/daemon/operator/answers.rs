//! What the daemon answers to whoever asks over HTTP.

use std::sync::{Arc, OnceLock};

use alloy::primitives::Address;
use futures::future::LocalBoxFuture;
use serde_json::{Value as Json, json};

use super::{DaemonState, readiness};
use crate::{
    actors::{
        contract::replay::StartReplay,
        head::{ResumeFrom, ResumeRefused},
        pauses::Scope,
        rule_set::Explain,
    },
    api::{ApiProblem, LetterAsk, NotReady, Operator, RepairBody},
    breakers::Guard,
    chain::client::ChainClient,
    daemon::{pauses::PauseDesk, repair, replay},
    domain::Name,
    supervisor::TreeError,
};

/// How long an actor may take to answer the API.
const ASK_LIMIT: std::time::Duration = std::time::Duration::from_secs(5);

/// What answers, once it is there.
fn started<D: Clone>(desk: &OnceLock<D>) -> Result<D, ApiProblem> {
    let starting = || ApiProblem::Unavailable("the daemon is starting".to_owned());
    desk.get().cloned().ok_or_else(starting)
}

impl Operator for DaemonState {
    fn not_ready(&self) -> Vec<NotReady> {
        readiness::not_ready(self)
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

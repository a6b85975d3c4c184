//! Where a person pauses what signs, and lets it go on.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value as Json, json};

use super::Plan;
use crate::{
    actors::{
        pauses::{Paused, Pauses, Scope},
        shared::Shared,
    },
    api::ApiProblem,
    config::Config,
    domain::Name,
    store::StoreHandle,
    telemetry::Metrics,
};

/// Knows what there is to pause.
#[derive(Clone)]
pub(super) struct PauseDesk {
    pauses: Arc<Pauses>,
    store: StoreHandle,
    metrics: Metrics,
    signers: Arc<BTreeSet<Name>>,
    rule_sets: Arc<BTreeSet<Name>>,
}

impl PauseDesk {
    pub(super) fn new(config: &Config, plan: &Plan, shared: &Shared) -> Self {
        let desk = Self {
            pauses: Arc::clone(&shared.pauses),
            store: shared.store.clone(),
            metrics: shared.metrics.clone(),
            signers: Arc::new(config.signers.iter().map(|signer| signer.name.clone()).collect()),
            rule_sets: Arc::new(plan.rule_sets.iter().map(|set| set.id().clone()).collect()),
        };
        desk.measure(&desk.pauses.now());
        desk
    }

    pub(super) fn now(&self) -> Json {
        json!(self.pauses.now())
    }

    pub(super) async fn set(&self, scope: &Scope, paused: bool) -> Result<Json, ApiProblem> {
        let known = |what: &str, known: &BTreeSet<Name>, name: &Name| {
            // What the configuration has no more can still be let go on.
            if !paused || known.contains(name) {
                return Ok(());
            }
            let names: Vec<&str> = known.iter().map(Name::as_str).collect();
            Err(ApiProblem::NotFound(format!(
                "no {what} of this name; known: {}",
                names.join(", ")
            )))
        };
        match scope {
            Scope::All => {}
            Scope::Signer(name) => known("signer", &self.signers, name)?,
            Scope::RuleSet(name) => known("rule set", &self.rule_sets, name)?,
        }
        let set = self.pauses.set(&self.store, scope, paused).await;
        self.measure(&self.pauses.now());
        match set {
            Ok(now) => Ok(json!({ "paused": now })),
            Err(error) if paused => Err(ApiProblem::Unavailable(format!(
                "it is paused, but only until the daemon ends: {error}"
            ))),
            Err(error) => Err(ApiProblem::Unavailable(format!("it is still paused: {error}"))),
        }
    }

    fn measure(&self, now: &Paused) {
        let set = |kind: &str, name: &str, paused: bool| {
            self.metrics.paused.with_label_values(&[kind, name]).set(i64::from(paused));
        };
        for name in &*self.signers {
            set("signer", name.as_str(), now.signer(name));
        }
        for name in &*self.rule_sets {
            set("rule_set", name.as_str(), now.rule_set(name));
        }
    }
}

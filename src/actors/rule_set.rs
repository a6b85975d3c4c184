//! The rule-set actor, one per rule set: asks for unlocks when conditions
//! are met, and takes requests back when their evidence is orphaned.

use std::{collections::BTreeMap, sync::Arc};

use actix::Message;
use alloy::primitives::Address;
use serde_json::{Value as Json, json};

use super::{
    fold::{FoldActor, Folding},
    messages::{self, MessageError},
    outbox::Outgoing,
    shared::Shared,
};
use crate::{
    chain::rpc::RpcError,
    domain::{Name, UnlockMessage, UnlockState},
    fold::{Emission, Emitted, Engine, Source},
    rules::{self, RuleSet, Unlock},
    streams::subjects::{StreamId, Writer, WriterKind},
    supervisor::Receives,
};

/// The actor.
pub type RuleSetActor = FoldActor<Rules>;

/// What makes a rule set's fold an actor.
#[derive(Clone)]
pub struct Rules {
    /// The compiled set.
    pub set: Arc<RuleSet>,
    /// The chains' names by their ids.
    pub chains: Arc<BTreeMap<u64, Name>>,
}

/// Asks where a user stands with an achievement; `None` while the actor has
/// not read its state yet.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Option<Json>")]
pub struct Explain {
    /// The achievement's name.
    pub achievement: Name,
    /// The user.
    pub user: Address,
}

impl Folding for Rules {
    type Fold = Arc<RuleSet>;
    type Asking = ();

    fn writer(&self) -> Writer {
        Writer::new(WriterKind::RuleSet, self.set.id().clone())
    }

    fn stream(&self) -> StreamId {
        StreamId::Unlocks
    }

    fn fold(&self) -> Arc<RuleSet> {
        Arc::clone(&self.set)
    }

    fn version(&self) -> String {
        format!("{}/{}", self.set.version(), rules::LAYOUT)
    }

    fn sources(&self) -> Vec<(Name, Source)> {
        let named = |source: Source| {
            let chain = self.chains.get(&source.chain_id)?;
            Some((chain.clone(), source))
        };
        self.set.sources().into_iter().filter_map(named).collect()
    }

    fn say(&self, emission: &Emission<Unlock>) -> Result<Vec<Outgoing>, MessageError> {
        let (unlock, state) = meaning(emission);
        let request = (*unlock.request).clone();
        // The version keeps a rebuilt fold, which counts anew, from using ids
        // that meant something else.
        let mark = format!("{}/{}", self.set.version(), emission.revision);
        let message =
            UnlockMessage { state, request, transaction_hash: None, code: None, reason: None };
        Ok(vec![messages::unlock(&message, &mark)?])
    }

    async fn learn(&self, (): &mut (), _: &mut Engine<Arc<RuleSet>>) -> Result<bool, RpcError> {
        Ok(false)
    }

    fn opened(&self, _: &Shared, _: &Engine<Arc<RuleSet>>) {}

    fn settled(&self, shared: &Shared, _: &Engine<Arc<RuleSet>>, emissions: &[Emission<Unlock>]) {
        for emission in emissions {
            let (Unlock { request, .. }, state) = meaning(emission);
            let labels = [request.rule_set.as_str(), state.as_str()];
            shared.metrics.unlocks_total.with_label_values(&labels).inc();
            tracing::info!(
                rule_set = %request.rule_set,
                achievement = %request.achievement,
                user = %request.user,
                "unlock {}",
                state.as_str()
            );
        }
    }

    fn observe(&self, _: &Engine<Arc<RuleSet>>) -> Json {
        json!({
            "achievements": self.set.achievements().iter().map(|a| &a.name).collect::<Vec<_>>(),
            "version": self.set.version(),
        })
    }
}

fn meaning(emission: &Emission<Unlock>) -> (&Unlock, UnlockState) {
    match &emission.emitted {
        Emitted::Says(unlock) => (unlock, UnlockState::Requested),
        Emitted::TakesBack(unlock) => (unlock, UnlockState::Retracted),
    }
}

impl Receives<Explain> for RuleSetActor {
    fn receive(&mut self, message: Explain) -> Option<Json> {
        let open = self.open.as_ref()?;
        let set = &self.folding.set;
        let Explain { achievement, user } = message;
        let now = open.engine.applied_time();
        let explained = set.explain(open.engine.state(), achievement.as_str(), user, now);
        Some(match explained {
            Ok(explanation) => json!(explanation),
            Err(unknown) => json!({ "error": unknown.to_string() }),
        })
    }
}

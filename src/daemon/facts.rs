//! Facts as HTTP brings them: read, checked, and handed to their source's actor.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value as Json, json};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    actors::facts::{Pending, Taken},
    api::ApiProblem,
    domain::Name,
    facts::{FactSource, Signed},
    telemetry::Metrics,
};

/// How long a fact is waited for to be durable.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);

/// Knows who says facts, and who takes them.
#[derive(Clone)]
pub(super) struct FactDesk {
    sources: BTreeMap<Name, (Arc<FactSource>, mpsc::Sender<Pending>)>,
    metrics: Metrics,
}

impl FactDesk {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { sources: BTreeMap::new(), metrics }
    }

    pub(super) fn add(&mut self, source: Arc<FactSource>, queue: mpsc::Sender<Pending>) {
        self.sources.insert(source.name.clone(), (source, queue));
    }

    /// What became of a fact. The answer comes when it is durable.
    pub(super) async fn say(
        &self,
        source: &str,
        body: &[u8],
        mac: Option<&str>,
    ) -> Result<Json, ApiProblem> {
        let Some((source, queue)) = self.sources.get(source) else {
            let known: Vec<&str> = self.sources.keys().map(Name::as_str).collect();
            let known = known.join(", ");
            return Err(ApiProblem::NotFound(format!("no facts of this name; known: {known}")));
        };
        let fact = source.read(Signed { body, mac }).map_err(|refused| {
            let labels = [source.name.as_str(), "refused"];
            self.metrics.facts_total.with_label_values(&labels).inc();
            match refused.is_about_signature() {
                true => ApiProblem::Forbidden(refused.to_string()),
                false => ApiProblem::BadRequest(refused.to_string()),
            }
        })?;
        let (event, id) = (fact.event.clone(), fact.id.clone());
        let (answer, answered) = oneshot::channel();
        queue.try_send(Pending { fact, answer }).map_err(|_| {
            ApiProblem::Unavailable("too many facts wait already: send it again later".to_owned())
        })?;
        // Dropped by the actor when it does not know, either.
        let unknown = || {
            let why = "it is not known yet whether it was taken: send it again, with the same id";
            ApiProblem::Unavailable(why.to_owned())
        };
        let taken = timeout(TAKEN_WITHIN, answered).await.map_err(|_| unknown())?;
        match taken.map_err(|_| unknown())? {
            Taken::New(log) => Ok(json!({ "id": id, "kind": event, "event": log, "known": false })),
            Taken::Known(log) => {
                Ok(json!({ "id": id, "kind": event, "event": log, "known": true }))
            }
            Taken::Differs(log) => Err(ApiProblem::Conflict(format!(
                "another fact has the id `{id}` (event {log}): give each its own"
            ))),
        }
    }
}

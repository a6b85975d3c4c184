//! What HTTP asks of contracts: to tell their events once more.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value as Json, json};

use crate::{
    actors::contract::{
        ContractActor,
        replay::{NotReplayed, ReplayProgress, StartReplay},
    },
    api::ApiProblem,
    domain::Name,
    supervisor::{ActorRef, Stepper},
};

/// All contracts by name.
pub(super) type Contracts = BTreeMap<Name, ActorRef<Stepper<ContractActor>>>;

/// The actor of a contract.
pub(super) fn find(
    contracts: Option<&Contracts>,
    name: &str,
) -> Result<ActorRef<Stepper<ContractActor>>, ApiProblem> {
    let contracts =
        contracts.ok_or_else(|| ApiProblem::Unavailable("the daemon is starting".to_owned()))?;
    contracts.get(name).cloned().ok_or_else(|| {
        let known: Vec<&str> = contracts.keys().map(Name::as_str).collect();
        ApiProblem::NotFound(format!("no contract of this name; known: {}", known.join(", ")))
    })
}

/// Has it begin.
pub(super) async fn start(
    actor: ActorRef<Stepper<ContractActor>>,
    ask: StartReplay,
    limit: Duration,
) -> Result<Json, ApiProblem> {
    let answer = actor.tell(ask, limit).await;
    let answer = answer.map_err(|error| ApiProblem::Unavailable(error.to_string()))?;
    answer.map(|status| json!(status)).map_err(|refusal| {
        let why = refusal.to_string();
        match refusal {
            NotReplayed::Inverted { .. }
            | NotReplayed::TooMany { .. }
            | NotReplayed::BeforeStart { .. } => ApiProblem::BadRequest(why),
            NotReplayed::NotToldYet { .. } | NotReplayed::Busy { .. } => ApiProblem::Conflict(why),
            NotReplayed::NoCursor => ApiProblem::Unavailable(why),
        }
    })
}

/// Asks how it gets on.
pub(super) async fn progress(
    actor: ActorRef<Stepper<ContractActor>>,
    limit: Duration,
) -> Result<Json, ApiProblem> {
    let answer = actor.tell(ReplayProgress, limit).await;
    let answer = answer.map_err(|error| ApiProblem::Unavailable(error.to_string()))?;
    answer.map(|status| json!(status)).ok_or_else(|| {
        ApiProblem::NotFound(
            "the contract knows of no replay: none was asked for since its actor started, or it \
             was restarted meanwhile"
                .to_owned(),
        )
    })
}

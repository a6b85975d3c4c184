//! What HTTP asks of signers: to compare what they landed with the chain.

use std::{sync::Arc, time::Duration};

use serde_json::{Value as Json, json};
use tokio::sync::oneshot;

use super::letters::Signers;
use crate::{
    actors::signer::Audit,
    api::{ApiProblem, RepairBody},
    domain::Name,
};

/// Longest comparison that is waited for: some ten thousand unlocks.
const LIMIT: Duration = Duration::from_secs(600);

pub(super) async fn repair(
    signers: Option<Arc<Signers>>,
    signer: &str,
    RepairBody { apply, sample }: RepairBody,
) -> Result<Json, ApiProblem> {
    let starting = || ApiProblem::Unavailable("the daemon is starting".to_owned());
    let signers = signers.ok_or_else(starting)?;
    let actor = signers.get(signer).ok_or_else(|| {
        let known: Vec<&str> = signers.keys().map(Name::as_str).collect();
        ApiProblem::NotFound(format!("no signer of this name; known: {}", known.join(", ")))
    })?;
    let (reply, answer) = oneshot::channel();
    actor
        .tell(Audit { sample, repair: apply, reply }, LIMIT)
        .await
        .map_err(|error| ApiProblem::Unavailable(error.to_string()))?;
    match tokio::time::timeout(LIMIT, answer).await {
        Ok(Ok(report)) => Ok(json!(report)),
        Ok(Err(_)) => {
            let why = "the comparison did not come to its end: an endpoint failed, or the signer was \
                       restarted; ask again";
            Err(ApiProblem::Unavailable(why.to_owned()))
        }
        Err(_) => {
            let why = "the comparison takes longer than ten minutes; ask for a sample";
            Err(ApiProblem::Unavailable(why.to_owned()))
        }
    }
}

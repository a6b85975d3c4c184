//! Pausing what signs.

use actix_web::{HttpResponse, web::Json};
use serde::{Deserialize, Serialize};

use super::{ApiProblem, Shared};
use crate::{actors::pauses::Scope, domain::Name};

/// One of the three.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseBody {
    /// Everything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// A signer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Name>,
    /// A rule set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<Name>,
}

impl PauseBody {
    fn scope(self) -> Result<Scope, ApiProblem> {
        match (self.all, self.signer, self.rule_set) {
            (true, None, None) => Ok(Scope::All),
            (false, Some(name), None) => Ok(Scope::Signer(name)),
            (false, None, Some(name)) => Ok(Scope::RuleSet(name)),
            _ => Err(ApiProblem::BadRequest(
                "give one of `all`: true, `signer` and `rule_set`".to_owned(),
            )),
        }
    }
}

pub(super) async fn pause(
    operator: Shared,
    body: Json<PauseBody>,
) -> Result<HttpResponse, ApiProblem> {
    let scope = body.into_inner().scope()?;
    Ok(HttpResponse::Ok().json(operator.pause(scope, true).await?))
}

pub(super) async fn resume(
    operator: Shared,
    body: Json<PauseBody>,
) -> Result<HttpResponse, ApiProblem> {
    let scope = body.into_inner().scope()?;
    Ok(HttpResponse::Ok().json(operator.pause(scope, false).await?))
}

//! Comparing what has landed with the chain.

use actix_web::{
    HttpResponse,
    web::{Json, Path},
};
use serde::{Deserialize, Serialize};

use super::{ApiProblem, Shared};

/// What to compare, and whether to repair.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepairBody {
    /// Whether what is missing is landed again.
    pub apply: bool,
    /// So many, drawn; all without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<usize>,
}

pub(super) async fn repair(
    operator: Shared,
    signer: Path<String>,
    body: Json<RepairBody>,
) -> Result<HttpResponse, ApiProblem> {
    Ok(HttpResponse::Ok().json(operator.repair(&signer, body.into_inner()).await?))
}

//! Asking a contract to tell its events once more.

use actix_web::{
    HttpResponse,
    web::{Json, Path},
};
use serde::Deserialize;

use super::{ApiProblem, Shared};

/// Which blocks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Blocks {
    from_block: u64,
    to_block: u64,
}

/// 202 and what is going to be done.
pub(super) async fn start(
    operator: Shared,
    contract: Path<String>,
    blocks: Json<Blocks>,
) -> Result<HttpResponse, ApiProblem> {
    let Blocks { from_block, to_block } = blocks.into_inner();
    let started = operator.replay(&contract, from_block, to_block).await?;
    Ok(HttpResponse::Accepted().json(started))
}

/// How the last one gets on.
pub(super) async fn progress(
    operator: Shared,
    contract: Path<String>,
) -> Result<HttpResponse, ApiProblem> {
    Ok(HttpResponse::Ok().json(operator.replay_progress(&contract).await?))
}

//! Dead letters over HTTP.

use actix_web::{
    HttpResponse,
    web::{Path, Query},
};
use serde::Deserialize;

use super::{ApiProblem, Shared};

/// Which letters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LettersQuery {
    /// Only of this actor, as its subject names it: `signer-awards`.
    pub actor: Option<String>,
    /// From this sequence on; the latest without.
    pub from: Option<u64>,
    /// So many at most: 1 to 500, 50 without.
    pub limit: Option<usize>,
}

/// What is wanted of dead letters.
#[derive(Clone, Debug)]
pub enum LetterAsk {
    /// Those.
    List(LettersQuery),
    /// The letter of this sequence.
    Show(u64),
    /// Another attempt at what it is about.
    Replay(u64),
    /// Its end.
    Discard(u64),
}

pub(super) async fn list(
    operator: Shared,
    query: Query<LettersQuery>,
) -> Result<HttpResponse, ApiProblem> {
    answer(operator, LetterAsk::List(query.into_inner())).await
}

pub(super) async fn show(operator: Shared, at: Path<String>) -> Result<HttpResponse, ApiProblem> {
    answer(operator, LetterAsk::Show(sequence(&at)?)).await
}

pub(super) async fn replay(operator: Shared, at: Path<String>) -> Result<HttpResponse, ApiProblem> {
    answer(operator, LetterAsk::Replay(sequence(&at)?)).await
}

pub(super) async fn discard(
    operator: Shared,
    at: Path<String>,
) -> Result<HttpResponse, ApiProblem> {
    answer(operator, LetterAsk::Discard(sequence(&at)?)).await
}

async fn answer(operator: Shared, ask: LetterAsk) -> Result<HttpResponse, ApiProblem> {
    Ok(HttpResponse::Ok().json(operator.dead_letters(ask).await?))
}

fn sequence(text: &str) -> Result<u64, ApiProblem> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| ApiProblem::BadRequest("a dead letter has a number above 0".to_owned()))
}

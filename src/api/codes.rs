//! What stable codes mean.

use actix_web::{HttpResponse, web::Path};
use serde_json::{Value as Json, json};

use super::ApiProblem;
use crate::signing::texts::{self, Text};

pub(super) async fn all() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "codes": texts::all().map(shown).collect::<Vec<_>>() }))
}

pub(super) async fn one(code: Path<String>) -> Result<HttpResponse, ApiProblem> {
    let text = texts::text(&code).ok_or_else(|| {
        ApiProblem::NotFound("no such code; a contract's own errors are named by its ABI".into())
    })?;
    Ok(HttpResponse::Ok().json(shown(text)))
}

fn shown(Text { code, en, zh }: Text) -> Json {
    json!({ "code": code, "en": en, "zh": zh })
}

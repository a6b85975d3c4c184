//! Taking facts in.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Path},
};

use super::{ApiProblem, Shared};

/// The header with a webhook's HMAC.
const MAC: &str = "x-merit-signature";

/// 201 and the event that it became, once it is durable; 200 if it was known.
pub(super) async fn say(
    operator: Shared,
    source: Path<String>,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, ApiProblem> {
    let mac = match request.headers().get(MAC).map(|mac| mac.to_str()) {
        None => None,
        Some(Ok(mac)) => Some(mac.to_owned()),
        Some(Err(_)) => {
            return Err(ApiProblem::BadRequest("X-Merit-Signature is no text".to_owned()));
        }
    };
    let taken = operator.say_fact(&source, body.to_vec(), mac).await?;
    let known = taken.get("known") == Some(&serde_json::Value::Bool(true));
    let mut answer = if known { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(answer.json(taken))
}

//! Which paths there are, and what each takes.

use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, Responder, Route,
    http::{Method, header},
    web::{self, Path, Query, ServiceConfig},
};
use alloy::primitives::Address;
use serde::Deserialize;
use serde_json::json;

use super::{ApiProblem, Shared, codes, facts, letters, pause, repair, replay};

/// Largest request body, in bytes: no route reads a long one.
pub(super) const MAX_BODY_BYTES: usize = 16 * 1024;

/// A path, and what it takes by method.
type Place = (&'static str, Vec<(Method, Route)>);

fn get<F, Args>(handler: F) -> (Method, Route)
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    (Method::GET, web::get().to(handler))
}

fn post<F, Args>(handler: F) -> (Method, Route)
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    (Method::POST, web::post().to(handler))
}

/// All there are.
pub(super) fn places() -> Vec<Place> {
    let discard = (Method::DELETE, web::delete().to(letters::discard));
    vec![
        ("/healthz", vec![get(healthz)]),
        ("/readyz", vec![get(readyz)]),
        ("/metrics", vec![get(metrics)]),
        ("/api/v1/status", vec![get(status)]),
        ("/api/v1/explain", vec![get(explain)]),
        ("/api/v1/proof", vec![get(proof)]),
        ("/api/v1/evidence", vec![get(evidence)]),
        ("/api/v1/benefits/{governor}/{holder}", vec![get(benefits)]),
        ("/api/v1/chains/{chain}/resume", vec![post(resume)]),
        ("/api/v1/fees/quote", vec![get(quote)]),
        ("/api/v1/codes", vec![get(codes::all)]),
        ("/api/v1/codes/{code}", vec![get(codes::one)]),
        ("/api/v1/facts/{source}", vec![post(facts::say)]),
        ("/api/v1/pause", vec![post(pause::pause)]),
        ("/api/v1/resume", vec![post(pause::resume)]),
        ("/api/v1/signers/{signer}/repair", vec![post(repair::repair)]),
        ("/api/v1/dead-letters", vec![get(letters::list)]),
        ("/api/v1/dead-letters/{sequence}", vec![get(letters::show), discard]),
        ("/api/v1/dead-letters/{sequence}/replay", vec![post(letters::replay)]),
        ("/api/v1/actors/{actor:.*}/retry", vec![post(retry)]),
        ("/api/v1/contracts/{contract}/replay", vec![get(replay::progress), post(replay::start)]),
        ("/api/v1/debug/crash/{actor:.*}", vec![post(crash)]),
    ]
}

/// Serves them, and says of everything else that there is none.
pub(super) fn all(config: &mut ServiceConfig) {
    config
        .app_data(web::PayloadConfig::new(MAX_BODY_BYTES))
        .app_data(web::JsonConfig::default().limit(MAX_BODY_BYTES))
        .default_service(web::to(nowhere));
    for (path, takes) in places() {
        let methods: Vec<String> = takes.iter().map(|(method, _)| method.to_string()).collect();
        let allowed = methods.join(", ");
        let mut resource = web::resource(path);
        for (_, route) in takes {
            resource = resource.route(route);
        }
        config.service(resource.default_service(web::to(move || {
            let refused = ApiProblem::MethodNotAllowed { allowed: allowed.clone() };
            std::future::ready(Err::<HttpResponse, _>(refused))
        })));
    }
}

/// The paths that have no version: whoever watches a daemon should not mind which it is.
pub(super) const UNVERSIONED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
pub(super) const VERSIONED: &str = "/api/v1/";

async fn nowhere(request: HttpRequest) -> Result<HttpResponse, ApiProblem> {
    let hint = if request.path().starts_with(VERSIONED) {
        String::new()
    } else {
        format!("; all but {} begin with {VERSIONED}", UNVERSIONED.join(", "))
    };
    Err(ApiProblem::NotFound(format!("no such path{hint}")))
}

/// The process is alive.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

/// 200 when every part works; 503 and the parts that don't otherwise.
async fn readyz(operator: Shared) -> HttpResponse {
    let not_ready = operator.not_ready();
    let ready = not_ready.is_empty();
    let body = json!({ "ready": ready, "not_ready": not_ready });
    if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() }.json(body)
}

async fn metrics(operator: Shared) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(operator.metrics())
}

async fn status(operator: Shared) -> HttpResponse {
    HttpResponse::Ok().json(operator.status())
}

async fn proof(operator: Shared, query: Query<ExplainQuery>) -> Result<HttpResponse, ApiProblem> {
    let ExplainQuery { achievement, user } = query.into_inner();
    Ok(HttpResponse::Ok().json(operator.proof(achievement, user).await?))
}

async fn evidence(
    operator: Shared,
    query: Query<ExplainQuery>,
) -> Result<HttpResponse, ApiProblem> {
    let ExplainQuery { achievement, user } = query.into_inner();
    Ok(HttpResponse::Ok().json(operator.evidence(achievement, user).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExplainQuery {
    achievement: String,
    user: Address,
}

async fn explain(operator: Shared, query: Query<ExplainQuery>) -> Result<HttpResponse, ApiProblem> {
    let ExplainQuery { achievement, user } = query.into_inner();
    Ok(HttpResponse::Ok().json(operator.explain(achievement, user).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuoteQuery {
    signer: String,
}

async fn quote(operator: Shared, query: Query<QuoteQuery>) -> Result<HttpResponse, ApiProblem> {
    Ok(HttpResponse::Ok().json(operator.quote(query.into_inner().signer).await?))
}

async fn benefits(
    operator: Shared,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiProblem> {
    let (governor, holder) = path.into_inner();
    let holder = holder
        .parse()
        .map_err(|_| ApiProblem::BadRequest("the holder is no address".to_owned()))?;
    Ok(HttpResponse::Ok().json(operator.benefits(&governor, holder).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResumeBody {
    from_block: u64,
}

async fn resume(
    operator: Shared,
    chain: Path<String>,
    body: web::Json<ResumeBody>,
) -> Result<HttpResponse, ApiProblem> {
    Ok(HttpResponse::Accepted().json(operator.resume(&chain, body.from_block).await?))
}

async fn retry(operator: Shared, actor: Path<String>) -> Result<HttpResponse, ApiProblem> {
    operator.retry(&actor).await?;
    Ok(HttpResponse::Accepted().json(json!({ "retried": actor.as_str() })))
}

async fn crash(operator: Shared, actor: Path<String>) -> Result<HttpResponse, ApiProblem> {
    operator.crash(&actor).await?;
    Ok(HttpResponse::Accepted().json(json!({ "crashed": actor.as_str() })))
}

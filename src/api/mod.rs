//! HTTP: health, readiness, metrics, and what the command line asks for.
//!
//! The server runs on a thread of its own and reads snapshots; what it needs
//! from an actor it asks with a limit. It knows nothing of how the daemon is
//! built: it is handed an [`Operator`].

mod codes;
mod facts;
mod letters;
mod pause;
mod problem;
mod repair;
mod replay;

use std::{net::SocketAddr, sync::Arc};

use actix_web::{
    App, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::header,
    web::{self, Data, Path, Query},
};
use alloy::primitives::Address;
use futures::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

pub use letters::{LetterAsk, LettersQuery};
pub use pause::PauseBody;
pub use problem::ApiProblem;
pub use repair::RepairBody;

use crate::actors::pauses::Scope;

/// One part that keeps the daemon from being ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotReady {
    /// Which part, like `endpoint/local/0` or `contract/dao`.
    pub part: String,
    /// What is wrong with it.
    pub why: String,
}

/// What the server may ask of the daemon.
pub trait Operator: Send + Sync + 'static {
    /// Everything that keeps it from being ready; empty when it is.
    fn not_ready(&self) -> Vec<NotReady>;
    /// Actors, guards and lags.
    fn status(&self) -> Json;
    /// The metrics in Prometheus' text format.
    fn metrics(&self) -> String;
    /// Why a user has an achievement, or what is missing.
    fn explain(
        &self,
        achievement: String,
        user: Address,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>>;
    /// Whether what landed on chain commits to the evidence that is known, and
    /// whether that evidence is on chain.
    fn proof(
        &self,
        achievement: String,
        user: Address,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>>;
    /// What landed and the evidence for it, with proofs that both are on chain: an
    /// [`EvidenceFile`](crate::evidence::EvidenceFile).
    fn evidence(
        &self,
        achievement: String,
        user: Address,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>>;
    /// A holder's present benefits in a governor.
    ///
    /// # Errors
    /// When there is no such governor, or nobody knows yet.
    fn benefits(
        &self,
        governor: &str,
        holder: Address,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>>;
    /// Takes in a fact that no chain has, as it was sent with the HMAC beside it.
    fn say_fact(
        &self,
        source: &str,
        body: Vec<u8>,
        mac: Option<String>,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>>;
    /// Has a frozen chain go on with the endpoints' branch from a block on.
    fn resume(
        &self,
        chain: &str,
        from_block: u64,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>>;
    /// Pauses a signer, a rule set or all, or lets it go on.
    fn pause(
        &self,
        scope: Scope,
        paused: bool,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>>;
    /// What an unlock is going to cost through a signer.
    fn quote(&self, signer: String) -> LocalBoxFuture<'static, Result<Json, ApiProblem>>;
    /// Compares what a signer has landed with the chain, and may have what is
    /// missing landed again.
    fn repair(
        &self,
        signer: &str,
        ask: RepairBody,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>>;
    /// Lists, shows, replays or discards dead letters.
    fn dead_letters(&self, ask: LetterAsk) -> LocalBoxFuture<'static, Result<Json, ApiProblem>>;
    /// Starts an actor again that was given up.
    fn retry(&self, actor: &str) -> LocalBoxFuture<'static, Result<(), ApiProblem>>;
    /// Has a contract tell the events of these blocks once more.
    fn replay(
        &self,
        contract: &str,
        from_block: u64,
        to_block: u64,
    ) -> LocalBoxFuture<'static, Result<Json, ApiProblem>>;
    /// How a contract's last replay gets on.
    fn replay_progress(&self, contract: &str) -> LocalBoxFuture<'static, Result<Json, ApiProblem>>;
    /// Crashes an actor, where the configuration allows it.
    fn crash(&self, actor: &str) -> LocalBoxFuture<'static, Result<(), ApiProblem>>;
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address can't be had.
    #[error(
        "api.listen = {address}: {source}; end what listens there, or choose another port (0 takes any)"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The running server.
#[derive(Clone, Debug)]
pub struct Api {
    handle: ServerHandle,
    address: SocketAddr,
}

/// Largest request body, in bytes: no route reads a long one.
const MAX_BODY_BYTES: usize = 16 * 1024;

impl Api {
    /// Binds the address and serves on a thread of its own. Must be called
    /// within an actix system.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub fn start(address: SocketAddr, operator: Arc<dyn Operator>) -> Result<Self, ApiError> {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::from(Arc::clone(&operator)))
                .app_data(web::PayloadConfig::new(MAX_BODY_BYTES))
                .app_data(
                    web::QueryConfig::default()
                        .error_handler(|error, _| ApiProblem::BadRequest(error.to_string()).into()),
                )
                .app_data(
                    web::JsonConfig::default()
                        .limit(MAX_BODY_BYTES)
                        .error_handler(|error, _| ApiProblem::BadRequest(error.to_string()).into()),
                )
                .route("/healthz", web::get().to(healthz))
                .route("/readyz", web::get().to(readyz))
                .route("/metrics", web::get().to(metrics))
                .route("/api/v1/status", web::get().to(status))
                .route("/api/v1/explain", web::get().to(explain))
                .route("/api/v1/proof", web::get().to(proof))
                .route("/api/v1/evidence", web::get().to(evidence))
                .route("/api/v1/benefits/{governor}/{holder}", web::get().to(benefits))
                .route("/api/v1/chains/{chain}/resume", web::post().to(resume))
                .route("/api/v1/fees/quote", web::get().to(quote))
                .route("/api/v1/codes", web::get().to(codes::all))
                .route("/api/v1/codes/{code}", web::get().to(codes::one))
                .route("/api/v1/facts/{source}", web::post().to(facts::say))
                .route("/api/v1/pause", web::post().to(pause::pause))
                .route("/api/v1/resume", web::post().to(pause::resume))
                .route("/api/v1/signers/{signer}/repair", web::post().to(repair::repair))
                .route("/api/v1/dead-letters", web::get().to(letters::list))
                .route("/api/v1/dead-letters/{sequence}", web::get().to(letters::show))
                .route("/api/v1/dead-letters/{sequence}", web::delete().to(letters::discard))
                .route("/api/v1/dead-letters/{sequence}/replay", web::post().to(letters::replay))
                .route("/api/v1/actors/{actor:.*}/retry", web::post().to(retry))
                .route("/api/v1/contracts/{contract}/replay", web::post().to(replay::start))
                .route("/api/v1/contracts/{contract}/replay", web::get().to(replay::progress))
                .route("/api/v1/debug/crash/{actor:.*}", web::post().to(crash))
                .default_service(web::to(|| async {
                    Err::<HttpResponse, _>(ApiProblem::NotFound("no such path".into()))
                }))
        })
        .workers(1)
        .max_connections(256)
        .disable_signals()
        .bind(address)
        .map_err(|source| ApiError::Bind { address, source })?;
        let bound = server.addrs().first().copied().unwrap_or(address);
        let server = server.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        Ok(Self { handle, address: bound })
    }

    /// The address it got: the real port where port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops taking requests and ends those under way.
    pub async fn stop(&self) {
        self.handle.stop(true).await;
    }
}

type Shared = Data<dyn Operator>;

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

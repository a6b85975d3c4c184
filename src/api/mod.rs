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
mod routes;
mod shape;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc};

use actix_web::{App, HttpServer, dev::ServerHandle, middleware::from_fn, web::Data};
use alloy::primitives::Address;
use futures::future::LocalBoxFuture;
use serde::Serialize;
use serde_json::Value as Json;

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
                .wrap(from_fn(shape::in_one_shape))
                .configure(routes::all)
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

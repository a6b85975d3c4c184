//! One RPC endpoint: every call to it passes here, behind one guard.
//!
//! Calls interleave: the guard's bulkhead, not the mailbox, bounds how many
//! are under way. The guard outlives the actor's incarnations, so that a
//! restart does not forget that the endpoint was failing.

use std::{borrow::Cow, sync::Arc};

use actix::{Actor, Context, Handler, Message, ResponseFuture};
use alloy::rpc::client::RpcClient;
use serde_json::{json, value::RawValue};

use crate::{
    breakers::{Guard, GuardSpec, GuardSpecError},
    chain::{
        rpc::RpcError,
        transport::{EndpointUrl, HttpLimits, NoHttpClient, connect},
    },
    supervisor::{Observation, Observe, Supervise},
    telemetry::Metrics,
};

/// What an endpoint's actor is made from, again and again.
#[derive(Clone, Debug)]
pub struct Endpoint {
    name: Arc<str>,
    url: EndpointUrl,
    limits: HttpLimits,
    guard: Guard,
}

/// Why an endpoint can't be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Its guard has no proper bounds.
    #[error(transparent)]
    Guard(#[from] GuardSpecError),
    /// No HTTP client can be made for it.
    #[error(transparent)]
    Http(#[from] NoHttpClient),
}

impl Endpoint {
    /// An endpoint by its URL. The guard's `dependency` is its name in errors,
    /// metrics and status, so it must not hold a key.
    ///
    /// # Errors
    /// See [`EndpointError`].
    pub fn new(
        url: EndpointUrl,
        guard: GuardSpec,
        limits: HttpLimits,
        metrics: &Metrics,
    ) -> Result<Self, EndpointError> {
        let name = guard.dependency.as_str().into();
        // What can't be made now is told now, not by the first call.
        connect(url.clone(), limits)?;
        Ok(Self { name, url, limits, guard: Guard::new(guard, metrics)? })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its guard, for `status` and readiness.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// A new incarnation of its actor.
    #[must_use]
    pub fn actor(&self) -> EndpointActor {
        // Its own connections: those of an incarnation whose thread is blocked
        // would never answer.
        EndpointActor { endpoint: self.clone(), rpc: connect(self.url.clone(), self.limits) }
    }
}

/// See the module.
pub struct EndpointActor {
    endpoint: Endpoint,
    rpc: Result<RpcClient, NoHttpClient>,
}

/// One JSON-RPC call.
#[derive(Debug, Message)]
#[rtype(result = "Result<Box<RawValue>, RpcError>")]
pub struct Call {
    /// The method.
    pub method: Cow<'static, str>,
    /// Its parameters, an array.
    pub params: Box<RawValue>,
    /// Whether the guard may repeat it. Not where another endpoint can be
    /// asked instead, nor for a transaction.
    pub retried: bool,
}

impl Actor for EndpointActor {
    type Context = Context<Self>;
}

impl Supervise for EndpointActor {
    /// As many as its guard lets wait and run, and some: beyond it callers
    /// wait instead of being refused.
    const MAILBOX: usize = 256;
}

impl Handler<Call> for EndpointActor {
    type Result = ResponseFuture<Result<Box<RawValue>, RpcError>>;

    fn handle(&mut self, call: Call, _: &mut Context<Self>) -> Self::Result {
        let Endpoint { name, guard, .. } = self.endpoint.clone();
        let rpc = self.rpc.clone();
        Box::pin(async move {
            let Call { method, params, retried } = call;
            let attempt = || async {
                let rpc = rpc.as_ref().map_err(|error| RpcError::Failed {
                    endpoint: Arc::clone(&name),
                    method: method.to_string(),
                    reason: error.to_string(),
                })?;
                rpc.request::<_, Box<RawValue>>(method.clone(), params.clone())
                    .await
                    .map_err(|error| RpcError::from_transport(&name, &method, error))
            };
            let result =
                if retried { guard.call(attempt).await } else { guard.call_once(attempt).await };
            result.map_err(|error| RpcError::from_guard(&name, &method, error))
        })
    }
}

impl Handler<Observe> for EndpointActor {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        let Endpoint { url, guard, .. } = &self.endpoint;
        json!({ "url": url.to_string(), "guard": guard.snapshot() }).into()
    }
}

//! One RPC endpoint: every call to it passes here, under one rate and behind
//! one guard.
//!
//! Calls interleave: the guard's bulkhead, not the mailbox, bounds how many
//! are under way. Rate and guard outlive the actor's incarnations, so that a
//! restart does not forget that the endpoint was failing. A call waits for its
//! rate before it takes a place in the bulkhead.

mod members;
mod pacer;

use std::{borrow::Cow, cell::Cell, convert::Infallible, sync::Arc, time::Duration};

use actix::{Actor, Context, Handler, Message, ResponseFuture};
use alloy::rpc::client::RpcClient;
use serde_json::{json, value::RawValue};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    breakers::{Classify, FailureClass, Guard, GuardError, GuardSpec, GuardSpecError, Terms},
    chain::{
        rate::Plan,
        rpc::RpcError,
        transport::{EndpointUrl, HttpLimits, NoHttpClient, call_batch, connect},
    },
    supervisor::{ActorRef, Observation, Observe, Supervise},
    telemetry::Metrics,
};

pub use members::Members;
use members::{judged, slowed_down};
pub use pacer::Pacer;

/// What an endpoint's actor is made from, again and again.
#[derive(Clone, Debug)]
pub struct Endpoint {
    name: Arc<str>,
    url: EndpointUrl,
    limits: HttpLimits,
    guard: Guard,
    pacer: Arc<Pacer>,
}

/// An endpoint and its actor.
#[derive(Clone)]
pub struct EndpointHandle {
    /// Takes calls.
    pub actor: ActorRef<EndpointActor>,
    /// Tells how it stands.
    pub endpoint: Endpoint,
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
    /// metrics and status, so it must not hold a key. Calls wait for their
    /// rate as long, and as many of them, as for a place in the guard.
    ///
    /// # Errors
    /// See [`EndpointError`].
    pub fn new(
        url: EndpointUrl,
        guard: GuardSpec,
        limits: HttpLimits,
        plan: Option<Plan>,
        metrics: &Metrics,
    ) -> Result<Self, EndpointError> {
        let name = guard.dependency.as_str().into();
        // What can't be made now is told now, not by the first call.
        connect(url.clone(), limits)?;
        let pacer = Arc::new(Pacer::new(plan, guard.queue_timeout, guard.max_queued));
        Ok(Self { name, url, limits, guard: Guard::new(guard, metrics)?, pacer })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its guard, for ranking, `status` and readiness.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Its rate, for ranking and `status`.
    #[must_use]
    pub fn pacer(&self) -> &Pacer {
        &self.pacer
    }

    /// A new incarnation of its actor.
    #[must_use]
    pub fn actor(&self) -> EndpointActor {
        // Its own connections: those of an incarnation whose thread is blocked
        // would never answer.
        EndpointActor { endpoint: self.clone(), rpc: connect(self.url.clone(), self.limits) }
    }

    /// An attempt under the rate and behind the guard.
    async fn attempt<T, F: Future<Output = Result<T, RpcError>>>(
        &self,
        method: &str,
        calls: usize,
        manner: Manner,
        once: impl Fn() -> F,
    ) -> Reply<T> {
        let Self { name, guard, pacer, .. } = self;
        let Manner { terms, retried, abandoned } = manner;
        let cost = pacer.cost(method, calls);
        let (began, repeated) = (Cell::new(None), Cell::new(false));
        let op = || async {
            if repeated.replace(true) {
                pacer.charge(cost);
            }
            began.set(Some(Instant::now()));
            let result = once().await;
            if let Err(error) = &result
                && let FailureClass::Overloaded { retry_after } = error.class()
            {
                pacer.refused(retry_after);
            }
            result
        };
        let work = async {
            if let Err(wait) = pacer.enter(cost, terms.priority).await {
                return Err(RpcError::Busy { endpoint: Arc::clone(name), wait });
            }
            let result = match retried {
                true => guard.call_on(terms, op).await,
                false => guard.call_once_on(terms, op).await,
            };
            if let Err(GuardError::Open { .. } | GuardError::Full { .. }) = &result
                && began.get().is_none()
            {
                pacer.refund(cost);
            }
            result.map_err(|error| RpcError::from_guard(name, method, error))
        };
        let outcome = tokio::select! {
            biased;
            outcome = work => outcome,
            // Nobody hears the answer.
            () = gone(abandoned) => {
                Err(RpcError::TimedOut { endpoint: Arc::clone(name), method: method.to_owned() })
            }
        };
        let took = began.get().map_or(Duration::ZERO, |began| began.elapsed());
        Reply { took, outcome }
    }
}

/// Ends when the caller has gone, if it would tell.
async fn gone(abandoned: Option<oneshot::Receiver<Infallible>>) {
    match abandoned {
        Some(abandoned) => drop(abandoned.await),
        None => std::future::pending().await,
    }
}

/// See the module.
pub struct EndpointActor {
    endpoint: Endpoint,
    rpc: Result<RpcClient, NoHttpClient>,
}

/// How a call is made.
#[derive(Debug, Default)]
pub struct Manner {
    /// Its priority, and a limit below the endpoint's own.
    pub terms: Terms,
    /// Whether the guard may repeat it. Not where another endpoint can be
    /// asked instead, nor for a transaction.
    pub retried: bool,
    /// Ends when the caller drops the other end: then the call ends too, and
    /// its place is free. Not for what must go out once it was begun.
    pub abandoned: Option<oneshot::Receiver<Infallible>>,
}

/// One JSON-RPC call.
#[derive(Debug, Message)]
#[rtype(result = "Reply<Box<RawValue>>")]
pub struct Call {
    /// The method.
    pub method: Cow<'static, str>,
    /// Its parameters, an array.
    pub params: Box<RawValue>,
    /// See [`Manner`].
    pub manner: Manner,
}

/// Several calls of one method, in one JSON-RPC batch: one attempt to the
/// guard, as many calls to the rate.
#[derive(Debug, Message)]
#[rtype(result = "Reply<Members>")]
pub struct Batch {
    /// The method.
    pub method: Cow<'static, str>,
    /// The parameters of each call, arrays.
    pub params: Vec<Box<RawValue>>,
    /// See [`Manner`].
    pub manner: Manner,
}

/// What became of a call.
#[derive(Debug)]
pub struct Reply<T> {
    /// Time of the last attempt, without waiting for it.
    pub took: Duration,
    /// The answer.
    pub outcome: Result<T, RpcError>,
}

impl Actor for EndpointActor {
    type Context = Context<Self>;
}

impl Supervise for EndpointActor {
    /// As many as its guard lets wait and run, and some: beyond it callers
    /// wait instead of being refused.
    const MAILBOX: usize = 256;
}

impl EndpointActor {
    fn client(&self, method: &str) -> Result<RpcClient, RpcError> {
        self.rpc.clone().map_err(|error| RpcError::Failed {
            endpoint: Arc::clone(&self.endpoint.name),
            method: method.to_owned(),
            reason: error.to_string(),
        })
    }
}

impl Handler<Call> for EndpointActor {
    type Result = ResponseFuture<Reply<Box<RawValue>>>;

    fn handle(&mut self, call: Call, _: &mut Context<Self>) -> Self::Result {
        let (endpoint, rpc) = (self.endpoint.clone(), self.client(&call.method));
        Box::pin(async move {
            let Call { method, params, manner } = call;
            let once = || async {
                let answer = rpc.clone()?.request::<_, Box<RawValue>>(method.clone(), &params);
                let name = &endpoint.name;
                answer.await.map_err(|error| RpcError::from_transport(name, &method, error))
            };
            endpoint.attempt(&method, 1, manner, once).await
        })
    }
}

impl Handler<Batch> for EndpointActor {
    type Result = ResponseFuture<Reply<Members>>;

    fn handle(&mut self, batch: Batch, _: &mut Context<Self>) -> Self::Result {
        let (endpoint, rpc) = (self.endpoint.clone(), self.client(&batch.method));
        Box::pin(async move {
            let Batch { method, params, manner } = batch;
            let once = || async {
                let told = |error| RpcError::from_transport(&endpoint.name, &method, error);
                let members = call_batch(&rpc.clone()?, &method, &params).await;
                let members = members.map_err(|error| told(error).of_batch())?;
                let members = members.into_iter().map(|m| m.map(|answer| answer.map_err(told)));
                let members = judged(members.collect())?;
                if let Some(wish) = members.iter().flatten().find_map(slowed_down) {
                    endpoint.pacer.refused(wish);
                }
                Ok(members)
            };
            endpoint.attempt(&method, params.len(), manner, once).await
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

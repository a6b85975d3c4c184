//! How a call is asked: of one endpoint, or of one after the other.

use std::{convert::Infallible, sync::Arc, time::Duration};

use alloy::primitives::U64;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::{sync::oneshot, time::Instant};

use super::{ChainClient, LieKind};
use crate::{
    actors::endpoint::{Call, Manner, Reply},
    breakers::{Classify, FailureClass, Terms},
    chain::{health::ChainCheck, rpc::RpcError, rpc_errors::RpcErrorClass},
};

/// A call under way. Dropped before it ended, it notes how long the endpoint
/// had not answered.
struct Asked<'a> {
    client: &'a ChainClient,
    index: usize,
    since: Instant,
    ended: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let now = self.client.now();
            if let Some(health) = self.client.health().get_mut(self.index) {
                health.slower_than(now, self.since.elapsed());
            }
        }
    }
}

impl ChainClient {
    /// A call that any endpoint may answer.
    pub(super) async fn any<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: impl Serialize,
    ) -> Result<T, RpcError> {
        self.any_checked(method, params, |_: &T| Ok(())).await
    }

    /// A call that any endpoint may answer, whose answer must pass `check`.
    pub(super) async fn any_checked<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: impl Serialize,
        check: impl Fn(&T) -> Result<(), String>,
    ) -> Result<T, RpcError> {
        self.ask(method, params, check).await.map(|(_, answer)| answer)
    }

    /// As [`Self::any_checked`], with the endpoint that gave the answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: impl Serialize,
        check: impl Fn(&T) -> Result<(), String>,
    ) -> Result<(usize, T), RpcError> {
        let params = self.raw(method, params)?;
        let (params, check) = (&params, &check);
        self.race(|index| async move {
            let answer = self.at(index, method, params).await?;
            check(&answer).map_err(|reason| self.wrong(index, method, reason))?;
            self.proved(index, 1);
            Ok(answer)
        })
        .await
    }

    /// A read from one endpoint; its health is noted.
    pub(super) async fn at<T: DeserializeOwned>(
        &self,
        index: usize,
        method: &'static str,
        params: &RawValue,
    ) -> Result<T, RpcError> {
        self.ensure_chain(index).await?;
        let answer = self.send(index, method, params).await?;
        serde_json::from_str(answer.get()).map_err(|error| self.malformed(index, method, error))
    }

    /// A bare read from one endpoint.
    pub(super) async fn send(
        &self,
        index: usize,
        method: &'static str,
        params: &RawValue,
    ) -> Result<Box<RawValue>, RpcError> {
        self.send_retried(index, method, params, true).await
    }

    /// A bare read from one endpoint; `retried` may keep its guard from
    /// repeating it.
    pub(super) async fn send_retried(
        &self,
        index: usize,
        method: &'static str,
        params: &RawValue,
        retried: bool,
    ) -> Result<Box<RawValue>, RpcError> {
        let (here, abandoned) = oneshot::channel();
        let mut manner = self.manner(index, method, abandoned);
        manner.retried &= retried;
        let answer = self.passed(index, method, params, manner).await;
        drop(here);
        answer
    }

    /// A bare call to one endpoint that goes out once and is not taken back.
    pub(super) async fn send_once(
        &self,
        index: usize,
        method: &'static str,
        params: &RawValue,
    ) -> Result<Box<RawValue>, RpcError> {
        self.passed(index, method, params, Manner::default()).await
    }

    /// How a read is made.
    pub(super) fn manner(
        &self,
        index: usize,
        method: &str,
        abandoned: oneshot::Receiver<Infallible>,
    ) -> Manner {
        let limit = self.attempt_limit(index, method);
        Manner {
            terms: Terms { priority: self.priority, limit },
            // Only where no other endpoint could be asked instead.
            retried: self.shared.endpoints.len() == 1 || self.only.is_some(),
            abandoned: Some(abandoned),
        }
    }

    async fn passed(
        &self,
        index: usize,
        method: &'static str,
        params: &RawValue,
        manner: Manner,
    ) -> Result<Box<RawValue>, RpcError> {
        let Some(handle) = self.shared.endpoints.get(index) else {
            return Err(self.no_endpoint());
        };
        let call = Call { method: method.into(), params: params.to_owned(), manner };
        let answer = handle.actor.send(call, self.shared.limits.call);
        self.noted(index, method, async {
            answer.await.map_err(|error| RpcError::from_actor(self.name(index), method, error))
        })
        .await
    }

    /// Awaits a reply and notes what it says about the endpoint.
    pub(super) async fn noted<T>(
        &self,
        index: usize,
        method: &str,
        reply: impl Future<Output = Result<Reply<T>, RpcError>>,
    ) -> Result<T, RpcError> {
        let mut asked = Asked { client: self, index, since: Instant::now(), ended: false };
        let (took, outcome) = match reply.await {
            Ok(Reply { took, outcome }) => (took, outcome),
            Err(error) => (asked.since.elapsed(), Err(error)),
        };
        asked.ended = true;
        self.note(index, method, took, outcome.as_ref().err());
        outcome
    }

    /// Makes sure that an endpoint is trusted and serves the chain.
    pub(super) async fn ensure_chain(&self, index: usize) -> Result<(), RpcError> {
        self.ensure_trusted(index)?;
        let check = self.health().get(index).map(|health| health.chain).unwrap_or_default();
        let (expected, endpoint) = (self.shared.chain_id, Arc::clone(self.name(index)));
        match check {
            ChainCheck::Right => return Ok(()),
            ChainCheck::Wrong(found) => {
                return Err(RpcError::OtherChain { endpoint, expected, found });
            }
            ChainCheck::Unknown => {}
        }
        let method = "eth_chainId";
        let params = self.raw(method, ())?;
        let answer = self.send(index, method, &params).await?;
        let found: U64 = serde_json::from_str(answer.get())
            .map_err(|error| self.malformed(index, method, error))?;
        let found = found.to();
        let right = found == expected;
        if let Some(health) = self.health().get_mut(index) {
            health.chain = if right { ChainCheck::Right } else { ChainCheck::Wrong(found) };
        }
        if right {
            return Ok(());
        }
        let reason = format!("it serves chain {found}, not chain {expected}");
        self.lied(index, LieKind::ChainId, method, reason);
        Err(RpcError::OtherChain { endpoint, expected, found })
    }

    /// What an outcome says about the endpoint.
    fn note(&self, index: usize, method: &str, took: Duration, error: Option<&RpcError>) {
        let now = self.now();
        let mut health = self.health();
        let Some(health) = health.get_mut(index) else { return };
        let Some(error) = error else { return health.succeeded(now, took) };
        if let RpcError::Busy { .. } = error {
            // It was not asked, and the ranking knows of its rate.
            return;
        }
        match error.class() {
            FailureClass::Fault | FailureClass::Barred => {
                health.failed(now);
                if matches!(error, RpcError::TimedOut { .. }) && !took.is_zero() {
                    health.slower_than(now, took);
                }
            }
            FailureClass::Overloaded { retry_after } => health.set_aside(now, retry_after),
            FailureClass::Answer => match error.refusal().map(|refusal| &refusal.class) {
                // Asking again won't help; others may have another plan.
                Some(RpcErrorClass::PlanRefused) => health.failed(now),
                Some(RpcErrorClass::Lagging) | None => {}
                Some(_) => health.succeeded(now, took),
            },
        }
        tracing::debug!(
            chain = %self.shared.chain, endpoint = %self.name(index), method, %error,
            "a call to an endpoint has no result"
        );
    }

    /// Parameters as JSON.
    pub(super) fn raw(
        &self,
        method: &str,
        params: impl Serialize,
    ) -> Result<Box<RawValue>, RpcError> {
        serde_json::value::to_raw_value(&params).map_err(|error| RpcError::Failed {
            endpoint: self.shared.chain.as_str().into(),
            method: method.to_owned(),
            reason: error.to_string(),
        })
    }
}

/// Whether asking another endpoint would give the same.
pub(super) fn is_final(error: &RpcError) -> bool {
    error.refusal().is_some_and(|refusal| {
        matches!(
            refusal.class,
            RpcErrorClass::Semantic
                | RpcErrorClass::TooManyAddresses(_)
                | RpcErrorClass::RangeTooLarge { .. }
        )
    })
}

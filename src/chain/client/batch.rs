//! Many like calls at once, as JSON-RPC batches.
//!
//! One endpoint gets one batch; what its answer lacks is asked of the next
//! one. How many calls an endpoint takes in a batch is learnt from its
//! refusals and only ever tightens, down to single calls.

mod read;

use alloy::primitives::U64;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::{ChainClient, LieKind, asking::is_final, lock};
use crate::{
    actors::endpoint::{Batch, Members},
    chain::{answers::Header, rpc::RpcError},
};

pub(super) use read::Read;

/// Calls in a batch, before anything is known of an endpoint.
pub(super) const FIRST_SIZE: usize = 50;

/// Like calls, and the answers so far.
struct Asked<'a, T, R> {
    method: &'static str,
    kind: LieKind,
    params: &'a [Box<RawValue>],
    read: R,
    answers: Vec<Option<Given<T>>>,
}

/// An answer, and which endpoint gave it.
pub(super) struct Given<T> {
    pub(super) by: usize,
    pub(super) value: T,
}

impl ChainClient {
    /// Headers of these heights, in the same order, all by endpoints that have
    /// them. They need not be of one branch when more than one endpoint is
    /// asked: see [`Self::only`].
    ///
    /// # Errors
    /// See [`RpcError`]: the last endpoint's, when a header is missing.
    pub async fn headers(&self, numbers: &[u64]) -> Result<Vec<Header>, RpcError> {
        let method = "eth_getBlockByNumber";
        let read = |item: usize, answer: &RawValue| {
            let wanted = numbers.get(item).copied().unwrap_or_default();
            Read::checked(answer, |header: &Header| match header.block.number {
                number if number == wanted => Ok(()),
                number => Err(format!("it gave block {number} for {wanted}")),
            })
        };
        let params = self.headers_of(method, numbers.iter().map(|n| U64::from(*n)))?;
        let (headers, failure) = self.batched(method, LieKind::Header, &params, read).await;
        let headers = self.complete(headers, failure, |item| self.lacks_height(numbers, item))?;
        Ok(headers.into_iter().map(|given| given.value).collect())
    }

    /// No endpoint has the block of this height.
    pub(super) fn lacks_height(&self, numbers: &[u64], item: usize) -> RpcError {
        let wanted = numbers.get(item).copied().unwrap_or_default();
        let endpoint = self.shared.chain.as_str().into();
        RpcError::Behind { endpoint, head: wanted.saturating_sub(1), wanted }
    }

    /// Parameters of calls for headers without transactions.
    pub(super) fn headers_of<P: serde::Serialize>(
        &self,
        method: &str,
        blocks: impl Iterator<Item = P>,
    ) -> Result<Vec<Box<RawValue>>, RpcError> {
        self.each(method, blocks.map(|block| (block, false)))
    }

    pub(super) fn each<P: serde::Serialize>(
        &self,
        method: &str,
        params: impl Iterator<Item = P>,
    ) -> Result<Vec<Box<RawValue>>, RpcError> {
        params.map(|params| self.raw(method, params)).collect()
    }

    pub(super) fn complete<T>(
        &self,
        answers: Vec<Option<Given<T>>>,
        failure: Option<RpcError>,
        lacks: impl Fn(usize) -> RpcError,
    ) -> Result<Vec<Given<T>>, RpcError> {
        let one = |(item, answer): (usize, Option<Given<T>>)| {
            answer.ok_or_else(|| failure.clone().unwrap_or_else(|| lacks(item)))
        };
        answers.into_iter().enumerate().map(one).collect()
    }

    /// Asks one endpoint after the other for what is missing. Gives what came,
    /// and the last failure: none, where all that is missing is absent.
    pub(super) async fn batched<T>(
        &self,
        method: &'static str,
        kind: LieKind,
        params: &[Box<RawValue>],
        read: impl Fn(usize, &RawValue) -> Read<T>,
    ) -> (Vec<Option<Given<T>>>, Option<RpcError>) {
        let answers = params.iter().map(|_| None).collect();
        let mut asked = Asked { method, kind, params, read, answers };
        if params.is_empty() {
            return (Vec::new(), None);
        }
        let mut order = self.order();
        if order.is_empty() {
            return (asked.answers, Some(self.no_endpoint()));
        }
        if let [lone] = order[..] {
            // What one answer lacks the next one may have.
            order.push(lone);
        }
        let mut failure = None;
        for index in order {
            failure = match self.batches_at(index, &mut asked).await {
                Ok(()) => None,
                Err(error) if is_final(&error) => return (asked.answers, Some(error)),
                Err(error) => Some(error),
            };
            if asked.answers.iter().all(Option::is_some) {
                break;
            }
        }
        (asked.answers, failure)
    }

    /// Asks one endpoint for all that is missing, in batches that it takes.
    /// Fails when one of them did, or an answer did not come.
    async fn batches_at<T, R: Fn(usize, &RawValue) -> Read<T>>(
        &self,
        index: usize,
        asked: &mut Asked<'_, T, R>,
    ) -> Result<(), RpcError> {
        self.ensure_chain(index).await?;
        let missing = asked.answers.iter().enumerate().filter(|(_, answer)| answer.is_none());
        let mut missing: Vec<usize> = missing.map(|(item, _)| item).collect();
        let mut failure = None;
        while !missing.is_empty() {
            let size = self.batch_size(index, asked.method).min(missing.len());
            let items: Vec<usize> = missing.iter().copied().take(size).collect();
            let members = match self.send_batch(index, asked, &items).await {
                Err(error) if size > 1 && error.is_about_the_batch() => {
                    self.shrink(index, size);
                    continue;
                }
                Err(error) => {
                    if matches!(error, RpcError::TimedOut { .. }) {
                        self.shrink(index, size);
                    }
                    return Err(error);
                }
                Ok(members) => members,
            };
            let refused = members.iter().flatten().filter_map(|answer| answer.as_ref().err());
            let refused = refused.filter(|error| error.is_about_the_batch()).count();
            let missed = members.iter().filter(|member| member.is_none()).count();
            if size > 1 && refused > 0 {
                self.shrink(index, size);
                if refused + missed == size {
                    continue;
                }
            }
            missing.drain(..size);
            for (item, member) in items.into_iter().zip(members) {
                if let Some(error) = self.take(index, asked, item, member)? {
                    failure = Some(error);
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Reads one answer of a batch. Gives why it is none; fails when it makes
    /// no sense to go on with this endpoint.
    fn take<T, R: Fn(usize, &RawValue) -> Read<T>>(
        &self,
        index: usize,
        asked: &mut Asked<'_, T, R>,
        item: usize,
        member: Option<Result<Box<RawValue>, RpcError>>,
    ) -> Result<Option<RpcError>, RpcError> {
        let method = asked.method;
        let raw = match member {
            Some(Ok(raw)) => raw,
            Some(Err(error)) => return Ok(Some(error)),
            None => {
                return Ok(Some(RpcError::Failed {
                    endpoint: std::sync::Arc::clone(self.name(index)),
                    method: method.to_owned(),
                    reason: "its answer to a batch lacks some".to_owned(),
                }));
            }
        };
        match (asked.read)(item, &raw) {
            Read::Good(answer) => {
                self.proved(index, 1);
                if let Some(place) = asked.answers.get_mut(item) {
                    *place = Some(Given { by: index, value: answer });
                }
                Ok(None)
            }
            Read::Absent => Ok(None),
            Read::Malformed(reason) => Err(self.malformed(index, method, reason)),
            Read::Wrong(reason) => Err(self.lied(index, asked.kind, method, reason)),
        }
    }

    async fn send_batch<T, R>(
        &self,
        index: usize,
        asked: &Asked<'_, T, R>,
        items: &[usize],
    ) -> Result<Members, RpcError> {
        let method = asked.method;
        let params: Vec<_> =
            items.iter().filter_map(|item| asked.params.get(*item).cloned()).collect();
        if let [params] = &params[..] {
            // Who takes no batches takes this.
            return match self.send(index, method, params).await {
                Ok(answer) => Ok(vec![Some(Ok(answer))]),
                Err(error) => Err(error),
            };
        }
        let Some(handle) = self.shared.endpoints.get(index) else {
            return Err(self.no_endpoint());
        };
        let (here, abandoned) = oneshot::channel();
        let mut manner = self.manner(index, method, abandoned);
        // That is for single calls.
        manner.terms.limit = None;
        let batch = Batch { method: method.into(), params, manner };
        let reply = handle.actor.send(batch, self.shared.limits.call);
        let members = self
            .noted(index, method, async {
                reply.await.map_err(|error| RpcError::from_actor(self.name(index), method, error))
            })
            .await;
        drop(here);
        members
    }

    /// Calls that an endpoint is given at once: what it takes, and what its
    /// rate lets out.
    fn batch_size(&self, index: usize, method: &str) -> usize {
        let takes = lock(&self.shared.batches).get(index).copied().unwrap_or(1);
        let pacer = self.shared.endpoints.get(index).map(|handle| handle.endpoint.pacer());
        takes.min(pacer.map_or(1, |pacer| pacer.at_once(method))).max(1)
    }

    fn shrink(&self, index: usize, tried: usize) {
        if let Some(size) = lock(&self.shared.batches).get_mut(index) {
            *size = (*size).min(tried / 2).max(1);
            tracing::debug!(endpoint = %self.name(index), calls = *size, "batches are smaller now");
        }
    }
}

//! Endpoints that exist in memory, for simulations: known by their URLs to the thread
//! on which the simulation runs.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll},
};

use alloy::{
    rpc::json_rpc::{RequestPacket, ResponsePacket},
    transports::{TransportError, TransportFut},
};
use tower_service::Service;

use super::EndpointUrl;

/// What answers for an endpoint.
pub trait Node: Send + Sync {
    /// Answers a request, or fails as HTTP would.
    fn answer(self: Arc<Self>, request: RequestPacket) -> TransportFut<'static>;
}

thread_local!(static NODES: RefCell<BTreeMap<String, Arc<dyn Node>>> = RefCell::default());

/// From now on this is what answers at the URL, on this thread.
pub fn serve(url: &EndpointUrl, node: Arc<dyn Node>) {
    NODES.with_borrow_mut(|nodes| nodes.insert(url.to_string(), node));
}

/// Nobody answers in memory any more, on this thread.
pub fn close() {
    NODES.with_borrow_mut(BTreeMap::clear);
}

pub(super) fn at(url: &EndpointUrl) -> Option<InMemory> {
    NODES.with_borrow(|nodes| nodes.get(&url.to_string()).cloned().map(InMemory))
}

/// The way to a node, which takes no time: delays are the node's.
#[derive(Clone)]
pub(super) struct InMemory(Arc<dyn Node>);

impl Service<RequestPacket> for InMemory {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        Arc::clone(&self.0).answer(request)
    }
}

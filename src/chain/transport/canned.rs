//! A client whose endpoint has answered already: for whoever asks what is made of an
//! answer.

use std::{
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use alloy::{
    rpc::{
        client::RpcClient,
        json_rpc::{RequestPacket, ResponsePacket},
    },
    transports::{TransportError, TransportFut},
};
use reqwest::StatusCode;
use tower_service::Service;

use super::{EndpointUrl, read, read_retry_after};

/// An HTTP answer, whole.
#[derive(Clone)]
pub(crate) struct Canned {
    /// Who gave it.
    pub(crate) url: EndpointUrl,
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its header `Retry-After`.
    pub(crate) retry_after: Option<String>,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

impl Canned {
    /// A client that gets this answer to whatever it asks.
    pub(crate) fn client(self) -> RpcClient {
        RpcClient::new(self, false)
    }

    /// How long it asks to be left alone.
    pub(crate) fn wait(&self) -> Option<Duration> {
        read_retry_after(self.retry_after.as_deref()?, None, SystemTime::UNIX_EPOCH)
    }

    fn answer(&self) -> Result<ResponsePacket, TransportError> {
        read(&self.url, self.status, &self.body, self.wait())
    }
}

impl Service<RequestPacket> for Canned {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: RequestPacket) -> Self::Future {
        Box::pin(std::future::ready(self.answer()))
    }
}

//! An endpoint that serves the chain it is configured for, and what it is asked.

use std::sync::Arc;

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes},
    rpc::client::RpcClient,
    transports::TransportError,
};
use serde_json::json;

use crate::chain::rpc::RpcError;

/// The endpoint.
pub(super) struct Opened {
    /// As findings name it.
    pub(super) name: Arc<str>,
    /// What asks it.
    pub(super) client: RpcClient,
}

impl Opened {
    /// An address's code; empty where there is none.
    pub(super) async fn code(&self, address: Address) -> Result<Bytes, RpcError> {
        let method = "eth_getCode";
        let code = self.client.request(method, (address, BlockNumberOrTag::Latest)).await;
        code.map_err(|error| self.error(method, error))
    }

    /// What a contract answers. One that reverts is a
    /// [semantic](RpcError::semantic) refusal; all others are the endpoint's own.
    pub(super) async fn call(&self, to: Address, calldata: &Bytes) -> Result<Bytes, RpcError> {
        let method = "eth_call";
        let request = json!({ "to": to, "data": calldata });
        let answer = self.client.request(method, (request, BlockNumberOrTag::Latest)).await;
        answer.map_err(|error| self.error(method, error))
    }

    fn error(&self, method: &str, error: TransportError) -> RpcError {
        RpcError::from_transport(&self.name, method, error)
    }
}

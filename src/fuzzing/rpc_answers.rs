//! What endpoints answer.

mod refusals;
mod results;

use std::sync::{Arc, LazyLock};

use alloy::transports::TransportError;
use futures::executor::block_on;
use reqwest::StatusCode;
use serde_json::value::RawValue;

use super::first_line;
use crate::chain::{
    rpc::RpcError,
    transport::{EndpointUrl, call_batch, canned::Canned},
};

/// What of [`URL`] nobody may see. Answers of the corpus repeat it.
const KEYS: [&str; 3] = ["hunter2-hunter2", "0123456789abcdef0123456789abcdef", "fedcba9876543210"];
/// An endpoint with a key wherever there can be one.
const URL: &str = "https://ada:hunter2-hunter2@node.example/v3/0123456789abcdef0123456789abcdef?token=fedcba9876543210";
/// The methods whose results are read, the usual one first.
const METHODS: [&str; 10] = [
    "eth_getLogs",
    "eth_blockNumber",
    "eth_call",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_gasPrice",
    "eth_getBlockByNumber",
    "eth_getBlockReceipts",
    "eth_getTransactionReceipt",
    "eth_sendRawTransaction",
];

static ENDPOINT: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("home/0"));

/// An HTTP answer: a line with the method that was called, the status, and `Retry-After`
/// if it was sent; then the body.
///
/// It is a result that keeps what its type promises, or an error that has a class, is
/// short, and does not tell the key in the endpoint's URL.
pub fn rpc_answers(bytes: &[u8]) {
    let (head, body) = first_line(bytes);
    let head = String::from_utf8_lossy(head);
    let mut words = head.splitn(3, ' ');
    let asked = words.next().unwrap_or_default();
    let method = METHODS.into_iter().find(|it| *it == asked).unwrap_or(METHODS[0]);
    let status = words.next().and_then(|code| code.parse().ok());
    let status = status.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::OK);
    let retry_after = words.next().map(str::to_owned);
    let url: EndpointUrl = URL.parse().unwrap();
    let rpc = Canned { url, status, retry_after, body: body.to_vec() }.client();

    match block_on(async { rpc.request::<_, Box<RawValue>>(method, ()).await }) {
        Ok(result) => results::result(method, result.get()),
        Err(error) => refused(method, error),
    }
    let params: Vec<Box<RawValue>> = (0..3).map(|_| RawValue::NULL.to_owned()).collect();
    match block_on(call_batch(&rpc, method, &params)) {
        Ok(members) => {
            assert_eq!(members.len(), params.len(), "an answer has a place for each call");
            for error in members.into_iter().flatten().filter_map(Result::err) {
                refused(method, error);
            }
        }
        Err(error) => refused(method, error),
    }
}

fn refused(method: &str, error: TransportError) {
    refusals::refused(method, &RpcError::from_transport(&ENDPOINT, method, error));
}

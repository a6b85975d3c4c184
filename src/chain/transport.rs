//! HTTP to one RPC endpoint.
//!
//! alloy's own transport has no bound on an answer's size, puts the URL (and
//! the key in it) into its tracing spans, and forgets the HTTP status when the
//! body is JSON-RPC. This one bounds, redacts and remembers.
//!
//! Connections are kept open and, where the server offers it (by ALPN), shared
//! by HTTP/2 streams; a shared one that went dead is found out by pings, as it
//! would take all its calls with it. Answers may come gzipped: the bound is on
//! what they unpack to.

mod batch;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod canned;
#[cfg(feature = "simulation")]
pub mod simulated;
mod url;

use std::{
    borrow::Cow,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use alloy::{
    rpc::{
        client::RpcClient,
        json_rpc::{RequestPacket, Response, ResponsePacket, ResponsePayload},
    },
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use reqwest::{StatusCode, header};
use serde_json::value::RawValue;
use tower_service::Service;

pub use batch::{Member, call_batch};
pub use url::{EndpointUrl, InvalidEndpointUrl};

use crate::shortened::shortened;

/// How often a shared connection is pinged while calls are under way on it,
/// and how long it may take to answer.
const PING_EVERY: Duration = Duration::from_secs(5);
const PING_LIMIT: Duration = Duration::from_secs(5);
/// What of an answer that is no JSON-RPC is kept for its error, in bytes.
const ERROR_BODY_MAX: usize = 4096;

/// Bounds of one connection pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Longest time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Longest time of a whole call, as a backstop behind the guard's.
    pub total_timeout: Duration,
    /// Largest answer, in bytes, unpacked.
    pub response_bytes_max: usize,
}

/// No HTTP client can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no HTTP client for {url}: {reason} (https needs the system's CA certificates)")]
pub struct NoHttpClient {
    /// The endpoint.
    pub url: EndpointUrl,
    /// What the TLS or HTTP library says.
    pub reason: String,
}

/// Why no answer came, beyond what HTTP statuses say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportFault {
    /// Refused, cut, timed out.
    #[error("{0}")]
    Http(String),
    /// More than the endpoint may answer.
    #[error("its answer is larger than {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// An answer that is no JSON-RPC.
    #[error("its answer is no JSON-RPC ({reason}): `{start}`")]
    NotJson {
        /// What the parser says.
        reason: String,
        /// The answer's first characters.
        start: String,
    },
}

/// A JSON-RPC client over HTTP.
///
/// # Errors
/// When TLS has no trusted roots to work with, for an `https` URL.
pub fn connect(url: EndpointUrl, limits: HttpLimits) -> Result<RpcClient, NoHttpClient> {
    #[cfg(feature = "simulation")]
    if let Some(node) = simulated::at(&url) {
        return Ok(RpcClient::new(node, false));
    }
    let mut builder = reqwest::Client::builder()
        .connect_timeout(limits.connect_timeout)
        .timeout(limits.total_timeout)
        .tcp_nodelay(true)
        .gzip(true)
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_LIMIT)
        .http2_adaptive_window(true)
        // A redirect would carry the key to another host.
        .redirect(reqwest::redirect::Policy::none());
    if url.whole().scheme() == "http" {
        // Building fails where the system has no CA certificates, which a
        // plain connection does not need.
        builder = builder.tls_certs_only([]).no_proxy();
    }
    let client = builder.build().map_err(|error| NoHttpClient {
        url: url.clone(),
        reason: chain_of(&error.without_url()),
    })?;
    Ok(RpcClient::new(Http { client, url, response_bytes_max: limits.response_bytes_max }, false))
}

#[derive(Clone)]
struct Http {
    client: reqwest::Client,
    url: EndpointUrl,
    response_bytes_max: usize,
}

impl Http {
    async fn post(self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let body = serde_json::to_vec(&request).map_err(TransportError::ser_err)?;
        let sent = self
            .client
            .post(self.url.whole().clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .send();
        let mut response = sent.await.map_err(|error| fault(http(error)))?;
        let status = response.status();
        let word = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = word(header::RETRY_AFTER)
            .and_then(|after| read_retry_after(after, word(header::DATE), SystemTime::now()));
        // Of a failure only the start is read: the rest tells nothing.
        let max = if status.is_success() { self.response_bytes_max } else { ERROR_BODY_MAX };
        let mut answer = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| fault(http(error)))? {
            if answer.len() + part.len() > max {
                if status.is_success() {
                    return Err(fault(TransportFault::TooLarge { max }));
                }
                answer.extend_from_slice(part.get(..max - answer.len()).unwrap_or_default());
                break;
            }
            answer.extend_from_slice(&part);
        }
        read(&self.url, status, &answer, retry_after)
    }
}

impl Service<RequestPacket> for Http {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        Box::pin(self.clone().post(request))
    }
}

/// Reads an answer, whatever it is. Some servers repeat in their errors the path that
/// was asked for, and the key in it: what an endpoint says about a failure comes from
/// here, and without its URL's keys.
fn read(
    url: &EndpointUrl,
    status: StatusCode,
    answer: &[u8],
    retry_after: Option<Duration>,
) -> Result<ResponsePacket, TransportError> {
    if !status.is_success() {
        let body = url.hidden_in(&String::from_utf8_lossy(answer)).into_owned();
        return Err(TransportErrorKind::http_error_with_retry_after(
            status.as_u16(),
            body,
            retry_after,
        ));
    }
    match serde_json::from_slice(answer) {
        Ok(ResponsePacket::Single(response)) => {
            Ok(ResponsePacket::Single(without_keys(url, response)))
        }
        Ok(ResponsePacket::Batch(responses)) => Ok(ResponsePacket::Batch(
            responses.into_iter().map(|response| without_keys(url, response)).collect(),
        )),
        Err(error) => {
            let start = answer.get(..ERROR_BODY_MAX).unwrap_or(answer);
            let start = url.hidden_in(&String::from_utf8_lossy(start)).chars().take(80).collect();
            Err(fault(TransportFault::NotJson { reason: shortened(&error), start }))
        }
    }
}

/// Results are data, and stay as they are.
fn without_keys(url: &EndpointUrl, response: Response) -> Response {
    let payload = match response.payload {
        ResponsePayload::Failure(mut error) => {
            if let Cow::Owned(message) = url.hidden_in(&error.message) {
                error.message = message.into();
            }
            if let Some(data) = &error.data
                && let Cow::Owned(hidden) = url.hidden_in(data.get())
            {
                // A key that was part of the JSON's form, and not of a text in it.
                error.data = RawValue::from_string(hidden).ok();
            }
            ResponsePayload::Failure(error)
        }
        success => success,
    };
    Response { payload, ..response }
}

/// Reads a `Retry-After` of seconds or of a date (RFC 9110, 10.2.3). A date is
/// measured by the server's own clock, if it tells its time.
fn read_retry_after(after: &str, date: Option<&str>, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = after.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(after.trim()).ok()?;
    let now = date.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
    Some(then.duration_since(now).unwrap_or_default())
}

fn fault(fault: TransportFault) -> TransportError {
    TransportErrorKind::custom(fault)
}

fn http(error: reqwest::Error) -> TransportFault {
    TransportFault::Http(chain_of(&error.without_url()))
}

/// An error with its sources, which is where reqwest says what happened.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_wish_to_be_left_alone_is_read_as_seconds_or_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let read = |after, date| read_retry_after(after, date, now);
        assert_eq!(read(" 30 ", None), Some(Duration::from_secs(30)));
        let date = "Sun, 09 Sep 2001 01:46:45 GMT";
        assert_eq!(read(date, None), Some(Duration::from_secs(5)));
        let theirs = "Sun, 09 Sep 2001 01:46:00 GMT";
        assert_eq!(read(date, Some(theirs)), Some(Duration::from_secs(45)));
        assert_eq!(read(theirs, None), Some(Duration::ZERO), "a time that is over");
        assert_eq!(read("soon", None), None);
    }
}

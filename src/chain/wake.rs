//! A WebSocket on which an endpoint announces new heads.
//!
//! An announcement is a reason to look and nothing else: its content is not
//! even read. alloy's own subscriptions give up for good after some
//! reconnects, and put the URL into their spans; this is one subscription on a
//! plain WebSocket, of which the caller makes another when it ends.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use futures::{SinkExt, StreamExt};
use reqwest::Url;
use rustls_platform_verifier::BuilderVerifierExt;
use serde::Deserialize;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};

/// Largest message, in bytes: a header with a bloom is some 2 kB.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Where an endpoint announces heads. Path, query and user may hold keys: all
/// that is ever shown is scheme, host and port.
#[derive(Clone, PartialEq, Eq)]
pub struct WakeUrl(Url);

/// The text is no WebSocket URL. It is not repeated, as it may hold a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no WebSocket URL; use one like `wss://host/path`")]
pub struct InvalidWakeUrl;

impl FromStr for WakeUrl {
    type Err = InvalidWakeUrl;
    fn from_str(text: &str) -> Result<Self, InvalidWakeUrl> {
        let url: Url = text.trim().parse().map_err(|_| InvalidWakeUrl)?;
        match url.scheme() {
            "ws" | "wss" => Ok(Self(url)),
            _ => Err(InvalidWakeUrl),
        }
    }
}

impl fmt::Display for WakeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or("?"))?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for WakeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WakeUrl({self})")
    }
}

/// Why nothing is announced (any more).
#[derive(Debug, thiserror::Error)]
pub enum WakeError {
    /// No connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// TLS has no roots to trust.
    #[error("no TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The endpoint does not do subscriptions.
    #[error("it refuses to announce heads: {0}")]
    Refused(String),
    /// The connection ended.
    #[error("the connection ended: {0}")]
    Ended(String),
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Silent(Duration),
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// There is a new head.
    Head,
    /// The connection lives.
    Life,
}

/// A subscription to an endpoint's heads.
pub struct Wake {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    error: Option<FrameError>,
}

#[derive(Deserialize)]
struct FrameError {
    message: String,
}

impl Wake {
    /// Connects and subscribes, within `limit`.
    ///
    /// # Errors
    /// See [`WakeError`].
    pub async fn connect(url: &WakeUrl, limit: Duration) -> Result<Self, WakeError> {
        timeout(limit, Self::subscribe(url)).await.map_err(|_| WakeError::Silent(limit))?
    }

    async fn subscribe(url: &WakeUrl) -> Result<Self, WakeError> {
        let connector = match url.0.scheme() {
            "wss" => Connector::Rustls(tls()?),
            _ => Connector::Plain,
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let connected =
            connect_async_tls_with_config(url.0.as_str(), Some(config), true, Some(connector));
        let (socket, _) = connected.await.map_err(|error| WakeError::Connect(said(&error)))?;
        let mut wake = Self { socket };
        let ask = r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#;
        wake.send(Message::text(ask)).await?;
        loop {
            let Some(frame) = wake.frame().await? else { continue };
            match (frame.id, frame.error) {
                (_, Some(error)) => {
                    return Err(WakeError::Refused(error.message.chars().take(200).collect()));
                }
                (Some(1), None) => return Ok(wake),
                (_, None) => {}
            }
        }
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    /// When the connection ended.
    pub async fn next(&mut self) -> Result<Heard, WakeError> {
        let frame = self.frame().await?;
        let head = frame.is_some_and(|f| f.method.as_deref() == Some("eth_subscription"));
        Ok(if head { Heard::Head } else { Heard::Life })
    }

    /// Asks whether the other side is there: it answers with [`Heard::Life`].
    ///
    /// # Errors
    /// When the connection ended.
    pub async fn ping(&mut self) -> Result<(), WakeError> {
        self.send(Message::Ping(tungstenite::Bytes::new())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), WakeError> {
        self.socket.send(message).await.map_err(|error| WakeError::Ended(said(&error)))
    }

    /// The next frame; `None` for one that is no JSON-RPC.
    async fn frame(&mut self) -> Result<Option<Frame>, WakeError> {
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text).ok()),
            Some(Ok(Message::Close(_))) | None => Err(WakeError::Ended("it was closed".into())),
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(WakeError::Ended(said(&error))),
        }
    }
}

/// The library's errors, without what may hold a URL or a body.
fn said(error: &tungstenite::Error) -> String {
    use tungstenite::Error;
    match error {
        Error::Io(error) => error.to_string(),
        Error::Tls(error) => error.to_string(),
        Error::Http(answer) => format!("HTTP status {}", answer.status().as_u16()),
        Error::Capacity(_) => format!("a message larger than {MESSAGE_BYTES_MAX} bytes"),
        Error::Protocol(error) => error.to_string(),
        Error::ConnectionClosed | Error::AlreadyClosed => "it was closed".to_owned(),
        Error::Url(_) | Error::HttpFormat(_) => "the URL can't be used".to_owned(),
        _ => "no WebSocket".to_owned(),
    }
}

/// Trusts whom the calls over HTTPS trust. The provider is named, as more than
/// one is linked.
fn tls() -> Result<Arc<rustls::ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::cli::demo::anvil::{Anvil, Mining};

    const LIMIT: Duration = Duration::from_secs(10);

    fn url(text: &str) -> WakeUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_url_never_shows_its_key() {
        let shown = format!("{0} {0:?}", url("wss://user:pass@node.example:8443/v3/key?x=key"));
        assert_eq!(shown, "wss://node.example:8443 WakeUrl(wss://node.example:8443)");
        for wrong in ["http://node.example", "node", ""] {
            assert_eq!(wrong.parse::<WakeUrl>(), Err(InvalidWakeUrl));
        }
    }

    #[tokio::test]
    async fn a_real_node_announces_each_head() {
        let anvil = Anvil::start(Mining::OnDemand).await.unwrap();
        let mut wake =
            Wake::connect(&url(&anvil.url().replace("http", "ws")), LIMIT).await.unwrap();
        wake.ping().await.unwrap();
        assert_eq!(timeout(LIMIT, wake.next()).await.unwrap().unwrap(), Heard::Life);
        for _ in 0..3 {
            anvil.mine(1).await.unwrap();
            assert_eq!(timeout(LIMIT, wake.next()).await.unwrap().unwrap(), Heard::Head);
        }
        drop(anvil);
        let ended = timeout(LIMIT, wake.next()).await.unwrap();
        assert!(matches!(ended, Err(WakeError::Ended(_))), "{ended:?}");
    }

    #[tokio::test]
    async fn an_error_names_no_key() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let secret = url(&format!("ws://{address}/v3/key-secret?key=key-secret"));
        let served = tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let body = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 10\r\n\r\nkey-secret";
            stream.write_all(body.as_bytes()).await.unwrap();
        });
        let refused = Wake::connect(&secret, LIMIT).await.err().unwrap();
        served.await.unwrap();
        let gone = Wake::connect(&secret, LIMIT).await.err().unwrap();
        assert_eq!(refused.to_string(), "no connection: HTTP status 401");
        assert!(!format!("{refused:?} {gone:?} {gone}").contains("key-secret"), "{gone:?}");
    }

    #[tokio::test]
    async fn tls_is_spoken_and_its_failure_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hello = tokio::spawn(async move {
            use tokio::io::AsyncReadExt;
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap()
        });
        let error = Wake::connect(&url(&format!("wss://{address}")), LIMIT).await.err().unwrap();
        assert!(matches!(error, WakeError::Connect(_) | WakeError::Tls(_)), "{error}");
        if matches!(error, WakeError::Connect(_)) {
            // The record type of a TLS handshake (RFC 8446, 5.1).
            assert_eq!(hello.await.unwrap(), 22);
        }
    }
}

//! The connection to NATS that all actors share.

use std::{fmt, sync::Arc, time::Duration};

use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr,
    jetstream::{self, context::ContextBuilder},
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
};

#[cfg(feature = "simulation")]
use super::simulated::Server;
use super::{
    StreamError,
    connect_spec::{Auth, ConnectSpec, shown, without_credentials},
    unanswered::{Silence, Unanswered},
    version::ServerVersion,
};

/// A connection with its JetStream context. Clones share it.
///
/// The task that drives it lives on the runtime that called
/// [`Connection::open`]: open it on the main runtime, never inside an actor
/// that may be restarted on an arbiter of its own. When that runtime stops,
/// calls fail with "channel closed" while the client's own state still says
/// connected; [`Connection::probe`] tells the truth.
///
/// While the server is away the client keeps what it is given and sends it
/// after the reconnect: a publish that timed out may land later. That is why
/// every time-out of a publish is ambiguous.
#[derive(Clone)]
pub struct Connection {
    link: Link,
    reconnects: watch::Receiver<u64>,
    in_flight: Arc<Semaphore>,
    request_timeout: Duration,
    unanswered: Arc<Unanswered>,
}

/// What is at the other end.
#[derive(Clone)]
#[cfg_attr(feature = "simulation", expect(clippy::large_enum_variant))]
pub(super) enum Link {
    /// A server.
    Nats(Nats),
    /// One that exists in memory.
    #[cfg(feature = "simulation")]
    Simulated(Server),
}

/// The client of a server.
#[derive(Clone)]
pub(super) struct Nats {
    pub(super) client: Client,
    pub(super) jetstream: jetstream::Context,
    /// Where the connection is driven.
    pub(super) runtime: Handle,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("is_connected", &self.is_connected())
            .field("reconnects", &*self.reconnects.borrow())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects, checks the server's version and that JetStream answers.
    ///
    /// The first connection is tried once; a lost one is retried for ever,
    /// with jittered pauses of up to 2 s.
    ///
    /// # Errors
    /// When no server answers, credentials are refused, the server is older
    /// than [`ServerVersion::OLDEST`] or has no JetStream.
    pub async fn open(spec: ConnectSpec) -> Result<Self, StreamError> {
        let servers = shown(&spec.urls);
        let addresses = spec
            .urls
            .iter()
            .map(|url| {
                url.parse::<ServerAddr>()
                    .map_err(|_| StreamError::BadAddress { url: without_credentials(url) })
            })
            .collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(StreamError::BadAddress { url: String::new() });
        }

        let (counter, reconnects) = watch::channel(0_u64);
        let options = options(&spec, counter).await?;
        let attempt = tokio::time::timeout(CONNECT_TIMEOUT, options.connect(addresses)).await;
        let client = match attempt {
            Err(_) => {
                let reason = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs());
                return Err(StreamError::Unreachable { servers, reason });
            }
            Ok(Err(error)) => return Err(refused(servers, &error)),
            Ok(Ok(client)) => client,
        };

        check_version(&client.server_info().version)?;
        let jetstream = ContextBuilder::new()
            .timeout(spec.request_timeout)
            .ack_timeout(spec.request_timeout)
            .max_ack_inflight(spec.max_in_flight)
            .build(client.clone());
        let connection = Self {
            link: Link::Nats(Nats { client, jetstream, runtime: Handle::current() }),
            reconnects,
            in_flight: Arc::new(Semaphore::new(spec.max_in_flight)),
            request_timeout: spec.request_timeout,
            unanswered: Arc::default(),
        };
        connection.probe().await?;
        Ok(connection)
    }

    /// A connection to a server that exists in memory.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn simulated(server: Server) -> Self {
        let spec = ConnectSpec::new(Vec::new(), Auth::None, "simulated");
        Self {
            reconnects: server.reconnects(),
            in_flight: Arc::new(Semaphore::new(spec.max_in_flight)),
            request_timeout: spec.request_timeout,
            unanswered: Arc::default(),
            link: Link::Simulated(server),
        }
    }

    /// Whether the server exists in memory alone: whatever others would do meanwhile is
    /// done in turn then, so that the same seed gives the same run.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        match self.link {
            Link::Nats(_) => false,
            #[cfg(feature = "simulation")]
            Link::Simulated(_) => true,
        }
    }

    /// How often the connection was made anew. A reader of this rechecks its
    /// cursors against the streams after each change: the server may have
    /// lost its tail, or be another one.
    #[must_use]
    pub fn reconnects(&self) -> watch::Receiver<u64> {
        self.reconnects.clone()
    }

    /// A round trip to JetStream and back: the only proof that the connection
    /// works.
    ///
    /// # Errors
    /// When no answer comes within the request timeout, or JetStream is off.
    pub async fn probe(&self) -> Result<(), StreamError> {
        const WHAT: &str = "health check";
        let nats = match &self.link {
            Link::Nats(nats) => nats,
            #[cfg(feature = "simulation")]
            Link::Simulated(server) => return self.bounded(WHAT, server.probe()).await?,
        };
        let within = self.bounded(WHAT, nats.jetstream.query_account()).await?;
        within.map(drop).map_err(|error| match error.kind() {
            jetstream::context::AccountErrorKind::TimedOut => self.timed_out(WHAT),
            jetstream::context::AccountErrorKind::JetStreamUnavailable
            | jetstream::context::AccountErrorKind::JetStream(_) => {
                StreamError::NoJetStream { reason: error.to_string() }
            }
            _ => StreamError::Unavailable { what: WHAT.to_owned(), reason: error.to_string() },
        })
    }

    /// Whether there is a connection, as far as the client has noticed: a call is
    /// not worth trying without, where something else can answer.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        match &self.link {
            Link::Nats(nats) => {
                nats.client.connection_state() == async_nats::connection::State::Connected
            }
            #[cfg(feature = "simulation")]
            Link::Simulated(server) => server.is_up(),
        }
    }

    /// The version that the server names.
    #[must_use]
    pub fn server_version(&self) -> String {
        match &self.link {
            Link::Nats(nats) => nats.client.server_info().version,
            #[cfg(feature = "simulation")]
            Link::Simulated(_) => ServerVersion::OLDEST.to_string(),
        }
    }

    /// The stream, or bucket, that leaves writes without an answer longest, if any does.
    #[must_use]
    pub fn unanswered(&self) -> Option<(String, Silence)> {
        self.unanswered.longest()
    }

    pub(super) fn writes(&self) -> &Unanswered {
        &self.unanswered
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// The largest message that the server takes, in bytes.
    pub(super) fn max_payload(&self) -> usize {
        match &self.link {
            Link::Nats(nats) => nats.client.max_payload(),
            #[cfg(feature = "simulation")]
            Link::Simulated(_) => Server::MAX_PAYLOAD,
        }
    }

    pub(super) fn in_flight(&self) -> &Semaphore {
        &self.in_flight
    }

    pub(super) fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    pub(super) fn timed_out(&self, what: impl Into<String>) -> StreamError {
        let after_ms = u64::try_from(self.request_timeout.as_millis()).unwrap_or(u64::MAX);
        StreamError::TimedOut { what: what.into(), after_ms }
    }

    /// Bounds a call by the request timeout: the client's own time-outs start
    /// only once the call got into its queue, which fills while disconnected.
    pub(super) async fn bounded<F: Future>(
        &self,
        what: &str,
        call: F,
    ) -> Result<F::Output, StreamError> {
        tokio::time::timeout(self.request_timeout, call).await.map_err(|_| self.timed_out(what))
    }
}

/// Longer than the client's own limit for one address, so that several get
/// their turn.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// A server that stopped answering is noticed after two missed pings.
const PING_INTERVAL: Duration = Duration::from_secs(10);

async fn options(
    spec: &ConnectSpec,
    counter: watch::Sender<u64>,
) -> Result<ConnectOptions, StreamError> {
    let mut options = ConnectOptions::new()
        .name(&spec.name)
        .request_timeout(Some(spec.request_timeout))
        .ping_interval(PING_INTERVAL)
        .reconnect_delay_callback(|attempts| {
            let ceiling_ms = 50_u64.saturating_mul(1 << attempts.min(6)).min(2_000);
            Duration::from_millis(crate::chance::random_range(ceiling_ms / 2..=ceiling_ms))
        });
    // The first connection is no reconnect.
    let first = std::sync::atomic::AtomicBool::new(true);
    options = options.event_callback(move |event| {
        match event {
            Event::Connected => {
                if !first.swap(false, std::sync::atomic::Ordering::Relaxed) {
                    counter.send_modify(|count| *count += 1);
                    tracing::info!("connected to NATS again");
                }
            }
            Event::Disconnected => tracing::warn!("connection to NATS lost"),
            other => tracing::debug!(event = %other, "NATS"),
        }
        std::future::ready(())
    });
    options = match &spec.auth {
        Auth::None => options,
        Auth::Password { user, password } => {
            options.user_and_password(user.clone(), password.expose().to_owned())
        }
        Auth::CredentialsFile(path) => {
            options.credentials_file(path).await.map_err(|error| StreamError::BadCredentials {
                path: path.display().to_string(),
                reason: error.to_string(),
            })?
        }
    };
    if let Some(tls) = &spec.tls {
        options = options.require_tls(true);
        if let Some(authorities) = &tls.authorities {
            options = options.add_root_certificates(authorities.clone());
        }
        if let Some((certificate, key)) = &tls.identity {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
    }
    Ok(options)
}

fn refused(servers: String, error: &async_nats::ConnectError) -> StreamError {
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            StreamError::Unauthorized { servers }
        }
        _ => StreamError::Unreachable { servers, reason: error.to_string() },
    }
}

fn check_version(found: &str) -> Result<(), StreamError> {
    match found.parse::<ServerVersion>() {
        Ok(version) if version >= ServerVersion::OLDEST => Ok(()),
        _ => Err(StreamError::TooOld { found: found.to_owned(), needed: ServerVersion::OLDEST }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::streams::{Redacted, testing::TestServer};

    #[test]
    fn an_old_server_is_refused_with_both_versions() {
        assert_eq!(check_version("2.12.0"), Ok(()));
        let error = check_version("2.9.25").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("2.9.25") && text.contains("2.12.0"), "{text}");
    }

    #[tokio::test]
    async fn an_unreachable_server_is_named_without_its_password() {
        // Port 1 of the loopback is nobody's.
        let urls = vec!["nats://me:hunter2@127.0.0.1:1".to_owned()];
        let error = Connection::open(ConnectSpec::new(urls, Auth::None, "t")).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StreamError::Unreachable { .. }), "{text}");
        assert!(text.contains("127.0.0.1:1") && !text.contains("hunter2"), "{text}");
    }

    #[tokio::test]
    async fn a_wrong_password_is_told_as_such() {
        let server = TestServer::start().await;
        let mut spec = server.managed.connect_spec("intruder");
        spec.auth = Auth::Password { user: "merit".into(), password: Redacted::new("wrong") };
        let error = Connection::open(spec).await.unwrap_err();
        assert!(matches!(error, StreamError::Unauthorized { .. }), "{error}");
        server.stop().await;
    }
}

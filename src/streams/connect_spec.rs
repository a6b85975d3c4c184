//! Where NATS is, who we are to it, and how long we wait for it.

use std::{fmt, path::PathBuf, time::Duration};

/// A secret that shows itself to nobody who prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted(String);

impl Redacted {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How to say who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    None,
    /// User and password.
    Password {
        /// User.
        user: String,
        /// Password.
        password: Redacted,
    },
    /// A `.creds` file (JWT and seed).
    CredentialsFile(PathBuf),
}

/// TLS beyond what `tls://` in the address asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificate authorities to trust besides the system's, PEM.
    pub authorities: Option<PathBuf>,
    /// Our own certificate and its key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What a connection needs.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectSpec {
    /// `nats://host:port` or `tls://host:port`, of one cluster.
    pub urls: Vec<String>,
    /// Who we are.
    pub auth: Auth,
    /// `None` leaves TLS to the address and the server.
    pub tls: Option<Tls>,
    /// What the server's monitoring calls us.
    pub name: String,
    /// The longest wait for one answer: an acknowledgement, a JetStream call.
    pub request_timeout: Duration,
    /// How many acknowledgements may be awaited at once; more wait their turn.
    pub max_in_flight: usize,
}

impl fmt::Debug for ConnectSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectSpec")
            .field("urls", &shown(&self.urls))
            .field("auth", &self.auth)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ConnectSpec {
    /// With limits that suit a server on the same machine or network:
    /// 5 s an answer, 256 in flight.
    #[must_use]
    pub fn new(urls: Vec<String>, auth: Auth, name: impl Into<String>) -> Self {
        Self {
            urls,
            auth,
            tls: None,
            name: name.into(),
            request_timeout: Duration::from_secs(5),
            max_in_flight: 256,
        }
    }
}

/// Addresses for people: a password may stand in one.
pub(super) fn shown(urls: &[String]) -> String {
    urls.iter().map(|url| without_credentials(url)).collect::<Vec<_>>().join(", ")
}

pub(super) fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_ever_printed() {
        let spec = ConnectSpec::new(
            vec!["nats://me:hunter2@h:4222".to_owned()],
            Auth::Password { user: "me".into(), password: Redacted::new("hunter2") },
            "test",
        );
        assert!(!format!("{spec:?}").contains("hunter2"));
        assert_eq!(shown(&spec.urls), "nats://h:4222");
    }
}

//! The managed broker of a setting, as the outside reaches it: by the note
//! that the daemon leaves beside its store.

use async_nats::{Client, ConnectOptions, Subscriber};

use super::{DemoError, setting::Setting};
use crate::{
    daemon::{self, NotReachable},
    streams::{Auth, ConnectSpec, StreamError, connection::Connection},
};

/// A subscription, and the connection that keeps it alive.
#[derive(Debug)]
pub struct Heard {
    /// The connection.
    pub client: Client,
    /// Everything that is said, from the subscription on.
    pub messages: Subscriber,
}

fn spec(setting: &Setting) -> Result<ConnectSpec, DemoError> {
    daemon::managed(&setting.data(), "meritd-demo").map_err(|error| match error {
        NotReachable::Note { path, source } => {
            DemoError::File { what: path.display().to_string(), source }
        }
        NotReachable::Secret(error) => DemoError::File {
            what: "the broker's password".to_owned(),
            source: std::io::Error::other(error),
        },
    })
}

/// A connection to the broker.
///
/// # Errors
/// When there is no note, or the broker does not answer.
pub async fn connect(setting: &Setting) -> Result<Connection, DemoError> {
    Ok(Connection::open(spec(setting)?).await?)
}

/// Listens to all subjects of meritd, as any consumer may.
///
/// # Errors
/// When there is no note, or the broker does not answer.
pub async fn listen(setting: &Setting) -> Result<Heard, DemoError> {
    let failed = |error: &dyn std::fmt::Display| StreamError::Unavailable {
        what: "subscribing".to_owned(),
        reason: error.to_string(),
    };
    let ConnectSpec { urls, auth, .. } = spec(setting)?;
    let options = match auth {
        Auth::Password { user, password } => {
            ConnectOptions::new().user_and_password(user, password.expose().to_owned())
        }
        Auth::None | Auth::CredentialsFile(_) => ConnectOptions::new(),
    };
    let client = options.connect(urls).await.map_err(|error| failed(&error))?;
    let messages = client.subscribe("merit.v1.>").await.map_err(|error| failed(&error))?;
    // The broker knows of the subscription once it has answered.
    client.flush().await.map_err(|error| failed(&error))?;
    Ok(Heard { client, messages })
}

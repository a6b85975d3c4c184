//! The managed broker of a setting, as the outside reaches it: by the note
//! that the daemon leaves beside its store.

use async_nats::{Client, ConnectOptions, Subscriber};
use serde::Deserialize;

use super::{DemoError, setting::Setting};
use crate::{
    daemon::CLIENT_FILE,
    streams::{Auth, ConnectSpec, Redacted, StreamError, connection::Connection},
};

/// What the note says.
#[derive(Deserialize)]
struct ClientNote {
    urls: Vec<String>,
    user: String,
    password: String,
}

/// A subscription, and the connection that keeps it alive.
#[derive(Debug)]
pub struct Heard {
    /// The connection.
    pub client: Client,
    /// Everything that is said, from the subscription on.
    pub messages: Subscriber,
}

fn note(setting: &Setting) -> Result<ClientNote, DemoError> {
    let path = setting.data().join(CLIENT_FILE);
    let failed = |source| DemoError::File { what: path.display().to_string(), source };
    let text = std::fs::read_to_string(&path).map_err(failed)?;
    serde_json::from_str(&text).map_err(|error| failed(std::io::Error::other(error)))
}

/// A connection to the broker.
///
/// # Errors
/// When there is no note, or the broker does not answer.
pub async fn connect(setting: &Setting) -> Result<Connection, DemoError> {
    let ClientNote { urls, user, password } = note(setting)?;
    let auth = Auth::Password { user, password: Redacted::new(password) };
    Ok(Connection::open(ConnectSpec::new(urls, auth, "meritd-demo")).await?)
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
    let ClientNote { urls, user, password } = note(setting)?;
    let options = ConnectOptions::new().user_and_password(user, password);
    let client = options.connect(urls).await.map_err(|error| failed(&error))?;
    let messages = client.subscribe("merit.v1.>").await.map_err(|error| failed(&error))?;
    // The broker knows of the subscription once it has answered.
    client.flush().await.map_err(|error| failed(&error))?;
    Ok(Heard { client, messages })
}

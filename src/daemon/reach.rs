//! How a tool beside the daemon reaches its broker: an external one by the
//! configuration, a managed one by the note that the daemon leaves.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    config::{Config, Nats, SecretError, SecretRef},
    streams::{Auth, ConnectSpec, Redacted},
};

/// Beside the store: how to reach the managed broker, for people and tools.
pub const CLIENT_FILE: &str = "nats-client.json";

/// What the note says.
#[derive(Serialize, Deserialize)]
struct Note {
    urls: Vec<String>,
    user: String,
    password: String,
}

/// Why it is not known how to reach the broker.
#[derive(Debug, thiserror::Error)]
pub enum NotReachable {
    /// The note is not there, or is none.
    #[error("{path}: {source}; a running daemon leaves it there: start `meritd run`")]
    Note {
        /// Where it was looked for.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The password of an external broker.
    #[error("nats.password: {0}")]
    Secret(#[from] SecretError),
}

/// How to reach the broker that a daemon of this configuration uses. `name`
/// is what the server's monitoring calls us.
///
/// # Errors
/// See [`NotReachable`].
pub fn broker_of(config: &Config, name: &str) -> Result<ConnectSpec, NotReachable> {
    match &config.nats {
        Nats::Managed { .. } => managed(&config.data_dir, name),
        Nats::External { urls, credentials, login, .. } => {
            Ok(external(urls, credentials.as_deref(), login.as_ref(), name)?)
        }
    }
}

/// How to reach the broker whose note is in this data folder.
///
/// # Errors
/// When there is no readable note.
pub fn managed(data_dir: &Path, name: &str) -> Result<ConnectSpec, NotReachable> {
    let path = data_dir.join(CLIENT_FILE);
    let read = fs::read_to_string(&path)
        .and_then(|text| serde_json::from_str(&text).map_err(io::Error::other));
    let Note { urls, user, password } =
        read.map_err(|source| NotReachable::Note { path, source })?;
    let auth = Auth::Password { user, password: Redacted::new(password) };
    Ok(ConnectSpec::new(urls, auth, name))
}

/// How to reach a broker that somebody else runs.
///
/// # Errors
/// When the password can't be had.
pub fn external(
    urls: &[String],
    credentials: Option<&Path>,
    login: Option<&(String, SecretRef)>,
    name: &str,
) -> Result<ConnectSpec, SecretError> {
    let auth = match (credentials, login) {
        (Some(path), _) => Auth::CredentialsFile(path.to_owned()),
        (None, Some((user, password))) => {
            let password = Redacted::new(password.resolve()?.expose());
            Auth::Password { user: user.clone(), password }
        }
        (None, None) => Auth::None,
    };
    Ok(ConnectSpec::new(urls.to_vec(), auth, name))
}

/// Leaves the note, readable by its owner only: tools and people with the
/// `nats` command read it.
pub(super) fn leave_note(data_dir: &Path, spec: &ConnectSpec) {
    let Auth::Password { user, password } = &spec.auth else { return };
    let note = Note {
        urls: spec.urls.clone(),
        user: user.clone(),
        password: password.expose().to_owned(),
    };
    let path = data_dir.join(CLIENT_FILE);
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| {
            // The mode above is for new files only.
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(&serde_json::to_vec(&note)?)
        });
    if let Err(error) = written {
        tracing::warn!("{}: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_note_that_others_could_read_is_closed_to_them_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(CLIENT_FILE);
        fs::write(&path, "an older note, longer than the new one ".repeat(9)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let auth = Auth::Password { user: "merit".to_owned(), password: Redacted::new("secret") };
        let spec = ConnectSpec::new(vec!["nats://127.0.0.1:1".to_owned()], auth, "test");
        leave_note(folder.path(), &spec);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(managed(folder.path(), "test").unwrap(), spec);
    }

    #[test]
    fn without_a_note_it_is_said_who_leaves_it() {
        let folder = tempfile::tempdir().unwrap();
        let said = managed(folder.path(), "test").unwrap_err().to_string();
        assert!(said.contains(CLIENT_FILE) && said.contains("meritd run"), "{said}");
        fs::write(folder.path().join(CLIENT_FILE), "{\"urls\": 1}").unwrap();
        assert!(managed(folder.path(), "test").is_err());
    }
}

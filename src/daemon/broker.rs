//! The broker: a server of our own, kept alive, or somebody else's.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use rand::Rng as _;
use serde_json::json;
use tokio::sync::oneshot;

use super::{DaemonState, StartError};
use crate::{
    config::{Config, Nats},
    streams::{
        Auth, ConnectSpec, Redacted, StreamError,
        connection::Connection,
        find_nats_server,
        managed::{ManagedServer, ManagedSpec},
        nats_server_version,
        setup::{Replicas, declare},
    },
    tools,
};

/// The connection, and the server behind it when it is ours.
pub(super) struct Broker {
    pub(super) connection: Connection,
    /// Sent to stop the managed server; answers when it is gone.
    stop: Option<oneshot::Sender<oneshot::Sender<()>>>,
}

/// How long a managed server may take to end.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Longest pause between two tries to reach a broker.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// Beside the store: how to reach the managed broker, for people and tools.
pub const CLIENT_FILE: &str = "nats-client.json";

impl Broker {
    /// Starts or finds the broker, connects, and declares the streams.
    pub(super) async fn start(config: &Config, state: &DaemonState) -> Result<Self, StartError> {
        let name = format!("meritd-{}", config.environment);
        match &config.nats {
            Nats::Managed { binary } => {
                let program = match binary {
                    Some(path) => {
                        let refuse = |source| StartError::Binary { path: path.clone(), source };
                        nats_server_version(path).await.map_err(refuse)?;
                        path.clone()
                    }
                    None => match tools::find("nats-server") {
                        Some(path) => path,
                        None => find_nats_server(&[])?,
                    },
                };
                let folder = config.data_dir.join("nats");
                let server = ManagedServer::start(ManagedSpec { folder, program }).await?;
                let spec = server.connect_spec(name);
                write_client_file(&config.data_dir, &spec);
                let connection = Connection::open(spec).await?;
                declare(&connection, Replicas::ONE).await?;
                tracing::info!(port = server.port(), "managed nats-server is up");
                let (stop, stopped) = oneshot::channel();
                actix_rt::spawn(keep_alive(server, stopped));
                Ok(Self { connection, stop: Some(stop) })
            }
            Nats::External { urls, credentials, login, replicas } => {
                let auth = match (credentials, login) {
                    (Some(path), _) => Auth::CredentialsFile(path.clone()),
                    (None, Some((user, password))) => {
                        let password = password
                            .resolve()
                            .map_err(|error| StartError::Internal(error.to_string()))?;
                        Auth::Password {
                            user: user.clone(),
                            password: Redacted::new(password.expose()),
                        }
                    }
                    (None, None) => Auth::None,
                };
                let spec = ConnectSpec::new(urls.clone(), auth, name);
                let connection = connect_patiently(spec, state).await?;
                let replicas = Replicas::new(*replicas).ok_or_else(|| {
                    StartError::Internal("nats.replicas: give 1, 3 or 5".to_owned())
                })?;
                declare(&connection, replicas).await?;
                Ok(Self { connection, stop: None })
            }
        }
    }

    /// Ends a managed server.
    pub(super) async fn stop(self) {
        let (gone, wait) = oneshot::channel();
        if let Some(stop) = self.stop
            && stop.send(gone).is_ok()
        {
            let _ = wait.await;
        }
    }
}

/// Tries until it works: a broker that is away is no reason to die, one that
/// is too old or refuses us is.
async fn connect_patiently(
    spec: ConnectSpec,
    state: &DaemonState,
) -> Result<Connection, StartError> {
    let mut pause = Duration::from_millis(250);
    loop {
        match Connection::open(spec.clone()).await {
            Ok(connection) => return Ok(connection),
            Err(
                error @ (StreamError::Unreachable { .. }
                | StreamError::Unavailable { .. }
                | StreamError::TimedOut { .. }),
            ) => {
                tracing::warn!("{error}; trying again");
                state.waiting_for_broker(&error.to_string());
                let jitter = rand::rng().random_range(0.5..1.0);
                tokio::time::sleep(pause.mul_f64(jitter)).await;
                pause = (pause * 2).min(RETRY_MAX);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Restarts the managed server whenever it ends, on the same port, so that
/// the connection finds it again.
async fn keep_alive(
    mut server: ManagedServer,
    mut stopped: oneshot::Receiver<oneshot::Sender<()>>,
) {
    let mut pause = Duration::from_millis(100);
    loop {
        tokio::select! {
            gone = &mut stopped => {
                server.stop(STOP_GRACE).await;
                if let Ok(gone) = gone {
                    let _ = gone.send(());
                }
                return;
            }
            ended = server.wait() => {
                tracing::error!(?ended, log = %server.log().display(), "nats-server ended; restarting it");
                match server.restart().await {
                    Ok(()) => pause = Duration::from_millis(100),
                    Err(error) => {
                        tracing::error!("{error}");
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(RETRY_MAX);
                    }
                }
            }
        }
    }
}

/// Leaves a note, readable by its owner only, of how to reach the managed
/// broker: `meritd demo` and people with the `nats` command read it.
fn write_client_file(data_dir: &Path, spec: &ConnectSpec) {
    let Auth::Password { user, password } = &spec.auth else { return };
    let note = json!({ "urls": spec.urls, "user": user, "password": password.expose() });
    let path = data_dir.join(CLIENT_FILE);
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(note.to_string().as_bytes()));
    if let Err(error) = written {
        tracing::warn!("{}: {error}", path.display());
    }
}

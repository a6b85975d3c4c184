//! The nats-server that meritd starts for itself.
//!
//! It listens on the loopback, on a port of its own, with a password made
//! at each start. It is one process without replicas; `nats.mode =
//! "external"` is for more. Whoever owns a [`ManagedServer`] waits for its
//! end and restarts it: on the same port, so that clients find it again.

mod memory;

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Read as _, Seek as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::{
    ProgramError,
    connect_spec::{Auth, ConnectSpec, Redacted},
    program,
    server_config::{self, Layout, USER},
    stale,
};

/// How long a server may take until it tells its port: it reads its streams'
/// last blocks first (measured: 0.1 s for 142,000 messages).
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause between looks for the port.
const POLL: Duration = Duration::from_millis(5);
/// How much of a log an error quotes.
const TAIL_BYTES: u64 = 1_000;

/// Why the managed server is not running.
#[derive(Debug, thiserror::Error)]
pub enum ManagedError {
    /// There is no program to run.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Another daemon that lives runs its server there.
    #[error("{folder} is in use by another meritd; give each daemon its own `data_dir`")]
    FolderInUse {
        /// The server's folder.
        folder: String,
    },
    /// A server that an earlier daemon left behind can't be ended.
    #[error(
        "a nats-server that an earlier meritd left behind in {folder} can't be ended: {source}; end it by hand"
    )]
    Stale {
        /// The server's folder.
        folder: String,
        /// Why.
        source: io::Error,
    },
    /// The folder can't be prepared.
    #[error("{path}: {source}; check that meritd may write there and that the disk has room")]
    Folder {
        /// The file or folder.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The port of the server's last run has another owner now.
    #[error(
        "port {port} of nats-server was taken by another program while the server was down; end that program, or restart meritd, which then chooses another port"
    )]
    PortTaken {
        /// The port on 127.0.0.1.
        port: u16,
    },
    /// The server ended before it listened.
    #[error("nats-server ended at its start ({status}); its last words in {log}: {tail}")]
    Ended {
        /// How it ended.
        status: String,
        /// Where its log is.
        log: String,
        /// The log's end.
        tail: String,
    },
    /// The server does not get ready.
    #[error("nats-server did not listen within {after_s} s; its last words in {log}: {tail}")]
    Silent {
        /// The limit.
        after_s: u64,
        /// Where its log is.
        log: String,
        /// The log's end.
        tail: String,
    },
}

/// What a managed server needs.
#[derive(Clone, Debug)]
pub struct ManagedSpec {
    /// A folder of its own; made when it isn't there.
    pub folder: PathBuf,
    /// The `nats-server` to run, see [`super::find_nats_server`].
    pub program: PathBuf,
}

/// A running child process. Dropping it kills the process.
#[derive(Debug)]
pub struct ManagedServer {
    program: PathBuf,
    layout: Layout,
    password: Redacted,
    port: u16,
    child: Child,
    /// Held as long as we live; the kernel frees it when we are killed.
    _lock: File,
}

impl ManagedServer {
    /// Starts a server on a free port and returns once it listens. Ends a
    /// server that an earlier daemon left behind in the folder.
    ///
    /// # Errors
    /// See [`ManagedError`].
    pub async fn start(spec: ManagedSpec) -> Result<Self, ManagedError> {
        program::check(&spec.program).await?;
        let folder = prepare(&spec.folder)?;
        let layout = Layout::new(folder);
        let lock = lock(&layout)?;
        end_stale(&layout).await?;
        let password = server_config::new_password();
        let (child, port) = launch(&spec.program, &layout, None, &password).await?;
        tracing::info!(port, pid = child.id(), "nats-server listens");
        Ok(Self { program: spec.program, layout, password, port, child, _lock: lock })
    }

    /// How to connect to it.
    #[must_use]
    pub fn connect_spec(&self, name: impl Into<String>) -> ConnectSpec {
        let auth = Auth::Password { user: USER.to_owned(), password: self.password.clone() };
        ConnectSpec::new(vec![format!("nats://127.0.0.1:{}", self.port)], auth, name)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Where the server writes what it does.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.layout.log()
    }

    /// Returns when the process has ended, at once if it has already. May be
    /// dropped and called again.
    ///
    /// # Errors
    /// When the process can't be waited for.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Starts it again, on the same port and with the same password.
    ///
    /// # Errors
    /// See [`ManagedError`]; after one it may be called again.
    pub async fn restart(&mut self) -> Result<(), ManagedError> {
        self.stop(Duration::from_secs(5)).await;
        end_stale(&self.layout).await?;
        let (child, port) =
            launch(&self.program, &self.layout, Some(self.port), &self.password).await?;
        tracing::info!(port, pid = child.id(), "nats-server listens again");
        self.child = child;
        Ok(())
    }

    /// Asks the process to close its files and end (SIGTERM), and kills it
    /// when it has not done so within `grace`.
    pub async fn stop(&mut self, grace: Duration) {
        if let Some(pid) = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            // Not yet waited for, so the id is still its own.
            if kill_process(pid, Signal::TERM).is_ok()
                && tokio::time::timeout(grace, self.child.wait()).await.is_ok()
            {
                return;
            }
            tracing::warn!(
                pid = pid.as_raw_nonzero(),
                "nats-server does not end by itself: killing it"
            );
        }
        if let Err(error) = self.child.kill().await
            && error.kind() != io::ErrorKind::InvalidInput
        {
            tracing::warn!(%error, "nats-server can't be killed");
        }
    }
}

/// Makes the folders, private to us, and returns the real path: a server is
/// recognised by it.
fn prepare(folder: &Path) -> Result<PathBuf, ManagedError> {
    let wrong = |path: &Path| {
        let path = path.display().to_string();
        move |source| ManagedError::Folder { path, source }
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(wrong(folder))?;
    let folder = folder.canonicalize().map_err(wrong(folder))?;
    let ports = Layout::new(folder.clone()).ports_folder();
    builder.create(&ports).map_err(wrong(&ports))?;
    Ok(folder)
}

fn lock(layout: &Layout) -> Result<File, ManagedError> {
    let path = layout.lock();
    let shown = || path.display().to_string();
    let file =
        File::create(&path).map_err(|source| ManagedError::Folder { path: shown(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(ManagedError::FolderInUse { folder: shown_parent(&path) })
        }
        Err(TryLockError::Error(source)) => Err(ManagedError::Folder { path: shown(), source }),
    }
}

fn shown_parent(path: &Path) -> String {
    path.parent().unwrap_or(path).display().to_string()
}

async fn end_stale(layout: &Layout) -> Result<(), ManagedError> {
    let config = layout.config();
    stale::end_servers_of(&config)
        .await
        .map(drop)
        .map_err(|source| ManagedError::Stale { folder: shown_parent(&config), source })
}

/// Starts the process and waits until it told its port.
async fn launch(
    program: &Path,
    layout: &Layout,
    port: Option<u16>,
    password: &Redacted,
) -> Result<(Child, u16), ManagedError> {
    let folder = |path: PathBuf| {
        move |source| ManagedError::Folder { path: path.display().to_string(), source }
    };
    server_config::write(layout, port, password).map_err(folder(layout.config()))?;
    // A killed server leaves its file there, and process ids come again.
    forget_ports(layout).map_err(folder(layout.ports_folder()))?;
    let output = File::create(layout.output()).map_err(folder(layout.output()))?;
    let errors = output.try_clone().map_err(folder(layout.output()))?;
    let log_start = fs::metadata(layout.log()).map_or(0, |log| log.len());
    let mut child = Command::new(program)
        .envs(memory::variables())
        .arg("--config")
        .arg(layout.config())
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .kill_on_drop(true)
        .spawn()
        .map_err(folder(program.to_path_buf()))?;

    let ports_file = child.id().map(|pid| layout.ports_file(pid));
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        if let Some(port) = ports_file.as_deref().and_then(read_port) {
            return Ok((child, port));
        }
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => return Err(ended(layout, log_start, port, &status.to_string())),
            Err(error) => return Err(ended(layout, log_start, port, &error.to_string())),
        }
        if Instant::now() >= deadline {
            let after_s = START_TIMEOUT.as_secs();
            let log = layout.log().display().to_string();
            return Err(ManagedError::Silent { after_s, log, tail: last_words(layout, log_start) });
        }
        sleep(POLL).await;
    }
}

fn forget_ports(layout: &Layout) -> io::Result<()> {
    for file in fs::read_dir(layout.ports_folder())? {
        fs::remove_file(file?.path())?;
    }
    Ok(())
}

fn ended(layout: &Layout, log_start: u64, port: Option<u16>, status: &str) -> ManagedError {
    let tail = last_words(layout, log_start);
    if let Some(port) = port
        && tail.contains("address already in use")
    {
        return ManagedError::PortTaken { port };
    }
    let log = layout.log().display().to_string();
    ManagedError::Ended { status: status.to_owned(), log, tail }
}

/// The end of what the server said since `log_start`: in its log, or before
/// it had one.
fn last_words(layout: &Layout, log_start: u64) -> String {
    let logged = tail(&layout.log(), log_start).unwrap_or_default();
    let printed = tail(&layout.output(), 0).unwrap_or_default();
    let said = format!("{printed} {logged}");
    if said.trim().is_empty() { "(nothing)".to_owned() } else { said.trim().to_owned() }
}

fn tail(path: &Path, start: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(io::SeekFrom::Start(start.max(length.saturating_sub(TAIL_BYTES))))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The port of the first client address in a ports file; `None` while the
/// file is not whole.
fn read_port(path: &Path) -> Option<u16> {
    #[derive(Deserialize)]
    struct Ports {
        nats: Vec<String>,
    }
    let ports: Ports = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    ports.nats.first()?.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests;

//! The daemon as a child process: started, watched until ready, killed.

use std::{
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::process::{Child, Command};

use super::{
    DemoError,
    setting::{PASSPHRASE_VARIABLE, Setting, append_to},
};
use crate::daemon::ADDRESS_FILE;

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It did not start.
    #[error("meritd could not be started: {0}")]
    Start(std::io::Error),
    /// It ended by itself.
    #[error("meritd ended with {status}; see {log}")]
    Ended {
        /// How.
        status: std::process::ExitStatus,
        /// Its log.
        log: PathBuf,
    },
    /// It never got ready.
    #[error("meritd was not ready within {seconds} s: {why}; see {log}")]
    NotReady {
        /// The limit.
        seconds: u64,
        /// What it said last.
        why: String,
        /// Its log.
        log: PathBuf,
    },
}

/// A running daemon; it is killed when this is dropped.
pub(super) struct DaemonProcess {
    child: Child,
    url: String,
}

/// How long it may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(40);
/// How long it may take to stop when asked to.
const STOP_WITHIN: Duration = Duration::from_secs(25);

impl DaemonProcess {
    /// Starts the daemon of a setting and waits until it says it is ready.
    pub(super) async fn start(setting: &Setting) -> Result<Self, DemoError> {
        let log = append_to(&setting.log())?;
        let copy = log.try_clone().map_err(ChildError::Start)?;
        let address = setting.data().join(ADDRESS_FILE);
        // Left by an earlier run.
        let _ = std::fs::remove_file(&address);
        let program = std::env::current_exe().map_err(ChildError::Start)?;
        let child = Command::new(program)
            .args(["run", "--environment", "development", "--config"])
            .arg(setting.config())
            .env(PASSPHRASE_VARIABLE, setting.passphrase())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(copy)
            .kill_on_drop(true)
            .spawn()
            .map_err(ChildError::Start)?;
        let mut process = Self { child, url: String::new() };
        process.wait_ready(setting, &address).await?;
        Ok(process)
    }

    async fn wait_ready(
        &mut self,
        setting: &Setting,
        address: &std::path::Path,
    ) -> Result<(), ChildError> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .no_proxy()
            .build()
            .map_err(|error| ChildError::Start(std::io::Error::other(error)))?;
        let deadline = Instant::now() + READY_WITHIN;
        let mut why = "it has not opened its HTTP port".to_owned();
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(ChildError::Ended { status, log: setting.log() });
            }
            if let Ok(text) = std::fs::read_to_string(address) {
                self.url = format!("http://{}", text.trim());
                match client.get(format!("{}/readyz", self.url)).send().await {
                    Ok(answer) if answer.status().is_success() => return Ok(()),
                    Ok(answer) => why = answer.text().await.unwrap_or_default(),
                    Err(error) => why = error.to_string(),
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(ChildError::NotReady { seconds: READY_WITHIN.as_secs(), why, log: setting.log() })
    }

    /// Where it answers.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// SIGKILL, and nothing else.
    pub(super) async fn kill(mut self) {
        // It may be dead already.
        let _ = self.child.kill().await;
    }

    /// SIGTERM, and SIGKILL when it takes too long.
    pub(super) async fn stop(mut self) {
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(STOP_WITHIN, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

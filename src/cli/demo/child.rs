//! The daemon as a child process: started, watched until ready, killed.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tokio::process::{Child, Command};

use super::{
    DemoError,
    setting::{Setting, append_to},
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
        status: ExitStatus,
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
#[derive(Debug)]
pub struct DaemonProcess {
    child: Child,
    address_file: PathBuf,
    log: PathBuf,
    url: String,
}

/// How long it may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(40);
/// How long it may take to stop when asked to.
const STOP_WITHIN: Duration = Duration::from_secs(25);
/// Pause between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl DaemonProcess {
    /// Starts the daemon of a setting, and does not wait for it.
    ///
    /// # Errors
    /// When `program` does not start.
    pub fn spawn(setting: &Setting, program: &Path) -> Result<Self, DemoError> {
        let log = append_to(&setting.log())?;
        let copy = log.try_clone().map_err(ChildError::Start)?;
        let address_file = setting.data().join(ADDRESS_FILE);
        // Left by an earlier run.
        let _ = std::fs::remove_file(&address_file);
        let child = Command::new(program)
            .args(["run", "--environment", "development", "--config"])
            .arg(setting.config())
            .envs(setting.variables())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(copy)
            .kill_on_drop(true)
            .spawn()
            .map_err(ChildError::Start)?;
        Ok(Self { child, address_file, log: setting.log(), url: String::new() })
    }

    /// Starts the daemon of a setting and waits until it says it is ready.
    ///
    /// # Errors
    /// When it does not start, ends, or is not ready in time.
    pub async fn start(setting: &Setting, program: &Path) -> Result<Self, DemoError> {
        let mut process = Self::spawn(setting, program)?;
        process.wait_ready().await?;
        Ok(process)
    }

    /// Waits until it has opened its HTTP port.
    ///
    /// # Errors
    /// When it ends before, or takes too long.
    pub async fn wait_listening(&mut self) -> Result<(), ChildError> {
        let deadline = Instant::now() + READY_WITHIN;
        while !self.look_for_address()? {
            if Instant::now() > deadline {
                return Err(self.not_ready("it has not opened its HTTP port".to_owned()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Waits until it says it is ready.
    ///
    /// # Errors
    /// When it ends before, or takes too long.
    pub async fn wait_ready(&mut self) -> Result<(), ChildError> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .no_proxy()
            .build()
            .map_err(|error| ChildError::Start(std::io::Error::other(error)))?;
        let deadline = Instant::now() + READY_WITHIN;
        let mut why = "it has not opened its HTTP port".to_owned();
        while Instant::now() < deadline {
            if self.look_for_address()? {
                match client.get(format!("{}/readyz", self.url)).send().await {
                    Ok(answer) if answer.status().is_success() => return Ok(()),
                    Ok(answer) => why = answer.text().await.unwrap_or_default(),
                    Err(error) => why = error.to_string(),
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(self.not_ready(why))
    }

    /// Whether it has told its address by now.
    fn look_for_address(&mut self) -> Result<bool, ChildError> {
        if let Some(status) = self.ended() {
            return Err(ChildError::Ended { status, log: self.log.clone() });
        }
        if let Ok(text) = std::fs::read_to_string(&self.address_file)
            && !text.trim().is_empty()
        {
            self.url = format!("http://{}", text.trim());
        }
        Ok(!self.url.is_empty())
    }

    fn not_ready(&self, why: String) -> ChildError {
        ChildError::NotReady { seconds: READY_WITHIN.as_secs(), why, log: self.log.clone() }
    }

    /// Where it answers; empty before it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process id; `None` once it has ended.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// SIGKILL, and nothing else.
    pub async fn kill(mut self) {
        // It may be dead already.
        let _ = self.child.kill().await;
    }

    /// SIGTERM, and SIGKILL when it takes too long. Returns how it ended.
    ///
    /// # Errors
    /// When it can't be waited for.
    pub async fn stop(mut self) -> std::io::Result<ExitStatus> {
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if let Ok(ended) = tokio::time::timeout(STOP_WITHIN, self.child.wait()).await {
            return ended;
        }
        self.child.kill().await?;
        self.child.wait().await
    }
}

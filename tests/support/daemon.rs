//! The daemon under test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Output},
    time::Duration,
};

use alloy::primitives::Address;
use meritd::{
    cli::demo::{broker, child::DaemonProcess, setting::Setting, world::World},
    streams::{read::read_range, subjects::StreamId},
};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::{Wire, naming, processes::end_all_naming};

/// A setting in a temporary folder, and the daemon that runs on it, if it
/// runs. When a test fails, the end of the daemon's log is printed.
pub struct Daemon {
    pub setting: Setting,
    process: Option<DaemonProcess>,
    http: reqwest::Client,
    folder: TempDir,
}

/// Lines of the log that a failed test shows.
const SHOWN_LINES: usize = 60;
/// Limit of one request.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

impl Daemon {
    /// Writes the setting; nothing runs yet.
    pub async fn of(world: &World) -> Self {
        let folder = tempfile::Builder::new().prefix("meritd-it-").tempdir().unwrap();
        let setting = Setting::create_in(world, folder.path().join("meritd")).await.unwrap();
        // A connection that is kept may be the one that the daemon, for whom it was idle too
        // long, closes just then.
        let http = reqwest::Client::builder()
            .timeout(ANSWER_WITHIN)
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        Self { setting, process: None, http, folder }
    }

    /// The binary that was built for these tests.
    pub fn program() -> &'static Path {
        Path::new(env!("CARGO_BIN_EXE_meritd"))
    }

    /// Starts it without waiting for anything.
    pub fn spawn(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        self.process = Some(DaemonProcess::spawn(&self.setting, Self::program()).unwrap());
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) {
        self.spawn();
        self.wait_ready().await;
    }

    pub async fn wait_ready(&mut self) {
        self.running().wait_ready().await.unwrap();
    }

    pub async fn wait_listening(&mut self) {
        self.running().wait_listening().await.unwrap();
    }

    /// The process; it must run.
    pub fn running(&mut self) -> &mut DaemonProcess {
        let process = self.process.as_mut().expect("it was started");
        assert_eq!(process.ended(), None, "the daemon ended by itself");
        process
    }

    /// Whether it ended by itself; then it can be started again.
    pub fn has_ended(&mut self) -> bool {
        let ended = self.process.as_mut().is_some_and(|process| process.ended().is_some());
        if ended {
            self.process = None;
        }
        ended
    }

    /// SIGKILL; it must have been alive.
    pub async fn kill(&mut self) {
        self.running();
        self.process.take().unwrap().kill().await;
    }

    /// SIGTERM; tells how it ended.
    pub async fn stop(&mut self) -> ExitStatus {
        self.running();
        self.process.take().unwrap().stop().await.unwrap()
    }

    pub fn url(&self) -> &str {
        self.process.as_ref().map(DaemonProcess::url).expect("it was started")
    }

    /// Status code and body of a path; `None` when nothing answers.
    pub async fn try_get(&self, path: &str) -> Option<(u16, String)> {
        let answer = self.http.get(format!("{}{path}", self.url())).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// The same, where an answer is due.
    pub async fn get(&self, path: &str) -> (u16, String) {
        self.try_get(path).await.unwrap_or_else(|| panic!("no answer to {path}"))
    }

    pub async fn json(&self, path: &str) -> Json {
        let (code, body) = self.get(path).await;
        assert_eq!(code, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The status of all actors.
    pub async fn actors(&self) -> Vec<Json> {
        self.json("/api/v1/status").await["actors"].as_array().unwrap().clone()
    }

    /// The status of one actor, if it is there.
    pub async fn actor(&self, name: &str) -> Option<Json> {
        self.actors().await.into_iter().find(|actor| actor["name"] == name)
    }

    /// Where a user stands with an achievement; `None` while nobody knows.
    pub async fn explain(&self, achievement: &str, user: Address) -> Option<Json> {
        let path = format!("/api/v1/explain?achievement={achievement}&user={user}");
        let (code, body) = self.try_get(&path).await?;
        (code == 200).then(|| serde_json::from_str(&body).unwrap())
    }

    /// Asks for an actor that was given up to be started again; the answer's code.
    pub async fn retry(&self, actor: &str) -> u16 {
        let url = format!("{}/api/v1/actors/{actor}/retry", self.url());
        self.http.post(url).send().await.unwrap().status().as_u16()
    }

    /// Makes an actor panic; false when there is none of that name.
    pub async fn crash(&self, actor: &str) -> bool {
        let url = format!("{}/api/v1/debug/crash/{actor}", self.url());
        let answer = self.http.post(url).send().await.unwrap();
        let code = answer.status().as_u16();
        assert!(matches!(code, 202 | 404), "{}", answer.text().await.unwrap());
        code == 202
    }

    /// Runs a command of the command line to its end.
    pub async fn command(&self, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(Self::program());
        command.args(arguments).args(["--api", self.url()]).kill_on_drop(true);
        tokio::time::timeout(ANSWER_WITHIN, command.output()).await.unwrap().unwrap()
    }

    /// Everything its broker says from now on.
    pub async fn listen(&self) -> Wire {
        Wire::new(broker::listen(&self.setting).await.unwrap())
    }

    /// Everything a stream has: subject and body.
    pub async fn stream(&self, stream: StreamId) -> Vec<(String, Vec<u8>)> {
        let connection = broker::connect(&self.setting).await.unwrap();
        let range = read_range(&connection, stream, &stream.subjects(), 1, usize::MAX).await;
        let messages = range.unwrap().messages.into_iter();
        messages.map(|message| (message.subject, message.payload.to_vec())).collect()
    }

    /// The process of its broker.
    pub fn broker(&self) -> Vec<rustix::process::Pid> {
        naming(&self.broker_folder())
    }

    fn broker_folder(&self) -> PathBuf {
        let folder = self.setting.data().join("nats");
        folder.canonicalize().unwrap_or(folder)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.setting.log()).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // First the daemon, or it would start its broker again.
        drop(self.process.take());
        end_all_naming(&self.broker_folder());
        if std::thread::panicking() {
            let log = self.log();
            // Without the backtraces of injected panics.
            let lines: Vec<&str> = log.lines().filter(|line| line.starts_with('{')).collect();
            let from = lines.len().saturating_sub(SHOWN_LINES);
            println!("the daemon's log ({}) ends with:", self.folder.path().display());
            for line in lines.get(from..).unwrap_or_default() {
                println!("  {line}");
            }
        }
    }
}

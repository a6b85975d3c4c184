//! A configuration folder of its own, and the binary run on it.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use meritd::{daemon::ADDRESS_FILE, tools};
use tempfile::TempDir;

/// The signer's key in [`WHOLE`]; no message may repeat it.
pub const KEY: &str = "0x1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100";
/// Nobody listens there.
pub const NOBODY: &str = "127.0.0.1:1";
/// A broker that is away, so that a daemon starts none.
pub const NO_BROKER: &str = r#"
[api]
listen = "127.0.0.1:0"
[nats]
mode = "external"
urls = ["nats://127.0.0.1:1"]
"#;
/// All kinds of contracts on an endpoint that refuses, and a signer.
pub const WHOLE: &str = r#"
[[chains]]
name = "local"
chain_id = 31337
endpoints = [{ url = "http://127.0.0.1:1" }]
[[contracts]]
name = "dao"
chain = "local"
kind = "governor"
address = "0x1000000000000000000000000000000000000001"
[[contracts]]
name = "badge"
chain = "local"
kind = "erc721"
address = "0x1000000000000000000000000000000000000002"
[[contracts]]
name = "contributions"
chain = "local"
kind = "abi"
abi = "inbox.json"
address = "0x1000000000000000000000000000000000000003"
[[contracts]]
name = "achievements"
chain = "local"
kind = "achievements"
address = "0x1000000000000000000000000000000000000004"
[[signers]]
name = "awards"
chain = "local"
key = { raw = "env:AWARDS_KEY" }
"#;

/// A temporary folder with `config/` and, once a daemon ran, `data/`.
pub struct Place {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Place {
    /// With the repository's `default.toml`, this `development.toml`, the
    /// ABI that [`WHOLE`] names, and no rules.
    pub fn new(development: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("config/rules")).unwrap();
        let environment = vec![("AWARDS_KEY".to_owned(), KEY.to_owned())];
        let place = Self { folder, environment };
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        let copy = |from: &str, to: &str| {
            place.write(to, fs::read(repository.join(from)).unwrap());
        };
        copy("config/default.toml", "default.toml");
        copy("contracts/artifacts/Inbox.json", "inbox.json");
        place.write("development.toml", development);
        place
    }

    /// Writes a file of the configuration.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.config().join(name), content).unwrap();
    }

    /// Gives the binary a variable; nothing of the test's own environment
    /// reaches it.
    pub fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub fn unset(&mut self, name: &str) {
        self.environment.retain(|(known, _)| known != name);
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn config(&self) -> PathBuf {
        self.folder().join("config")
    }

    pub fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// The binary with these arguments, outside of the checkout.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meritd"));
        command.args(arguments).current_dir(self.folder()).env_clear();
        if let Some(program) = tools::find("nats-server") {
            command.env("MERITD_TOOLS_DIR", program.parent().unwrap());
        }
        command.envs(self.environment.iter().cloned());
        command
    }

    /// `meritd <arguments> --config <this>`, to its end.
    pub fn meritd(&self, arguments: &[&str]) -> Ended {
        let config = self.config();
        let whole = [arguments, &["--config", config.to_str().unwrap()]].concat();
        Ended::of(self.command(&whole))
    }

    /// What `check --offline` says, after `run` has said the same and ended.
    pub fn refused(&self) -> Ended {
        let checked = self.meritd(&["check", "--offline"]);
        let run = self.meritd(&["run"]);
        assert_eq!((run.code, &run.stderr), (checked.code, &checked.stderr));
        checked
    }

    /// `meritd run` in the background.
    pub fn daemon(&self) -> Daemon {
        let log = self.folder().join("log");
        let file = fs::File::create(&log).unwrap();
        let child = self
            .command(&["run", "--config", self.config().to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        let daemon = Daemon { child, address: self.data().join(ADDRESS_FILE), log };
        within("the daemon opens its HTTP port", || daemon.url());
        daemon
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Runs a command to its end, which must come within a minute.
    pub fn of(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Read beside it, so that a pipe never fills.
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).map(|_| text).unwrap()
        });
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).map(|_| text).unwrap()
        });
        let status = wait(&mut child, Duration::from_secs(60));
        if status.is_none() {
            end(&mut child);
        }
        let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
        let status = status.unwrap_or_else(|| panic!("{command:?} goes on:\n{stdout}{stderr}"));
        Self { code: status.code(), stdout, stderr }
    }

    /// Asserts the exit code, and that these parts are on stderr.
    #[track_caller]
    pub fn says(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in:\n{}", self.stderr);
        }
        self.repeats_not(KEY.trim_start_matches("0x"));
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }

    /// Asserts that these parts are on stdout.
    #[track_caller]
    pub fn prints(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.stdout.contains(part), "`{part}` is not in:\n{}", self.stdout);
        }
    }

    #[track_caller]
    pub fn repeats_not(&self, secret: &str) {
        assert!(!self.stderr.contains(secret) && !self.stdout.contains(secret), "{self:#?}");
    }
}

/// A running daemon; it is stopped when this is dropped.
pub struct Daemon {
    child: Child,
    address: PathBuf,
    log: PathBuf,
}

impl Daemon {
    /// Where it answers, once it does.
    pub fn url(&self) -> Option<String> {
        let address = fs::read_to_string(&self.address).ok()?;
        (!address.is_empty()).then(|| format!("http://{}", address.trim()))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The status, content type and body of an answer.
    pub async fn get(&self, path: &str) -> (u16, String, String) {
        let url = format!("{}{path}", self.url().expect("an address"));
        answer(reqwest::Client::new().get(url)).await
    }

    pub async fn post(&self, path: &str) -> (u16, String, String) {
        let url = format!("{}{path}", self.url().expect("an address"));
        answer(reqwest::Client::new().post(url)).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, String, String) {
    let answer = request.timeout(Duration::from_secs(20)).send().await.unwrap();
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    (status, kind.unwrap_or_default(), answer.text().await.unwrap())
}

impl Drop for Daemon {
    fn drop(&mut self) {
        end(&mut self.child);
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}

/// Asks it to stop, so that the broker it started ends with it.
fn end(child: &mut Child) {
    let pid = rustix::process::Pid::from_child(child);
    if child.try_wait().unwrap().is_none()
        && rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok()
    {
        wait(child, Duration::from_secs(30));
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

/// Looks until there is something to see, for at most a minute.
#[track_caller]
pub fn within<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! The release binary on a configuration made for the chain.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use alloy::json_abi::JsonAbi;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{
    Args, Outcome,
    content::{Kind, Shape, address_of, kind_of},
    process::broker_pid,
};

/// What a configuration says beyond the shipped defaults.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// Where the chain is served.
    pub url: &'a str,
    /// The chain.
    pub shape: &'a Shape,
    /// How often the head is asked for.
    pub poll_ms: u64,
    /// Where its folder is to lie.
    pub root: &'a Path,
    /// Level of completeness, where it is to be written at all.
    pub completeness: Option<&'a str>,
}

/// A running daemon. When this is dropped, the daemon is asked to end, and
/// killed with its broker when it does not.
pub struct Daemon {
    folder: TempDir,
    child: Child,
    broker: Option<u32>,
}

/// The chain's name in the configuration.
pub const CHAIN: &str = "bench";
/// How long a daemon may take to end: more than its own deadline.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Name of a contract in the configuration.
pub fn name_of(contract: u64) -> String {
    format!("contract_{contract}")
}

/// Whether the program knows what the wish would write.
pub fn understands(args: &Args, wish: Wish<'_>) -> Outcome<bool> {
    let folder = configure(args, wish)?;
    let check = Command::new(program(args))
        .args(["check", "--offline", "--environment", "development", "--config"])
        .arg(folder.path().join("config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(check.success())
}

impl Daemon {
    /// Starts one, and does not wait for it.
    pub fn start(args: &Args, wish: Wish<'_>) -> Outcome<Self> {
        let folder = configure(args, wish)?;
        let log = fs::File::create(folder.path().join("meritd.log"))?;
        let child = Command::new(program(args))
            .args(["run", "--environment", "development", "--config"])
            .arg(folder.path().join("config"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        eprintln!("  meritd is process {}", child.id());
        Ok(Self { folder, child, broker: None })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The broker's process, once there is one.
    pub fn broker(&mut self) -> Option<u32> {
        self.broker = self.broker.or_else(|| broker_pid(&self.data().join("nats")));
        self.broker
    }

    /// Fails when it has ended.
    pub fn check(&mut self) -> Outcome<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                Err(format!("meritd ended with {status}:\n{}", self.last_words()).into())
            }
        }
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("meritd.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Ends it; its data folder stays as long as the answer does.
    pub fn stop(mut self) -> Outcome<TempDir> {
        self.end();
        let unused = tempfile::tempdir()?;
        Ok(std::mem::replace(&mut self.folder, unused))
    }

    fn end(&mut self) {
        let broker = self.broker();
        signal(self.child.id(), Signal::TERM);
        let deadline = Instant::now() + STOP_WITHIN;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                // Not yet waited for, so the ids are still theirs.
                let _ = self.child.kill();
                let _ = self.child.wait();
                if let Some(broker) = broker {
                    signal(broker, Signal::KILL);
                }
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
}

fn program(args: &Args) -> &Path {
    args.program.as_deref().unwrap_or(Path::new(env!("CARGO_BIN_EXE_meritd")))
}

fn configure(args: &Args, wish: Wish<'_>) -> Outcome<TempDir> {
    let folder = tempfile::Builder::new().prefix("meritd-ingest-").tempdir_in(wish.root)?;
    let config = folder.path().join("config");
    fs::create_dir_all(config.join("rules"))?;
    fs::write(config.join("default.toml"), include_str!("../../config/default.toml"))?;
    fs::write(config.join("development.toml"), development(args, wish)?)?;
    if args.no_governance {
        let abi = JsonAbi::parse(GOVERNOR_EVENTS)?;
        fs::write(config.join("governor.json"), serde_json::to_string(&abi)?)?;
    }
    Ok(folder)
}

const GOVERNOR_EVENTS: [&str; 3] = [
    "event ProposalCreated(uint256 proposalId, address proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, uint256 voteStart, uint256 voteEnd, string description)",
    "event VoteCast(address indexed voter, uint256 proposalId, uint8 support, uint256 weight, string reason)",
    "event VotingPeriodSet(uint256 oldVotingPeriod, uint256 newVotingPeriod)",
];

fn development(args: &Args, wish: Wish<'_>) -> Outcome<String> {
    let Wish { url, shape, poll_ms, completeness, .. } = wish;
    let mut text = format!(
        r#"environment = "development"

[api]
listen = "127.0.0.1:0"

[[chains]]
name = "{CHAIN}"
chain_id = {}
endpoints = [{{ url = "{url}" }}]
confirmations = 0
poll_interval_ms = {poll_ms}
"#,
        shape.chain_id
    );
    if let Some(level) = completeness {
        writeln!(text, "completeness = \"{level}\"")?;
    }
    for contract in 0..shape.contracts {
        let (name, address) = (name_of(contract), address_of(contract).to_checksum(None));
        let kind = match kind_of(contract) {
            Kind::Governor if args.no_governance => "kind = \"abi\"\nabi = \"governor.json\"",
            Kind::Governor => "kind = \"governor\"",
            Kind::Erc721 => "kind = \"erc721\"",
        };
        writeln!(
            text,
            "\n[[contracts]]\nname = \"{name}\"\nchain = \"{CHAIN}\"\naddress = \"{address}\"\n{kind}"
        )?;
    }
    Ok(text)
}

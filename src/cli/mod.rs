//! The command line: one file a subcommand.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.

mod asker;
mod backfill;
mod backtest;
mod bars;
mod check;
mod client;
mod dead_letters;
pub mod demo;
mod explain;
mod keys;
mod pause;
mod progress;
mod quote;
mod reading;
mod repair;
mod replay;
mod resume;
mod run;
mod span;
mod status;
mod verify;
mod verify_evidence;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{
    config::{self, Config},
    daemon::{self, Plan},
};

/// Watches governance and NFT contracts, turns what people did into
/// achievements, and lands them on chain exactly once.
#[derive(Debug, Parser)]
#[command(name = "meritd", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon until SIGTERM
    #[command(after_help = "Example:\n  meritd run --config config --environment production")]
    Run(run::RunArgs),
    /// Play a whole story on a private chain and check its outcome
    #[command(after_help = "Example:\n  meritd demo --keep-running")]
    Demo(demo::DemoArgs),
    /// Check configuration, endpoints, contracts, roles and the broker
    #[command(after_help = "Example:\n  meritd check --config config --environment production")]
    Check(check::CheckArgs),
    /// Show the actors, breakers and lags of a running daemon
    #[command(
        after_help = "Example:\n  meritd status --json | jq '.actors[] | select(.state != \"running\")'"
    )]
    Status(status::StatusArgs),
    /// Say why a user has an achievement, or what is missing
    #[command(
        after_help = "Example:\n  meritd explain first-vote 0x70997970C51812dc3A010C7d01b50e0d17dc79C8\n  meritd explain first-vote 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --verify-proof"
    )]
    Explain(explain::ExplainArgs),
    /// What could not be processed: list it, look at it, try again, discard it
    DeadLetters(dead_letters::DeadLettersArgs),
    /// Make keystores for signers, and show their addresses
    Keys(keys::KeysArgs),
    /// Keep a signer, a rule set or everything from signing and sending
    #[command(after_help = "Example:\n  meritd pause --signer awards\n  meritd pause --all\n\n\
        What is paused is kept over restarts; `meritd status` shows it, `meritd resume` ends it.")]
    Pause(pause::PauseArgs),
    /// Let go on what was paused, or a chain that a reorg below finality has frozen
    #[command(
        after_help = "Example:\n  meritd resume --signer awards\n  meritd resume --chain main --from-block 19000000"
    )]
    Resume(resume::ResumeArgs),
    /// Say what an unlock is going to cost
    #[command(after_help = "Example:\n  meritd quote --signer awards")]
    Quote(quote::QuoteArgs),
    /// Compare what a signer has landed with the chain, and land again what is missing
    #[command(
        after_help = "Example:\n  meritd repair --signer awards --dry-run\n  meritd repair --signer awards --all --apply\n\n\
        Exit code 0: they agree, or what is missing lands again. 1: they differ."
    )]
    Repair(repair::RepairArgs),
    /// Compare the stream with the chain, independently of the daemon
    #[command(
        after_help = "Example:\n  meritd verify --chain home --sample 20 --config config --environment production\n\n\
        Exit code 0: they agree. 1: they don't, and where is listed; or it could not be found out."
    )]
    Verify(verify::VerifyArgs),
    /// Try a rule set on history: who would have earned what, when, at what gas
    #[command(
        after_help = "Example:\n  meritd backtest config/rules/participation.toml --csv awards.csv --svg awards.svg\n  meritd backtest new.toml --source endpoint --from-block 19000000 --to-block 19100000"
    )]
    Backtest(backtest::BacktestArgs),
    /// Compare two rule sets on history: who gains, who loses, what that costs
    #[command(
        after_help = "Example:\n  meritd diff config/rules/participation.toml new.toml\n  meritd diff new.toml        (against the configured set of the same id)"
    )]
    Diff(backtest::DiffArgs),
    /// Check an evidence file, without the daemon that wrote it
    #[command(
        after_help = "Example:\n  meritd explain first-vote 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --with-inclusion-proofs evidence.json\n  meritd verify-evidence evidence.json --rpc http://127.0.0.1:8545\n\n\
        Exit code 0: all of it holds. 1: something does not."
    )]
    VerifyEvidence(verify_evidence::VerifyEvidenceArgs),
    /// Have a running daemon tell the events of some blocks once more
    #[command(
        after_help = "Example:\n  meritd replay --contract dao --from-block 19000000 --to-block 19000999"
    )]
    Replay(replay::ReplayArgs),
}

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
struct ConfigArgs {
    /// Folder with default.toml, <environment>.toml and rules/
    #[arg(long, value_name = "DIR", default_value = "config", env = "MERITD_CONFIG")]
    config: PathBuf,
    /// Which <environment>.toml; else `environment` of default.toml
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
}

impl ConfigArgs {
    fn load(&self) -> Result<Config, Failure> {
        config::load(&self.config, self.environment.as_deref())
            .map_err(|error| Failure::Usage(error.to_string()))
    }

    /// The configuration and what it means, as far as neither chain nor
    /// broker is needed to tell.
    fn load_plan(&self) -> Result<(Config, Plan), Failure> {
        Self::plan_of(self.load()?)
    }

    /// The same for what signs.
    fn load_signing_plan(&self, keys: &KeyArgs) -> Result<(Config, Plan), Failure> {
        let config = self.load()?;
        if !keys.insecure {
            config.require_sealed_keys().map_err(|error| Failure::Usage(error.to_string()))?;
        }
        Self::plan_of(config)
    }

    fn plan_of(config: Config) -> Result<(Config, Plan), Failure> {
        config.check_secrets().map_err(|error| Failure::Usage(error.to_string()))?;
        let plan = daemon::plan(&config).map_err(|error| Failure::Usage(error.to_string()))?;
        Ok((config, plan))
    }
}

/// Which keys may sign.
#[derive(Clone, Debug, Args)]
struct KeyArgs {
    /// Let unencrypted keys (`key.raw`) sign for chains that are not for development
    #[arg(long)]
    insecure: bool,
}

/// How a command ends other than well.
#[derive(Debug)]
enum Failure {
    /// Wrong usage or configuration: exit code 2.
    Usage(String),
    /// It did not work: exit code 1.
    Failed(String),
}

impl Failure {
    /// With the causes of the error, but for those that it quotes itself.
    fn failed(error: impl std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let why = error.to_string();
            if !text.contains(&why) {
                text = format!("{text}: {why}");
            }
            cause = error.source();
        }
        Self::Failed(text)
    }

    fn usage(error: impl std::fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Prints a result. A reader that has seen enough (`| head`) is no failure.
fn print(text: impl std::fmt::Display) -> Result<(), Failure> {
    use std::io::{ErrorKind, Write as _};
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::failed(&error)),
    }
}

/// Parses the arguments and runs the command.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::DeadLetters(args) => dead_letters::run(&args),
        Command::Keys(args) => keys::run(&args),
        Command::Pause(args) => pause::run(&args),
        Command::Resume(args) => resume::run(&args),
        Command::Quote(args) => quote::run(&args),
        Command::Repair(args) => repair::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::VerifyEvidence(args) => verify_evidence::run(&args),
        Command::Backtest(args) => backtest::run(&args),
        Command::Diff(args) => backtest::diff(&args),
    };
    let (code, text) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Failed(text)) => (1, text),
        Err(Failure::Usage(text)) => (2, text),
    };
    eprintln!("meritd: {text}");
    ExitCode::from(code)
}

//! `make bench-signing`: how fast unlock requests become transactions and land,
//! against what the chain's blocks can take. See docs/benchmarks.md.
//!
//! A real anvil with blocks of a second, the reference contract, the release
//! binary with the broker that it manages, one signer. Requests are published as
//! a rule set publishes them.

mod burst;
mod latency;
mod node;
#[path = "../ingest/process.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod process;
mod queue;
mod report;
mod scene;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use report::Report;
use scene::Scene;

/// Whatever went wrong, for a person to read.
type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What a step gives.
type Outcome<T> = Result<T, Failure>;

/// How fast unlocks land.
#[derive(Clone, Debug, Parser)]
#[command(name = "signing")]
struct Args {
    /// Unlocks of the burst.
    #[arg(long, default_value_t = 20_000)]
    unlocks: u64,
    /// Single requests whose way to a node is timed.
    #[arg(long, default_value_t = 200)]
    singles: u64,
    /// Requests that are queued while the signer is paused.
    #[arg(long, default_value_t = 100_000)]
    queued: u64,
    /// 600 unlocks, 30 singles, 5,000 queued: for trying.
    #[arg(long)]
    quick: bool,
    /// The meritd to measure; by default the one built with this program.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let mut args = Args::parse();
    if args.quick {
        (args.unlocks, args.singles, args.queued) = (600, 30, 5_000);
    }
    match measure(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("signing: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Outcome<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(run(args))?;
    print!("{}", report.table());
    println!("{}", report.json());
    Ok(())
}

async fn run(args: &Args) -> Outcome<Report> {
    let program = args.program.clone().unwrap_or_else(|| env!("CARGO_BIN_EXE_meritd").into());
    eprintln!("deploying the contracts");
    let mut scene = Scene::start(&program).await?;
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let report = tokio::select! {
        report = look(&mut scene, args) => report,
        _ = terminate.recv() => Err("ended by a signal".into()),
        _ = interrupt.recv() => Err("ended by a signal".into()),
    };
    // Whatever came of it: the daemon ends its broker only when it is asked to end.
    scene.end().await?;
    report
}

async fn look(scene: &mut Scene, args: &Args) -> Outcome<Report> {
    eprintln!("single requests: {}", args.singles);
    let latency = latency::measure(scene, args.singles).await?;
    eprintln!("burst: {} unlocks", args.unlocks);
    let burst = burst::measure(scene, args.unlocks).await?;
    eprintln!("the node by itself");
    let node = node::measure(scene).await?;
    eprintln!("queue: {} requests", args.queued);
    let queue = queue::measure(scene, args.queued).await?;
    Ok(Report { latency, burst, node, queue })
}

//! `make bench`, the whole way: from a block on a real chain to the broadcast of the unlock
//! that it earns, beside the figures of the other benches. `make soak` is the same for an
//! hour. See docs/benchmarks.md.

mod emitter;
mod heard;
mod latency;
mod plots;
#[path = "../ingest/process.rs"]
mod process;
mod report;
mod results;
mod scene;
mod soak;
mod sustained;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use meritd::cli::demo::child::DaemonProcess;
use tokio::signal::unix::{SignalKind, signal};

use heard::Heard;
use report::Report;
use scene::Scene;

/// Whatever went wrong, for a person to read.
type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What a step gives.
type Outcome<T> = Result<T, Failure>;

/// The whole way, from a block to an unlock.
#[derive(Clone, Debug, Parser)]
#[command(name = "pipeline")]
struct Args {
    /// Events of the backlog.
    #[arg(long, default_value_t = 300_000)]
    events: u64,
    /// Blocks, half a second each, at each rate.
    #[arg(long, default_value_t = 120)]
    blocks: u64,
    /// Events a second beside those that earn something.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1_000])]
    rates: Vec<u64>,
    /// 20,000 events, 10 blocks at each rate: for trying.
    #[arg(long)]
    quick: bool,
    /// Instead: so many minutes at a hundred times the pace of mainnet.
    #[arg(long, value_name = "MINUTES")]
    soak: Option<f64>,
    /// In a soak one of so many blocks earns somebody new something: state that stays.
    #[arg(long, value_name = "BLOCKS", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    earning: u64,
    /// Where the other benches' last lines are, as NAME.json.
    #[arg(long, default_value = "target/bench")]
    results: PathBuf,
    /// Where pictures go.
    #[arg(long, default_value = "target/bench")]
    plots: PathBuf,
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
        (args.events, args.blocks) = (20_000, 10);
    }
    match measure(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("pipeline: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Outcome<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        // Dropped, everything that was started ends.
        tokio::select! {
            ended = run(args) => ended,
            _ = terminate.recv() => Err("ended by a signal".into()),
            _ = interrupt.recv() => Err("ended by a signal".into()),
        }
    })
}

async fn run(args: &Args) -> Outcome<()> {
    let program = args.program.clone().unwrap_or_else(|| env!("CARGO_BIN_EXE_meritd").into());
    eprintln!("deploying the contracts");
    // What a soak shows is what grows beside the state of members, whose number is bounded.
    let members = if args.soak.is_some() { 100 } else { 10_000 };
    let mut scene = Scene::prepare(program, members).await?;
    let done = match args.soak {
        Some(minutes) => soak_for(&mut scene, minutes, args).await,
        None => whole(&mut scene, args).await,
    };
    done.map_err(|failure| format!("{failure}; the daemon:\n{}", scene.last_words()).into())
}

async fn whole(scene: &mut Scene, args: &Args) -> Outcome<()> {
    let parts = results::read(&args.results)?;
    let (sustained, daemon) = sustained::measure(scene, args.events).await?;
    let latencies = at_rates(scene, args).await;
    daemon.stop().await?;
    let report = Report { parts, sustained, latencies: latencies? };
    plots::ratios(&args.plots, &report.parts())?;
    plots::latencies(&args.plots, &report.latencies)?;
    report.print();
    println!("{}", report.json());
    Ok(())
}

async fn at_rates(scene: &mut Scene, args: &Args) -> Outcome<Vec<latency::Latency>> {
    let heard = Heard::listen(&scene.setting).await?;
    let mut all = Vec::new();
    for rate in &args.rates {
        all.push(latency::measure(scene, &heard, *rate, args.blocks).await?);
    }
    Ok(all)
}

async fn soak_for(scene: &mut Scene, minutes: f64, args: &Args) -> Outcome<()> {
    let mut daemon = scene.spawn()?;
    daemon.wait_ready().await?;
    let soak = soaked(scene, &mut daemon, minutes, args.earning).await;
    daemon.stop().await?;
    let soak = soak?;
    plots::soak(&args.plots, &soak)?;
    for (what, value) in soak.table() {
        println!("{what:<44}{value}");
    }
    println!("{}", soak.json());
    Ok(())
}

async fn soaked(
    scene: &mut Scene,
    daemon: &mut DaemonProcess,
    minutes: f64,
    earning: u64,
) -> Outcome<soak::Soak> {
    let heard = Heard::listen(&scene.setting).await?;
    let time = Duration::try_from_secs_f64(minutes * 60.0)?;
    soak::measure(scene, daemon, &heard, time, earning).await
}

//! `make bench-ingest`: how fast a chain becomes durable events, against how
//! fast the same messages can be published at all. See docs/benchmarks.md.
//!
//! The generated chain is served by a process of its own (this program with
//! `--endpoint-only`), read by the release binary with the broker that it
//! manages, and the stream that comes of it is published once more by nobody
//! but a publisher.

mod backfill;
mod calls;
mod chain;
mod content;
mod daemon;
mod disk;
mod endpoint;
mod filter;
mod head;
mod limit;
mod methods;
mod process;
mod render;
mod report;
mod server;
mod stream;

use std::{path::PathBuf, process::ExitCode, thread};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use backfill::Plan;
use content::Shape;
use report::Report;

/// Whatever went wrong, for a person to read.
type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What a step gives.
type Outcome<T> = Result<T, Failure>;

/// Logs of the run in memory: their streams, twice, take 1.4 GB.
const IN_MEMORY_LOGS: u64 = 500_000;

/// How fast a chain becomes durable events.
#[derive(Clone, Debug, Parser)]
#[command(name = "ingest")]
struct Args {
    /// Logs of the chain.
    #[arg(long, default_value_t = 1_000_000)]
    logs: u64,
    /// 50,000 logs and fewer single blocks: for trying.
    #[arg(long)]
    quick: bool,
    /// Watched contracts, governors and ERC-721 tokens in turn.
    #[arg(long, default_value_t = 2)]
    contracts: u64,
    /// Logs in each block.
    #[arg(long, default_value_t = 100)]
    per_block: u64,
    /// Most logs that the endpoint gives at once, as the large providers do.
    #[arg(long, default_value_t = 10_000)]
    max_results: usize,
    /// Another run with so many times the logs, for its peak memory.
    #[arg(long)]
    scale: Option<u64>,
    /// Level of completeness (`none`, `bloom`, `receipts`) of the main run; without it, the daemon's own default.
    #[arg(long)]
    completeness: Option<String>,
    /// Only the backfill and its limit.
    #[arg(long)]
    backfill_only: bool,
    /// Read the governor as a contract by its ABI: no governance is computed beside.
    #[arg(long)]
    no_governance: bool,
    /// The meritd to measure; by default the one built with this program.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Serve the chain for other indexers, and do nothing else.
    #[arg(long)]
    endpoint_only: bool,
    /// Port on 127.0.0.1 of `--endpoint-only`; 0: any.
    #[arg(long, default_value_t = 8545)]
    port: u16,
    /// With `--endpoint-only`: the first head; later ones by POST /control/head?block=N.
    #[arg(long)]
    head: Option<u64>,
    /// With `--endpoint-only`: two logs every tenth of so many blocks.
    #[arg(long)]
    sparse: Option<u64>,
    /// With `--endpoint-only`: end when stdin does.
    #[arg(long, hide = true)]
    with_parent: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    fn shape(&self) -> Shape {
        match self.sparse {
            Some(blocks) => Shape::sparse(blocks, self.contracts),
            None => Shape::dense(self.logs, self.per_block, self.contracts),
        }
    }
}

fn main() -> ExitCode {
    let mut args = Args::parse();
    if args.quick {
        args.logs = 50_000;
    }
    let outcome = if args.endpoint_only { serve(&args) } else { measure(&args) };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("ingest: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args) -> Outcome<()> {
    if args.with_parent {
        thread::spawn(|| {
            // Closed by whatever ends the parent.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            std::process::exit(0);
        });
    }
    let chain = chain::Chain::generate(args.shape());
    let head = args.head.unwrap_or(chain.shape.blocks).min(chain.shape.blocks);
    server::serve(chain, head, args.port, args.max_results)
}

fn measure(args: &Args) -> Outcome<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        // Whatever is dropped here ends its process.
        tokio::select! {
            report = all(args) => report,
            _ = terminate.recv() => Err("terminated".into()),
            _ = interrupt.recv() => Err("interrupted".into()),
        }
    })?;
    report.print();
    Ok(())
}

async fn all(args: &Args) -> Outcome<Report> {
    let disk = disk::root(false).ok_or("there is no folder for temporary files")?;
    let memory = disk::root(true);
    let level = args.completeness.as_deref();
    let plan = |logs, root| {
        let shape = Shape::dense(logs, args.per_block, args.contracts);
        Plan { shape, level, limit: true, root }
    };
    let main = backfill::run(args, plan(args.logs, &disk)).await?;
    let mut report = Report { main: Some(main), ..Report::default() };
    if let Some(memory) = &memory {
        eprintln!("the same in memory, where fsync is free");
        let logs = args.logs.min(IN_MEMORY_LOGS);
        report.in_memory = Some(backfill::run(args, plan(logs, memory)).await?);
    }
    if !args.backfill_only {
        report.receipts_ratio = backfill::receipts_ratio(args, &disk).await?;
        report.head = Some(head::run(args, &disk).await?);
        report.calls_1 = Some(calls::run(args, &disk, 1).await?);
        report.calls_20 = Some(calls::run(args, &disk, 20).await?);
    }
    if let Some(scale) = args.scale {
        let longer = Plan { limit: false, ..plan(args.logs * scale, &disk) };
        report.scaled = Some((scale, backfill::run(args, longer).await?));
    }
    Ok(report)
}

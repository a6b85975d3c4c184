//! `make simulate`: the daemon in a world of its own under virtual time, seed after seed.
//! See docs/reliability.md.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use meritd::simulation::{Outcome, Script, Setup, play};
use serde_json::json;
use tracing_subscriber::fmt::{format::Writer, time::FormatTime};

/// The daemon's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The daemon in a simulated world.
#[derive(Clone, Debug, Parser)]
#[command(name = "simulate")]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them; the others follow.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many at once; as many as there are processors unless said.
    #[arg(long)]
    threads: Option<usize>,
    /// Plays a script instead: a file that `--keep` wrote.
    #[arg(long)]
    script: Option<PathBuf>,
    /// Writes the script of the first failed seed there, as short as it can be made.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Prints what the daemon logs, of one thread.
    #[arg(long)]
    log: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Tells the simulation's time of day, in seconds since the Unix epoch.
struct Simulated;

impl FormatTime for Simulated {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{:.3}", meritd::clock::unix_now().as_secs_f64())
    }
}

/// What came of all seeds.
#[derive(Default)]
struct Tally {
    faults: BTreeMap<&'static str, u64>,
    failed: Vec<u64>,
    lost: usize,
    duplicate: usize,
    phantom: usize,
    blocks: u64,
    /// Of all that was said in all of them: the same seeds give the same.
    fingerprint: u64,
}

impl Tally {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        let Outcome { verdict, faults, blocks, fingerprint, .. } = outcome;
        self.fingerprint ^= fingerprint;
        if !verdict.is_right() {
            eprintln!("seed {seed}: WRONG ({blocks} blocks, {fingerprint:016x}); {faults:?}");
            verdict.wrong.iter().for_each(|wrong| eprintln!("  {wrong}"));
            self.failed.push(seed);
        }
        self.lost += verdict.lost;
        self.duplicate += verdict.duplicate;
        self.phantom += verdict.phantom;
        self.blocks += blocks;
        for (kind, count) in faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.log {
        let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        log.with_timer(Simulated).with_ansi(false).init();
    }
    let setup = match Setup::make(&std::env::temp_dir()) {
        Ok(setup) => setup,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if let Some(path) = &args.script {
        return replay(&setup, path);
    }
    let threads = if args.log { 1 } else { args.threads.unwrap_or_else(processors) };
    let (began, next) = (Instant::now(), AtomicU64::new(args.from));
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= args.from + args.seeds {
                        return;
                    }
                    let outcome = play(&setup, &Script::drawn(seed));
                    tally.lock().unwrap_or_else(PoisonError::into_inner).add(seed, outcome);
                }
            });
        }
    });
    let took = began.elapsed();
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    tally.failed.sort_unstable();
    if let (Some(path), Some(seed)) = (&args.keep, tally.failed.first()) {
        keep(&setup, path, Script::drawn(*seed));
    }
    report(&args, &tally, took)
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn report(args: &Args, tally: &Tally, took: Duration) -> ExitCode {
    #[expect(clippy::cast_precision_loss, reason = "far fewer seeds")]
    let seeds_per_s = args.seeds as f64 / took.as_secs_f64();
    println!("seeds, blocks                {}, {}", args.seeds, tally.blocks);
    for (kind, count) in &tally.faults {
        println!("{kind:<28} {count}");
    }
    println!("failed seeds                 {:?}", tally.failed);
    println!(
        "{}",
        json!({ "simulate": {
            "seeds": args.seeds, "failed": tally.failed.len(),
            "lost": tally.lost, "duplicate": tally.duplicate, "phantom": tally.phantom,
            "seeds_per_s": (seeds_per_s * 10.0).round() / 10.0,
            "fingerprint": format!("{:016x}", tally.fingerprint),
        } })
    );
    if tally.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(setup: &Setup, path: &PathBuf) -> ExitCode {
    let read = fs::read_to_string(path).map_err(|error| error.to_string());
    let script: Result<Script, _> =
        read.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
    match script {
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::from(2)
        }
        Ok(script) => {
            let outcome = play(setup, &script);
            println!("{:016x}, {} blocks", outcome.fingerprint, outcome.blocks);
            outcome.verdict.wrong.iter().for_each(|wrong| println!("{wrong}"));
            outcome.said.iter().for_each(|said| println!("  {said}"));
            if outcome.verdict.is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}

/// Writes the script down, without what the failure does not need.
fn keep(setup: &Setup, path: &PathBuf, script: Script) {
    let fails = |script: &Script| !play(setup, script).verdict.is_right();
    let script = script.shrunk(fails);
    eprintln!("it still fails with {} events: {}", script.events.len(), path.display());
    let text = serde_json::to_string_pretty(&script).unwrap_or_default();
    if let Err(error) = fs::write(path, text) {
        eprintln!("{}: {error}", path.display());
    }
}

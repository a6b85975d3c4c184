//! `make bench-rules`: how fast a rule set folds, against reading the same
//! messages without one. See docs/benchmarks.md.
//!
//! The engine as the daemon runs it, without a store: what would be committed is made and
//! kept in memory. Messages are read from memory, and once more from a broker.

/// As the daemon has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod broker;
mod history;
mod rules;

use std::{
    fs,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use meritd::{
    actors::messages,
    domain::Name,
    fold::{Effects, Engine, Input, SavedParts, Source},
    rules::{RuleSet, Unlock},
    streams::publish::OutMessage,
};
use serde_json::json;

use history::{FINALITY, History};

/// Whatever went wrong, for a person to read.
type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What a step gives.
type Outcome<T> = Result<T, Failure>;

/// Messages between two commits, as in a daemon that is behind.
const BATCH: usize = 4_000;
/// Blocks that are made, read and folded at a time.
const CHUNK: u64 = 1_000;

/// How fast rules fold.
#[derive(Clone, Debug, Parser)]
#[command(name = "rules")]
struct Args {
    /// Events of the comparison.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Who they are of.
    #[arg(long, default_value_t = 100_000)]
    users: u64,
    /// Events of the state that is rebuilt.
    #[arg(long, default_value_t = 10_000_000)]
    rebuilt: u64,
    /// Events that are read from a broker.
    #[arg(long, default_value_t = 300_000)]
    piped: u64,
    /// 100,000 events of 10,000 users, none rebuilt: for trying.
    #[arg(long)]
    quick: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let mut args = Args::parse();
    if args.quick {
        (args.events, args.users, args.rebuilt, args.piped) = (100_000, 10_000, 0, 100_000);
    }
    match measure(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("rules: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// A fold, what it saved, and what it said.
struct Folded {
    engine: Engine<RuleSet>,
    saved: SavedParts,
    said: u64,
}

impl Folded {
    fn new() -> Outcome<Self> {
        let engine = Engine::new(rules::compiled()?, sources()?);
        Ok(Self { engine, saved: SavedParts::default(), said: 0 })
    }

    /// Reads and folds messages, and makes what would be committed. How long that
    /// took: keeping it is the store's.
    fn fold(&mut self, said: &[OutMessage]) -> Outcome<Duration> {
        let mut took = Duration::ZERO;
        for batch in said.chunks(BATCH) {
            let began = Instant::now();
            for message in batch {
                self.engine.handle(read(&message.subject, &message.payload)?)?;
            }
            let effects = self.engine.take_effects();
            took += began.elapsed();
            self.keep(&effects);
        }
        Ok(took)
    }

    fn keep(&mut self, effects: &Effects<Unlock>) {
        self.said += effects.emissions.len() as u64;
        self.saved.absorb(&effects.writes);
    }
}

fn read(subject: &str, payload: &[u8]) -> Outcome<Input> {
    Ok(match is_event(subject) {
        true => Input::Event(messages::read(payload)?),
        false => Input::Watermark(messages::read(payload)?),
    })
}

fn is_event(subject: &str) -> bool {
    subject.starts_with("merit.v1.events.")
}

fn sources() -> Outcome<Vec<Source>> {
    let source = |name: &&str| Ok(Source { chain_id: rules::CHAIN, contract: Name::new(*name)? });
    rules::CONTRACTS.iter().map(source).collect()
}

fn measure(args: &Args) -> Outcome<()> {
    let before = resident_bytes()?;
    let mut history = History::new(args.users);
    let mut folded = Folded::new()?;
    let (mut parsing, mut folding, mut events) = (Duration::ZERO, Duration::ZERO, 0_u64);
    let mut rebuilding = Duration::ZERO;
    let most = args.events.max(args.rebuilt);
    while events < most {
        let said = history.blocks(CHUNK)?;
        let these = said.iter().filter(|message| is_event(&message.subject)).count() as u64;
        if events < args.events {
            // Side by side, so that a noisy machine is as noisy for both.
            let began = Instant::now();
            for message in &said {
                std::hint::black_box(read(&message.subject, &message.payload)?);
            }
            parsing += began.elapsed();
        }
        let took = folded.fold(&said)?;
        if events < args.events {
            folding += took;
        }
        rebuilding += took;
        events += these;
        if events.is_multiple_of(1_000_000) {
            eprintln!("{events} events folded");
        }
    }
    let rows = folded.saved.state.len();
    let row_bytes: usize =
        folded.saved.state.iter().map(|(key, value)| key.len() + value.len()).sum();

    let reorg = folded.fold(&history.reorg(FINALITY)?)?;

    // From a checkpoint: what the store has, read back.
    let requested = folded.said;
    let Folded { engine, saved, .. } = folded;
    drop(engine);
    let began = Instant::now();
    let restored = Engine::restore(rules::compiled()?, sources()?, saved)?;
    let checkpoint = began.elapsed();
    let resident = resident_bytes()?.saturating_sub(before);
    drop(std::hint::black_box(restored));
    // Last: what it leaves behind would count as somebody else's memory.
    let piped = broker::measure(args.piped, args.users)?;

    let compared = args.events.min(events);
    let per_second = |took: Duration, events: u64| as_f64(events) / took.as_secs_f64();
    let (fold, parse) = (per_second(folding, compared), per_second(parsing, compared));
    let rebuild = per_second(rebuilding, events);
    println!(
        "events, users, achievements        {events}, {}, {}",
        args.users,
        rules::ACHIEVEMENTS
    );
    let rates = |took: broker::Took| {
        (per_second(took.folding, piped.events), per_second(took.reading, piped.events))
    };
    let ((piped_fold, piped_read), in_turn) = (rates(piped.ahead), rates(piped.in_turn));
    println!("read a second without rules        {parse:.0}");
    println!("read and folded a second           {fold:.0}");
    println!("ratio                              {:.2}", fold / parse);
    println!("from a broker, read a second       {piped_read:.0}");
    println!("from a broker, and folded          {piped_fold:.0}");
    println!("ratio                              {:.2}", piped_fold / piped_read);
    println!("each batch in turn: read           {:.0}", in_turn.1);
    println!("each batch in turn, and folded     {:.0}", in_turn.0);
    println!("folded, of what is read in turn    {:.2}", piped_fold / in_turn.1);
    println!("unlocks asked for                  {requested}");
    println!("rows, and their bytes a user       {rows}, {}", row_bytes as u64 / args.users);
    println!("memory of the restored fold        {} bytes a user", resident / args.users);
    println!(
        "rebuilt from nothing               {rebuild:.0} a second, {:.1} s",
        rebuilding.as_secs_f64()
    );
    println!("from a checkpoint                  {:.1} s", checkpoint.as_secs_f64());
    println!("a reorg of {FINALITY} blocks                {} ms", reorg.as_millis());
    let hundredths = |number: f64| (number * 100.0).round() / 100.0;
    println!(
        "{}",
        json!({
            "bench": "rules",
            // From where a fold gets its messages.
            "events_per_s": piped_fold.round(),
            "parse_only_per_s": piped_read.round(),
            "ratio": hundredths(piped_fold / piped_read),
            "parse_only_in_turn_per_s": in_turn.1.round(),
            "ratio_in_turn": hundredths(piped_fold / in_turn.1),
            "from_memory": {
                "events_per_s": fold.round(),
                "parse_only_per_s": parse.round(),
                "ratio": hundredths(fold / parse),
            },
            "bytes_per_user": resident / args.users,
            "rebuild_events_per_s": rebuild.round(),
            "checkpoint_s": hundredths(checkpoint.as_secs_f64()),
            "reorg64_ms": u64::try_from(reorg.as_millis())?,
        })
    );
    Ok(())
}

/// Counts are far below 2^53.
#[allow(clippy::cast_precision_loss)]
fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Memory of this process, as the system counts it.
fn resident_bytes() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line.and_then(|it| it.trim().strip_suffix(" kB")).ok_or("no VmRSS")?.parse()?;
    Ok(kib * 1024)
}

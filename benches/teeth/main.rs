//! `make teeth`: whether the simulation finds bugs that are planted on purpose.
//! See docs/reliability.md.

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use clap::Parser;
use meritd::{
    simulation::{Script, Setup, play, recorded},
    teeth::{self, Tooth},
};
use serde_json::json;

/// Asks the simulation for planted bugs.
#[derive(Clone, Debug, Parser)]
#[command(name = "teeth")]
struct Args {
    /// How many seeds each may take.
    #[arg(long, default_value_t = 50)]
    seeds: u64,
    /// Only this one.
    #[arg(long)]
    only: Option<String>,
    /// Writes the script that found the last of them there, as short as it can be made.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let setup = match Setup::make(&std::env::temp_dir()) {
        Ok(setup) => setup,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let chosen = |tooth: &Tooth| args.only.as_ref().is_none_or(|only| tooth.to_string() == *only);
    let planted: Vec<Tooth> = Tooth::ALL.into_iter().filter(chosen).collect();
    if planted.is_empty() {
        let names = Tooth::ALL.map(|tooth| tooth.to_string()).join(", ");
        eprintln!("there is no such bug; there are {names}");
        return ExitCode::from(2);
    }
    let scripts = scripts(args.seeds);
    let mut caught = 0;
    for tooth in &planted {
        teeth::plant(Some(*tooth));
        let first = first_wrong(&setup, &scripts);
        if let (Some(path), Some((script, _))) = (&args.keep, &first) {
            let short = script.1.clone().shrunk(|less| !play(&setup, less).verdict.is_right());
            let text = serde_json::to_string_pretty(&short).unwrap_or_default();
            if let Err(error) = fs::write(path, text) {
                eprintln!("{}: {error}", path.display());
            }
        }
        teeth::plant(None);
        caught += usize::from(first.is_some());
        let name = tooth.to_string();
        match first {
            Some(((by, _), why)) => println!("{name:<30} {by}: {why}"),
            None => println!("{name:<30} NOT CAUGHT by {} scripts", scripts.len()),
        }
    }
    println!("{}", json!({ "teeth": { "planted": planted.len(), "caught": caught } }));
    if caught == planted.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Drawn ones, and those that failed once.
fn scripts(seeds: u64) -> Vec<(String, Script)> {
    let drawn = (1..=seeds).map(|seed| (format!("seed {seed}"), Script::drawn(seed)));
    let recorded = recorded::scripts().into_iter();
    drawn.chain(recorded.map(|(name, script)| (name.to_owned(), script))).collect()
}

/// The first script that is wrong, and what is wrong first.
fn first_wrong<'s>(
    setup: &Setup,
    scripts: &'s [(String, Script)],
) -> Option<(&'s (String, Script), String)> {
    let next = AtomicUsize::new(0);
    let first: Mutex<Option<(usize, String)>> = Mutex::new(None);
    let known = || first.lock().unwrap_or_else(PoisonError::into_inner);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while known().is_none() {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((_, script)) = scripts.get(at) else { return };
                    let verdict = play(setup, script).verdict;
                    let Some(why) = verdict.wrong.first() else { continue };
                    let mut known = known();
                    if known.as_ref().is_none_or(|(first, _)| at < *first) {
                        *known = Some((at, why.chars().take(90).collect()));
                    }
                }
            });
        }
    });
    let (at, why) = known().take()?;
    Some((scripts.get(at)?, why))
}

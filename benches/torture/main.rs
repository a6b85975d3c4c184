//! `make torture`: the real daemon under everything at once, seed after seed, against an
//! oracle. See docs/reliability.md.

// The tests of promises use more of it.
#[allow(dead_code, unused_imports, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#[path = "../../tests/support/mod.rs"]
mod support;
#[allow(clippy::unwrap_used, clippy::panic)]
#[path = "../../tests/torture/mod.rs"]
mod torture;

use std::{collections::BTreeMap, panic::AssertUnwindSafe, process::ExitCode, time::Duration};

use clap::Parser;
use futures::FutureExt as _;
use serde_json::json;

/// The real daemon under everything at once.
#[derive(Clone, Debug, Parser)]
#[command(name = "torture")]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first of them; the others follow.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Seconds with faults, of each; 45, or 15 with `--quick`.
    #[arg(long)]
    seconds: Option<u64>,
    /// Short, for each change.
    #[arg(long)]
    quick: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

#[actix_rt::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let seconds = args.seconds.unwrap_or(if args.quick { 15 } else { 45 });
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    let mut noticed: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut lost, mut duplicate, mut phantom, mut failed) = (0, 0, 0, Vec::new());
    for seed in args.from..args.from + args.seeds {
        let play = torture::run(seed, Duration::from_secs(seconds));
        // What a part of the rig asserts is as much a failure.
        let Ok(found) = AssertUnwindSafe(play).catch_unwind().await else {
            eprintln!("seed {seed}: the rig gave up");
            failed.push(seed);
            continue;
        };
        let verdict = if found.is_right() { "right" } else { "WRONG" };
        eprintln!("seed {seed}: {verdict} after {:.0} s", found.seconds);
        eprintln!("  faults {:?}", found.faults);
        eprintln!("  noticed {:?}", found.noticed);
        found.wrong.iter().for_each(|wrong| eprintln!("  {wrong}"));
        if !found.is_right() {
            failed.push(seed);
        }
        (lost, duplicate, phantom) =
            (lost + found.lost, duplicate + found.duplicate, phantom + found.phantom);
        for (kind, count) in found.faults {
            *faults.entry(kind).or_default() += count;
        }
        for (what, count) in found.noticed {
            *noticed.entry(what).or_default() += count;
        }
    }
    let acts = faults.remove("acts").unwrap_or_default();
    let all: u64 = faults.values().sum();
    println!("seeds, acts of members       {}, {acts}", args.seeds);
    for (kind, count) in &faults {
        println!("{kind:<28} {count}");
    }
    for (what, count) in &noticed {
        println!("noticed: {what:<19} {count}");
    }
    println!("failed seeds                 {failed:?}");
    println!(
        "{}",
        json!({ "torture": {
            "seeds": args.seeds, "failed": failed.len(), "faults": all,
            "lost": lost, "duplicate": duplicate, "phantom": phantom, "by_kind": faults,
            "noticed": noticed,
        } })
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

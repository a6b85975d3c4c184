//! `meritd replay`: has a running daemon tell events once more.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{
    Failure,
    client::{DaemonArgs, Unanswered},
    print,
    progress::Progress,
};
use crate::domain::Name;

/// What to replay.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Name of the contract
    #[arg(long, value_name = "NAME")]
    contract: Name,
    /// First block
    #[arg(long, value_name = "A")]
    from_block: u64,
    /// Last block, at most the contract's last watermark
    #[arg(long, value_name = "B")]
    to_block: u64,
    /// Don't wait for the end
    #[arg(long)]
    no_wait: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// How it gets on, as the daemon says.
#[derive(Debug, Deserialize)]
struct Status {
    state: String,
    from_block: u64,
    to_block: u64,
    next_block: u64,
    events: u64,
    why: Option<String>,
}

/// Pause between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks in a row without an answer, after which the daemon is given up.
const UNANSWERED_MAX: u32 = 20;

pub(super) fn run(args: &ReplayArgs) -> Result<(), Failure> {
    let segments = ["api", "v1", "contracts", args.contract.as_str(), "replay"];
    let path = format!("/{}", segments.join("/"));
    let blocks = json!({ "from_block": args.from_block, "to_block": args.to_block });
    let mut answer: Json = args.daemon.post(&segments, &blocks).map_err(|error| match error {
        // It can't work, however often it is tried.
        Unanswered::Refused { status: 400 | 404, why } => Failure::Usage(why),
        error => error.into(),
    })?;
    let (mut progress, mut unanswered) = (Progress::new(), 0);
    let status = loop {
        let status: Status = serde_json::from_value(answer.clone()).map_err(Failure::failed)?;
        if args.no_wait || status.state != "running" {
            break status;
        }
        progress.show(|| {
            let held_up = status.why.as_ref().map(|why| format!("; held up: {why}"));
            let Status { next_block, to_block, events, .. } = status;
            format!(
                "block {next_block} of {to_block}, {events} events{}",
                held_up.unwrap_or_default()
            )
        });
        std::thread::sleep(LOOK_EVERY);
        match args.daemon.look(&path, &[]) {
            Ok(newer) => (answer, unanswered) = (newer, 0),
            // The actor is between two lives, or busy for long.
            Err(Unanswered::Refused { status: 503, .. } | Unanswered::Silent(_))
                if unanswered < UNANSWERED_MAX =>
            {
                unanswered += 1;
            }
            Err(Unanswered::Refused { status: 404, .. }) => {
                progress.clear();
                return Err(Failure::Failed(
                    "the contract's actor was restarted and knows of the replay no more; what it \
                     told is told, run the command again for the rest"
                        .to_owned(),
                ));
            }
            Err(error) => {
                progress.clear();
                return Err(error.into());
            }
        }
    };
    progress.clear();
    let Status { from_block, to_block, next_block, events, why, .. } = &status;
    if args.json {
        print(format!("{answer:#}"))?;
    } else {
        print(match status.state.as_str() {
            "running" => format!("replaying blocks {from_block} to {to_block}"),
            "done" => format!("replayed blocks {from_block} to {to_block}: {events} events"),
            _ => format!("replayed blocks {from_block} up to {next_block}: {events} events"),
        })?;
    }
    match status.state.as_str() {
        "failed" => Err(Failure::Failed(format!(
            "the replay ended before block {next_block}: {}",
            why.as_deref().unwrap_or("no reason was given")
        ))),
        _ => Ok(()),
    }
}

//! `meritd verify`: whether the stream says what the chain says.
//!
//! It shares with the daemon what logs mean (the adapters) and how a block is
//! proved, and nothing else: it has a client of its own, keeps no state, and
//! changes nothing. The stream is read first, then the chain; what the daemon
//! takes back meanwhile is not held against it.

mod children;
mod difference;
mod judge;
mod report;
mod run;
mod said;
mod stream;
mod task;

use std::num::NonZeroUsize;

use clap::Args;

use super::{ConfigArgs, Failure, print};
use crate::{
    daemon,
    domain::Name,
    streams::{StreamError, connection::Connection},
};

/// What to verify.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Name of the chain
    #[arg(long, value_name = "NAME")]
    chain: Name,
    /// Only this contract; may be given several times
    #[arg(long = "contract", value_name = "NAME")]
    contracts: Vec<Name>,
    /// So many short ranges, drawn at random, instead of all blocks; every
    /// block of them is proved
    #[arg(long, value_name = "N")]
    sample: Option<NonZeroUsize>,
    /// Draw as an earlier run did, which printed it
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// First block; else each contract's `start_block`
    #[arg(long, value_name = "A")]
    from_block: Option<u64>,
    /// Last block; else each contract's last watermark
    #[arg(long, value_name = "B")]
    to_block: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    if let (Some(from), Some(to)) = (args.from_block, args.to_block)
        && from > to
    {
        return Err(Failure::Usage(format!("--from-block {from} is above --to-block {to}")));
    }
    let (config, plan) = args.config.load_plan()?;
    let task = task::Task::of(args, &config, &plan)?;
    let spec = daemon::broker_of(&config, "meritd-verify").map_err(Failure::failed)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;
    let report = runtime.block_on(async {
        let connection = Connection::open(spec).await.map_err(|error| match error {
            StreamError::Unreachable { .. } => {
                Failure::Failed(format!("{error}; is the daemon running? (`meritd run`)"))
            }
            error => Failure::failed(error),
        })?;
        run::verify(&task, &connection).await
    })?;
    print(if args.json { report.json() } else { report.text() })?;
    match report.differences() {
        0 => Ok(()),
        1 => Err(Failure::Failed("1 difference between stream and chain".to_owned())),
        n => Err(Failure::Failed(format!("{n} differences between stream and chain"))),
    }
}

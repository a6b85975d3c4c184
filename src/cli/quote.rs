//! `meritd quote`: what an unlock is going to cost.

use clap::Args;
use serde_json::Value as Json;

use super::{Failure, client::DaemonArgs, print};

/// Whose unlocks.
#[derive(Debug, Args)]
pub(super) struct QuoteArgs {
    /// The signer that lands them
    #[arg(long, value_name = "NAME")]
    signer: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

pub(super) fn run(args: &QuoteArgs) -> Result<(), Failure> {
    let quote: Json = args.daemon.get("/api/v1/fees/quote", &[("signer", &args.signer)])?;
    if args.json {
        return print(format!("{quote:#}"));
    }
    let text = |pointer: &str| quote.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    let gas = |pointer: &str| quote.pointer(pointer).and_then(Json::as_u64).unwrap_or_default();
    print(format!(
        "low     {} ether  ({} gas, in a full batch)",
        text("/unlock_ether/low"),
        gas("/unlock/gas_in_batch")
    ))?;
    let data = text("/data_ether");
    let of_it = if data.is_empty() { String::new() } else { format!("  ({data} of it for data)") };
    print(format!("likely  {} ether{of_it}", text("/unlock_ether/likely")))?;
    print(format!(
        "high    {} ether  ({} gas, alone)",
        text("/unlock_ether/high"),
        gas("/unlock/gas_alone")
    ))
}

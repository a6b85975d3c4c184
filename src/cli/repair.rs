//! `meritd repair`: what has landed against the chain.

use std::time::Duration;

use clap::Args;
use serde_json::Value as Json;

use super::{Failure, client::DaemonArgs, print};
use crate::api::RepairBody;

/// What to compare.
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["dry_run", "apply"])]
pub(super) struct RepairArgs {
    /// The signer that landed it
    #[arg(long, value_name = "NAME")]
    signer: String,
    /// Compare and list
    #[arg(long)]
    dry_run: bool,
    /// Land again what is missing
    #[arg(long)]
    apply: bool,
    /// So many of them, drawn
    #[arg(
        long, value_name = "N", default_value = "1000", conflicts_with = "all",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    sample: u32,
    /// All of them
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// A comparison of many takes its time.
const LIMIT: Duration = Duration::from_secs(610);

pub(super) fn run(args: &RepairArgs) -> Result<(), Failure> {
    let sample = (!args.all).then(|| usize::try_from(args.sample).unwrap_or(usize::MAX));
    let body = RepairBody { apply: args.apply, sample };
    let path = ["api", "v1", "signers", &args.signer, "repair"];
    let report: Json = args.daemon.post_within(LIMIT, &path, &body)?;
    if args.json {
        print(format!("{report:#}"))?;
    } else {
        for line in told(&report) {
            print(line)?;
        }
    }
    let missing = report.get("missing").and_then(Json::as_array).map_or(0, Vec::len);
    if missing > 0 && !args.apply {
        return Err(Failure::Failed(format!("{missing} unlocks are missing on the chain")));
    }
    Ok(())
}

/// The report in lines.
fn told(report: &Json) -> Vec<String> {
    let count = |key: &str| report.get(key).and_then(Json::as_u64).unwrap_or_default();
    let list = |key: &str| report.get(key).and_then(Json::as_array).cloned().unwrap_or_default();
    let mut lines = vec![format!("{} unlocks were compared with the chain", count("checked"))];
    if count("not_asked") > 0 {
        lines.push(format!("{} could not be: their contract can't be asked", count("not_asked")));
    }
    let one = |what: &str, drifted: &Json| {
        let text = |key: &str| drifted.get(key).and_then(Json::as_str).unwrap_or_default();
        format!("{what:<10} {} of {} ({})", text("achievement"), text("user"), text("rule_set"))
    };
    lines.extend(list("missing").iter().map(|drifted| one("missing", drifted)));
    lines.extend(list("unexpected").iter().map(|drifted| one("unexpected", drifted)));
    if report.get("repairing") == Some(&Json::Bool(true)) {
        lines.push("what is missing is landed again".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_names_what_drifted() {
        let one = json!({ "user": "0xab", "achievement": "first-vote", "rule_set": "r" });
        let report = json!({
            "checked": 7, "not_asked": 2, "missing": [one], "unexpected": [], "repairing": true,
        });
        assert_eq!(
            told(&report),
            [
                "7 unlocks were compared with the chain",
                "2 could not be: their contract can't be asked",
                "missing    first-vote of 0xab (r)",
                "what is missing is landed again",
            ]
        );
    }
}

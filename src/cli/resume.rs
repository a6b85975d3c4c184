//! `meritd resume`: a person decided that a frozen chain goes on, or what was
//! paused.

use clap::Args;
use serde_json::{Value as Json, json};

use super::{Failure, client::DaemonArgs, pause::Signing, print};

/// What goes on, and from where.
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["chain", "all", "signer", "rule_set"])]
pub(super) struct ResumeArgs {
    /// Name of the frozen chain
    #[arg(long, value_name = "NAME", requires = "from_block")]
    chain: Option<String>,
    /// The first block to be read anew: all events from it on are void
    #[arg(
        long, value_name = "N", requires = "chain",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    from_block: Option<u64>,
    #[command(flatten)]
    signing: Signing,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

pub(super) fn run(args: &ResumeArgs) -> Result<(), Failure> {
    let (Some(chain), Some(from_block)) = (&args.chain, args.from_block) else {
        return args.signing.ask(&args.daemon, "resume", args.json);
    };
    if !args.json {
        let status: Json = args.daemon.get("/api/v1/status", &[])?;
        if let Some(why) = frozen_because(&status, chain) {
            print(format!("chain {chain} is frozen: {why}"))?;
        }
        print(format!(
            "resuming it with the endpoints' branch: what was read from block {from_block} on is \
             void, consumers are told, and it is read anew"
        ))?;
    }
    let path = ["api", "v1", "chains", chain, "resume"];
    let done: Json = args.daemon.post(&path, &json!({ "from_block": from_block }))?;
    if args.json {
        print(format!("{done:#}"))
    } else {
        print(format!("chain {chain} goes on; `meritd status` shows how far it is"))
    }
}

/// What the chain's head says keeps it.
fn frozen_because<'a>(status: &'a Json, chain: &str) -> Option<&'a str> {
    let head = format!("head/{chain}");
    let parts = status.get("not_ready")?.as_array()?;
    let part = parts.iter().find(|part| part.get("part").and_then(Json::as_str) == Some(&head))?;
    part.get("why")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_heads() {
        let status = json!({ "not_ready": [
            { "part": "contract/dao", "why": "the chain is frozen" },
            { "part": "head/main", "why": "a reorg below finality" },
        ] });
        assert_eq!(frozen_because(&status, "main"), Some("a reorg below finality"));
        assert_eq!(frozen_because(&status, "side"), None);
        assert_eq!(frozen_because(&json!({}), "main"), None);
    }
}

//! `meritd pause`: a person stops what signs.

use clap::Args;
use serde_json::Value as Json;

use super::{Failure, client::DaemonArgs, print};
use crate::{api::PauseBody, domain::Name};

/// What to pause.
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["all", "signer", "rule_set"])]
pub(super) struct PauseArgs {
    #[command(flatten)]
    signing: Signing,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Part of what signs; the command that has it says how many of these it takes.
#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct Signing {
    /// Everything that signs
    #[arg(long)]
    all: bool,
    /// A signer
    #[arg(long, value_name = "NAME")]
    signer: Option<String>,
    /// A rule set: it is evaluated all the same
    #[arg(long, value_name = "NAME")]
    rule_set: Option<String>,
}

pub(super) fn run(args: &PauseArgs) -> Result<(), Failure> {
    args.signing.ask(&args.daemon, "pause", args.json)
}

impl Signing {
    /// Has it paused or resumed, and shows what is paused then.
    pub(super) fn ask(
        &self,
        daemon: &DaemonArgs,
        verb: &str,
        as_json: bool,
    ) -> Result<(), Failure> {
        let name = |given: &Option<String>| {
            given.clone().map(Name::new).transpose().map_err(Failure::usage)
        };
        let (signer, rule_set) = (name(&self.signer)?, name(&self.rule_set)?);
        let body = PauseBody { all: self.all, signer, rule_set };
        let done: Json = daemon.post(&["api", "v1", verb], &body)?;
        if as_json {
            return print(format!("{done:#}"));
        }
        print(said(done.get("paused").unwrap_or(&Json::Null)))
    }
}

/// What is paused, in words.
pub(super) fn said(paused: &Json) -> String {
    let names = |kind: &str| -> Vec<&str> {
        let list = paused.get(kind).and_then(Json::as_array);
        list.into_iter().flatten().filter_map(Json::as_str).collect()
    };
    if paused.get("all") == Some(&Json::Bool(true)) {
        return "everything is paused".to_owned();
    }
    let parts: Vec<String> = [("signer", names("signers")), ("rule set", names("rule_sets"))]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what} {}", names.join(", ")))
        .collect();
    if parts.is_empty() {
        "nothing is paused".to_owned()
    } else {
        format!("paused: {}", parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_paused_is_said_in_words() {
        assert_eq!(said(&Json::Null), "nothing is paused");
        assert_eq!(said(&json!({ "all": true, "signers": ["a"] })), "everything is paused");
        let some = json!({ "all": false, "signers": ["a", "b"], "rule_sets": ["r"] });
        assert_eq!(said(&some), "paused: signer a, b; rule set r");
    }
}

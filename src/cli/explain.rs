//! `meritd explain`: the logs that counted, and what is missing.

use std::{fs, path::PathBuf};

use alloy::primitives::Address;
use clap::Args;
use serde_json::{Value as Json, json};

use super::{Failure, client::DaemonArgs, print};
use crate::{domain::off_chain::is_off_chain, streams::envelope::UnixTime};

/// What to explain.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Name of the achievement
    achievement: String,
    /// Address of the user
    user: Address,
    /// Compare what landed on chain with the evidence, and that with the chain
    #[arg(long)]
    verify_proof: bool,
    /// Write the evidence to a file, with proofs that it is on chain, which
    /// `meritd verify-evidence` checks
    #[arg(long, value_name = "FILE")]
    with_inclusion_proofs: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

pub(super) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let user = args.user.to_checksum(None);
    let query = [("achievement", args.achievement.as_str()), ("user", user.as_str())];
    let answer: Json = args.daemon.get("/api/v1/explain", &query)?;
    if let Some(path) = &args.with_inclusion_proofs {
        let evidence: Json = args.daemon.get("/api/v1/evidence", &query)?;
        let text = format!("{evidence:#}\n");
        fs::write(path, text).map_err(|error| {
            Failure::Failed(format!("{} can't be written: {error}", path.display()))
        })?;
    }
    if !args.verify_proof {
        return if args.json { print(format!("{answer:#}")) } else { print(render(&answer)) };
    }
    let proof: Json = args.daemon.get("/api/v1/proof", &query)?;
    if args.json {
        print(format!("{:#}", json!({ "explanation": answer, "proof": proof })))?;
    } else {
        print(render(&answer))?;
        print(proof_lines(&proof).join("\n"))?;
    }
    if proof.get("verified") == Some(&Json::Bool(true)) {
        Ok(())
    } else {
        Err(Failure::Failed("the proof is not verified".into()))
    }
}

fn proof_lines(proof: &Json) -> Vec<String> {
    // Neither yes nor no: not known.
    let is = |value: &Json, key: &str| match value.get(key) {
        Some(Json::Bool(holds)) => mark(*holds),
        _ => "  ?",
    };
    let logs: Vec<&Json> = list(proof, "logs").collect();
    let mut lines = vec![format!(
        "proof {}: rule version {}, {} of {} logs looked at",
        text(proof, "commitment"),
        text(proof, "rule_version"),
        logs.len(),
        text(proof, "total"),
    )];
    if proof.get("transaction_hash").is_some_and(|hash| !hash.is_null()) {
        lines.push(format!(
            "  {}  transaction {} in block {} commits to it",
            is(proof, "committed"),
            text(proof, "transaction_hash"),
            text(proof, "block"),
        ));
    }
    lines.extend(proof.get("why_not").and_then(Json::as_str).map(|why| format!("       {why}")));
    for counted in logs {
        let log = counted.get("log").unwrap_or(&Json::Null);
        lines.push(format!("  {}  on chain: {}", is(counted, "on_chain"), place(log)));
    }
    lines
}

/// The explanation as text.
fn render(answer: &Json) -> String {
    if let Some(error) = answer.get("error").and_then(Json::as_str) {
        return error.to_owned();
    }
    let verdict = match (answer.get("requested"), answer.get("earned")) {
        (Some(log), _) if !log.is_null() => format!("earned with {}", place(log)),
        (_, Some(Json::Bool(true))) => "earned".to_owned(),
        _ if answer.get("earned_from").is_some() => "earned when time has passed".to_owned(),
        _ => "not earned yet".to_owned(),
    };
    let mut lines = vec![format!(
        "{} (rule set {}) for {}: {verdict}",
        text(answer, "achievement"),
        text(answer, "rule_set"),
        text(answer, "user"),
    )];
    if let Some(times) = answer.get("times") {
        let (every, of) = (text(times, "every"), |key| times.get(key).and_then(Json::as_u64));
        let (earned, cap) = (of("earned").unwrap_or_default(), of("cap").unwrap_or_default());
        lines.push(format!("  {earned} of {cap} times, at most once a {every}"));
    }
    for required in list(answer, "requires") {
        let unlocked = required.get("unlocked").filter(|log| !log.is_null());
        lines.push(format!(
            "  {}  {} is on chain",
            mark(unlocked.is_some()),
            text(required, "achievement")
        ));
    }
    if let Some(condition) = answer.get("condition") {
        condition_lines(condition, 1, &mut lines);
    }
    for missing in list(answer, "missing") {
        lines.push(format!("  missing: {}", missing.as_str().unwrap_or_default()));
    }
    for chance in list(answer, "chances") {
        let of = |key: &str| chance.get(key).and_then(Json::as_u64).unwrap_or_default();
        let point = |at: u64| match chance.get("clock").and_then(Json::as_str) {
            Some("timestamp") => UnixTime(at).to_string(),
            _ => format!("block {at}"),
        };
        let voted = chance.get("voted") == Some(&Json::Bool(true));
        lines.push(format!(
            "  next: vote on {} of {} after {} and until {}{}",
            text(chance, "proposal_id"),
            text(chance, "governor"),
            point(of("opens_after")),
            point(of("closes_after")),
            if voted { " (done)" } else { "" },
        ));
    }
    lines.join("\n")
}

fn condition_lines(condition: &Json, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let holds = condition.get("holds") == Some(&Json::Bool(true));
    if condition.get("members").is_some() {
        let heading = match condition.get("kind").and_then(Json::as_str) {
            Some("at_least") => format!("at least {} of:", text(condition, "needed")),
            Some("score") => format!("{} points of:", text(condition, "needed")),
            _ => format!("{} of:", text(condition, "kind")),
        };
        lines.push(format!("{indent}{}  {heading}", mark(holds)));
        for member in list(condition, "members") {
            let Some(points) = member.get("points") else {
                condition_lines(member, depth + 1, lines);
                continue;
            };
            let each = if member.get("each") == Some(&Json::Bool(true)) { "each" } else { "once" };
            lines.push(format!("{indent}       {points} points {each}:"));
            if let Some(condition) = member.get("condition") {
                condition_lines(condition, depth + 2, lines);
            }
        }
        return;
    }
    if let Some(leaf) = condition.get("leaf") {
        lines.push(format!("{indent}{}  none of:", mark(holds)));
        condition_lines(leaf, depth + 1, lines);
        return;
    }
    lines.push(format!(
        "{indent}{}  {}: has {} of {}",
        mark(holds),
        text(condition, "condition"),
        text(condition, "have"),
        text(condition, "needed"),
    ));
    for log in list(condition, "evidence") {
        lines.push(format!("{indent}       {}", place(log)));
    }
}

fn place(log: &Json) -> String {
    if log.get("chain_id").and_then(Json::as_u64).is_some_and(is_off_chain) {
        return format!(
            "{}.{}, said off chain (fact {})",
            text(log, "contract"),
            text(log, "name"),
            text(log, "transaction_hash"),
        );
    }
    format!(
        "{}.{} in block {}, log {}, transaction {}",
        text(log, "contract"),
        text(log, "name"),
        text(log, "block"),
        text(log, "log_index"),
        text(log, "transaction_hash"),
    )
}

fn mark(holds: bool) -> &'static str {
    if holds { "yes" } else { " no" }
}

fn text(value: &Json, key: &str) -> String {
    match value.get(key) {
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn list<'a>(value: &'a Json, key: &str) -> impl Iterator<Item = &'a Json> {
    value.get(key).and_then(Json::as_array).into_iter().flatten()
}

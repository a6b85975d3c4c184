//! `meritd status`: actors, breakers, lags.

use clap::Args;
use serde_json::Value as Json;

use super::{Failure, client::DaemonArgs, print};

/// How to show it.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

pub(super) fn run(args: &StatusArgs) -> Result<(), Failure> {
    let status: Json = args.daemon.get("/api/v1/status", &[])?;
    if args.json { print(format!("{status:#}")) } else { print(render(&status)) }
}

/// The status as text: what is wrong first, then a line an actor, a line a
/// guarded dependency, and a line an endpoint.
fn render(status: &Json) -> String {
    let text = |value: &Json, key: &str| match value.get(key) {
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let list = |key: &str| status.get(key).and_then(Json::as_array).cloned().unwrap_or_default();
    let mut lines =
        vec![format!("meritd {}  {}", text(status, "version"), text(status, "environment"))];
    let unready = list("not_ready");
    if unready.is_empty() {
        lines.push("ready".into());
    }
    lines.extend(
        unready
            .iter()
            .map(|part| format!("NOT READY  {}: {}", text(part, "part"), text(part, "why"))),
    );
    lines.push(String::new());
    lines.push(format!("{:<34} {:<11} {:>8}  observed", "actor", "state", "restarts"));
    for actor in list("actors") {
        let observed =
            actor.get("observed").and_then(Json::as_object).map_or_else(String::new, |object| {
                let shown =
                    object.iter().filter(|(_, v)| !v.is_null() && !v.is_object() && !v.is_array());
                shown
                    .map(|(k, v)| {
                        format!("{k}={}", v.as_str().map_or_else(|| v.to_string(), str::to_owned))
                    })
                    .collect::<Vec<_>>()
                    .join(" ")
            });
        lines.push(format!(
            "{:<34} {:<11} {:>8}  {observed}",
            text(&actor, "name"),
            text(&actor, "state"),
            text(&actor, "restarts"),
        ));
    }
    lines.push(String::new());
    lines
        .push(format!("{:<34} {:<11} {:>9} {:>7}", "dependency", "breaker", "in flight", "queued"));
    for guard in list("guards") {
        lines.push(format!(
            "{:<34} {:<11} {:>9} {:>7}",
            text(&guard, "dependency"),
            text(&guard, "state"),
            text(&guard, "in_flight"),
            text(&guard, "queued"),
        ));
    }
    lines.push(String::new());
    lines.push(format!(
        "{:<34} {:<11} {:>9} {:>7} {:>6} {:>8}  why",
        "endpoint", "state", "head", "ms", "rate", "failures"
    ));
    for endpoint in list("endpoints") {
        let number = |key: &str| endpoint.get(key).and_then(Json::as_u64);
        let shown = |key: &str| number(key).map_or_else(|| "-".to_owned(), |n| n.to_string());
        lines.push(format!(
            "{:<34} {:<11} {:>9} {:>7} {:>6} {:>8}  {}",
            text(&endpoint, "name"),
            text(&endpoint, "state"),
            shown("head"),
            shown("latency_ms"),
            shown("rate_per_second"),
            shown("failures"),
            text(&endpoint, "reason"),
        ));
    }
    lines.join("\n")
}

//! `meritd status`: actors, breakers, lags.

use clap::Args;
use serde_json::Value as Json;

use super::{Failure, backfill::Backfill, client::DaemonArgs, print};

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
    let paused = super::pause::said(status.get("paused").unwrap_or(&Json::Null));
    if paused != "nothing is paused" {
        lines.push(paused);
    }
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
    lines.extend(list("actors").iter().filter_map(backfill));
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

/// The line of an actor that reads history.
fn backfill(actor: &Json) -> Option<String> {
    let history = Backfill::of(actor)?;
    let Backfill { name, next, target, .. } = &history;
    let (share, pace) = (history.percent(), history.pace());
    Some(format!("{name:<34} history {share:.1} %: block {next} of {target}, {pace}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_backfill_gets_a_line_of_its_own() {
        let contract = |backfill: Json| {
            json!({
                "name": "contract/dao",
                "observed": { "next_block": 1_750, "backfill": backfill },
            })
        };
        let reading = contract(json!({
            "from": 1_000, "next": 1_750, "target": 3_999,
            "blocks_per_s": 12.5, "events_per_s": 100.2, "eta_s": 180,
        }));
        let shown = render(&json!({ "actors": [reading, contract(Json::Null)] }));
        let lines: Vec<&str> = shown.lines().filter(|line| line.contains("history")).collect();
        assert_eq!(lines.len(), 1, "{shown}");
        let expected = "history 25.0 %: block 1750 of 3999, 12 blocks/s, 100 events/s, 3m 0s left";
        assert!(lines.concat().ends_with(expected), "{shown}");
    }
}

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
    let state = actor.get("observed")?.get("backfill").filter(|state| state.is_object())?;
    let number = |key: &str| state.get(key).and_then(Json::as_f64).unwrap_or_default();
    let (from, next, target) = (number("from"), number("next"), number("target"));
    let share = 100.0 * (next - from) / (target + 1.0 - from).max(1.0);
    let left = match state.get("eta_s").and_then(Json::as_u64) {
        Some(seconds) => format!("{} left", duration(seconds)),
        None => "not moving".to_owned(),
    };
    Some(format!(
        "{:<34} history {share:.1} %: block {next} of {target}, {:.0} blocks/s, {:.0} events/s, {left}",
        actor.get("name").and_then(Json::as_str).unwrap_or_default(),
        number("blocks_per_s"),
        number("events_per_s"),
    ))
}

/// `2d 3h`, `3h 4m`, `4m 5s`, `5s`.
fn duration(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m {s}s"),
        (0, h, m, _) => format!("{h}h {m}m"),
        (d, h, ..) => format!("{d}d {h}h"),
    }
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

    #[test]
    fn times_are_told_in_their_two_largest_units() {
        let told = [59, 61, 3_700, 90_000].map(duration);
        assert_eq!(told, ["59s", "1m 1s", "1h 1m", "1d 1h"]);
    }
}

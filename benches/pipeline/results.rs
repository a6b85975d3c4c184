//! What the other benches said: the last line of each, as `scripts/bench.sh` keeps them.

use std::{fs, path::Path};

use serde_json::Value as Json;

use super::Outcome;

/// One figure that is held against another.
#[derive(Clone, Debug)]
pub struct Part {
    pub what: String,
    pub measured: f64,
    pub limit: f64,
    /// What the limit is.
    pub against: &'static str,
}

impl Part {
    pub fn ratio(&self) -> f64 {
        self.measured / self.limit
    }
}

/// Bench, key of the figure, key of its limit, what they are called.
const PARTS: [(&str, &str, &str, &str, &str); 4] = [
    (
        "ingest",
        "events_per_s",
        "limit_events_per_s",
        "ingest: events/s, durable",
        "the same messages from a bare publisher",
    ),
    (
        "ingest",
        "in_memory_events_per_s",
        "in_memory_limit_events_per_s",
        "ingest: the same in memory",
        "the same messages from a bare publisher",
    ),
    (
        "rules",
        "events_per_s",
        "parse_only_per_s",
        "rules: events/s folded",
        "reading the same messages without rules",
    ),
    (
        "signing",
        "unlocks_per_s",
        "ceiling_per_s",
        "signing: unlocks/s landed",
        "what the blocks can take",
    ),
];

/// Reads what there is; a bench that was left out is none of the rows.
pub fn read(folder: &Path) -> Outcome<Vec<Part>> {
    let mut parts = Vec::new();
    for (bench, measured, limit, what, against) in PARTS {
        let file = folder.join(format!("{bench}.json"));
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let line: Json = serde_json::from_str(&text)
            .map_err(|error| format!("{} is not what a bench says: {error}", file.display()))?;
        let figure = |key: &str| line.get(key).and_then(Json::as_f64);
        if let (Some(measured), Some(limit)) = (figure(measured), figure(limit)) {
            parts.push(Part { what: what.to_owned(), measured, limit, against });
        }
    }
    Ok(parts)
}

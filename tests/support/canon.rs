//! What the events stream says in the end, read as simply as its documentation
//! allows.

use std::collections::BTreeMap;

use meritd::streams::subjects::StreamId;
use serde_json::Value as Json;

use super::Daemon;

/// The events that count, by contract: their block and their id, in order. Up
/// to the contract's last watermark.
pub async fn canonical(daemon: &Daemon) -> BTreeMap<String, Vec<(u64, String)>> {
    let mut said: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    let mut bodies = BTreeMap::new();
    for (subject, body) in daemon.stream(StreamId::Events).await {
        let body: Json = serde_json::from_slice(&body).unwrap_or_default();
        let data = &body["data"];
        let contract = data["contract"].as_str().unwrap_or_default().to_owned();
        let above = |from: &Json| {
            let from = from.as_u64().unwrap();
            move |(block, _): &(u64, String)| *block < from
        };
        let kind = subject.split('.').nth(2).unwrap();
        match (kind, data["kind"].as_str()) {
            ("events", _) => {
                let id = data["id"].as_str().unwrap().to_owned();
                let known = bodies.insert(id.clone(), data.clone());
                assert!(known.is_none_or(|known| known == *data), "{id} was told differently");
                let events = said.entry(contract).or_default();
                let event = (data["block"]["number"].as_u64().unwrap(), id);
                if !events.contains(&event) {
                    events.push(event);
                }
            }
            ("watermarks", Some("retraction")) => {
                said.entry(contract).or_default().retain(above(&data["from"]));
            }
            ("rewinds", _) => {
                said.entry(contract).or_default().retain(above(&data["from_block"]));
            }
            _ => {}
        }
    }
    for events in said.values() {
        assert!(events.is_sorted_by_key(|(block, _)| *block), "{events:?}");
    }
    said
}

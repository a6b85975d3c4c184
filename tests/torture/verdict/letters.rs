//! Dead letters are what was planted: one for each reader, and none else.

use std::collections::BTreeMap;

use meritd::streams::subjects::StreamId;
use serde_json::Value as Json;

use crate::{support::Daemon, torture::faults::Planted};

pub(super) async fn of(daemon: &Daemon, planted: &[Planted], lost_messages: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    // The same letter may be said again under the same id.
    let mut said: BTreeMap<(String, u64), String> = BTreeMap::new();
    for (subject, body) in daemon.stream(StreamId::DeadLetters).await {
        if !subject.starts_with("merit.v1.dead_letters.") {
            continue;
        }
        let letter: Json = serde_json::from_slice(&body).unwrap_or_default();
        let actor = letter["data"]["actor"].as_str().unwrap_or_default().to_owned();
        let sequence = letter["data"]["origin"]["sequence"].as_u64();
        let is_of = |it: &&Planted| {
            // Where the stream was made anew, another message has the number.
            let is_it = lost_messages || it.sequence.is_none() || it.sequence == sequence;
            is_it && it.readers.contains(&actor.as_str())
        };
        match sequence.filter(|_| planted.iter().any(|it| is_of(&it))) {
            Some(sequence) => {
                let id = letter["id"].as_str().unwrap_or_default();
                let known = said.entry((actor, sequence)).or_insert_with(|| id.to_owned());
                if *known != id && !lost_messages {
                    wrong.push(format!("two dead letters: {known}, {id}"));
                }
            }
            None => wrong.push(format!("a dead letter: {}", letter["data"])),
        }
    }
    if lost_messages {
        return wrong;
    }
    for poison in planted {
        let Some(sequence) = poison.sequence else { continue };
        for reader in poison.readers {
            if !said.contains_key(&((*reader).to_owned(), sequence)) {
                let stream = poison.stream.name();
                wrong.push(format!("{reader} put {sequence} of {stream} not aside"));
            }
        }
    }
    wrong
}

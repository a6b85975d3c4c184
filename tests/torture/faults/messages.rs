//! What others write into the streams: what is no message, and messages once more.

use std::{collections::BTreeSet, time::Duration};

use alloy::{eips::BlockNumberOrTag, primitives::B256, providers::Provider as _};
use async_nats::jetstream;
use bytes::Bytes;
use meritd::{
    cli::demo::{broker, world::World},
    streams::{
        read::{Stored, read_range},
        subjects::StreamId,
    },
};
use rand::{rngs::StdRng, seq::IndexedRandom as _};
use serde_json::Value as Json;

use crate::support::Daemon;

const ANSWERS_WITHIN: Duration = Duration::from_secs(3);
/// So deep nothing is orphaned any more, and nothing that it earned taken back.
const DEEP: u64 = 20;

/// Poison: what its readers must put aside.
#[derive(Clone, Debug)]
pub(crate) struct Planted {
    pub(crate) stream: StreamId,
    /// Unknown when the broker did not answer: it may be there or not.
    pub(crate) sequence: Option<u64>,
    /// Who has a dead letter of it.
    pub(crate) readers: &'static [&'static str],
}

const RULES: &str = "rule_set-participation";
const GOVERNOR: &str = "governor-dao";
const SIGNER: &str = "signer-awards";

const POISON: [(StreamId, &str, &[&str]); 5] = [
    (StreamId::Events, "merit.v1.events.local.dao.vote_cast", &[RULES, GOVERNOR]),
    (StreamId::Events, "merit.v1.events.local.contributions.contributed", &[RULES]),
    (StreamId::Events, "merit.v1.watermarks.local.badge", &[RULES, GOVERNOR]),
    (StreamId::Unlocks, "merit.v1.unlocks.participation.first-vote.requested", &[SIGNER]),
    // Its reader looks for its own messages only.
    (StreamId::Transactions, "merit.v1.transactions.awards.signed", &[]),
];

const BODIES: [&str; 4] = [
    "no message",
    "{}",
    r#"{"specversion":"1.0","id":"1","source":"/x","type":"x","data":{}}"#,
    "{\"specversion\":\"1.0\",\"data\":",
];

pub(super) async fn plant(daemon: &Daemon, chance: &mut StdRng) -> Option<Planted> {
    let (stream, subject, readers) = *POISON.choose(chance).unwrap();
    let body = *BODIES.choose(chance).unwrap();
    let context = context(daemon).await?;
    let sequence = publish(&context, subject.to_owned(), body.into()).await;
    Some(Planted { stream, sequence, readers })
}

/// Says again what was said, as a consumer has to expect; only what holds for good, or it
/// would be something else than was said.
pub(super) async fn repeat(world: &World, daemon: &Daemon, chance: &mut StdRng) -> Option<()> {
    let stream = *[StreamId::Events, StreamId::Unlocks].choose(chance).unwrap();
    let connection =
        tokio::time::timeout(ANSWERS_WITHIN, broker::connect(&daemon.setting)).await.ok()?.ok()?;
    let subjects = stream.subjects();
    let range = read_range(&connection, stream, &subjects, 1, usize::MAX);
    let range = tokio::time::timeout(ANSWERS_WITHIN, range).await.ok()?.ok()?;
    let head = world.anvil.block_number().await.ok()?;
    let mut last_words = BTreeSet::new();
    let mut lasting = Vec::new();
    for message in range.messages.iter().rev() {
        let Ok(body) = serde_json::from_slice::<Json>(&message.payload) else { continue };
        let places = places(stream, message, &body["data"], &mut last_words);
        let deep = |(number, _): &(u64, B256)| number + DEEP < head;
        if !places.is_empty() && places.iter().all(deep) {
            lasting.push((message, places));
        }
    }
    let (message, places) = lasting.choose(chance)?;
    for (number, hash) in places {
        let number = BlockNumberOrTag::Number(*number);
        let block = world.anvil.provider().get_block_by_number(number).await.ok()??;
        if block.header.hash != *hash {
            return None;
        }
    }
    let context = context(daemon).await?;
    publish(&context, message.subject.clone(), message.payload.clone()).await.map(drop)
}

/// The blocks that a message is about; none, if it is no event and no request that is the
/// last word. Messages come with the newest first.
fn places(
    stream: StreamId,
    message: &Stored,
    data: &Json,
    last_words: &mut BTreeSet<String>,
) -> Vec<(u64, B256)> {
    let hash = |json: &Json| serde_json::from_value::<B256>(json.clone()).ok();
    if stream == StreamId::Events {
        let block = &data["block"];
        let is_event = message.subject.starts_with("merit.v1.events.");
        let place = block["number"].as_u64().zip(hash(&block["hash"]));
        return place.filter(|_| is_event).into_iter().collect();
    }
    let request = &data["request"];
    let Some(id) = request["id"].as_str() else { return Vec::new() };
    // What its signer says of it changes nothing about who wants it.
    let by_rules = ["requested", "retracted"].iter().any(|it| message.subject.ends_with(it));
    if !by_rules || !last_words.insert(id.to_owned()) || !message.subject.ends_with("requested") {
        return Vec::new();
    }
    let items = request["evidence"]["items"].as_array().into_iter().flatten();
    items.filter_map(|item| item["block"].as_u64().zip(hash(&item["block_hash"]))).collect()
}

async fn context(daemon: &Daemon) -> Option<jetstream::Context> {
    let heard = tokio::time::timeout(ANSWERS_WITHIN, broker::listen(&daemon.setting)).await;
    Some(jetstream::new(heard.ok()?.ok()?.client))
}

async fn publish(context: &jetstream::Context, subject: String, body: Bytes) -> Option<u64> {
    let published = async { context.publish(subject, body).await.ok()?.await.ok() };
    let published = tokio::time::timeout(ANSWERS_WITHIN, published).await.ok()??;
    Some(published.sequence)
}

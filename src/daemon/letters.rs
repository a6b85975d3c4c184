//! Dead letters: what could not be processed, listed, shown, tried again or
//! thrown away.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value as Json, json};
use tokio::sync::oneshot;

use crate::{
    actors::{
        contract::replay::StartReplay,
        messages,
        signer::{Retry, SignerActor},
    },
    api::{ApiProblem, LetterAsk, LettersQuery},
    domain::{Name, UnlockId},
    streams::{
        connection::Connection,
        read::{Stored, extent, read_range},
        single,
        subjects::{self, StreamId, Writer, WriterKind},
    },
    supervisor::{ActorRef, Stepper},
};

use super::replay::{self, Contracts};

/// All signers by name.
pub(super) type Signers = BTreeMap<Name, ActorRef<Stepper<SignerActor>>>;

/// Knows where the letters are, and who can try again.
#[derive(Clone)]
pub(super) struct LetterDesk {
    pub(super) connection: Connection,
    pub(super) contracts: Arc<Contracts>,
    pub(super) signers: Arc<Signers>,
}

/// Letters of one answer.
const LISTED_MAX: usize = 500;
/// Sequences looked at for one answer that names no first one.
const LOOKED_AT: u64 = 5_000;
/// Longest that an actor may take to say whether it tries again: longer than
/// a signer's round.
const RETRY_LIMIT: Duration = Duration::from_secs(60);

const STREAM: StreamId = StreamId::DeadLetters;

impl LetterDesk {
    pub(super) async fn answer(&self, ask: LetterAsk) -> Result<Json, ApiProblem> {
        match ask {
            LetterAsk::List(query) => self.list(query).await,
            LetterAsk::Show(sequence) => Ok(shown(&self.letter(sequence).await?)),
            LetterAsk::Replay(sequence) => self.replay(sequence).await,
            LetterAsk::Discard(sequence) => self.discard(sequence).await,
        }
    }

    /// Letters in order, from a sequence on, or the latest.
    async fn list(&self, query: LettersQuery) -> Result<Json, ApiProblem> {
        let LettersQuery { actor, from, limit } = query;
        let filter = match actor {
            Some(actor) => subjects::dead_letter(&writer(&actor)?),
            None => subjects::dead_letters(),
        };
        let limit = limit.unwrap_or(50).clamp(1, LISTED_MAX);
        let extent = extent(&self.connection, STREAM).await.map_err(unavailable)?;
        let first = from.unwrap_or((extent.last_sequence + 1).saturating_sub(LOOKED_AT)).max(1);
        let most = match from {
            Some(_) => limit,
            None => usize::try_from(LOOKED_AT).unwrap_or(usize::MAX),
        };
        let range = read_range(&self.connection, STREAM, &[filter], first, most).await;
        let mut stored = range.map_err(unavailable)?.messages;
        let more = from.is_some() && stored.len() == limit;
        if from.is_none() {
            stored.drain(..stored.len().saturating_sub(limit));
        }
        Ok(json!({
            "letters": stored.iter().map(shown).collect::<Vec<_>>(),
            "next": stored.last().filter(|_| more).map(|last| last.sequence + 1),
            "total": extent.messages,
        }))
    }

    /// Throws a letter away.
    async fn discard(&self, sequence: u64) -> Result<Json, ApiProblem> {
        let removed = single::remove(&self.connection, STREAM, sequence).await;
        if !removed.map_err(unavailable)? {
            return Err(missing(sequence));
        }
        tracing::info!(sequence, "a person discarded a dead letter");
        Ok(json!({ "sequence": sequence, "discarded": true }))
    }

    /// Has its actor try again what the letter is about; then the letter goes.
    async fn replay(&self, sequence: u64) -> Result<Json, ApiProblem> {
        let letter = shown(&self.letter(sequence).await?);
        let text = |pointer: &str| letter.pointer(pointer).and_then(Json::as_str);
        let actor = writer(text("/actor").unwrap_or_default())?;
        let done = match actor.kind {
            WriterKind::Signer => {
                let id = text("/origin/unlock/id").and_then(|id| id.parse().ok()).map(UnlockId);
                self.retry(&actor, id.ok_or_else(|| not_replayable(&actor))?).await?
            }
            WriterKind::Contract => {
                let block = text("/origin/blockNumber")
                    .and_then(|number| u64::from_str_radix(number.strip_prefix("0x")?, 16).ok());
                let block = block.ok_or_else(|| not_replayable(&actor))?;
                let contract = replay::find(Some(&self.contracts), actor.name.as_str())?;
                let ask = StartReplay { from_block: block, to_block: block };
                replay::start(contract, ask, RETRY_LIMIT).await?;
                format!(
                    "block {block} is told once more; what was folded past it stays so: to have it \
                     counted by rules, start over"
                )
            }
            WriterKind::RuleSet
            | WriterKind::Governor
            | WriterKind::Notifier
            | WriterKind::Facts => {
                return Err(not_replayable(&actor));
            }
        };
        // It is tried again, whether or not the letter can go now.
        if let Err(error) = single::remove(&self.connection, STREAM, sequence).await {
            tracing::warn!(sequence, "a replayed dead letter stays: {error}");
        }
        Ok(json!({ "sequence": sequence, "actor": actor.to_string(), "done": done }))
    }

    async fn retry(&self, actor: &Writer, id: UnlockId) -> Result<String, ApiProblem> {
        let signer = self.signers.get(&actor.name).ok_or_else(|| {
            ApiProblem::NotFound(format!("no signer `{}` is configured any more", actor.name))
        })?;
        let (reply, answer) = oneshot::channel();
        signer
            .tell(Retry { id, reply }, RETRY_LIMIT)
            .await
            .map_err(|error| ApiProblem::Unavailable(error.to_string()))?;
        let answer = tokio::time::timeout(RETRY_LIMIT, answer).await;
        let Ok(Ok(answer)) = answer else {
            let why = "the signer does not get to it now; ask again, it does no harm";
            return Err(ApiProblem::Unavailable(why.to_owned()));
        };
        answer.map_err(|refused| ApiProblem::Conflict(refused.to_string()))?;
        Ok(format!("unlock {id} waits for a transaction again"))
    }

    async fn letter(&self, sequence: u64) -> Result<Stored, ApiProblem> {
        let found = single::message(&self.connection, STREAM, sequence).await;
        found.map_err(unavailable)?.ok_or_else(|| missing(sequence))
    }
}

/// A letter as it is shown: what is no letter of ours, as text.
fn shown(stored: &Stored) -> Json {
    let mut letter = json!({
        "sequence": stored.sequence,
        "stored_at_unix_s": stored.stored_at_ns / 1_000_000_000,
    });
    let data = messages::read::<Json>(&stored.payload).ok().filter(Json::is_object);
    let data = data.unwrap_or_else(|| {
        json!({
            "actor": stored.subject.rsplit('.').next(),
            "reason": "not a message of meritd",
            "origin": { "text": String::from_utf8_lossy(&stored.payload) },
        })
    });
    for (key, value) in data.as_object().into_iter().flatten() {
        if let Some(letter) = letter.as_object_mut() {
            letter.insert(key.clone(), value.clone());
        }
    }
    letter
}

fn writer(actor: &str) -> Result<Writer, ApiProblem> {
    actor.parse().map_err(|_| {
        let shown: String = actor.chars().take(Name::MAX_LEN).collect();
        ApiProblem::BadRequest(format!("`{shown}` is no actor; write it like signer-awards"))
    })
}

fn not_replayable(actor: &Writer) -> ApiProblem {
    ApiProblem::Conflict(format!(
        "what {actor} could not process can't be given to it again by itself: it is read again when \
         its state is rebuilt; discard the letter when it is dealt with"
    ))
}

fn missing(sequence: u64) -> ApiProblem {
    ApiProblem::NotFound(format!("there is no dead letter {sequence}"))
}

fn unavailable(error: impl std::fmt::Display) -> ApiProblem {
    ApiProblem::Unavailable(error.to_string())
}

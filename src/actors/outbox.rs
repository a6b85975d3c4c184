//! Messages that a commit caused, until the stream has them.
//!
//! They are rows of the same store transaction as the state they follow
//! from, and are published in order after it. What a crash leaves behind is
//! published again under the same id: the broker drops it within its window,
//! and consumers know the id for ever.

mod run;

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use run::Said;

use super::{
    messages::{self, MessageError},
    shared::Shared,
};
use crate::{
    store::{StoreError, Table, Write},
    streams::{
        PublishError, StreamError,
        envelope::headers,
        fence::Fence,
        kv::{Bucket, PutOutcome},
        publish::OutMessage,
        subjects::{StreamId, Writer},
    },
    teeth::{Tooth, is_planted},
};

/// One thing to be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outgoing {
    /// A message on a stream.
    Publish {
        /// The stream.
        stream: StreamId,
        /// The CloudEvents id.
        id: String,
        /// The subject.
        subject: String,
        /// The envelope as JSON text.
        payload: String,
    },
    /// A value in a bucket; an older revision never replaces a newer one.
    Put {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// Which of two values is newer.
        revision: u64,
        /// The value.
        value: serde_json::Map<String, serde_json::Value>,
    },
}

/// Why something is still unsaid.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stream.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The bucket.
    #[error(transparent)]
    Put(#[from] StreamError),
    /// A message that can't be written.
    #[error(transparent)]
    Message(#[from] MessageError),
}

impl OutboxError {
    /// Whether no repetition can ever succeed, whatever the server becomes.
    fn is_for_good(&self) -> bool {
        match self {
            Self::Publish(PublishError::TooLarge { .. }) => true,
            Self::Publish(PublishError::Refused { code, .. }) => FOR_GOOD.contains(code),
            Self::Put(StreamError::Refused { code, .. }) => *code == BY_OURSELVES,
            _ => false,
        }
    }

    /// Whether the dead letters refuse one: full, or closed to us. Only a
    /// person can change that, and all others must not wait for it.
    fn is_refused_letter(&self) -> bool {
        match self {
            Self::Publish(PublishError::Refused { stream, .. }) => *stream == StreamId::DeadLetters,
            // What a full stream says ("maximum bytes exceeded") has the class
            // of a full disk.
            Self::Publish(PublishError::Unavailable { stream, reason }) => {
                *stream == StreamId::DeadLetters && reason.contains("maximum")
            }
            _ => false,
        }
    }
}

/// Code of what never got to a server.
const BY_OURSELVES: u64 = 0;
/// JetStream's codes for what is wrong with the message itself: beyond the
/// stream's largest message, or headers beyond their limit. Other refusals
/// are about stream or account, which a person mends.
const FOR_GOOD: [u64; 3] = [BY_OURSELVES, 10_054, 10_097];
/// Longest foreign text that a dead letter repeats, characters.
const QUOTED_MAX: usize = 200;

/// One actor's messages on their way out.
#[derive(Debug)]
pub struct Outbox {
    owner: String,
    next: u64,
    waiting: VecDeque<(u64, Outgoing)>,
    said: Vec<u64>,
}

/// Bytes between an owner's name and the rest of a key: no name holds it.
const SEPARATOR: u8 = 0;

/// The store key of something an actor owns.
#[must_use]
pub fn owned_key(owner: &str, rest: &[u8]) -> Vec<u8> {
    [owner.as_bytes(), &[SEPARATOR], rest].concat()
}

impl Outbox {
    /// What an earlier incarnation left unsaid.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn restore(shared: &Shared, owner: &str) -> Result<Self, OutboxError> {
        let prefix = owned_key(owner, &[]);
        let rows = shared.store.scan_all(Table::Outbox, &prefix).await?;
        let mut outbox =
            Self { owner: owner.to_owned(), next: 0, waiting: VecDeque::new(), said: Vec::new() };
        for (key, value) in rows {
            if is_planted(Tooth::OutboxDropped) {
                continue;
            }
            let number = key
                .get(prefix.len()..)
                .and_then(|bytes| bytes.try_into().ok())
                .map_or(outbox.next, u64::from_be_bytes);
            outbox.next = number + 1;
            let outgoing = match (serde_json::from_slice(&value), writer_of(owner)) {
                (Ok(outgoing), _) => outgoing,
                // The letter takes the row's place: the row goes when it is said.
                (Err(error), Some(writer)) => {
                    let id = format!("unreadable/{owner}/{number}");
                    let why = format!("an outbox row can't be read: {error}");
                    told(shared, owner, &id, &why);
                    let origin = json!({ "row": number, "bytes": value.len() });
                    messages::dead_letter(&writer, &id, &why, &origin)?
                }
                (Err(error), None) => {
                    tracing::error!(actor = owner, number, "an outbox row can't be read: {error}");
                    continue;
                }
            };
            outbox.waiting.push_back((number, outgoing));
        }
        Ok(outbox)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds messages; the rows belong into the commit that causes them. Rows
    /// of what was said since are removed by the way.
    pub fn add(&mut self, outgoing: impl IntoIterator<Item = Outgoing>) -> Vec<Write> {
        let mut writes = self.forget_said();
        for message in outgoing {
            // Plain strings and JSON: they serialise to memory.
            let value = serde_json::to_vec(&message).unwrap_or_default();
            writes.push(Write {
                table: Table::Outbox,
                key: owned_key(&self.owner, &self.next.to_be_bytes()),
                value: Some(value),
            });
            self.waiting.push_back((self.next, message));
            self.next += 1;
        }
        writes
    }

    /// Says everything that waits, in order. What can never be said becomes a
    /// dead letter, so that the rest does not wait for it.
    ///
    /// # Errors
    /// At the first that can't be said now; it and the rest go on waiting.
    pub async fn flush(
        &mut self,
        shared: &Shared,
        fences: &[(StreamId, Fence)],
    ) -> Result<(), OutboxError> {
        while !self.waiting.is_empty() {
            let mut one_by_one = 1;
            if let Some((stream, count)) = run::length(&self.waiting) {
                let messages = self.waiting.iter().take(count).map(|(_, outgoing)| outgoing);
                match run::say(shared, stream, messages, fence_of(fences, stream)).await? {
                    Said::All => {
                        self.said.extend(self.waiting.drain(..count).map(|(number, _)| number));
                        continue;
                    }
                    Said::OneByOne => one_by_one = count,
                }
            }
            for _ in 0..one_by_one {
                self.say_first(shared, fences).await?;
            }
        }
        Ok(())
    }

    async fn say_first(
        &mut self,
        shared: &Shared,
        fences: &[(StreamId, Fence)],
    ) -> Result<(), OutboxError> {
        if let Some((number, outgoing)) = self.waiting.front() {
            let number = *number;
            let settled = match say(shared, fences, outgoing).await {
                Ok(()) => true,
                Err(error) if error.is_refused_letter() => {
                    lost(shared, &self.owner, outgoing, &error);
                    true
                }
                Err(error) if error.is_for_good() => {
                    set_aside(shared, &self.owner, outgoing, &error).await?
                }
                Err(_) if is_planted(Tooth::OutboxDropped) => true,
                Err(error) => return Err(error),
            };
            // What nobody could be told about keeps its row: it is tried again
            // when the outbox is read again.
            if settled {
                self.said.push(number);
            }
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Removes the rows of what was said. Without it they would be said again
    /// after a restart, harmlessly.
    pub fn forget_said(&mut self) -> Vec<Write> {
        self.said
            .drain(..)
            .map(|number| Write {
                table: Table::Outbox,
                key: owned_key(&self.owner, &number.to_be_bytes()),
                value: None,
            })
            .collect()
    }
}

fn fence_of(fences: &[(StreamId, Fence)], stream: StreamId) -> Option<&Fence> {
    fences.iter().find(|(of, _)| *of == stream).map(|(_, fence)| fence)
}

async fn say(
    shared: &Shared,
    fences: &[(StreamId, Fence)],
    outgoing: &Outgoing,
) -> Result<(), OutboxError> {
    match outgoing {
        Outgoing::Publish { stream, id, subject, payload } => {
            let fence = fence_of(fences, *stream);
            let payload = Bytes::from(payload.clone());
            let message = OutMessage::new(subject.clone(), headers(None), payload);
            shared.publish(*stream, id, message, fence).await?;
        }
        Outgoing::Put { bucket, key, revision, value } => {
            let bucket = Bucket::open(&shared.connection, bucket).await?;
            let put = bucket.put_if_newer(key, *revision, value.clone()).await?;
            if let PutOutcome::Stale { present } = put {
                tracing::debug!(key, revision, present, "a newer value was there already");
            }
        }
    }
    Ok(())
}

/// Says a dead letter at once. Returns whether the stream has it: when the
/// stream refuses, only the log does.
///
/// # Errors
/// When the broker does not take it now.
pub(super) async fn say_letter(
    shared: &Shared,
    owner: &str,
    letter: &Outgoing,
) -> Result<bool, OutboxError> {
    match say(shared, &[], letter).await {
        Ok(()) => Ok(true),
        Err(error) if error.is_refused_letter() => {
            lost(shared, owner, letter, &error);
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Puts a dead letter in the place of what can never be said. Returns whether
/// the stream has it.
async fn set_aside(
    shared: &Shared,
    owner: &str,
    outgoing: &Outgoing,
    error: &OutboxError,
) -> Result<bool, OutboxError> {
    let (stream, subject, id, bytes) = match outgoing {
        Outgoing::Publish { stream, id, subject, payload } => {
            (stream.name(), subject, id.clone(), payload.len())
        }
        Outgoing::Put { bucket, key, revision, value } => {
            let bytes = serde_json::to_vec(value).map_or(0, |value| value.len());
            (bucket.as_str(), key, format!("{key}/{revision}"), bytes)
        }
    };
    let quoted = |text: &str| text.chars().take(QUOTED_MAX).collect::<String>();
    let letter_id = format!("unsayable/{owner}/{}", quoted(&id)).replace(['\r', '\n'], " ");
    let why = format!("it can never be said: {}", quoted(&error.to_string()));
    told(shared, owner, &letter_id, &why);
    let Some(writer) = writer_of(owner) else { return Ok(false) };
    let origin = json!({
        "stream": stream,
        "subject": quoted(subject),
        "id": quoted(&id),
        "bytes": bytes,
    });
    let letter = messages::dead_letter(&writer, &letter_id, &why, &origin)?;
    say_letter(shared, owner, &letter).await
}

fn told(shared: &Shared, owner: &str, id: &str, why: &str) {
    tracing::error!(actor = owner, id, "dead letter: {why}");
    shared.metrics.dead_letters_total.with_label_values(&[owner]).inc();
}

fn lost(shared: &Shared, owner: &str, letter: &Outgoing, error: &OutboxError) {
    let Outgoing::Publish { id, payload, .. } = letter else { return };
    let letter: String = payload.chars().take(QUOTED_MAX * 10).collect();
    tracing::error!(actor = owner, id, letter, "a dead letter is lost, make room: {error}");
    shared.metrics.dead_letters_lost_total.with_label_values(&[owner]).inc();
}

/// The writer whose name an outbox has: `rule_set-quests`.
fn writer_of(owner: &str) -> Option<Writer> {
    owner.parse().ok()
}

#[cfg(test)]
mod tests;

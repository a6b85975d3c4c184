//! Messages that a commit caused, until the stream has them.
//!
//! They are rows of the same store transaction as the state they follow
//! from, and are published in order after it. What a crash leaves behind is
//! published again under the same id: the broker drops it within its window,
//! and consumers know the id for ever.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{messages::MessageError, shared::Shared};
use crate::{
    store::{StoreError, Table, Write},
    streams::{
        PublishError, StreamError,
        envelope::headers,
        fence::Fence,
        kv::{Bucket, PutOutcome},
        publish::OutMessage,
        subjects::StreamId,
    },
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
    /// A row that this version can't read.
    #[error("an outbox row of `{owner}` is unreadable: {source}")]
    Unreadable {
        /// Whose.
        owner: String,
        /// Why.
        source: serde_json::Error,
    },
}

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
            let number = key
                .get(prefix.len()..)
                .and_then(|bytes| bytes.try_into().ok())
                .map_or(outbox.next, u64::from_be_bytes);
            let outgoing = serde_json::from_slice(&value)
                .map_err(|source| OutboxError::Unreadable { owner: owner.to_owned(), source })?;
            outbox.next = number + 1;
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

    /// The number that the next message gets: unlike any other of this
    /// incarnation.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.next
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

    /// Says everything that waits, in order.
    ///
    /// # Errors
    /// At the first that can't be said; it and the rest go on waiting.
    pub async fn flush(
        &mut self,
        shared: &Shared,
        fences: &[(StreamId, Fence)],
    ) -> Result<(), OutboxError> {
        while let Some((number, outgoing)) = self.waiting.front() {
            match outgoing {
                Outgoing::Publish { stream, id, subject, payload } => {
                    let fence = fences.iter().find(|(of, _)| of == stream).map(|(_, fence)| fence);
                    let message = OutMessage::new(
                        subject.clone(),
                        headers(None),
                        Bytes::from(payload.clone()),
                    );
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
            self.said.push(*number);
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

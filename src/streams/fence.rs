//! Keeps a writer that was replaced from writing.
//!
//! A contract, a rule set or a signer has one writer. It holds the last
//! sequence of a fence subject, and every message or batch it publishes
//! expects that sequence there. Whoever takes over publishes a new epoch on
//! the fence, after which the old writer, however late its messages arrive,
//! is refused by the server itself.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    PublishError, StreamError,
    connection::Connection,
    publish::{OutMessage, publish_one},
    read,
    subjects::{self, StreamId, Writer},
};
use crate::breakers::{Classify, FailureClass};

/// How often two that race for a fence try.
const ATTEMPTS: u32 = 8;

/// The right to write, until someone acquires it anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    subject: String,
    sequence: u64,
    epoch: u64,
}

/// Why the right to write was not had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FenceError {
    /// Others took it each time.
    #[error(
        "{subject}: another holder was faster {attempts} times; is a second meritd running with this configuration?"
    )]
    Contended {
        /// The fence's subject.
        subject: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The fence can't be read.
    #[error(transparent)]
    Read(#[from] StreamError),
    /// The fence can't be written.
    #[error(transparent)]
    Write(#[from] PublishError),
}

impl Classify for FenceError {
    fn class(&self) -> FailureClass {
        match self {
            Self::Contended { .. } => FailureClass::Answer,
            Self::Read(error) => error.class(),
            Self::Write(error) => error.class(),
        }
    }
}

/// What stands on a fence subject.
#[derive(Debug, Serialize, Deserialize)]
struct Epoch {
    epoch: u64,
    holder: String,
}

impl Fence {
    /// Takes over: publishes the next epoch. `holder` names this incarnation
    /// of the writer, unlike any other; it is shown to people, and tells an
    /// epoch that we published without learning of it from a rival's.
    ///
    /// # Errors
    /// When rivals are faster each time, or NATS does not answer.
    pub async fn acquire(
        connection: &Connection,
        stream: StreamId,
        writer: &Writer,
        holder: &str,
    ) -> Result<Self, FenceError> {
        let subject = subjects::fence(stream, writer);
        for attempt in 1..=ATTEMPTS {
            let last = read::last_by_subject(connection, stream, &subject).await?;
            let (last_sequence, last_epoch) = match &last {
                None => (0, 0),
                Some(message) => {
                    let epoch = read_epoch(&subject, &message.payload)?;
                    if epoch.holder == holder {
                        return Ok(Self {
                            subject,
                            sequence: message.sequence,
                            epoch: epoch.epoch,
                        });
                    }
                    (message.sequence, epoch.epoch)
                }
            };
            let epoch = last_epoch + 1;
            let payload = serde_json::to_vec(&Epoch { epoch, holder: holder.to_owned() })
                .map(Bytes::from)
                .map_err(|error| unreadable(&subject, &error))?;
            let message = OutMessage::new(subject.clone(), HeaderMap::new(), payload)
                .expecting(last_sequence);
            let id = format!("fence-{subject}-{holder}");
            match publish_one(connection, stream, &id, message, None).await {
                Ok(ack) if !ack.duplicate => {
                    return Ok(Self { subject, sequence: ack.sequence, epoch });
                }
                // The next look at the fence tells what is there now.
                Ok(_) | Err(PublishError::Conflict { .. } | PublishError::Ambiguous { .. })
                    if attempt < ATTEMPTS =>
                {
                    let pause_ms = crate::chance::random_range(1..=10 << attempt.min(5));
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                }
                Ok(_) | Err(PublishError::Conflict { .. }) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Err(FenceError::Contended { subject, attempts: ATTEMPTS })
    }

    /// Who holds a writer's fence now; `None` when the stream has no such fence.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn holder(
        connection: &Connection,
        stream: StreamId,
        writer: &Writer,
    ) -> Result<Option<String>, StreamError> {
        let subject = subjects::fence(stream, writer);
        let last = read::last_by_subject(connection, stream, &subject).await?;
        let epoch = last.map(|message| read_epoch(&subject, &message.payload));
        Ok(epoch.transpose()?.map(|epoch| epoch.holder))
    }

    /// Its subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The sequence that its last message has while we may write.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// How many have held it, this one counted.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Where a message goes that only carries this fence's expectation. A
    /// subject beside the fence's own: the fence's sequence must not move.
    pub(super) fn beat(&self) -> String {
        format!("{}.beat", self.subject)
    }
}

fn read_epoch(subject: &str, payload: &[u8]) -> Result<Epoch, StreamError> {
    serde_json::from_slice(payload).map_err(|error| unreadable(subject, &error))
}

fn unreadable(subject: &str, error: &serde_json::Error) -> StreamError {
    StreamError::Unreadable { what: subject.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{
        domain::Name,
        streams::{
            setup::{self, Replicas},
            subjects::WriterKind,
            testing::TestServer,
        },
    };

    fn writer() -> Writer {
        Writer::new(WriterKind::Signer, Name::new("awards").unwrap())
    }

    #[tokio::test]
    async fn a_replaced_writer_is_refused() {
        let server = TestServer::start().await;
        let connection = server.connect().await;
        setup::declare(&connection, Replicas::ONE).await.unwrap();
        let stream = StreamId::Transactions;
        let publish = async |fence: &Fence, id: &str| {
            let subject = "merit.v1.transactions.awards.signed".to_owned();
            let message = OutMessage::new(subject, HeaderMap::new(), Bytes::from_static(b"{}"));
            publish_one(&connection, stream, id, message, Some(fence)).await
        };
        let old = Fence::acquire(&connection, stream, &writer(), "old").await.unwrap();
        assert!(!publish(&old, "1").await.unwrap().duplicate);
        let new = Fence::acquire(&connection, stream, &writer(), "new").await.unwrap();
        assert_eq!((old.epoch(), new.epoch()), (1, 2));

        let refused = publish(&old, "2").await.unwrap_err();
        let fenced = PublishError::Fenced {
            fence: new.subject().to_owned(),
            held: old.sequence(),
            found: new.sequence(),
        };
        assert_eq!(refused, fenced);
        assert!(publish(&new, "2").await.is_ok());
        server.stop().await;
    }

    #[tokio::test]
    async fn whoever_asks_again_under_the_same_name_gets_the_same_fence() {
        let server = TestServer::start().await;
        let connection = server.connect().await;
        setup::declare(&connection, Replicas::ONE).await.unwrap();
        let writer = writer();
        let acquire = || Fence::acquire(&connection, StreamId::Unlocks, &writer, "incarnation 1");
        assert_eq!(acquire().await.unwrap(), acquire().await.unwrap());
        server.stop().await;
    }

    #[tokio::test]
    async fn of_many_that_race_each_gets_an_epoch_of_its_own() {
        let server = TestServer::start().await;
        let connection = server.connect().await;
        setup::declare(&connection, Replicas::ONE).await.unwrap();
        let rivals = (0..4).map(|n| {
            let connection = connection.clone();
            async move {
                let holder = format!("rival {n}");
                Fence::acquire(&connection, StreamId::Unlocks, &writer(), &holder).await
            }
        });
        let mut epochs: Vec<u64> = futures::future::join_all(rivals)
            .await
            .into_iter()
            .map(|fence| fence.unwrap().epoch())
            .collect();
        epochs.sort_unstable();
        assert_eq!(epochs, [1, 2, 3, 4]);
        server.stop().await;
    }
}

//! Reading what a stream has: a last message, its tail, a range.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    message::StreamMessage,
    stream::{LastRawMessageError, LastRawMessageErrorKind, Stream},
};
use bytes::Bytes;
use futures::StreamExt as _;

use super::{
    StreamError,
    connection::{Connection, Link, Nats},
    setup::{self},
    subjects::StreamId,
};

/// How many messages one pull asks for.
const PULL: usize = 500;
/// How many messages are in memory at once where all are read.
const PART: usize = 2_000;
/// How much one pull may bring. Several times what the managed server takes
/// as one message: one that is larger could not be read.
const PULL_MAX_BYTES: usize = 32 << 20;
/// The server removes a reader that died after this time without a pull.
const READER_LIFE: Duration = Duration::from_secs(60);

/// A message in a stream.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its sequence.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// Its body.
    pub payload: Bytes,
    /// When the server stored it, nanoseconds since the Unix epoch. For
    /// people; rules go by block time.
    pub stored_at_ns: u64,
}

/// Part of a stream.
#[derive(Clone, Debug)]
pub struct Range {
    /// In order of their sequences.
    pub messages: Vec<Stored>,
    /// Nothing more matched when it was read.
    pub caught_up: bool,
}

/// The last message of a subject (or of a filter).
///
/// Asks the stream's leader: a direct get may be answered by a replica that
/// lags, and a cursor read from it would be published again.
///
/// # Errors
/// When the stream does not exist or NATS does not answer.
pub async fn last_by_subject(
    connection: &Connection,
    stream: StreamId,
    subject: &str,
) -> Result<Option<Stored>, StreamError> {
    let what = format!("last message of {subject}");
    let nats = match connection.link() {
        Link::Nats(nats) => nats,
        #[cfg(feature = "simulation")]
        Link::Simulated(server) => {
            return connection.bounded(&what, server.last(stream, subject)).await?;
        }
    };
    let answer = on_stream((connection, nats), stream, &what, |handle| async move {
        handle.get_last_raw_message_by_subject(subject).await
    })
    .await?;
    stored(answer, what, stream)
}

/// Asks something of a stream, within the limit of every request.
pub(super) async fn on_stream<T, F: Future<Output = T>>(
    (connection, nats): (&Connection, &Nats),
    stream: StreamId,
    what: &str,
    ask: impl FnOnce(Stream<()>) -> F,
) -> Result<T, StreamError> {
    let call = async {
        let handle = nats.jetstream.get_stream_no_info(stream.name()).await;
        match handle {
            Ok(handle) => Ok(ask(handle).await),
            Err(error) => Err(error.to_string()),
        }
    };
    connection
        .bounded(what, call)
        .await?
        .map_err(|reason| StreamError::Unavailable { what: what.to_owned(), reason })
}

/// A message as the stream's leader answered it.
pub(super) fn stored(
    answer: Result<StreamMessage, LastRawMessageError>,
    what: String,
    stream: StreamId,
) -> Result<Option<Stored>, StreamError> {
    match answer {
        Ok(message) => Ok(Some(Stored {
            sequence: message.sequence,
            subject: message.subject.to_string(),
            payload: message.payload,
            stored_at_ns: nanoseconds(message.time.unix_timestamp_nanos()),
        })),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            LastRawMessageErrorKind::JetStream(answer) => {
                Err(StreamError::answered(what, &answer, stream.name()))
            }
            LastRawMessageErrorKind::InvalidSubject | LastRawMessageErrorKind::Other => {
                Err(StreamError::Unavailable { what, reason: error.to_string() })
            }
        },
    }
}

/// What a stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The last sequence that it gave out.
    pub last_sequence: u64,
    /// How many messages are in it.
    pub messages: u64,
}

/// How far a stream reaches.
///
/// # Errors
/// When it does not exist or NATS does not answer.
pub async fn extent(connection: &Connection, stream: StreamId) -> Result<Extent, StreamError> {
    let held = setup::held(connection, stream).await?;
    Ok(Extent { last_sequence: held.last_sequence, messages: held.messages })
}

/// What matches the filter among the stream's last `sequences` sequences.
///
/// # Errors
/// When the stream does not exist or NATS does not answer.
pub async fn tail(
    connection: &Connection,
    stream: StreamId,
    filter: &str,
    sequences: u64,
) -> Result<Vec<Stored>, StreamError> {
    let last = setup::held(connection, stream).await?.last_sequence;
    let from = (last + 1).saturating_sub(sequences).max(1);
    let limit = usize::try_from(sequences).unwrap_or(usize::MAX);
    let range = read_range(connection, stream, &[filter.to_owned()], from, limit).await?;
    Ok(range.messages)
}

/// Up to `limit` messages that match one of the filters (which must not
/// overlap), from a sequence on. Ends when caught up; does not wait for more.
///
/// # Errors
/// When the stream does not exist, NATS does not answer, or an answer was
/// lost on the way.
pub async fn read_range(
    connection: &Connection,
    stream: StreamId,
    filters: &[String],
    from_sequence: u64,
    limit: usize,
) -> Result<Range, StreamError> {
    let what = format!("reading {stream}");
    let nats = match connection.link() {
        Link::Nats(nats) => nats,
        #[cfg(feature = "simulation")]
        Link::Simulated(server) => {
            let range = server.range(stream, filters, from_sequence, limit);
            return connection.bounded(&what, range).await?;
        }
    };
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from_sequence.max(1) },
        ack_policy: AckPolicy::None,
        filter_subjects: filters.to_vec(),
        inactive_threshold: READER_LIFE,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    let call = nats.jetstream.create_consumer_on_stream(config, stream.name());
    let reader: PullConsumer = connection
        .bounded(&what, call)
        .await?
        .map_err(|error| consumer_error(&what, stream, &error))?;
    let name = reader.cached_info().name.clone();
    let range = read_all(connection, &what, &reader, limit).await;
    // It would go by itself; an error here changes nothing about what was read.
    let deletion = nats.jetstream.delete_consumer_from_stream(name, stream.name());
    if let Err(error) = connection.bounded(&what, deletion).await {
        tracing::debug!(%error, "a reader is left to its expiry");
    }
    range
}

/// Shows all that matches the filters (which must not overlap), the oldest first; part by
/// part, so that a long stream is never in memory as a whole.
///
/// # Errors
/// As [`read_range`]'s; what was shown by then is the beginning.
pub async fn for_each(
    connection: &Connection,
    stream: StreamId,
    filters: &[String],
    mut see: impl FnMut(&Stored),
) -> Result<(), StreamError> {
    let mut from = 1;
    loop {
        let part = read_range(connection, stream, filters, from, PART).await?;
        part.messages.iter().for_each(&mut see);
        match part.messages.last() {
            Some(last) if !part.caught_up => from = last.sequence + 1,
            _ => return Ok(()),
        }
    }
}

async fn read_all(
    connection: &Connection,
    what: &str,
    reader: &PullConsumer,
    limit: usize,
) -> Result<Range, StreamError> {
    let mut messages = Vec::new();
    let mut caught_up = reader.cached_info().num_pending == 0;
    while !caught_up && messages.len() < limit {
        let batch = PULL.min(limit - messages.len());
        let pulled = connection.bounded(what, pull_now(reader, batch)).await?;
        let pulled =
            pulled.map_err(|reason| StreamError::Unavailable { what: what.to_owned(), reason })?;
        caught_up = pulled.last().is_none_or(|last| last.pending == 0);
        for message in pulled {
            // Nothing is delivered twice to this reader: a hole in the count
            // is a lost message.
            let expected = u64::try_from(messages.len()).unwrap_or(u64::MAX) + 1;
            if message.delivery != expected {
                let reason = "a message was lost on the way".to_owned();
                return Err(StreamError::Unavailable { what: what.to_owned(), reason });
            }
            messages.push(message.stored);
        }
    }
    Ok(Range { messages, caught_up })
}

/// A message as a consumer got it.
pub(super) struct Pulled {
    pub(super) stored: Stored,
    /// Counts the consumer's deliveries from 1.
    pub(super) delivery: u64,
    /// How many more match after it.
    pub(super) pending: u64,
    /// Where it is acknowledged.
    pub(super) reply: Option<async_nats::Subject>,
}

/// What is there, without waiting for more.
pub(super) async fn pull_now(reader: &PullConsumer, batch: usize) -> Result<Vec<Pulled>, String> {
    collect(ask_now(reader, batch).await?).await
}

/// Asks for what is there, without waiting for it.
pub(super) async fn ask_now(reader: &PullConsumer, batch: usize) -> Result<pull::Batch, String> {
    let asked = reader.fetch().max_messages(batch).max_bytes(PULL_MAX_BYTES).messages().await;
    asked.map_err(|error| error.to_string())
}

/// Collects a pull's messages until it ends.
pub(super) async fn collect(mut batch: pull::Batch) -> Result<Vec<Pulled>, String> {
    let mut pulled = Vec::new();
    while let Some(message) = batch.next().await {
        let message = match message {
            Ok(message) => message,
            // The pull ended early, at its limit of bytes for one. What it
            // brought counts; readers notice what is missing by their count.
            Err(_) if !pulled.is_empty() => break,
            Err(error) => return Err(error.to_string()),
        };
        let (delivery, pending, sequence, stored_at) = {
            let info = message.info().map_err(|error| error.to_string())?;
            (info.consumer_sequence, info.pending, info.stream_sequence, info.published)
        };
        let message = message.message;
        pulled.push(Pulled {
            stored: Stored {
                sequence,
                subject: message.subject.to_string(),
                payload: message.payload,
                stored_at_ns: nanoseconds(stored_at.unix_timestamp_nanos()),
            },
            delivery,
            pending,
            reply: message.reply,
        });
    }
    Ok(pulled)
}

pub(super) fn consumer_error(
    what: &str,
    stream: StreamId,
    error: &async_nats::jetstream::stream::ConsumerError,
) -> StreamError {
    use async_nats::jetstream::stream::ConsumerErrorKind;
    match error.kind() {
        ConsumerErrorKind::JetStream(answer) => StreamError::answered(what, &answer, stream.name()),
        _ => StreamError::Unavailable { what: what.to_owned(), reason: error.to_string() },
    }
}

fn nanoseconds(unix: i128) -> u64 {
    u64::try_from(unix).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use async_nats::HeaderMap;

    use super::*;
    use crate::streams::{
        batch::publish_atomic, publish::OutMessage, setup::Replicas, testing::TestServer,
    };

    #[tokio::test]
    async fn ranges_and_tails_are_exact_and_end_when_caught_up() {
        let server = TestServer::start().await;
        let connection = server.connect().await;
        let stream = StreamId::Governance;
        setup::declare(&connection, Replicas::ONE).await.unwrap();
        let (a, b) = ("merit.v1.governance.l.dao.a", "merit.v1.governance.l.dao.b");
        for _ in 0..2 {
            let messages = (0..900).map(|n| {
                let subject = if n % 2 == 0 { a } else { b };
                OutMessage::new(subject.to_owned(), HeaderMap::new(), Bytes::new())
            });
            publish_atomic(&connection, stream, messages.collect(), None).await.unwrap();
        }
        let sequences = |range: &[Stored]| range.iter().map(|m| m.sequence).collect::<Vec<_>>();

        let part = read_range(&connection, stream, &[a.to_owned()], 4, 3).await.unwrap();
        assert_eq!((sequences(&part.messages), part.caught_up), (vec![5, 7, 9], false));
        let all = [a.to_owned(), b.to_owned()];
        let whole = read_range(&connection, stream, &all, 0, usize::MAX).await.unwrap();
        assert_eq!(sequences(&whole.messages), (1..=1800).collect::<Vec<_>>());
        assert!(whole.caught_up);
        let none = read_range(&connection, stream, &all, 1801, 10).await.unwrap();
        assert!(none.messages.is_empty() && none.caught_up);

        assert_eq!(sequences(&tail(&connection, stream, b, 4).await.unwrap()), [1798, 1800]);
        assert_eq!(tail(&connection, stream, a, u64::MAX).await.unwrap().len(), 900);
        let last = last_by_subject(&connection, stream, a).await.unwrap().unwrap();
        assert_eq!((last.sequence, last.subject.as_str()), (1799, a));
        assert!(
            last_by_subject(&connection, stream, "merit.v1.governance.x").await.unwrap().is_none()
        );
        let consumers = setup::info((&connection, connection.nats()), stream)
            .await
            .unwrap()
            .state
            .consumer_count;
        assert_eq!(consumers, 0, "readers clean up after themselves");
        server.stop().await;
    }

    #[tokio::test]
    async fn large_messages_are_read_in_several_pulls() {
        let server = TestServer::start().await;
        let connection = server.connect().await;
        let stream = StreamId::Governance;
        setup::declare(&connection, Replicas::ONE).await.unwrap();
        let subject = "merit.v1.governance.l.dao.a".to_owned();
        let body = Bytes::from(vec![b'x'; 7 << 20]);
        for _ in 0..6 {
            let message = OutMessage::new(subject.clone(), HeaderMap::new(), body.clone());
            publish_atomic(&connection, stream, vec![message], None).await.unwrap();
        }
        let range = read_range(&connection, stream, &[subject], 1, 100).await.unwrap();
        assert_eq!((range.messages.len(), range.caught_up), (6, true));
        server.stop().await;
    }

    #[tokio::test]
    async fn a_missing_stream_is_named() {
        let server = TestServer::start().await;
        let connection = server.connect().await;
        let stream = StreamId::Events;
        let missing = StreamError::NoStream { stream: "MERIT_EVENTS".to_owned() };
        assert_eq!(last_by_subject(&connection, stream, "x").await.unwrap_err(), missing);
        let error = read_range(&connection, stream, &["x".to_owned()], 1, 1).await.unwrap_err();
        assert_eq!(error, missing);
        server.stop().await;
    }
}

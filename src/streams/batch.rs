//! Publishing several messages of one stream as one (ADR-50): all become
//! visible together, durable with one fsync, or none is stored.
//!
//! What nats-server 2.15 was found to do, and the tests below hold:
//!
//! - An expectation about another subject (the fence) on the first message
//!   and one about its own subject on a later message are both checked when
//!   the batch commits; if one fails, nothing is stored (code 10071).
//! - One message carries one expectation. A batch whose first message has
//!   one of its own gets a *beat* in front: a small message beside the fence
//!   that carries the fence's.
//! - Expectations on a closing message that isn't stored (`eob`) are *not*
//!   checked, so it can't carry the fence.
//! - An expectation about a subject that an earlier message of the same
//!   batch wrote is always refused (code 10164).
//! - `Nats-Expected-Stream` is checked on each message.
//! - `Nats-Msg-Id` is not used: a duplicate refuses the whole batch by a code
//!   (10201) that doesn't say which messages are stored.

use std::time::Duration;

use async_nats::{
    HeaderMap, HeaderValue,
    client::PublishErrorKind,
    header::{
        NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
        NATS_EXPECTED_STREAM,
    },
};
use bytes::Bytes;

use super::{
    PublishError,
    connection::{Connection, Link},
    fence::Fence,
    publish::{OutMessage, check_size, expect_fence, expect_last, name_the_fence, send},
    subjects::StreamId,
};

/// The server's limit for one batch.
const MESSAGES_MAX: usize = 1000;

/// A stored batch: its messages have the sequences from first to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchAck {
    /// Sequence of the first message given.
    pub first_sequence: u64,
    /// Sequence of the last message given.
    pub last_sequence: u64,
}

/// How many messages a batch may have: one less than the server's limit, so
/// that a beat always fits.
pub const BATCH_MAX: usize = MESSAGES_MAX - 1;

/// Publishes all or nothing, and returns once it is durable. The batch is
/// refused when a newer writer holds the fence, or the last message of a
/// subject is not what a message expects ([`OutMessage::expected_last`], on
/// the first message of its subject).
///
/// # Errors
/// See [`PublishError`]. After [`PublishError::Ambiguous`] the batch is
/// stored wholly, will be, or never will: read the stream again.
pub async fn publish_atomic(
    connection: &Connection,
    stream: StreamId,
    messages: Vec<OutMessage>,
    fence: Option<&Fence>,
) -> Result<BatchAck, PublishError> {
    let count = messages.len();
    if count == 0 || count > BATCH_MAX {
        return Err(PublishError::BadBatch { stream, count, limit: BATCH_MAX });
    }
    let mut wire = wire_messages(stream, messages, fence);
    for (subject, headers, payload) in &wire {
        check_size(connection, subject, headers, payload)?;
    }
    let Some((subject, headers, payload)) = wire.pop() else {
        return Err(PublishError::BadBatch { stream, count, limit: BATCH_MAX });
    };
    stage(connection, stream, wire).await?;
    match send(connection, stream, subject, headers, payload).await {
        Ok(answer) => {
            let others = u64::try_from(count - 1).unwrap_or(0);
            let first_sequence = answer.seq.saturating_sub(others);
            Ok(BatchAck { first_sequence, last_sequence: answer.seq })
        }
        Err(error) => Err(Box::pin(name_the_fence(connection, stream, fence, error)).await),
    }
}

/// Sends all but the closing message. Nothing of it is visible, and the
/// server forgets it after 10 s; so an error here is never ambiguous.
async fn stage(
    connection: &Connection,
    stream: StreamId,
    messages: Vec<(String, HeaderMap, Bytes)>,
) -> Result<(), PublishError> {
    let limit: Duration = connection.request_timeout();
    let nats = match connection.link() {
        Link::Nats(nats) => nats,
        #[cfg(feature = "simulation")]
        Link::Simulated(server) => {
            server.stage(messages);
            return Ok(());
        }
    };
    let sending = async {
        for (subject, headers, payload) in messages {
            nats.client.publish_with_headers(subject, headers, payload).await?;
        }
        Ok::<(), async_nats::PublishError>(())
    };
    // Its turns are its own: who makes the next batch meanwhile, in the same
    // task, would come in between every few messages.
    let sending = tokio::task::unconstrained(sending);
    let reason = match tokio::time::timeout(limit, sending).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) if error.kind() == PublishErrorKind::Send => error.to_string(),
        Ok(Err(error)) => {
            return Err(PublishError::Refused { stream, code: 0, description: error.to_string() });
        }
        Err(_) => format!("not sent within {limit:?}"),
    };
    Err(PublishError::Unavailable { stream, reason })
}

/// Numbers the messages and gives them their expectations.
fn wire_messages(
    stream: StreamId,
    mut messages: Vec<OutMessage>,
    fence: Option<&Fence>,
) -> Vec<(String, HeaderMap, Bytes)> {
    let mut fence = fence;
    if let Some(held) = fence
        && messages.first().is_some_and(|first| first.expected_last.is_some())
    {
        messages.insert(0, OutMessage::new(held.beat(), HeaderMap::new(), Bytes::new()));
    }
    let id = format!("{:032x}", crate::chance::random::<u128>());
    let count = messages.len();
    (1..)
        .zip(messages)
        .map(|(number, message): (usize, OutMessage)| {
            let OutMessage { subject, mut headers, payload, expected_last } = message;
            headers.insert(NATS_BATCH_ID, id.as_str());
            headers.insert(NATS_BATCH_SEQUENCE, HeaderValue::from(number));
            headers.insert(NATS_EXPECTED_STREAM, stream.name());
            if let Some(fence) = fence.take() {
                expect_fence(&mut headers, fence);
            }
            if let Some(last) = expected_last {
                expect_last(&mut headers, last);
            }
            if number == count {
                headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
            }
            (subject, headers, payload)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rustix::process::Signal;

    use super::*;
    use crate::{
        domain::Name,
        streams::{
            read,
            setup::{self, Replicas},
            subjects::{Writer, WriterKind},
            testing::{TestServer, wait_until},
        },
    };

    const STREAM: StreamId = StreamId::Events;
    const EVENT: &str = "merit.v1.events.local.dao.vote_cast";
    const WATERMARK: &str = "merit.v1.watermarks.local.dao";

    fn message(subject: &str, body: &str) -> OutMessage {
        OutMessage::new(subject.to_owned(), HeaderMap::new(), Bytes::from(body.to_owned()))
    }

    fn writer() -> Writer {
        Writer::new(WriterKind::Contract, Name::new("dao").unwrap())
    }

    async fn ready(server: &TestServer) -> Connection {
        let connection = server.connect().await;
        setup::declare(&connection, Replicas::ONE).await.unwrap();
        connection
    }

    async fn bodies(connection: &Connection) -> Vec<String> {
        let filters = ["merit.v1.events.>".to_owned(), "merit.v1.watermarks.>".to_owned()];
        let range = read::read_range(connection, STREAM, &filters, 1, 5_000).await.unwrap();
        assert!(range.caught_up);
        range.messages.iter().map(|m| String::from_utf8_lossy(&m.payload).into_owned()).collect()
    }

    #[tokio::test]
    async fn a_batch_is_stored_wholly_or_not_at_all() {
        let server = TestServer::start().await;
        let connection = ready(&server).await;
        let events: Vec<_> = (0..BATCH_MAX).map(|n| message(EVENT, &n.to_string())).collect();
        let ack = publish_atomic(&connection, STREAM, events, None).await.unwrap();
        assert_eq!((ack.first_sequence, ack.last_sequence), (1, 999));

        // The last one's expectation fails: none of the others may appear.
        let refused = vec![message(EVENT, "a"), message(WATERMARK, "b").expecting(77)];
        let error = publish_atomic(&connection, STREAM, refused, None).await.unwrap_err();
        assert!(matches!(error, PublishError::Conflict { .. }), "{error}");
        let stored = bodies(&connection).await;
        assert_eq!(stored.len(), BATCH_MAX);
        assert_eq!(stored.last().map(String::as_str), Some("998"));
        server.stop().await;
    }

    #[tokio::test]
    async fn a_watermark_is_moved_by_whoever_saw_its_last_place() {
        let server = TestServer::start().await;
        let connection = ready(&server).await;
        let fence = Fence::acquire(&connection, STREAM, &writer(), "one").await.unwrap();
        let step =
            |body: &str, last| vec![message(EVENT, body), message(WATERMARK, body).expecting(last)];
        let first = publish_atomic(&connection, STREAM, step("1", 0), Some(&fence)).await.unwrap();
        let last = first.last_sequence;
        publish_atomic(&connection, STREAM, step("2", last), Some(&fence)).await.unwrap();
        let again = publish_atomic(&connection, STREAM, step("2", last), Some(&fence)).await;
        assert!(matches!(again, Err(PublishError::Conflict { .. })), "{again:?}");
        assert_eq!(bodies(&connection).await, ["1", "1", "2", "2"]);
        server.stop().await;
    }

    #[tokio::test]
    async fn a_lone_watermark_is_fenced_and_compared_too() {
        let server = TestServer::start().await;
        let connection = ready(&server).await;
        let old = Fence::acquire(&connection, STREAM, &writer(), "one").await.unwrap();
        let lone = |body: &str, last| vec![message(WATERMARK, body).expecting(last)];
        let ack = publish_atomic(&connection, STREAM, lone("1", 0), Some(&old)).await.unwrap();
        assert_eq!(ack.first_sequence, ack.last_sequence);
        let found = read::last_by_subject(&connection, STREAM, WATERMARK).await.unwrap().unwrap();
        assert_eq!(found.sequence, ack.last_sequence);

        let stale = publish_atomic(&connection, STREAM, lone("2", 0), Some(&old)).await;
        assert!(matches!(stale, Err(PublishError::Conflict { .. })), "{stale:?}");
        let new = Fence::acquire(&connection, STREAM, &writer(), "two").await.unwrap();
        let next = ack.last_sequence;
        let fenced = publish_atomic(&connection, STREAM, lone("2", next), Some(&old)).await;
        assert!(matches!(fenced, Err(PublishError::Fenced { .. })), "{fenced:?}");
        publish_atomic(&connection, STREAM, lone("2", next), Some(&new)).await.unwrap();
        assert_eq!(bodies(&connection).await, ["1", "2"]);
        server.stop().await;
    }

    #[tokio::test]
    async fn a_batch_beyond_the_bounds_is_refused_before_it_is_sent() {
        let server = TestServer::start().await;
        let connection = ready(&server).await;
        for count in [0, BATCH_MAX + 1] {
            let events = vec![message(EVENT, "x"); count];
            let error = publish_atomic(&connection, STREAM, events, None).await.unwrap_err();
            assert!(matches!(error, PublishError::BadBatch { .. }), "{error}");
        }
        let huge = OutMessage::new(EVENT.to_owned(), HeaderMap::new(), vec![0; 9 << 20].into());
        let error =
            publish_atomic(&connection, STREAM, vec![message(EVENT, "x"), huge], None).await;
        assert!(matches!(error, Err(PublishError::TooLarge { .. })), "{error:?}");
        assert_eq!(bodies(&connection).await, Vec::<String>::new());
        server.stop().await;
    }

    #[tokio::test]
    async fn a_batch_for_another_stream_is_refused() {
        let server = TestServer::start().await;
        let connection = ready(&server).await;
        let stray = vec![message("merit.v1.benefits.x", "x"), message("merit.v1.benefits.y", "x")];
        let error = publish_atomic(&connection, STREAM, stray, None).await.unwrap_err();
        assert!(matches!(error, PublishError::Refused { code: 10060, .. }), "{error}");
        server.stop().await;
    }

    #[tokio::test]
    async fn an_unanswered_batch_is_ambiguous_and_lands_wholly_if_at_all() {
        let server = TestServer::start().await;
        ready(&server).await;
        let impatient = server.connect_impatient().await;
        server.signal(Signal::STOP);
        let events = vec![message(EVENT, "1"), message(WATERMARK, "2")];
        let error = publish_atomic(&impatient, STREAM, events, None).await.unwrap_err();
        assert!(matches!(error, PublishError::Ambiguous { .. }), "{error}");
        // What was sent is in the socket: the server takes it when it goes on.
        server.signal(Signal::CONT);
        let connection = server.connect().await;
        wait_until(async || !bodies(&connection).await.is_empty()).await;
        assert_eq!(bodies(&connection).await, ["1", "2"]);
        server.stop().await;
    }
}

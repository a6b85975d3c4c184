//! Publishing one message, and what can come of publishing at all.

use async_nats::{
    HeaderMap, HeaderValue, Request,
    client::RequestErrorKind,
    header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_EXPECTED_STREAM, NATS_MESSAGE_ID},
    jetstream::ErrorCode,
};
use bytes::Bytes;
use serde::Deserialize;
use tokio::time::Instant;

use super::{
    PublishError,
    connection::{Connection, Link},
    fence::Fence,
    read,
    subjects::StreamId,
};

/// Names the subject whose last sequence is expected, when it isn't the
/// message's own (the client has no constant for it).
pub(super) const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// A message on its way out.
#[derive(Clone, Debug)]
pub struct OutMessage {
    /// One of [`super::subjects`].
    pub subject: String,
    /// `content-type`, `traceparent`; see [`super::envelope`].
    pub headers: HeaderMap,
    /// The body.
    pub payload: Bytes,
    /// Refuse it, with all that goes with it, unless the last message of its
    /// own subject has this sequence (0: there is none).
    pub expected_last: Option<u64>,
}

impl OutMessage {
    /// A message without expectation.
    #[must_use]
    pub fn new(subject: String, headers: HeaderMap, payload: Bytes) -> Self {
        Self { subject, headers, payload, expected_last: None }
    }

    /// Compare-and-set on the message's own subject.
    #[must_use]
    pub fn expecting(mut self, last_sequence: u64) -> Self {
        self.expected_last = Some(last_sequence);
        self
    }
}

/// A stored message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// The stream had it already, by this id.
    pub duplicate: bool,
}

/// Publishes one message and waits until it is durable.
///
/// The server drops a second message with the same `message_id` for two
/// minutes ([`Ack::duplicate`]). So after [`PublishError::Ambiguous`] the same
/// call may be repeated within that time; after it, read the stream.
///
/// One message carries one expectation: `message.expected_last` and `fence`
/// exclude each other; publish a batch for both.
///
/// # Errors
/// See [`PublishError`].
pub async fn publish_one(
    connection: &Connection,
    stream: StreamId,
    message_id: &str,
    message: OutMessage,
    fence: Option<&Fence>,
) -> Result<Ack, PublishError> {
    let OutMessage { subject, mut headers, payload, expected_last } = message;
    // A line break in it would begin a header of its own.
    let message_id: HeaderValue = message_id.parse().map_err(|_| PublishError::Refused {
        stream,
        code: 0,
        description: "a message id has no line breaks".to_owned(),
    })?;
    headers.insert(NATS_MESSAGE_ID, message_id);
    headers.insert(NATS_EXPECTED_STREAM, stream.name());
    match (fence, expected_last) {
        (Some(_), Some(_)) => {
            return Err(PublishError::Refused {
                stream,
                code: 0,
                description: "one message can't expect both a fence and its own subject's last"
                    .to_owned(),
            });
        }
        (Some(fence), None) => expect_fence(&mut headers, fence),
        (None, Some(last)) => expect_last(&mut headers, last),
        (None, None) => {}
    }
    check_size(connection, &subject, &headers, &payload)?;
    match send(connection, stream, subject, headers, payload).await {
        Ok(answer) => Ok(Ack { sequence: answer.seq, duplicate: answer.duplicate }),
        Err(error) => Err(Box::pin(name_the_fence(connection, stream, fence, error)).await),
    }
}

pub(super) fn expect_fence(headers: &mut HeaderMap, fence: &Fence) {
    headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, HeaderValue::from(fence.sequence()));
    headers.insert(EXPECTED_SUBJECT, fence.subject());
}

pub(super) fn expect_last(headers: &mut HeaderMap, last: u64) {
    headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, HeaderValue::from(last));
}

/// What the server answers to a publish.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    error: Option<async_nats::jetstream::Error>,
    #[serde(default)]
    pub(super) seq: u64,
    #[serde(default)]
    duplicate: bool,
}

/// Sends a message whose answer tells whether it, or the batch that it
/// closes, is stored.
pub(super) async fn send(
    connection: &Connection,
    stream: StreamId,
    subject: String,
    headers: HeaderMap,
    payload: Bytes,
) -> Result<Answer, PublishError> {
    let limit = connection.request_timeout();
    let ambiguous = |reason: String| PublishError::Ambiguous { stream, reason };
    let unavailable = |reason: String| PublishError::Unavailable { stream, reason };
    let permit = tokio::time::timeout(limit, connection.in_flight().acquire()).await;
    let Ok(Ok(_permit)) = permit else {
        return Err(unavailable("too many acknowledgements are awaited already".to_owned()));
    };
    let call = async {
        let nats = match connection.link() {
            Link::Nats(nats) => nats,
            #[cfg(feature = "simulation")]
            Link::Simulated(server) => return server.publish(&subject, &headers, payload).await,
        };
        let request = Request::new().headers(headers).payload(payload).timeout(Some(limit));
        let answer = nats.client.send_request(subject, request).await;
        answer.map(|message| message.payload).map_err(|error| match error.kind() {
            // Nobody listens: no stream has the subject, or JetStream is not up yet.
            RequestErrorKind::NoResponders => unavailable("no stream takes it now".to_owned()),
            RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
                PublishError::Refused { stream, code: 0, description: error.to_string() }
            }
            RequestErrorKind::TimedOut | RequestErrorKind::Other => ambiguous(error.to_string()),
        })
    };
    let sent = Instant::now();
    let answer = match tokio::time::timeout(limit, call).await {
        Ok(Err(error @ PublishError::Ambiguous { .. })) => {
            connection.writes().note(stream.name(), sent);
            return Err(error);
        }
        Ok(answer) => answer?,
        // Even if the client never got it out: it sends what it queued after
        // a reconnect.
        Err(_) => {
            connection.writes().note(stream.name(), sent);
            return Err(ambiguous(format!("no acknowledgement within {limit:?}")));
        }
    };
    connection.writes().answered(stream.name());
    let answer: Answer = serde_json::from_slice(&answer)
        .map_err(|error| ambiguous(format!("unreadable acknowledgement: {error}")))?;
    match answer.error {
        Some(error) => Err(refused(stream, &error)),
        None => Ok(answer),
    }
}

fn refused(stream: StreamId, error: &async_nats::jetstream::Error) -> PublishError {
    let code = error.error_code();
    let description = error.to_string();
    if code == ErrorCode::STREAM_WRONG_LAST_SEQUENCE
        || code == ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT
    {
        return PublishError::Conflict { stream, description };
    }
    // The server gave the unfinished batch up (10 s, a restart), has too many
    // open ones, or lacks a leader or disk (503): all pass, nothing is stored.
    if code == ErrorCode::ATOMIC_PUBLISH_INCOMPLETE_BATCH
        || code == ErrorCode::ATOMIC_PUBLISH_TOO_MANY_INFLIGHT
        || error.code() == 503
    {
        return PublishError::Unavailable { stream, reason: description };
    }
    PublishError::Refused { stream, code: code.0, description }
}

/// Tells a lost fence from another failed expectation: the server has one
/// code for both. A fence that can't be read is not known to be lost.
pub(super) async fn name_the_fence(
    connection: &Connection,
    stream: StreamId,
    fence: Option<&Fence>,
    error: PublishError,
) -> PublishError {
    let (Some(fence), PublishError::Conflict { .. }) = (fence, &error) else { return error };
    match read::last_by_subject(connection, stream, fence.subject()).await {
        Ok(last) => {
            let found = last.map_or(0, |message| message.sequence);
            if found == fence.sequence() {
                return error;
            }
            PublishError::Fenced {
                fence: fence.subject().to_owned(),
                held: fence.sequence(),
                found,
            }
        }
        Err(_) => error,
    }
}

/// Whether the broker takes a message of this size, as it will be with what a
/// batch adds to its headers.
///
/// # Errors
/// [`PublishError::TooLarge`].
pub fn fits(connection: &Connection, message: &OutMessage) -> Result<(), PublishError> {
    /// Names and values of a batch's own headers and of its expectations.
    const ADDED: usize = 512;
    let OutMessage { subject, headers, payload, .. } = message;
    check_size_with(connection, subject, headers, payload, ADDED)
}

/// Before anything is sent: a message the client refuses in the middle of a
/// batch would leave the batch open.
pub(super) fn check_size(
    connection: &Connection,
    subject: &str,
    headers: &HeaderMap,
    payload: &Bytes,
) -> Result<(), PublishError> {
    check_size_with(connection, subject, headers, payload, 0)
}

fn check_size_with(
    connection: &Connection,
    subject: &str,
    headers: &HeaderMap,
    payload: &Bytes,
    added: usize,
) -> Result<(), PublishError> {
    /// `NATS/1.0\r\n`, the closing empty line, and `: ` and `\r\n` a header.
    const FRAME: usize = 12;
    const PER_HEADER: usize = 4;
    let header_bytes: usize = headers
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
        .map(|(name, value)| AsRef::<str>::as_ref(name).len() + value.as_str().len() + PER_HEADER)
        .sum();
    let size = FRAME + header_bytes + added + payload.len();
    let limit = connection.max_payload();
    if size > limit {
        return Err(PublishError::TooLarge { subject: subject.to_owned(), size, limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rustix::process::Signal;

    use super::*;
    use crate::breakers::{Classify as _, FailureClass};
    use crate::streams::{
        setup::{self, Replicas},
        testing::TestServer,
    };

    const STREAM: StreamId = StreamId::Unlocks;
    const SUBJECT: &str = "merit.v1.unlocks.quests.voter.requested";

    fn message() -> OutMessage {
        OutMessage::new(SUBJECT.to_owned(), HeaderMap::new(), Bytes::from_static(b"{}"))
    }

    #[tokio::test]
    async fn a_repeated_message_is_stored_once_and_told_so() {
        let server = TestServer::start().await;
        let connection = server.connect().await;
        setup::declare(&connection, Replicas::ONE).await.unwrap();
        let first = publish_one(&connection, STREAM, "id", message(), None).await.unwrap();
        let second = publish_one(&connection, STREAM, "id", message(), None).await.unwrap();
        assert_eq!(first, Ack { sequence: 1, duplicate: false });
        assert_eq!(second, Ack { sequence: 1, duplicate: true });
        let stale = message().expecting(0);
        let error = publish_one(&connection, STREAM, "other", stale, None).await.unwrap_err();
        assert!(matches!(error, PublishError::Conflict { .. }), "{error}");
        assert_eq!(error.class(), FailureClass::Answer);
        server.stop().await;
    }

    #[tokio::test]
    async fn an_unanswered_publish_is_ambiguous_and_its_repetition_harmless() {
        let server = TestServer::start().await;
        setup::declare(&server.connect().await, Replicas::ONE).await.unwrap();
        let impatient = server.connect_impatient().await;
        server.signal(Signal::STOP);
        let error = publish_one(&impatient, STREAM, "id", message(), None).await.unwrap_err();
        assert!(matches!(error, PublishError::Ambiguous { .. }), "{error}");
        assert_eq!(error.class(), FailureClass::Fault);
        server.signal(Signal::CONT);
        let again = publish_one(&impatient, STREAM, "id", message(), None).await.unwrap();
        assert_eq!(again.sequence, 1);
        server.stop().await;
    }

    #[tokio::test]
    async fn without_a_stream_nothing_is_stored_and_nothing_is_ambiguous() {
        let server = TestServer::start().await;
        let connection = server.connect().await;
        let error = publish_one(&connection, STREAM, "id", message(), None).await.unwrap_err();
        assert!(matches!(error, PublishError::Unavailable { .. }), "{error}");
        server.stop().await;
    }
}

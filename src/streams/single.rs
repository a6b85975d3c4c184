//! One message of a stream, by its sequence.

use async_nats::jetstream::{ErrorCode, stream::DeleteMessageErrorKind};

use super::{
    StreamError,
    connection::{Connection, Link},
    read::{Stored, on_stream, stored},
    subjects::StreamId,
};

/// The message of this sequence, or `None` when there is none (any more).
///
/// # Errors
/// When the stream does not exist or NATS does not answer.
pub async fn message(
    connection: &Connection,
    stream: StreamId,
    sequence: u64,
) -> Result<Option<Stored>, StreamError> {
    let what = format!("message {sequence} of {stream}");
    let nats = match connection.link() {
        Link::Nats(nats) => nats,
        #[cfg(feature = "simulation")]
        Link::Simulated(server) => {
            return connection.bounded(&what, server.message(stream, sequence)).await?;
        }
    };
    let answer = on_stream((connection, nats), stream, &what, |handle| async move {
        handle.get_raw_message(sequence).await
    })
    .await?;
    stored(answer, what, stream)
}

/// Removes a message. Returns whether it was there.
///
/// # Errors
/// When the stream does not exist or NATS does not answer.
pub async fn remove(
    connection: &Connection,
    stream: StreamId,
    sequence: u64,
) -> Result<bool, StreamError> {
    let what = format!("removing message {sequence} of {stream}");
    let nats = match connection.link() {
        Link::Nats(nats) => nats,
        #[cfg(feature = "simulation")]
        Link::Simulated(server) => {
            return connection.bounded(&what, server.remove(stream, sequence)).await?;
        }
    };
    let answer = on_stream((connection, nats), stream, &what, |handle| async move {
        handle.delete_message(sequence).await
    })
    .await?;
    match answer {
        Ok(removed) => Ok(removed),
        Err(error) => match error.kind() {
            DeleteMessageErrorKind::JetStream(answer) if is_absence(answer.error_code()) => {
                Ok(false)
            }
            DeleteMessageErrorKind::JetStream(answer) => {
                Err(StreamError::answered(what, &answer, stream.name()))
            }
            DeleteMessageErrorKind::Request | DeleteMessageErrorKind::TimedOut => {
                Err(StreamError::Unavailable { what, reason: error.to_string() })
            }
        },
    }
}

/// A server says "not found" for a sequence beyond the stream, and "delete
/// failed" for one that was removed.
fn is_absence(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NO_MESSAGE_FOUND
            | ErrorCode::SEQUENCE_NOT_FOUND
            | ErrorCode::STREAM_MESSAGE_DELETE_FAILED
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::streams::{
        publish::{OutMessage, publish_one},
        setup::{self, Replicas},
        testing::TestServer,
    };

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_message_is_there_until_it_is_removed_once() {
        let server = TestServer::start().await;
        let connection = server.connect().await;
        setup::declare(&connection, Replicas::ONE).await.unwrap();
        let stream = StreamId::DeadLetters;
        let subject = "merit.v1.dead_letters.signer-awards".to_owned();
        let out = OutMessage::new(subject, Default::default(), "x".into());
        let sequence = publish_one(&connection, stream, "1", out, None).await.unwrap().sequence;
        let found = message(&connection, stream, sequence).await.unwrap().unwrap();
        assert_eq!((found.sequence, &found.payload[..]), (sequence, &b"x"[..]));
        for absent in [sequence + 1, 1_000_000] {
            assert!(message(&connection, stream, absent).await.unwrap().is_none());
            assert!(!remove(&connection, stream, absent).await.unwrap());
        }
        assert!(remove(&connection, stream, sequence).await.unwrap());
        assert!(!remove(&connection, stream, sequence).await.unwrap());
        assert!(message(&connection, stream, sequence).await.unwrap().is_none());
    }
}

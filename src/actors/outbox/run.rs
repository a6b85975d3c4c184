//! Many messages of one stream as one: durable with one fsync where each by
//! itself would need its own.
//!
//! A message keeps its id, by which the server drops what it has: then it
//! refuses the whole batch and says nothing of the rest, so that its messages
//! are said one by one, each known or new.

use std::collections::VecDeque;

use async_nats::{HeaderValue, header::NATS_MESSAGE_ID};
use bytes::Bytes;

use super::{Outgoing, Shared};
use crate::streams::{
    PublishError, batch::BATCH_MAX, envelope::headers, fence::Fence, publish::OutMessage,
    subjects::StreamId,
};

/// Fewer are said faster one by one: a batch costs as much as some ten of them.
const WORTH_IT: usize = 12;
/// Bytes of a batch's payloads: it has to get through within one answer's time.
const BYTES_MAX: usize = 4 << 20;

/// How many at the front go as one: of one stream, within the bounds. None
/// when too few for it to be worth it.
pub(super) fn length(waiting: &VecDeque<(u64, Outgoing)>) -> Option<(StreamId, usize)> {
    let mut of = None;
    let mut bytes = 0;
    let mut goes_along = |outgoing: &Outgoing| {
        let Outgoing::Publish { stream, id, payload, .. } = outgoing else { return false };
        bytes += payload.len();
        // Of dead letters each is given up by itself when they are full.
        *stream != StreamId::DeadLetters
            && *of.get_or_insert(*stream) == *stream
            && bytes <= BYTES_MAX
            && header(id).is_some()
    };
    let front = waiting.iter().take(BATCH_MAX);
    let count = front.take_while(|(_, outgoing)| goes_along(outgoing)).count();
    of.filter(|_| count >= WORTH_IT).map(|stream| (stream, count))
}

/// What came of it.
pub(super) enum Said {
    /// The stream has all of them.
    All,
    /// It has some already, or does not take one: each is to be said by itself.
    OneByOne,
}

pub(super) async fn say<'a>(
    shared: &Shared,
    stream: StreamId,
    messages: impl Iterator<Item = &'a Outgoing>,
    fence: Option<&Fence>,
) -> Result<Said, PublishError> {
    let message = |outgoing: &Outgoing| {
        let Outgoing::Publish { id, subject, payload, .. } = outgoing else { return None };
        let mut headers = headers(None);
        headers.insert(NATS_MESSAGE_ID, header(id)?);
        Some(OutMessage::new(subject.clone(), headers, Bytes::from(payload.clone())))
    };
    let messages: Vec<OutMessage> = messages.filter_map(message).collect();
    match shared.publish_all(stream, messages, fence).await {
        Ok(_) => Ok(Said::All),
        // Nothing is stored. A message beyond the stream's own limit leaves a hole
        // in the batch, which is answered as if the broker had given it up: each
        // by itself tells which one it is, or that the broker is away.
        Err(
            PublishError::Refused { .. }
            | PublishError::TooLarge { .. }
            | PublishError::Unavailable { .. },
        ) => Ok(Said::OneByOne),
        Err(error) => Err(error),
    }
}

/// A line break in an id would begin a header of its own.
fn header(id: &str) -> Option<HeaderValue> {
    id.parse().ok()
}

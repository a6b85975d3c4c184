//! Reading what a stream has, in pieces.

use std::time::Duration;

use super::Failure;
use crate::{
    breakers::{Classify as _, FailureClass},
    streams::{
        StreamError,
        connection::Connection,
        read::{Stored, read_range},
        subjects::StreamId,
    },
};

/// Messages that are read at once.
const CHUNK: usize = 5_000;
/// How often a chunk is tried.
const TRIES: u32 = 4;
/// Pause before the second try; each later one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);

/// Shows each message from a sequence on, until `see` has seen enough.
pub(super) async fn each(
    connection: &Connection,
    stream: StreamId,
    filters: &[String],
    mut from: u64,
    mut see: impl FnMut(&Stored) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    loop {
        let (messages, caught_up) = chunk(connection, stream, filters, from).await?;
        for stored in &messages {
            if !see(stored)? {
                return Ok(());
            }
        }
        match messages.last() {
            Some(last) if !caught_up => from = last.sequence + 1,
            _ => return Ok(()),
        }
    }
}

async fn chunk(
    connection: &Connection,
    stream: StreamId,
    filters: &[String],
    from: u64,
) -> Result<(Vec<Stored>, bool), Failure> {
    let (mut pause, mut attempt) = (PAUSE, 1);
    loop {
        match read_range(connection, stream, filters, from, CHUNK).await {
            Ok(range) => return Ok((range.messages, range.caught_up)),
            Err(error) if attempt < TRIES && error.class() == FailureClass::Fault => {
                tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
                (pause, attempt) = (pause * 2, attempt + 1);
            }
            Err(error @ StreamError::NoStream { .. }) => {
                return Err(Failure::Failed(format!("{error}; did it ever run on this broker?")));
            }
            Err(error) => return Err(Failure::failed(error)),
        }
    }
}

//! Reading the events stream, in pieces.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::{
    super::{Failure, reading::each},
    said::Said,
};
use crate::{
    actors::messages,
    domain::{BlockRef, Event, EventId, Name, Rewind, RewindReason, Watermark},
    streams::{
        connection::Connection,
        read::last_by_subject,
        subjects::{self, StreamId, Writer, WriterKind},
    },
};

/// How far a contract is said to be complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    /// Where the stream says so.
    pub(super) sequence: u64,
    pub(super) through: BlockRef,
    /// Blocks up to this number are not going to be retracted.
    pub(super) finalized: u64,
}

/// A contract's last watermark.
pub(super) async fn announced(
    connection: &Connection,
    chain: &Name,
    contract: &Name,
) -> Result<Option<Announced>, Failure> {
    let subject = subjects::watermark(chain, contract);
    let last = last_by_subject(connection, StreamId::Events, &subject).await;
    let Some(last) = last.map_err(Failure::failed)? else { return Ok(None) };
    let watermark: Watermark = messages::read(&last.payload).map_err(Failure::failed)?;
    let finalized = match &watermark {
        Watermark::Progress { finalized, .. } => *finalized,
        Watermark::Retraction { .. } => 0,
    };
    let through = *watermark.complete_through();
    Ok(Some(Announced { sequence: last.sequence, through, finalized }))
}

/// All rewinds of a contract, by their sequences.
pub(super) async fn rewinds(
    connection: &Connection,
    chain: &Name,
    contract: &Name,
) -> Result<Vec<(u64, Rewind)>, Failure> {
    let mut found = Vec::new();
    let filters = [subjects::rewind(chain, contract)];
    each(connection, StreamId::Events, &filters, 1, |stored| {
        let rewind = messages::read(&stored.payload).map_err(Failure::failed)?;
        found.push((stored.sequence, rewind));
        Ok(true)
    })
    .await?;
    Ok(found)
}

/// Hands the readers what the stream has of their contracts, each up to its
/// sequence. Gives how many messages could not be read.
pub(super) async fn read(
    connection: &Connection,
    chain: &Name,
    readers: &mut BTreeMap<Name, (u64, Said)>,
    mut progress: impl FnMut(u64, u64),
) -> Result<u64, Failure> {
    let filters: Vec<String> = readers
        .keys()
        .flat_map(|name| [subjects::events_of(chain, name), subjects::watermark(chain, name)])
        .collect();
    let Some(last) = readers.values().map(|(until, _)| *until).max() else { return Ok(0) };
    let mut unreadable = 0;
    each(connection, StreamId::Events, &filters, 1, |stored| {
        let sequence = stored.sequence;
        // merit.v1.<kind>.<chain>.<contract>…; names have no dots.
        let mut tokens = stored.subject.split('.').skip(2);
        let (kind, contract) = (tokens.next(), tokens.nth(1));
        let reader = contract.and_then(|contract| readers.get_mut(contract));
        if let Some((until, said)) = reader
            && sequence <= *until
        {
            if kind == Some("events") {
                match messages::read::<Event>(&stored.payload) {
                    Ok(event) if Some(event.contract.as_str()) == contract => {
                        said.event(sequence, &event).map_err(Failure::failed)?;
                    }
                    _ => unreadable += 1,
                }
            } else {
                match messages::read::<Watermark>(&stored.payload) {
                    Ok(watermark) if Some(watermark.contract().as_str()) == contract => {
                        said.watermark(sequence, &watermark);
                    }
                    _ => unreadable += 1,
                }
            }
        }
        progress(sequence, last);
        Ok(sequence < last)
    })
    .await?;
    Ok(unreadable)
}

/// The lowest block of which a contract took its word back after a sequence.
pub(super) async fn taken_back(
    connection: &Connection,
    chain: &Name,
    contract: &Name,
    after: u64,
) -> Result<Option<u64>, Failure> {
    let mut lowest: Option<u64> = None;
    let rewound = subjects::rewind(chain, contract);
    let filters = [subjects::watermark(chain, contract), rewound.clone()];
    each(connection, StreamId::Events, &filters, after + 1, |stored| {
        let from = if stored.subject == rewound {
            let rewind: Rewind = messages::read(&stored.payload).map_err(Failure::failed)?;
            (rewind.reason != RewindReason::Examined).then_some(rewind.from_block)
        } else {
            match messages::read(&stored.payload).map_err(Failure::failed)? {
                Watermark::Retraction { from, .. } => Some(from),
                Watermark::Progress { .. } => None,
            }
        };
        lowest = lowest.into_iter().chain(from).min();
        Ok(true)
    })
    .await?;
    Ok(lowest)
}

/// Events that were too large for the stream: their dead letters name them.
pub(super) async fn set_aside(
    connection: &Connection,
    contract: &Name,
) -> Result<BTreeSet<EventId>, Failure> {
    let mut found = BTreeSet::new();
    let writer = Writer::new(WriterKind::Contract, contract.clone());
    let filters = [subjects::dead_letter(&writer)];
    each(connection, StreamId::DeadLetters, &filters, 1, |stored| {
        if let Ok(letter) = messages::read::<Json>(&stored.payload) {
            let event = letter.pointer("/origin/event").and_then(Json::as_str);
            found.extend(event.and_then(|id| id.parse().ok()).map(EventId));
        }
        Ok(true)
    })
    .await?;
    Ok(found)
}

//! Messages of one stream, and what its publishers expect of it.

use std::collections::BTreeMap;

use async_nats::{
    HeaderMap,
    header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID},
};
use bytes::Bytes;

use crate::streams::{
    publish::EXPECTED_SUBJECT, read::Stored, setup::StreamIncarnation, subjects::matches,
};

/// How long the server knows an id, in nanoseconds.
const DUPLICATE_WINDOW_NS: u64 = 120_000_000_000;

/// A message as a client sends it.
#[derive(Clone)]
pub(in crate::streams) struct Wire {
    pub(in crate::streams) subject: String,
    pub(in crate::streams) headers: HeaderMap,
    pub(in crate::streams) payload: Bytes,
}

impl Wire {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.as_str())
    }

    /// The subject of which a sequence is expected, and which.
    fn expectation(&self) -> Option<(&str, u64)> {
        let name: &str = NATS_EXPECTED_LAST_SUBJECT_SEQUENCE.as_ref();
        let sequence = self.header(name)?.parse().ok()?;
        Some((self.header(EXPECTED_SUBJECT).unwrap_or(&self.subject), sequence))
    }
}

/// Why nothing was stored: the server's code and words.
pub(super) struct No(pub(super) u64, pub(super) String);

/// A stream. Cloned as a copy of its files.
#[derive(Clone)]
pub(super) struct Messages {
    pub(super) incarnation: StreamIncarnation,
    /// By sequence, from 1; what was lost leaves its place.
    stored: Vec<Option<Stored>>,
    /// Sequences of each subject, in order.
    by_subject: BTreeMap<String, Vec<u64>>,
    /// When an id was stored, and as which sequence.
    ids: BTreeMap<String, (u64, u64)>,
}

impl Messages {
    pub(super) fn new(incarnation: StreamIncarnation) -> Self {
        Self { incarnation, stored: Vec::new(), by_subject: BTreeMap::new(), ids: BTreeMap::new() }
    }

    pub(super) fn last_sequence(&self) -> u64 {
        self.stored.len() as u64
    }

    pub(super) fn count(&self) -> u64 {
        self.by_subject.values().map(|sequences| sequences.len() as u64).sum()
    }

    pub(super) fn get(&self, sequence: u64) -> Option<&Stored> {
        let index = usize::try_from(sequence.checked_sub(1)?).ok()?;
        self.stored.get(index)?.as_ref()
    }

    pub(super) fn last(&self, subject: &str) -> Option<&Stored> {
        self.get(self.last_of(subject))
    }

    fn last_of(&self, subject: &str) -> u64 {
        self.by_subject.get(subject).and_then(|known| known.last()).copied().unwrap_or(0)
    }

    /// What matches one of the filters, from a sequence on.
    pub(super) fn matching<'m>(
        &'m self,
        filters: &'m [String],
        from: u64,
    ) -> impl Iterator<Item = &'m Stored> {
        let skip = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        let stored = self.stored.iter().skip(skip).flatten();
        stored.filter(|message| filters.iter().any(|filter| matches(filter, &message.subject)))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Stored> {
        self.stored.iter().flatten()
    }

    /// Stores all of them or none. Returns the last sequence, and whether the one
    /// message was known already.
    pub(super) fn publish(&mut self, batch: Vec<Wire>, now_ns: u64) -> Result<(u64, bool), No> {
        let single = batch.len() == 1;
        for (i, message) in batch.iter().enumerate() {
            let id = message.header(NATS_MESSAGE_ID.as_ref());
            let known = id.and_then(|id| self.known(id, now_ns));
            if known.is_some() && !single {
                // Which one it is, and what of the others, is not said.
                return Err(No(
                    10201,
                    "atomic publish batch contains duplicate message id".to_owned(),
                ));
            }
            let Some((subject, expected)) = message.expectation() else { continue };
            if batch.iter().take(i).any(|earlier| earlier.subject == subject) {
                return Err(No(10164, "wrong last sequence".to_owned()));
            }
            if let Some(known) = known {
                return Ok((known, true));
            }
            let last = self.last_of(subject);
            if last != expected {
                return Err(No(10071, format!("wrong last sequence: {last}")));
            }
        }
        for message in batch {
            let id = message.header(NATS_MESSAGE_ID.as_ref()).map(str::to_owned);
            if let Some(known) = id.as_deref().and_then(|id| self.known(id, now_ns)) {
                return Ok((known, true));
            }
            let sequence = self.store(message, now_ns);
            if let Some(id) = id {
                self.ids.insert(id, (now_ns, sequence));
            }
        }
        Ok((self.last_sequence(), false))
    }

    fn known(&self, id: &str, now_ns: u64) -> Option<u64> {
        let (at, sequence) = self.ids.get(id)?;
        (at.saturating_add(DUPLICATE_WINDOW_NS) > now_ns).then_some(*sequence)
    }

    fn store(&mut self, Wire { subject, payload, .. }: Wire, now_ns: u64) -> u64 {
        let sequence = self.last_sequence() + 1;
        // No two messages of a server have one time.
        let before = self.stored.iter().rev().flatten().next().map_or(0, |it| it.stored_at_ns);
        let stored_at_ns = now_ns.max(before + 1);
        self.by_subject.entry(subject.clone()).or_default().push(sequence);
        self.stored.push(Some(Stored { sequence, subject, payload, stored_at_ns }));
        sequence
    }

    pub(super) fn lose(&mut self, sequence: u64) -> bool {
        let index = sequence.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        let place = index.and_then(|index| self.stored.get_mut(index));
        let Some(lost) = place.and_then(Option::take) else { return false };
        if let Some(known) = self.by_subject.get_mut(&lost.subject) {
            known.retain(|known| *known != sequence);
        }
        true
    }
}

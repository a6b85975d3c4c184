//! Everything that the server has: streams, consumers, the bucket.

use std::collections::BTreeMap;

use async_nats::header::{
    NATS_BATCH_COMMIT, NATS_BATCH_ID, NATS_BATCH_SEQUENCE, NATS_EXPECTED_STREAM,
};
use bytes::Bytes;
use serde_json::json;

use super::{
    consumer::Made,
    messages::{Messages, No, Wire},
};
use crate::streams::{
    StreamError,
    read::{Pulled, Range, Stored},
    setup::{Held, Incarnations, StreamIncarnation},
    subjects::StreamId,
};

/// What is on the server's disk.
#[derive(Clone, Default)]
pub struct Image {
    streams: BTreeMap<StreamId, Messages>,
    consumers: BTreeMap<String, Consumer>,
    /// Revision and value of each key.
    bucket: BTreeMap<String, (u64, Bytes)>,
    revisions: u64,
    generations: u64,
}

#[derive(Clone)]
struct Consumer {
    stream: StreamId,
    incarnation: StreamIncarnation,
    filters: Vec<String>,
    /// The first sequence that it has not delivered.
    next: u64,
    deliveries: u64,
    generation: u64,
}

#[derive(Default)]
pub(super) struct Everything {
    disk: Image,
    /// Batches that are not closed, by their ids.
    staged: BTreeMap<String, Vec<Wire>>,
    /// No two streams are made at the same time, though disks are rolled back.
    made_last_ns: u64,
}

impl Everything {
    pub(super) fn image(&self) -> Image {
        self.disk.clone()
    }

    pub(super) fn restore(&mut self, image: Image) {
        let generations = self.disk.generations.max(image.generations);
        self.disk = Image { generations, ..image };
    }

    pub(super) fn forget_staged(&mut self) {
        self.staged.clear();
    }

    pub(super) fn stage(&mut self, wire: Wire) {
        if let Some(id) = wire.header(NATS_BATCH_ID.as_ref()).map(str::to_owned) {
            self.staged.entry(id).or_default().push(wire);
        }
    }

    /// The server's answer, and whether anything was stored.
    pub(super) fn publish(&mut self, wire: Wire, now_ns: u64) -> (Bytes, bool) {
        let published = self.published(wire, now_ns);
        let is_stored = matches!(published, Ok((_, false)));
        let answer = match published {
            Ok((seq, duplicate)) => json!({ "seq": seq, "duplicate": duplicate }),
            Err(No(err_code, description)) => json!({ "error": {
                "code": if err_code == NO_STREAM { 503 } else { 400 },
                "err_code": err_code, "description": description,
            } }),
        };
        (Bytes::from(answer.to_string()), is_stored)
    }

    fn published(&mut self, wire: Wire, now_ns: u64) -> Result<(u64, bool), No> {
        let name = wire.header(NATS_EXPECTED_STREAM.as_ref());
        let stream = StreamId::ALL.into_iter().find(|stream| Some(stream.name()) == name);
        let mut batch = match wire.header(NATS_BATCH_ID.as_ref()) {
            Some(id) => self.staged.remove(id).unwrap_or_default(),
            None => Vec::new(),
        };
        let wanted =
            wire.header(NATS_BATCH_SEQUENCE.as_ref()).and_then(|it| it.parse::<usize>().ok());
        if wire.header(NATS_BATCH_COMMIT.as_ref()).is_some() && wanted != Some(batch.len() + 1) {
            return Err(No(10176, "atomic publish batch is incomplete".to_owned()));
        }
        batch.push(wire);
        let messages = stream.and_then(|stream| self.disk.streams.get_mut(&stream));
        let messages = messages.ok_or_else(|| No(NO_STREAM, "no stream takes it".to_owned()))?;
        messages.publish(batch, now_ns)
    }

    pub(super) fn declare(&mut self, now_ns: u64) -> Incarnations {
        for stream in StreamId::ALL {
            if !self.disk.streams.contains_key(&stream) {
                self.made_last_ns = now_ns.max(self.made_last_ns + 1);
                let incarnation = StreamIncarnation::made_at_ns(self.made_last_ns);
                self.disk.streams.insert(stream, Messages::new(incarnation));
            }
        }
        let streams = self.disk.streams.iter();
        streams.map(|(stream, messages)| (*stream, messages.incarnation)).collect()
    }

    pub(super) fn delete_stream(&mut self, stream: StreamId) {
        self.disk.streams.remove(&stream);
        self.disk.consumers.retain(|_, consumer| consumer.stream != stream);
    }

    pub(super) fn lose(&mut self, stream: StreamId, sequence: u64) -> bool {
        self.disk.streams.get_mut(&stream).is_some_and(|messages| messages.lose(sequence))
    }

    pub(super) fn messages(&self, stream: StreamId) -> Vec<Stored> {
        let messages = self.disk.streams.get(&stream).into_iter();
        messages.flat_map(|messages| messages.all().cloned()).collect()
    }

    fn stream(&self, stream: StreamId) -> Result<&Messages, StreamError> {
        let missing = || StreamError::NoStream { stream: stream.name().to_owned() };
        self.disk.streams.get(&stream).ok_or_else(missing)
    }

    pub(super) fn held(&self, stream: StreamId) -> Result<Held, StreamError> {
        let messages = self.stream(stream)?;
        Ok(Held {
            incarnation: messages.incarnation,
            last_sequence: messages.last_sequence(),
            messages: messages.count(),
        })
    }

    pub(super) fn last(
        &self,
        stream: StreamId,
        subject: &str,
    ) -> Result<Option<Stored>, StreamError> {
        let messages = self.stream(stream)?;
        if !subject.contains(['*', '>']) {
            return Ok(messages.last(subject).cloned());
        }
        Ok(messages.matching(&[subject.to_owned()], 1).last().cloned())
    }

    pub(super) fn message(
        &self,
        stream: StreamId,
        sequence: u64,
    ) -> Result<Option<Stored>, StreamError> {
        Ok(self.stream(stream)?.get(sequence).cloned())
    }

    pub(super) fn range(
        &self,
        stream: StreamId,
        filters: &[String],
        from: u64,
        limit: usize,
    ) -> Result<Range, StreamError> {
        let messages = self.stream(stream)?;
        let mut matching = messages.matching(filters, from);
        let range = matching.by_ref().take(limit).cloned().collect();
        Ok(Range { messages: range, caught_up: matching.next().is_none() })
    }

    pub(super) fn consumer(
        &mut self,
        stream: StreamId,
        durable: &str,
        filters: &[String],
        after: u64,
    ) -> Result<Made, StreamError> {
        let incarnation = self.stream(stream)?.incarnation;
        self.disk.generations += 1;
        let generation = self.disk.generations;
        let (next, filters) = (after + 1, filters.to_vec());
        let made = Consumer { stream, incarnation, filters, next, deliveries: 0, generation };
        self.disk.consumers.insert(durable.to_owned(), made);
        Ok(Made(generation))
    }

    fn alive(&mut self, durable: &str, generation: u64) -> Option<(&mut Consumer, &Messages)> {
        let consumer = self.disk.consumers.get_mut(durable)?;
        let messages = self.disk.streams.get(&consumer.stream)?;
        let same =
            consumer.generation == generation && consumer.incarnation == messages.incarnation;
        same.then_some((consumer, messages))
    }

    /// Whether a pull would bring anything, if only that the consumer is gone.
    pub(super) fn has_for(&mut self, durable: &str, generation: u64) -> bool {
        self.alive(durable, generation).is_none_or(|(consumer, messages)| {
            messages.matching(&consumer.filters, consumer.next).next().is_some()
        })
    }

    /// Delivers what there is; `None` when the consumer is gone.
    pub(super) fn pull(
        &mut self,
        durable: &str,
        generation: u64,
        max: usize,
    ) -> Option<Vec<Pulled>> {
        let (consumer, messages) = self.alive(durable, generation)?;
        let found: Vec<Stored> =
            messages.matching(&consumer.filters, consumer.next).take(max).cloned().collect();
        // Nothing up to the end is looked at twice.
        let all = found.len() < max;
        let last = found.last().filter(|_| !all).map(|last| last.sequence);
        consumer.next = last.unwrap_or_else(|| messages.last_sequence()) + 1;
        let behind = messages.matching(&consumer.filters, consumer.next).count();
        let mut pending = (behind + found.len()) as u64;
        let mut pulled = Vec::with_capacity(found.len());
        for stored in found {
            pending -= 1;
            consumer.deliveries += 1;
            let reply = format!("{durable}.{}", stored.sequence);
            let delivery = consumer.deliveries;
            pulled.push(Pulled { stored, delivery, pending, reply: Some(reply.into()) });
        }
        Some(pulled)
    }

    pub(super) fn deliveries(&mut self, durable: &str, generation: u64) -> Option<u64> {
        self.alive(durable, generation).map(|(consumer, _)| consumer.deliveries)
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.disk.bucket.keys().cloned().collect()
    }

    pub(super) fn entry(&self, key: &str) -> Option<(u64, Bytes)> {
        self.disk.bucket.get(key).cloned()
    }

    /// Whether the value was written: its last revision is the expected one.
    pub(super) fn update(&mut self, key: &str, value: Bytes, last: u64) -> bool {
        let present = self.disk.bucket.get(key).map_or(0, |(revision, _)| *revision);
        if present != last {
            return false;
        }
        self.disk.revisions += 1;
        self.disk.bucket.insert(key.to_owned(), (self.disk.revisions, value));
        true
    }
}

/// Of an answer that no stream gives.
const NO_STREAM: u64 = 10_039;

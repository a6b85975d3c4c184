//! A server that exists in memory, as far as meritd uses one: for simulations. It
//! reads the same headers and gives the same answers as the real one was found to do.
//!
//! Not modelled: that a consumer delivers again what is not acknowledged in time (an
//! inbox skips it), limits of a stream's size, replicas.

mod consumer;
mod held;
mod messages;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::{
    HeaderMap,
    jetstream::kv::{UpdateError, UpdateErrorKind},
};
use bytes::Bytes;
use tokio::sync::{oneshot, watch};

pub(super) use consumer::SimulatedConsumer;
use held::Everything;
pub use held::Image;
pub(super) use messages::Wire;

use super::{
    PublishError, StreamError,
    read::{Range, Stored},
    setup::{Held, Incarnations},
    subjects::StreamId,
};
use crate::{chance, clock};

/// How long a message is on its way, each way, in microseconds.
const WAY_US: std::ops::Range<u64> = 50..1_500;

/// The server; clones are the same one. It outlives whoever is connected to it.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    /// Whether it answers; changes wake whoever waits for it.
    standing: watch::Sender<Standing>,
    reconnects: watch::Sender<u64>,
    /// Counts what was stored.
    stored: watch::Sender<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Up,
    /// Connected, and no answer comes.
    Paused,
    Down,
}

#[derive(Default)]
struct State {
    everything: Everything,
    /// What the client keeps while the server is away, to send it later.
    queued: Vec<(Wire, oneshot::Sender<Bytes>)>,
    /// Of a thousand answers, so many get lost.
    lost_per_mille: u32,
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Server {
    /// As the managed server is configured.
    pub(super) const MAX_PAYLOAD: usize = 8 << 20;

    /// A server without streams.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner {
            state: Mutex::default(),
            standing: watch::Sender::new(Standing::Up),
            reconnects: watch::Sender::new(0),
            stored: watch::Sender::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Faults.

    /// It ends; what was staged and not committed is gone.
    pub fn go_down(&self) {
        self.inner.standing.send_replace(Standing::Down);
        self.state().everything.forget_staged();
    }

    /// It is there again: clients connect anew, and send what they kept meanwhile.
    pub fn come_up(&self) {
        let was = self.inner.standing.send_replace(Standing::Up);
        if was == Standing::Down {
            let queued = std::mem::take(&mut self.state().queued);
            for (wire, answered) in queued {
                // Whoever waited may have given up.
                let _ = answered.send(self.apply(wire));
            }
            self.inner.reconnects.send_modify(|count| *count += 1);
        }
    }

    /// It does not answer until [`Self::come_up`]; connections stay.
    pub fn pause(&self) {
        self.inner.standing.send_if_modified(|standing| {
            let modified = *standing == Standing::Up;
            if modified {
                *standing = Standing::Paused;
            }
            modified
        });
    }

    /// From now on so many of a thousand answers get lost on their way.
    pub fn lose_answers(&self, per_mille: u32) {
        self.state().lost_per_mille = per_mille;
    }

    /// The client is gone, with what it kept to send later.
    pub fn client_gone(&self) {
        let mut state = self.state();
        state.queued.clear();
        state.everything.forget_staged();
    }

    /// All that it has now, as a copy of its folder.
    #[must_use]
    pub fn image(&self) -> Image {
        self.state().everything.image()
    }

    /// Its folder is that copy again. Only while it is down.
    pub fn restore(&self, image: Image) {
        self.state().everything.restore(image);
    }

    /// A stream is deleted, with all that is in it.
    pub fn delete_stream(&self, stream: StreamId) {
        self.state().everything.delete_stream(stream);
    }

    /// A message is lost, as with a damaged file. Returns whether it was there.
    pub fn lose(&self, stream: StreamId, sequence: u64) -> bool {
        self.state().everything.lose(stream, sequence)
    }

    /// All messages of a stream, in order.
    #[must_use]
    pub fn messages(&self, stream: StreamId) -> Vec<Stored> {
        self.state().everything.messages(stream)
    }

    /// The bucket's value of a key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<Bytes> {
        self.state().everything.entry(key).map(|(_, value)| value)
    }

    // What a connection asks.

    pub(super) fn reconnects(&self) -> watch::Receiver<u64> {
        self.inner.reconnects.subscribe()
    }

    pub(super) fn is_up(&self) -> bool {
        *self.inner.standing.borrow() != Standing::Down
    }

    /// There, as soon as the server answers.
    async fn there(&self) {
        way().await;
        if *self.inner.standing.borrow() == Standing::Up {
            return;
        }
        let mut standing = self.inner.standing.subscribe();
        // Its sender is ours.
        let _ = standing.wait_for(|standing| *standing == Standing::Up).await;
    }

    /// And back, unless the answer gets lost.
    async fn back(&self) {
        let per_mille = self.state().lost_per_mille;
        if per_mille > 0 && chance::random_range(0..1_000) < per_mille {
            std::future::pending::<()>().await;
        }
        way().await;
    }

    async fn ask<T>(&self, ask: impl FnOnce(&mut Everything) -> T) -> T {
        self.there().await;
        let answer = ask(&mut self.state().everything);
        self.back().await;
        answer
    }

    fn apply(&self, wire: Wire) -> Bytes {
        let (answer, is_stored) = self.state().everything.publish(wire, now_ns());
        if is_stored {
            self.inner.stored.send_modify(|count| *count += 1);
        }
        answer
    }

    pub(super) async fn probe(&self) -> Result<(), StreamError> {
        self.ask(|_| Ok(())).await
    }

    /// A message whose answer tells whether it, or the batch that it closes, is stored.
    pub(super) async fn publish(
        &self,
        subject: &str,
        headers: &HeaderMap,
        payload: Bytes,
    ) -> Result<Bytes, PublishError> {
        let wire = Wire { subject: subject.to_owned(), headers: headers.clone(), payload };
        way().await;
        if *self.inner.standing.borrow() == Standing::Down {
            let (answered, answer) = oneshot::channel();
            self.state().queued.push((wire, answered));
            return match answer.await {
                Ok(answer) => Ok(answer),
                // It was dropped with the client.
                Err(_) => std::future::pending().await,
            };
        }
        self.there().await;
        let answer = self.apply(wire);
        self.back().await;
        Ok(answer)
    }

    /// Messages of a batch before the one that closes it.
    pub(super) fn stage(&self, messages: Vec<(String, HeaderMap, Bytes)>) {
        if *self.inner.standing.borrow() == Standing::Down {
            return;
        }
        let mut state = self.state();
        for (subject, headers, payload) in messages {
            state.everything.stage(Wire { subject, headers, payload });
        }
    }

    pub(super) async fn declare(&self) -> Result<Incarnations, StreamError> {
        self.ask(|it| Ok(it.declare(now_ns()))).await
    }

    pub(super) async fn held(&self, stream: StreamId) -> Result<Held, StreamError> {
        self.ask(|it| it.held(stream)).await
    }

    pub(super) async fn last(
        &self,
        stream: StreamId,
        subject: &str,
    ) -> Result<Option<Stored>, StreamError> {
        self.ask(|it| it.last(stream, subject)).await
    }

    pub(super) async fn message(
        &self,
        stream: StreamId,
        sequence: u64,
    ) -> Result<Option<Stored>, StreamError> {
        self.ask(|it| it.message(stream, sequence)).await
    }

    pub(super) async fn remove(
        &self,
        stream: StreamId,
        sequence: u64,
    ) -> Result<bool, StreamError> {
        self.ask(|it| Ok(it.lose(stream, sequence))).await
    }

    pub(super) async fn range(
        &self,
        stream: StreamId,
        filters: &[String],
        from: u64,
        limit: usize,
    ) -> Result<Range, StreamError> {
        self.ask(|it| it.range(stream, filters, from, limit)).await
    }

    pub(super) async fn consumer(
        &self,
        stream: StreamId,
        durable: &str,
        filters: &[String],
        after: u64,
    ) -> Result<SimulatedConsumer, StreamError> {
        let made = self.ask(|it| it.consumer(stream, durable, filters, after)).await?;
        Ok(SimulatedConsumer::new(self.clone(), durable, made))
    }

    pub(super) async fn keys(&self) -> Result<Vec<String>, StreamError> {
        self.ask(|it| Ok(it.keys())).await
    }

    pub(super) async fn entry(&self, key: &str) -> Result<(u64, Option<Bytes>), StreamError> {
        let entry = self.ask(|it| it.entry(key)).await;
        Ok(entry.map_or((0, None), |(revision, value)| (revision, Some(value))))
    }

    pub(super) async fn update(
        &self,
        key: &str,
        value: Bytes,
        last: u64,
    ) -> Result<(), UpdateError> {
        let written = self.ask(|it| it.update(key, value, last)).await;
        written.then_some(()).ok_or_else(|| UpdateError::new(UpdateErrorKind::WrongLastRevision))
    }
}

async fn way() {
    tokio::time::sleep(Duration::from_micros(chance::random_range(WAY_US))).await;
}

fn now_ns() -> u64 {
    u64::try_from(clock::unix_now().as_nanos()).unwrap_or(u64::MAX)
}

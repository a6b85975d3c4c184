//! A durable consumer of the simulated server.

use std::time::Duration;

use async_nats::Subject;
use tokio::time::{Instant, timeout_at};

use super::Server;
use crate::streams::{consume::NotAcknowledged, read::Pulled};

/// Which making of a consumer; another one of the same name takes its place.
pub(super) struct Made(pub(super) u64);

#[derive(Clone)]
pub(in crate::streams) struct SimulatedConsumer {
    server: Server,
    durable: String,
    generation: u64,
}

impl SimulatedConsumer {
    pub(super) fn new(server: Server, durable: &str, Made(generation): Made) -> Self {
        Self { server, durable: durable.to_owned(), generation }
    }

    /// Up to `max` messages, waiting so long for the first.
    pub(in crate::streams) async fn pull(
        &self,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<Pulled>, String> {
        self.server.there().await;
        let until = Instant::now() + wait;
        let mut stored = self.server.inner.stored.subscribe();
        loop {
            let pulled = self.server.state().everything.pull(&self.durable, self.generation, max);
            let pulled = pulled.ok_or_else(|| "the consumer is gone".to_owned())?;
            let is_over = wait.is_zero() || Instant::now() >= until;
            if !pulled.is_empty() || is_over {
                self.server.back().await;
                return Ok(pulled);
            }
            // Not each message that is stored is one for it.
            let comes = stored.wait_for(|_| {
                self.server.state().everything.has_for(&self.durable, self.generation)
            });
            // Its sender is the server's. Out of time is looked at above.
            let _ = timeout_at(until, comes).await;
            self.server.there().await;
        }
    }

    pub(in crate::streams) async fn delivered(&self) -> Option<u64> {
        self.server.ask(|it| it.deliveries(&self.durable, self.generation)).await
    }

    pub(in crate::streams) async fn acknowledge(
        &self,
        reply: &Subject,
    ) -> Result<(), NotAcknowledged> {
        let known = self.server.ask(|it| it.deliveries(&self.durable, self.generation)).await;
        known.map(drop).ok_or_else(|| NotAcknowledged {
            is_gone: true,
            reason: format!("nobody takes {reply}"),
        })
    }
}

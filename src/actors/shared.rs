//! What every actor of the daemon is handed, and what it publishes by the way.

mod place;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes},
    rpc::types::TransactionRequest,
};
use dashmap::DashMap;
use serde_json::Value as Json;
use tokio::sync::watch;

use super::{
    benefits::BenefitsCache,
    messages,
    outbox::{self, OutboxError},
    pauses::Pauses,
};
use crate::{
    breakers::{Guard, GuardError},
    chain::{answers::Header, client::ChainClient, cursor::ChainView, rpc::RpcError},
    domain::Name,
    store::StoreHandle,
    streams::{
        PublishError,
        batch::{BatchAck, publish_atomic},
        connection::Connection,
        fence::Fence,
        publish::{Ack, OutMessage, publish_one},
        subjects::{StreamId, Writer},
    },
    telemetry::Metrics,
};

pub use place::Place;

/// The daemon's shared parts. Everything in it outlives actors; cloning is cheap.
#[derive(Clone)]
pub struct Shared {
    /// All metrics.
    pub metrics: Metrics,
    /// The local store.
    pub store: StoreHandle,
    /// The broker.
    pub connection: Connection,
    /// Every chain by name.
    pub chains: Arc<BTreeMap<Name, ChainLink>>,
    /// Names this run of the daemon, unlike any other.
    pub run: Arc<str>,
    /// Every holder's present benefits, by governor: the process's own cache
    /// of what the bucket has, for readers that can't wait for either.
    pub benefits: Arc<BenefitsCache>,
    /// What a person has paused.
    pub pauses: Arc<Pauses>,
    /// Contracts of which a reader found messages lacking in the stream, and
    /// what it found.
    pub doubted: Arc<DashMap<Name, Arc<str>>>,
    /// Counts what tells that somebody got or lost a role: who needs one looks
    /// again.
    pub role_events: Arc<AtomicU64>,
    broker: Guard,
    incarnations: Arc<AtomicU64>,
}

/// One chain as actors see it.
#[derive(Clone)]
pub struct ChainLink {
    /// Its name.
    pub name: Name,
    /// EIP-155 id.
    pub chain_id: u64,
    /// Calls to its endpoints.
    pub client: ChainClient,
    /// Its newest view: written by the head actor, read by the others.
    pub view: Arc<watch::Sender<Option<ChainView>>>,
    /// The last word of a person about going on after a reorg below finality.
    pub resumed: Arc<watch::Sender<Option<Resume>>>,
}

/// A person decided that a frozen chain goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The first block that is read anew, on the branch that the endpoints
    /// have now.
    pub from_block: u64,
    /// Counts the decisions of one run of the daemon, so that the same one is
    /// told from the next.
    pub serial: u64,
}

impl ChainLink {
    /// A block's header; a block that the chain does not have is an error.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn block(&self, which: BlockNumberOrTag) -> Result<Header, RpcError> {
        let found = self.client.header(which).await?;
        found.ok_or_else(|| RpcError::Wrong {
            endpoint: self.name.as_str().into(),
            method: "eth_getBlockByNumber".to_owned(),
            reason: format!("there is no block {which}"),
        })
    }

    /// The node's estimate of a call's gas.
    ///
    /// # Errors
    /// See [`RpcError`]; a revert is [`RpcError::semantic`].
    pub async fn estimate_gas(
        &self,
        from: Address,
        to: Address,
        calldata: &Bytes,
    ) -> Result<u64, RpcError> {
        self.client.estimate_gas(&request(Some(from), to, calldata)).await
    }
}

fn request(from: Option<Address>, to: Address, calldata: &Bytes) -> TransactionRequest {
    let request = TransactionRequest::default().to(to).input(calldata.clone().into());
    match from {
        Some(from) => request.from(from),
        None => request,
    }
}

impl Shared {
    /// Puts the parts together; `run` names this run of the daemon.
    #[must_use]
    pub fn new(
        metrics: Metrics,
        store: StoreHandle,
        connection: Connection,
        broker: Guard,
        chains: BTreeMap<Name, ChainLink>,
        run: &str,
    ) -> Self {
        Self {
            metrics,
            store,
            connection,
            chains: Arc::new(chains),
            run: run.into(),
            benefits: Arc::default(),
            pauses: Arc::new(Pauses::restore(None)),
            doubted: Arc::default(),
            role_events: Arc::default(),
            broker,
            incarnations: Arc::new(AtomicU64::new(0)),
        }
    }

    /// A name for one incarnation of one actor, unlike any other: what it
    /// holds fences by.
    #[must_use]
    pub fn incarnation(&self) -> String {
        format!("{}-{}", self.run, self.incarnations.fetch_add(1, Ordering::Relaxed))
    }

    /// Publishes one message, behind the broker's guard. Never repeated here:
    /// whether that is safe only the caller knows.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish(
        &self,
        stream: StreamId,
        id: &str,
        message: OutMessage,
        fence: Option<&Fence>,
    ) -> Result<Ack, PublishError> {
        let call = || publish_one(&self.connection, stream, id, message, fence);
        self.guarded(stream, 1, call).await
    }

    /// Publishes all messages or none, behind the broker's guard.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish_all(
        &self,
        stream: StreamId,
        messages: Vec<OutMessage>,
        fence: Option<&Fence>,
    ) -> Result<BatchAck, PublishError> {
        let count = messages.len() as u64;
        let call = || publish_atomic(&self.connection, stream, messages, fence);
        self.guarded(stream, count, call).await
    }

    async fn guarded<T, F: Future<Output = Result<T, PublishError>>>(
        &self,
        stream: StreamId,
        count: u64,
        call: impl FnOnce() -> F,
    ) -> Result<T, PublishError> {
        let labels = [stream.name()];
        let timer = self.metrics.stream_publish_seconds.with_label_values(&labels).start_timer();
        let done = self.broker.call_once(call).await.map_err(|error| match error {
            GuardError::Inner(error) => error,
            GuardError::TimedOut { after_ms, .. } => PublishError::Ambiguous {
                stream,
                reason: format!("no answer within {after_ms} ms"),
            },
            GuardError::Open { .. } => PublishError::Unavailable {
                stream,
                reason: "the broker's circuit breaker is open".to_owned(),
            },
            GuardError::Full { .. } => PublishError::Unavailable {
                stream,
                reason: "too many publishes wait already".to_owned(),
            },
        })?;
        timer.observe_duration();
        self.metrics.stream_published_total.with_label_values(&labels).inc_by(count);
        Ok(done)
    }

    /// Puts what can't be processed on the dead letters. Told again under the
    /// same id it is known.
    ///
    /// # Errors
    /// When the broker does not take it now. A dead-letter stream that is full
    /// keeps nobody from going on: then only the log has it.
    pub async fn bury(
        &self,
        actor: &Writer,
        id: &str,
        why: &str,
        origin: Json,
    ) -> Result<(), OutboxError> {
        tracing::error!(actor = %actor, id, "dead letter: {why}");
        let label = actor.to_string();
        self.metrics.dead_letters_total.with_label_values(&[label.as_str()]).inc();
        let letter = messages::dead_letter(actor, id, why, &origin)?;
        outbox::say_letter(self, &label, &letter).await.map(drop)
    }
}

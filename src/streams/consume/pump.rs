//! The consumer on the server, with which an inbox pumps.

use std::time::Duration;

use async_nats::{
    Request, RequestErrorKind, Subject,
    jetstream::{
        ErrorCode,
        consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
        stream::ConsumerErrorKind,
    },
};
use bytes::Bytes;
use tokio::{runtime::Handle, task::JoinSet, time::timeout};

use super::{BATCHES_UNDER_WAY, InboxSpec, Witness};
#[cfg(feature = "simulation")]
use crate::streams::simulated::SimulatedConsumer;
use crate::streams::{
    StreamError,
    connection::{Connection, Link, Nats},
    read::{Pulled, Stored, ask_now, collect, consumer_error, pull_now},
};

/// Asking is putting something into the connection's queue, where nothing stands in the way.
const ASK_LIMIT: Duration = Duration::from_millis(250);

#[cfg_attr(feature = "simulation", expect(clippy::large_enum_variant))]
pub(super) enum Pump {
    Nats(Nats, PullConsumer),
    #[cfg(feature = "simulation")]
    Simulated(SimulatedConsumer),
}

/// What talks to a real server has futures of their own on the heap: they are large, and an
/// inbox is asked all the time.
impl Pump {
    /// Makes the consumer anew: its first delivery is what comes after a sequence.
    pub(super) async fn make<M>(
        connection: &Connection,
        spec: &InboxSpec<M>,
        after: u64,
    ) -> Result<Self, StreamError> {
        let what = format!("consumer {}", spec.durable);
        let nats = match connection.link() {
            Link::Nats(nats) => nats,
            #[cfg(feature = "simulation")]
            Link::Simulated(server) => {
                let made = server.consumer(spec.stream, &spec.durable, &spec.filters, after);
                return connection.bounded(&what, made).await?.map(Self::Simulated);
            }
        };
        let stream = spec.stream.name();
        let deletion = nats.jetstream.delete_consumer_from_stream(&spec.durable, stream);
        match connection.bounded(&what, deletion).await? {
            Ok(_) => {}
            Err(error) => match error.kind() {
                ConsumerErrorKind::JetStream(answer)
                    if answer.error_code() == ErrorCode::CONSUMER_NOT_FOUND => {}
                _ => return Err(consumer_error(&what, spec.stream, &error)),
            },
        }
        let under_way = spec.max_batch.max(1).saturating_mul(BATCHES_UNDER_WAY);
        let config = pull::Config {
            durable_name: Some(spec.durable.clone()),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
            ack_policy: AckPolicy::All,
            ack_wait: spec.ack_wait,
            max_deliver: -1,
            max_ack_pending: i64::try_from(under_way).unwrap_or(i64::MAX),
            filter_subjects: spec.filters.clone(),
            ..pull::Config::default()
        };
        let creation = nats.jetstream.create_consumer_on_stream(config, stream);
        let made = connection.bounded(&what, creation).await?;
        let made = made.map_err(|error| consumer_error(&what, spec.stream, &error))?;
        Ok(Self::Nats(nats.clone(), made))
    }

    /// What is there at once.
    pub(super) async fn ready(&self, max: usize, limit: Duration) -> Result<Vec<Pulled>, String> {
        let ready = async {
            match self {
                Self::Nats(_, consumer) => Box::pin(pull_now(consumer, max)).await,
                #[cfg(feature = "simulation")]
                Self::Simulated(consumer) => consumer.pull(max, Duration::ZERO).await,
            }
        };
        timeout(limit, ready).await.map_err(|_| late(limit))?
    }

    /// Asks for what is there, which comes within `limit`. After an error nobody knows whether
    /// it was asked for.
    pub(super) async fn ask<M: Send + 'static>(
        &self,
        max: usize,
        limit: Duration,
        reads: fn(&str, &[u8]) -> M,
    ) -> Result<Option<Ahead<M>>, String> {
        match self {
            Self::Nats(nats, consumer) => {
                let batch = asked(consumer, max).await?;
                let asking = Asking { consumer: consumer.clone(), max, limit, reads };
                Ok(Some(Ahead::begin(nats.runtime.clone(), asking, batch)))
            }
            // Whatever it takes, it takes no time there.
            #[cfg(feature = "simulation")]
            Self::Simulated(_) => {
                let _ = (max, limit, reads);
                Ok(None)
            }
        }
    }

    /// The next one, if it comes within `wait`.
    pub(super) async fn next(
        &self,
        wait: Duration,
        limit: Duration,
    ) -> Result<Vec<Pulled>, String> {
        let next = async {
            match self {
                Self::Nats(_, consumer) => Box::pin(first(consumer, wait, limit)).await,
                #[cfg(feature = "simulation")]
                Self::Simulated(consumer) => consumer.pull(1, wait).await,
            }
        };
        timeout(wait + limit, next).await.map_err(|_| late(limit))?
    }

    /// How often it delivered, as the server says; `None` when it does not say.
    pub(super) async fn delivered(&self) -> Option<u64> {
        match self {
            Self::Nats(_, consumer) => {
                let info = Box::pin(consumer.get_info()).await.ok()?;
                Some(info.delivered.consumer_sequence)
            }
            #[cfg(feature = "simulation")]
            Self::Simulated(consumer) => consumer.delivered().await,
        }
    }

    /// Acknowledges all up to the message with this reply subject.
    pub(super) async fn acknowledge(
        &self,
        reply: Subject,
        limit: Duration,
    ) -> Result<(), NotAcknowledged> {
        match self {
            Self::Nats(nats, _) => {
                let request = Request::new().payload(Bytes::from_static(b"+ACK"));
                let request = request.timeout(Some(limit));
                let answer = Box::pin(nats.client.send_request(reply, request)).await;
                answer.map(drop).map_err(|error| NotAcknowledged {
                    is_gone: error.kind() == RequestErrorKind::NoResponders,
                    reason: error.to_string(),
                })
            }
            #[cfg(feature = "simulation")]
            Self::Simulated(consumer) => consumer.acknowledge(&reply).await,
        }
    }
}

/// A message, ready to be handed out.
pub(super) struct Ready<M> {
    pub(super) witness: Witness,
    pub(super) subject: String,
    pub(super) payload: Bytes,
    pub(super) read: M,
    pub(super) delivery: u64,
    pub(super) pending: u64,
    pub(super) reply: Option<Subject>,
}

impl<M> Ready<M> {
    pub(super) fn all(pulled: Vec<Pulled>, reads: fn(&str, &[u8]) -> M) -> Vec<Self> {
        let ready = |Pulled { stored, delivery, pending, reply }: Pulled| {
            let witness = Witness::of(&stored);
            let Stored { subject, payload, .. } = stored;
            let read = reads(&subject, &payload);
            Self { witness, subject, payload, read, delivery, pending, reply }
        };
        pulled.into_iter().map(ready).collect()
    }
}

/// A batch that was asked for: collected while whoever asked does something else, which is why
/// that happens on the connection's runtime; then the next is asked for. Whoever drops it ends
/// it.
pub(super) struct Ahead<M> {
    tasks: JoinSet<Result<Came<M>, String>>,
    runtime: Handle,
    asking: Asking<M>,
}

/// The batch after another; after an error nobody knows whether it was asked for.
pub(super) type Next<M> = Result<Option<Ahead<M>>, String>;

/// How batches are asked for.
struct Asking<M> {
    consumer: PullConsumer,
    max: usize,
    limit: Duration,
    reads: fn(&str, &[u8]) -> M,
}

impl<M> Clone for Asking<M> {
    fn clone(&self) -> Self {
        let Self { ref consumer, max, limit, reads } = *self;
        Self { consumer: consumer.clone(), max, limit, reads }
    }
}

/// What there was of a batch.
struct Came<M> {
    ready: Vec<Ready<M>>,
    /// What was asked for then, as more waited. After an error nobody knows whether it was.
    next: Result<Option<pull::Batch>, String>,
}

impl<M: Send + 'static> Ahead<M> {
    fn begin(runtime: Handle, asking: Asking<M>, batch: pull::Batch) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn_on(asking.clone().collected(batch), &runtime);
        Self { tasks, runtime, asking }
    }

    /// What there was of it, and the batch after it. After an error nobody knows what was
    /// delivered.
    pub(super) async fn collected(mut self) -> Result<(Vec<Ready<M>>, Next<M>), String> {
        let Some(ended) = self.tasks.join_next().await else {
            return Err("it was not asked for".to_owned());
        };
        let Came { ready, next } = ended.map_err(|error| error.to_string())??;
        let begin = |batch| Self::begin(self.runtime, self.asking, batch);
        Ok((ready, next.map(|batch| batch.map(begin))))
    }
}

impl<M> Asking<M> {
    async fn collected(self, batch: pull::Batch) -> Result<Came<M>, String> {
        let Self { consumer, max, limit, reads } = self;
        let pulled = timeout(limit, collect(batch)).await.map_err(|_| late(limit))??;
        let next = match pulled.last() {
            Some(last) if last.pending > 0 => asked(&consumer, max).await.map(Some),
            _ => Ok(None),
        };
        Ok(Came { ready: Ready::all(pulled, reads), next })
    }
}

async fn asked(consumer: &PullConsumer, max: usize) -> Result<pull::Batch, String> {
    let asked = timeout(ASK_LIMIT, Box::pin(ask_now(consumer, max))).await;
    asked.map_err(|_| late(ASK_LIMIT))?
}

async fn first(
    consumer: &PullConsumer,
    wait: Duration,
    limit: Duration,
) -> Result<Vec<Pulled>, String> {
    let one = consumer.batch().max_messages(1).expires(wait).messages();
    let one = timeout(limit, one).await.map_err(|_| late(limit))?;
    collect(one.map_err(|error| error.to_string())?).await
}

/// The server did not confirm.
pub(in crate::streams) struct NotAcknowledged {
    /// The consumer is gone, with all its acknowledgements.
    pub(in crate::streams) is_gone: bool,
    pub(in crate::streams) reason: String,
}

fn late(limit: Duration) -> String {
    format!("no answer within {limit:?}")
}

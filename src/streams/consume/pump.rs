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
use tokio::time::timeout;

use super::{BATCHES_UNDER_WAY, InboxSpec};
#[cfg(feature = "simulation")]
use crate::streams::simulated::SimulatedConsumer;
use crate::streams::{
    StreamError,
    connection::{Connection, Link, Nats},
    read::{Pulled, ask_now, collect, consumer_error, pull_now},
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
    pub(super) async fn make(
        connection: &Connection,
        spec: &InboxSpec,
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

    /// Asks for what is there, to be collected later. After an error nobody knows whether it
    /// was asked for.
    pub(super) async fn ask(&self, max: usize) -> Result<Option<Ahead>, String> {
        match self {
            Self::Nats(_, consumer) => {
                let asked = timeout(ASK_LIMIT, Box::pin(ask_now(consumer, max))).await;
                asked.map_err(|_| late(ASK_LIMIT))?.map(|batch| Some(Ahead(batch)))
            }
            // Whatever it takes, it takes no time there.
            #[cfg(feature = "simulation")]
            Self::Simulated(_) => Ok(None),
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

/// A batch that was asked for.
pub(super) struct Ahead(pull::Batch);

impl Ahead {
    /// What there was of it.
    pub(super) async fn collect(self, limit: Duration) -> Result<Vec<Pulled>, String> {
        timeout(limit, Box::pin(collect(self.0))).await.map_err(|_| late(limit))?
    }
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

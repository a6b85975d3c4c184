//! The broker: a server of our own, kept alive, or somebody else's.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::{DaemonState, StartError, mute, reach};
use crate::{
    breakers::{Classify as _, FailureClass},
    chance,
    config::{Config, Nats},
    streams::{
        ConnectSpec, StreamError,
        connection::Connection,
        find_nats_server,
        managed::{ManagedServer, ManagedSpec},
        nats_server_version,
        setup::{Replicas, declare},
    },
    telemetry::Metrics,
    tools,
};

/// The connection, and the server behind it when it is ours.
pub(super) struct Broker {
    pub(super) connection: Connection,
    /// Sent to stop the managed server; answers when it is gone.
    stop: Option<oneshot::Sender<oneshot::Sender<()>>>,
    /// Declares streams again that were lost while running.
    redeclaring: JoinHandle<()>,
    /// Looks for streams that take nothing any more.
    watching: Option<JoinHandle<()>>,
}

/// How long a managed server may take to end.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How often streams are looked after without a reason.
const LOOK_AFTER: Duration = Duration::from_secs(10);
/// How often declaring is tried in a row.
const DECLARE_ATTEMPTS: u32 = 8;
/// Shortest pause between two tries to reach a broker.
const RETRY_MIN: Duration = Duration::from_millis(250);
/// Longest pause between two tries to reach a broker.
const RETRY_MAX: Duration = Duration::from_secs(10);

impl Broker {
    /// Starts or finds the broker, connects, and declares the streams.
    pub(super) async fn start(
        config: &Config,
        state: &DaemonState,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let name = format!("meritd-{}", config.environment);
        match &config.nats {
            Nats::Managed { binary } => {
                let program = match binary {
                    Some(path) => {
                        let refuse = |source| StartError::Binary { path: path.clone(), source };
                        nats_server_version(path).await.map_err(refuse)?;
                        path.clone()
                    }
                    None => match tools::find("nats-server") {
                        Some(path) => path,
                        None => find_nats_server(&[])?,
                    },
                };
                let folder = config.data_dir.join("nats");
                let spec = ManagedSpec { folder: folder.clone(), program };
                let server = ManagedServer::start(spec).await?;
                let (spec, port) = (server.connect_spec(name), server.port());
                reach::leave_note(&config.data_dir, &spec);
                // Before anything is asked of it: it may end between any two steps.
                let (stop, stopped) = oneshot::channel();
                let (restart, asked) = mpsc::channel(1);
                actix_rt::spawn(keep_alive(server, stopped, asked, metrics.clone()));
                let connection = connect_patiently(spec, state).await?;
                declare_patiently(&connection, Replicas::ONE, state).await?;
                tracing::info!(port, "managed nats-server is up");
                let redeclaring = keep_declared(&connection, Replicas::ONE);
                let own = mute::Own { folder, restart };
                let watching = Some(mute::watch(&connection, Some(own), metrics.clone()));
                Ok(Self { connection, stop: Some(stop), redeclaring, watching })
            }
            Nats::External { urls, credentials, login, replicas } => {
                let spec = reach::external(urls, credentials.as_deref(), login.as_ref(), &name)
                    .map_err(|error| StartError::Internal(error.to_string()))?;
                let connection = connect_patiently(spec, state).await?;
                let replicas = Replicas::new(*replicas).ok_or_else(|| {
                    StartError::Internal("nats.replicas: give 1, 3 or 5".to_owned())
                })?;
                declare_patiently(&connection, replicas, state).await?;
                let redeclaring = keep_declared(&connection, replicas);
                let watching = Some(mute::watch(&connection, None, metrics.clone()));
                Ok(Self { connection, stop: None, redeclaring, watching })
            }
        }
    }

    /// One that exists in memory.
    #[cfg(feature = "simulation")]
    pub(super) async fn simulated(
        connection: Connection,
        state: &DaemonState,
    ) -> Result<Self, StartError> {
        declare_patiently(&connection, Replicas::ONE, state).await?;
        let redeclaring = keep_declared(&connection, Replicas::ONE);
        Ok(Self { connection, stop: None, redeclaring, watching: None })
    }

    /// Ends a managed server.
    pub(super) async fn stop(self) {
        self.redeclaring.abort();
        if let Some(watching) = self.watching {
            watching.abort();
        }
        let (gone, wait) = oneshot::channel();
        if let Some(stop) = self.stop
            && stop.send(gone).is_ok()
        {
            let _ = wait.await;
        }
    }
}

/// Tries until it works: a broker that is away is no reason to die, one that
/// is too old or refuses us is.
async fn connect_patiently(
    spec: ConnectSpec,
    state: &DaemonState,
) -> Result<Connection, StartError> {
    let mut pause = RETRY_MIN;
    loop {
        match Connection::open(spec.clone()).await {
            Ok(connection) => return Ok(connection),
            Err(
                error @ (StreamError::Unreachable { .. }
                | StreamError::Unavailable { .. }
                | StreamError::TimedOut { .. }),
            ) => {
                wait_for_broker(&error.to_string(), &mut pause, state).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Tries until the broker answers: it may end, or be paused, right after we
/// connected. What it answers and can't be lived with ends us.
async fn declare_patiently(
    connection: &Connection,
    replicas: Replicas,
    state: &DaemonState,
) -> Result<(), StartError> {
    let mut pause = RETRY_MIN;
    loop {
        match declare(connection, replicas).await {
            Ok(_) => return Ok(()),
            Err(error) if error.class() == FailureClass::Answer => return Err(error.into()),
            Err(error) => wait_for_broker(&error.to_string(), &mut pause, state).await,
        }
    }
}

async fn wait_for_broker(why: &str, pause: &mut Duration, state: &DaemonState) {
    tracing::warn!("{why}; trying again");
    state.waiting_for_broker(why);
    let jitter = chance::random_range(0.5..1.0);
    tokio::time::sleep(pause.mul_f64(jitter)).await;
    *pause = (*pause * 2).min(RETRY_MAX);
}

/// Brings streams back that were lost while running: after each reconnect, when
/// the server may have lost its disk, and now and then.
fn keep_declared(connection: &Connection, replicas: Replicas) -> JoinHandle<()> {
    let connection = connection.clone();
    let mut reconnects = connection.reconnects();
    reconnects.borrow_and_update();
    actix_rt::spawn(async move {
        // Out of time is a reason too; without a sender the connection is gone.
        while !matches!(timeout(LOOK_AFTER, reconnects.changed()).await, Ok(Err(_))) {
            declare_again(&connection, replicas).await;
        }
    })
}

async fn declare_again(connection: &Connection, replicas: Replicas) {
    let mut pause = Duration::from_millis(100);
    for attempt in 1..=DECLARE_ATTEMPTS {
        let Err(error) = declare(connection, replicas).await else { return };
        if error.class() == FailureClass::Answer || attempt == DECLARE_ATTEMPTS {
            tracing::error!("the streams are not as they must be: {error}");
            return;
        }
        tokio::time::sleep(pause.mul_f64(chance::random_range(0.5..1.0))).await;
        pause = (pause * 2).min(RETRY_MAX);
    }
}

/// Restarts the managed server whenever it ends, or when that is asked for, on the
/// same port, so that the connection finds it again.
async fn keep_alive(
    mut server: ManagedServer,
    mut stopped: oneshot::Receiver<oneshot::Sender<()>>,
    mut asked: mpsc::Receiver<()>,
    metrics: Metrics,
) {
    let count = |why| metrics.broker_restarts_total.with_label_values(&[why]).inc();
    let mut pause = Duration::from_millis(100);
    loop {
        tokio::select! {
            gone = &mut stopped => {
                server.stop(STOP_GRACE).await;
                if let Ok(gone) = gone {
                    let _ = gone.send(());
                }
                return;
            }
            // Without anybody who may ask this is not looked at again.
            Some(()) = asked.recv() => {
                count("mute");
                if let Err(error) = server.restart().await {
                    // It has ended then, and is started again as whatever ended is.
                    tracing::error!("{error}");
                }
            }
            ended = server.wait() => {
                tracing::error!(?ended, log = %server.log().display(), "nats-server ended; restarting it");
                count("ended");
                match server.restart().await {
                    Ok(()) => pause = Duration::from_millis(100),
                    Err(error) => {
                        tracing::error!("{error}");
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(RETRY_MAX);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use async_nats::HeaderMap;

    use super::*;
    use crate::streams::{
        publish::{OutMessage, publish_one},
        setup::incarnation,
        subjects::StreamId,
        testing::{TestServer, answer, wait_until},
    };

    #[actix::test]
    async fn a_stream_that_was_lost_is_back_after_the_next_reconnect() {
        let mut server = TestServer::start().await;
        let connection = server.connect().await;
        declare(&connection, Replicas::ONE).await.unwrap();
        let before = incarnation(&connection, StreamId::Unlocks).await.unwrap();
        let task = keep_declared(&connection, Replicas::ONE);
        server.delete_stream(&connection, StreamId::Unlocks).await;
        server.managed.stop(STOP_GRACE).await;
        server.managed.restart().await.unwrap();
        wait_until(async || {
            let now = incarnation(&connection, StreamId::Unlocks).await;
            now.is_ok_and(|now| now != before)
        })
        .await;
        task.abort();
        server.stop().await;
    }

    #[actix::test]
    async fn a_server_that_answers_no_write_of_a_stream_is_restarted() {
        let server = TestServer::start().await;
        let connection = server.connect_impatient().await;
        declare(&connection, Replicas::ONE).await.unwrap();
        answer(&connection, StreamId::Operations, false).await;
        let mut reconnects = connection.reconnects();
        let (restart, asked) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel();
        let (own, metrics) = (mute::Own { folder: server.folder(), restart }, Metrics::new());
        let watching = mute::watch(&connection, Some(own), metrics.clone());
        let (managed, _folder) = server.into_parts();
        let keeping = actix_rt::spawn(keep_alive(managed, stopped, asked, metrics.clone()));
        let subject = "merit.v1.notices.test".to_owned();
        let writing = async {
            loop {
                let message = OutMessage::new(subject.clone(), HeaderMap::new(), "{}".into());
                let told = publish_one(&connection, StreamId::Operations, "id", message, None);
                assert!(told.await.is_err());
            }
        };
        tokio::select! {
            restarted = timeout(Duration::from_secs(60), reconnects.changed()) => {
                restarted.unwrap().unwrap();
            }
            () = writing => {}
        }
        assert_eq!(metrics.broker_restarts_total.with_label_values(&["mute"]).get(), 1);
        let shown = metrics.stream_mute.with_label_values(&[StreamId::Operations.name()]);
        assert_eq!(shown.get(), 1);
        answer(&connection, StreamId::Operations, true).await;
        let (id, stream) = ("another", StreamId::Operations);
        wait_until(async || {
            let message = OutMessage::new(subject.clone(), HeaderMap::new(), "{}".into());
            publish_one(&connection, stream, id, message, None).await.is_ok() && shown.get() == 0
        })
        .await;
        watching.abort();
        let (gone, wait) = oneshot::channel();
        stop.send(gone).unwrap();
        wait.await.unwrap();
        keeping.await.unwrap();
    }
}

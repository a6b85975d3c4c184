//! The wake actor, one per endpoint with a WebSocket: tells the head actor
//! when the endpoint announces a head, and connects again for ever.
//!
//! It is never missed: when it is down the head is polled as if there were
//! none, so it keeps nobody from being ready.

use std::{convert::Infallible, time::Duration};

use serde_json::{Value as Json, json};
use tokio::time::{Instant, timeout};

use super::{
    head::{Announced, HeadActor},
    shared::ChainLink,
};
use crate::{
    chain::wake::{Heard, Wake, WakeError, WakeUrl},
    supervisor::{ActorRef, Next, Stepper, Steps, Tell},
    telemetry::Metrics,
};

/// Limit of connecting and subscribing.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Longest step: between steps it is asked for its state, and drained.
const LISTEN_TIME: Duration = Duration::from_millis(500);
/// So long without a word it is asked whether it is there.
const QUIET: Duration = Duration::from_secs(10);
/// So long without a word it is gone.
const GONE: Duration = Duration::from_secs(35);
/// Blocks that it may fail to announce, within at least [`GONE`].
const MISSED_MAX: u64 = 3;
/// First and longest pause before it is connected again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// What a wake actor is made from.
#[derive(Clone)]
pub struct WakeSpec {
    /// Where heads are announced.
    pub url: WakeUrl,
    /// The endpoint's place in the configuration.
    pub endpoint: usize,
    /// The endpoint's name in metrics.
    pub dependency: String,
    /// The chain, to tell whether announcements are missing.
    pub link: ChainLink,
    /// Whom to tell.
    pub head: ActorRef<Stepper<HeadActor>>,
    /// All metrics.
    pub metrics: Metrics,
}

/// What it owns: the subscription, while there is one.
pub struct WakeActor {
    spec: WakeSpec,
    wake: Option<Live>,
    failures: u32,
    announced: u64,
    trouble: Option<String>,
}

struct Live {
    wake: Wake,
    heard: Instant,
    pinged: Instant,
    /// When a head was announced last, and what the head was.
    head: (Instant, u64),
}

impl WakeActor {
    /// Not connected yet.
    #[must_use]
    pub fn new(spec: WakeSpec) -> Self {
        Self { spec, wake: None, failures: 0, announced: 0, trouble: None }
    }

    fn head(&self) -> u64 {
        self.spec.link.view.borrow().as_ref().map_or(0, |view| view.latest.number)
    }

    fn set_up(&self, up: bool) {
        let labels = [self.spec.dependency.as_str()];
        self.spec.metrics.endpoint_websocket_up.with_label_values(&labels).set(i64::from(up));
    }

    async fn listen(&mut self) -> Result<(), WakeError> {
        let head = self.head();
        let mut live = match self.wake.take() {
            Some(live) => live,
            None => {
                let wake = Wake::connect(&self.spec.url, CONNECT_TIME).await?;
                let now = Instant::now();
                tracing::info!(endpoint = %self.spec.dependency, "its heads are announced");
                self.set_up(true);
                self.trouble = None;
                Live { wake, heard: now, pinged: now, head: (now, head) }
            }
        };
        match timeout(LISTEN_TIME, live.wake.next()).await {
            Ok(heard) => {
                live.heard = Instant::now();
                if heard? == Heard::Head {
                    (live.head, self.failures) = ((live.heard, head), 0);
                    self.announced += 1;
                    let endpoint = self.spec.endpoint;
                    // A full mailbox has it look soon enough.
                    let _ = self.spec.head.try_send(Tell(Announced { endpoint }));
                }
            }
            Err(_) if live.heard.elapsed().min(live.pinged.elapsed()) > QUIET => {
                live.pinged = Instant::now();
                live.wake.ping().await?;
            }
            Err(_) => {}
        }
        if live.heard.elapsed() > GONE {
            return Err(WakeError::Silent(GONE));
        }
        let (at, known) = live.head;
        if at.elapsed() > GONE && head > known + MISSED_MAX {
            return Err(WakeError::Ended("heads come that it does not announce".to_owned()));
        }
        self.wake = Some(live);
        Ok(())
    }

    /// Doubles with each failure in a row; half of it is chance.
    fn pause(&mut self) -> Duration {
        let pause = PAUSE.0.saturating_mul(1 << self.failures.min(16)).min(PAUSE.1);
        self.failures = self.failures.saturating_add(1);
        pause.mul_f64(crate::chance::random_range(0.5..1.0))
    }
}

impl Steps for WakeActor {
    type Failure = Infallible;

    async fn started(&mut self) -> Result<(), Infallible> {
        self.set_up(false);
        Ok(())
    }

    async fn step(&mut self) -> Result<Next, Infallible> {
        let Err(error) = self.listen().await else { return Ok(Next::Again) };
        self.set_up(false);
        let why = error.to_string();
        if self.trouble.replace(why.clone()).is_none() {
            tracing::warn!(
                endpoint = %self.spec.dependency, url = %self.spec.url,
                "its heads are not announced, they are polled: {why}"
            );
        }
        Ok(Next::After(self.pause()))
    }

    async fn drain(&mut self) {
        self.wake = None;
        self.set_up(false);
    }

    fn observe(&self) -> Json {
        json!({
            "connected": self.wake.is_some(),
            "heads_announced": self.announced,
            "trouble": self.trouble,
        })
    }
}

//! The head actor, one per chain: follows the chain's head so that all its
//! contracts see one and the same branch, and says what of it is final.

mod resume;
mod tags;

use std::{convert::Infallible, sync::Arc, time::Duration};

use actix::Message;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::shared::ChainLink;
use crate::{
    chain::{
        agreement::Trust,
        client::{FollowError, Followed, Follower},
        cursor::{ChainView, Cursor},
        headers::{HeadChange, HeaderWindow},
        pace::Pace,
    },
    supervisor::{Next, Receives, Steps},
    telemetry::Metrics,
};
pub use resume::{ResumeFrom, ResumeRefused};
use tags::Tags;

/// What it owns: the window of canonical headers.
pub struct HeadActor {
    metrics: Metrics,
    link: ChainLink,
    spec: HeadSpec,
    follower: Follower,
    tags: Tags,
    /// Blocks up to here can't be orphaned; never goes back.
    finalized: u64,
    pace: Pace,
    born: Instant,
    looked: Option<Instant>,
    /// The last head was announced before it was found.
    announced: bool,
    woken: bool,
    /// Looks since it was woken that found no new head.
    fruitless: u32,
    trouble: Option<String>,
}

/// What a head actor is told of its chain.
#[derive(Clone, Copy, Debug)]
pub struct HeadSpec {
    /// Blocks so deep are final, where no tag says more.
    pub finality_depth: u64,
    /// The time between blocks, until it is learnt.
    pub block_time: Duration,
    /// How often to look, instead of as blocks come.
    pub poll_interval: Option<Duration>,
    /// Whether the chain's own tags say what is safe and final.
    pub tags: bool,
    /// What is believed of a single endpoint.
    pub trust: Trust,
}

/// An endpoint is said to have a new head. Only whom to ask next follows from
/// it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Announced {
    /// The endpoint's place in the configuration.
    pub endpoint: usize,
}

/// How long one step follows the head: well below what the supervisor gives.
const FOLLOW_TIME: Duration = Duration::from_secs(10);
/// Headers beyond finality, so that a fork right at it is seen.
const BEYOND_FINALITY: u64 = 16;
/// Headers at least where finality is the chain's own: its tag may lag behind
/// the configured depth.
const WITH_TAGS: u64 = 256;
/// Blocks that can be undone at most while the chain's own tag lags: as many
/// as a contract's cursor remembers. Deeper ones count as final.
const HORIZON: u64 = Cursor::MAX_RECENT as u64;
/// Least time between two looks at the head, whoever asks for one, unless a
/// shorter interval is configured.
const LOOKS_APART: Duration = Duration::from_millis(20);

/// Looks for an announced head that may find nothing before announcements
/// count less.
const FRUITLESS_MAX: u32 = 5;
/// When to look again for an announced head that is not there, growing.
const SERVED_SOON: Duration = Duration::from_millis(60);

/// How many headers are remembered at first.
fn capacity(finality_depth: u64, tags: bool) -> usize {
    let depth = finality_depth.saturating_add(BEYOND_FINALITY);
    usize::try_from(if tags { depth.max(WITH_TAGS) } else { depth }).unwrap_or(usize::MAX)
}

/// How many are needed to reach from the head to a tag that lags so far.
fn capacity_for(lag: u64, finality_depth: u64) -> usize {
    let most = HORIZON.max(finality_depth).saturating_add(BEYOND_FINALITY);
    usize::try_from((lag + lag / 4 + BEYOND_FINALITY).min(most)).unwrap_or(usize::MAX)
}

impl HeadActor {
    /// A head that has seen nothing; an earlier incarnation's window is taken
    /// over from the view it published.
    #[must_use]
    pub fn new(metrics: Metrics, link: ChainLink, spec: HeadSpec) -> Self {
        let view = link.view.borrow().clone();
        let finalized = view.as_ref().map_or(0, |view| view.finalized);
        let follower = match view {
            Some(view) => Follower::new((*view.window).clone(), view.frozen, spec.trust),
            None => {
                let window = HeaderWindow::new(capacity(spec.finality_depth, spec.tags));
                Follower::new(window, None, spec.trust)
            }
        };
        Self {
            tags: Tags::default(),
            pace: Pace::new(spec.block_time, spec.poll_interval),
            metrics,
            link,
            spec,
            follower,
            finalized,
            born: Instant::now(),
            looked: None,
            announced: false,
            woken: false,
            fruitless: 0,
            trouble: None,
        }
    }

    /// Follows the head for a while and tells the others.
    async fn follow(&mut self) -> Result<Followed, FollowError> {
        let was_frozen = self.follower.frozen().is_some();
        let before = self.follower.window().head().copied();
        let followed = self.follower.step(&self.link.client, FOLLOW_TIME).await;
        self.tell_freeze(was_frozen);
        let mut followed = followed?;
        self.count(&followed);
        let head = self.follower.window().head().copied();
        if let Some(head) = head.filter(|_| followed.rest.is_none()) {
            if before.is_none_or(|before| head.number > before.number + CAUGHT_UP) {
                self.pace.interrupted();
            }
            if before.is_some_and(|before| before.hash != head.hash) {
                self.announced = std::mem::take(&mut self.woken);
                self.fruitless = 0;
            } else if self.woken {
                self.fruitless = self.fruitless.saturating_add(1);
            }
            self.pace.saw(head.number, self.born.elapsed(), self.announced);
        }
        // While a branch is under way, what the endpoints say of safety is
        // said of that branch and not of the window; a frozen view stays.
        if self.follower.is_connected() && self.follower.frozen().is_none() {
            let trouble = self.publish().await;
            followed.waits = followed.waits.or(trouble);
        }
        Ok(followed)
    }

    fn tell_freeze(&self, was_frozen: bool) {
        let chain = self.link.name.as_str();
        let frozen = self.follower.frozen();
        match frozen {
            Some(why) => {
                if !was_frozen {
                    // What a person decided was about another reorg.
                    self.link.resumed.send_replace(None);
                    tracing::error!(chain, "{why}");
                }
                // The old view stays, but for the word that it is no more.
                self.link.view.send_if_modified(|view| match view {
                    Some(view) if view.frozen.as_ref() != Some(why) => {
                        view.frozen = Some(Arc::clone(why));
                        true
                    }
                    _ => false,
                });
            }
            None if was_frozen => tracing::info!(chain, "the endpoints' branch is ours again"),
            None => {}
        }
    }

    /// Publishes the view, if it is another than before. Tells what keeps
    /// finality from being known.
    async fn publish(&mut self) -> Option<String> {
        let Some(head) = self.follower.believed().copied() else {
            return Some("most endpoints don't have the head's block yet".to_owned());
        };
        let agreed = self.follower.agreed().unwrap_or(0).min(head.number);
        let depth = self.spec.finality_depth;
        let (mut safe, mut trouble) = (None, None);
        let finalized = if self.spec.tags {
            let every = (self.pace.block_time() * 4).clamp(TAGS_EVERY.0, TAGS_EVERY.1);
            trouble = self.tags.refresh(&self.link.client, &self.follower, every).await;
            safe = self.tags.safe.map(|safe| safe.min(head.number));
            // Whatever the tag says, nobody can undo more than this.
            self.tags.finalized.unwrap_or(0).max(agreed.saturating_sub(HORIZON.max(depth)))
        } else {
            agreed.saturating_sub(depth)
        };
        self.finalized = self.finalized.max(finalized.min(head.number));
        let finalized = self.finalized.min(head.number);
        let window = self.follower.window_mut();
        window.finalize(finalized);
        if self.spec.tags {
            window.grow(capacity_for(head.number - finalized, depth));
        }
        let chain = self.link.name.as_str();
        let metrics = &self.metrics;
        metrics.chain_head_block.with_label_values(&[chain]).set(to_gauge(head.number));
        metrics.chain_agreed_block.with_label_values(&[chain]).set(to_gauge(agreed));
        metrics.chain_finalized_block.with_label_values(&[chain]).set(to_gauge(finalized));
        let window = self.follower.window();
        self.link.view.send_if_modified(|view| {
            let same = view.as_ref().is_some_and(|view| {
                (view.latest, view.safe, view.finalized) == (head, safe, finalized)
                    && view.frozen.is_none()
                    && view.window.head() == window.head()
            });
            if same {
                return false;
            }
            *view = Some(ChainView {
                latest: head,
                safe,
                finalized,
                window: Arc::new(window.clone()),
                older: std::collections::BTreeMap::new(),
                frozen: None,
            });
            true
        });
        trouble
    }

    fn count(&self, followed: &Followed) {
        let chain = self.link.name.as_str();
        let metrics = &self.metrics;
        metrics.chain_looks_total.with_label_values(&[chain]).inc();
        metrics
            .chain_block_time_seconds
            .with_label_values(&[chain])
            .set(self.pace.block_time().as_secs_f64());
        for endpoint in &followed.outvoted {
            tracing::warn!(chain, %endpoint, "most endpoints have another block than this one");
            metrics.chain_outvoted_total.with_label_values(&[chain, endpoint]).inc();
        }
        for change in &followed.changes {
            let HeadChange::Reorged { common, orphaned, to } = change else { continue };
            tracing::warn!(
                chain,
                depth = orphaned.len(),
                common = common.number,
                head = to.number,
                "the chain reorganised"
            );
            metrics.chain_reorgs_total.with_label_values(&[chain]).inc();
            let depth = i64::try_from(orphaned.len()).unwrap_or(i64::MAX);
            metrics.chain_reorg_depth_blocks.with_label_values(&[chain]).set(depth);
        }
    }

    /// Says once what keeps the head from being followed, and when it is over.
    fn say(&mut self, trouble: Option<String>) {
        let before = std::mem::replace(&mut self.trouble, trouble);
        match &self.trouble {
            // The guard's breaker paces the calls; a line for each would only repeat it.
            Some(why) if before.is_none() => {
                tracing::warn!(chain = %self.link.name, "the head is not reached: {why}");
            }
            None if before.is_some() => {
                tracing::info!(chain = %self.link.name, "the head is reached again");
            }
            _ => {}
        }
    }
}

/// So many blocks at once are no measure of the chain's pace.
const CAUGHT_UP: u64 = 64;
/// How often tags are asked for: four blocks, within these.
const TAGS_EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(12));
/// Shortest and longest pause after a trouble.
const AFTER_TROUBLE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(1));

/// A block number as a gauge's value.
pub(super) fn to_gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Steps for HeadActor {
    type Failure = Infallible;

    async fn started(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn step(&mut self) -> Result<Next, Infallible> {
        // However often it is woken, and less when that is for nothing.
        let least = self.spec.poll_interval.map_or(LOOKS_APART, |fixed| fixed.min(LOOKS_APART));
        let apart = match self.fruitless {
            FRUITLESS_MAX.. => (self.pace.block_time() / 4).clamp(LOOKS_APART, AFTER_TROUBLE.1),
            _ => least,
        };
        let since = self.looked.map_or(apart, |looked| looked.elapsed());
        if since < apart {
            return Ok(Next::After(apart - since));
        }
        if self.pace.is_overdue(self.born.elapsed()) {
            self.follower.suspect();
        }
        let followed = self.follow().await;
        self.looked = Some(Instant::now());
        let (disputed, unfinished) = match followed {
            Ok(Followed { rest: Some(rest), .. }) => {
                self.say(Some(rest));
                (false, true)
            }
            Ok(Followed { waits, .. }) => {
                self.say(waits);
                (self.trouble.is_some(), false)
            }
            Err(error) => {
                self.say(Some(error.to_string()));
                (false, false)
            }
        };
        let state = match self.follower.frozen() {
            Some(_) => 2,
            None => i64::from(disputed),
        };
        let labels = [self.link.name.as_str()];
        self.metrics.chain_head_state.with_label_values(&labels).set(state);
        if unfinished {
            self.looked = None;
            return Ok(Next::Again);
        }
        let mut wait = self.pace.wait(self.born.elapsed(), self.announced);
        if self.woken && self.fruitless < FRUITLESS_MAX {
            // What is announced is not served everywhere in the same moment.
            wait = wait.min(SERVED_SOON * self.fruitless.max(1));
        }
        Ok(Next::After(match self.trouble {
            Some(_) => match self.spec.poll_interval {
                Some(fixed) => fixed.max(AFTER_TROUBLE.0),
                None => wait.clamp(AFTER_TROUBLE.0, AFTER_TROUBLE.1),
            },
            None => wait,
        }))
    }

    async fn drain(&mut self) {}

    fn observe(&self) -> Json {
        let frozen = self.follower.frozen().map(ToString::to_string);
        json!({
            "head": self.follower.window().head().map(|head| head.number),
            "agreed": self.follower.agreed(),
            "finalized": self.finalized,
            "block_time_ms": u64::try_from(self.pace.block_time().as_millis()).unwrap_or(u64::MAX),
            "announced": self.announced,
            "frozen_at": self.follower.frozen().and(self.follower.frozen_at()),
            "not_ready": frozen.as_ref().or(self.trouble.as_ref()),
        })
    }
}

impl Receives<Announced> for HeadActor {
    fn receive(&mut self, Announced { endpoint }: Announced) {
        self.woken = true;
        self.follower.hint(endpoint);
    }
}

#[cfg(test)]
mod tests;

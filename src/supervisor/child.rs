//! The supervising loop of one child.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    arbiters::{ArbiterClass, Lease},
    end::{End, EndReason},
    heartbeat::{Heartbeat, frozen, patiently, until_frozen},
    incarnation::Incarnation,
    life::{Factory, Life, Order},
    restart::{DRAWS, RestartBudget, RestartPolicy, Verdict},
    snapshot::{ChildState, Status},
    supervise::Supervise,
    trunk::Trunk,
};

/// How a child is kept.
#[derive(Clone, Debug)]
pub struct ChildSpec {
    /// Unique in the tree, a path by custom: `contract/dao`, `tx/awards/7`.
    pub name: String,
    /// Where it runs.
    pub class: ArbiterClass,
    /// How patiently it is restarted.
    pub restart: RestartPolicy,
    /// How it is watched.
    pub heartbeat: Heartbeat,
}

impl ChildSpec {
    /// With the default restart policy and heartbeat.
    #[must_use]
    pub fn new(name: impl Into<String>, class: ArbiterClass) -> Self {
        Self {
            name: name.into(),
            class,
            restart: RestartPolicy::default(),
            heartbeat: Heartbeat::default(),
        }
    }
}

/// What the tree tells a child's supervising task.
pub(super) enum Command {
    /// Stop for good; what is in flight has until the deadline.
    Drain { deadline: Instant, done: oneshot::Sender<End> },
    /// Panic inside the actor.
    Crash,
    /// Start again, with a fresh budget.
    Retry,
}

pub(super) struct Child<A: Supervise> {
    pub(super) name: Arc<str>,
    pub(super) spec: ChildSpec,
    pub(super) factory: Factory<A>,
    pub(super) current: watch::Sender<Option<Arc<Incarnation<A>>>>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) status: Arc<Status>,
    pub(super) trunk: Arc<Trunk>,
}

/// Those who wait for the child to be gone, and until when it may take.
struct Leaving {
    deadline: Instant,
    done: Vec<oneshot::Sender<End>>,
}

struct Lived {
    end: End,
    /// Time for which it answered.
    ran: Duration,
    leaving: Option<Leaving>,
}

impl<A: Supervise> Child<A> {
    /// Keeps the child alive until it finishes, is drained, or for good.
    pub(super) async fn supervise(mut self) {
        let epoch = Instant::now();
        let mut budget = RestartBudget::new(self.spec.restart);
        let (end, leaving) = loop {
            self.status.is(ChildState::Starting);
            let lived = self.live().await;
            self.status.ended(lived.end.clone());
            if lived.leaving.is_some() || !lived.end.calls_for_restart() {
                break (lived.end, lived.leaving);
            }
            let draw = crate::chance::random_range(0..=DRAWS);
            let leaving = match budget.ended(epoch.elapsed(), lived.ran, draw) {
                Verdict::RestartAfter(pause) => {
                    self.back_off(&lived.end, pause);
                    self.rest(Some(pause), &mut budget).await
                }
                Verdict::GiveUp => {
                    self.give_up(&lived.end);
                    self.rest(None, &mut budget).await
                }
            };
            if leaving.is_some() {
                break (End::new(EndReason::Drained, "it was down"), leaving);
            }
            self.status.restarts();
        };
        tracing::info!(actor = %self.name, %end, "the actor is done");
        self.trunk.forget(&self.name);
        for done in leaving.into_iter().flat_map(|leaving| leaving.done) {
            // Fails only when nobody waits any more.
            let _ = done.send(end.clone());
        }
    }

    fn back_off(&self, end: &End, pause: Duration) {
        tracing::warn!(actor = %self.name, reason = %end.reason, detail = %end.detail,
            pause_ms = pause.as_millis(), "the actor ended and is restarted");
        self.status.is(ChildState::BackingOff);
        self.trunk.observer.restarted(&self.name, end.reason);
    }

    fn give_up(&self, end: &End) {
        tracing::error!(actor = %self.name, reason = %end.reason, detail = %end.detail,
            max_restarts = self.spec.restart.max_restarts,
            window_s = self.spec.restart.window.as_secs(),
            "the actor keeps ending and is given up; the others run on");
        self.status.is(ChildState::Failed);
        self.trunk.observer.failed(&self.name);
    }

    /// Down, for `pause` or until a person acts. Returns who asked it to leave.
    async fn rest(
        &mut self,
        pause: Option<Duration>,
        budget: &mut RestartBudget,
    ) -> Option<Leaving> {
        let over = async {
            match pause {
                Some(pause) => sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        loop {
            let command = tokio::select! {
                biased;
                () = &mut over => return None,
                command = self.commands.recv() => command,
            };
            match command {
                Some(Command::Drain { deadline, done }) => {
                    return Some(Leaving { deadline, done: vec![done] });
                }
                Some(Command::Retry) => {
                    budget.forgive();
                    return None;
                }
                // It is down already.
                Some(Command::Crash) => {}
                // The tree keeps the sender until it has forgotten the child.
                None => return Some(Leaving { deadline: Instant::now(), done: Vec::new() }),
            }
        }
    }

    /// One incarnation, from its thread to its end.
    async fn live(&mut self) -> Lived {
        let lease = match self.trunk.arbiters.lease(self.spec.class) {
            Ok(lease) => lease,
            Err(error) => {
                return Lived { end: End::failed(&error), ran: Duration::ZERO, leaving: None };
            }
        };
        let patience = self.spec.heartbeat.freeze_after;
        let Some(life) = Life::begin(&self.name, &self.factory, &lease.handle, patience).await
        else {
            self.trunk.arbiters.abandon(&lease);
            let end = frozen("its thread was blocked", patience);
            return Lived { end, ran: Duration::ZERO, leaving: None };
        };
        self.attend(life, lease).await
    }

    /// Watches the incarnation, tells it what the tree says, and sees it off.
    async fn attend(&mut self, life: Life<A>, lease: Lease) -> Lived {
        let Self { name, spec, current, commands, status, trunk, .. } = self;
        let Life { mut task, born, order, report } = life;
        let mut order = Some(order);
        let mut leaving: Option<Leaving> = None;
        let up_since = OnceLock::new();
        let tend = async {
            let patience = spec.heartbeat.freeze_after;
            let born = match patiently(patience, born).await {
                Some(Ok(born)) => born,
                // The factory panicked, and the task says so.
                Some(Err(_)) => std::future::pending().await,
                None => return frozen("its factory blocked its thread", patience),
            };
            let incarnation = Arc::new(Incarnation::new(born.address));
            let observed = |observation| {
                status.observed(observation);
                if up_since.set(Instant::now()).is_ok() {
                    status.is(ChildState::Running);
                    current.send_replace(Some(Arc::clone(&incarnation)));
                    trunk.observer.up(name, true);
                }
            };
            until_frozen(
                &spec.heartbeat,
                &lease.handle,
                &incarnation,
                born.longest_silence,
                observed,
            )
            .await
        };
        tokio::pin!(tend);
        let end = loop {
            let deadline = leaving.as_ref().map(|leaving| leaving.deadline);
            tokio::select! {
                biased;
                ended = &mut task => break End::of_task(ended, report.take()),
                () = until(deadline), if deadline.is_some() => {
                    break End::new(EndReason::Killed, "it was not drained by the deadline");
                }
                end = &mut tend, if deadline.is_none() => break end,
                command = commands.recv() => match command {
                    Some(Command::Drain { deadline, done }) => {
                        status.is(ChildState::Draining);
                        if let Some(order) = order.take() {
                            // Fails only when it has ended meanwhile.
                            let _ = order.send(Order::Drain);
                        }
                        let leaving = leaving
                            .get_or_insert_with(|| Leaving { deadline, done: Vec::new() });
                        leaving.deadline = leaving.deadline.min(deadline);
                        leaving.done.push(done);
                    }
                    Some(Command::Crash) => {
                        if let Some(order) = order.take() {
                            // Fails only when it has ended meanwhile.
                            let _ = order.send(Order::Crash);
                        }
                    }
                    // It runs.
                    Some(Command::Retry) => {}
                    // The tree keeps the sender until it has forgotten the child.
                    None => break End::new(EndReason::Killed, "the tree is gone"),
                },
            }
        };
        if let Some(incarnation) = current.send_replace(None) {
            incarnation.close();
            trunk.observer.up(name, false);
        }
        see_off(trunk, task, &lease).await;
        Lived { end, ran: up_since.get().map(Instant::elapsed).unwrap_or_default(), leaving }
    }
}

/// Ends the task if it has not ended, and gives up its thread if that fails:
/// an aborted task ends at once unless it holds its thread.
async fn see_off(trunk: &Trunk, mut task: JoinHandle<()>, lease: &Lease) {
    task.abort();
    // A task that was awaited to its end must not be awaited again.
    let ended = task.is_finished() || timeout(trunk.limits.abort_grace, &mut task).await.is_ok();
    if ended {
        trunk.arbiters.release(lease);
    } else {
        trunk.arbiters.abandon(lease);
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

//! What the tree promises, played by puppets: actors that do what they are
//! told, on a stage that tells what they did.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod draining;
mod frozen;
mod restarts;
mod sending;

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::ThreadId,
    time::Duration,
};

use actix::Message;
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

use super::*;

/// Ends a test that would hang; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a puppet does in its next step.
#[derive(Debug)]
enum Act {
    Nothing,
    Panic,
    Fail,
    /// Waits for ever.
    Hang,
    /// Waits for `Stage::gate`.
    Wait,
    /// Blocks its thread until the other end of the channel is dropped.
    Block(std::sync::mpsc::Receiver<()>),
    Finish,
    /// Steps again after this time.
    Pause(Duration),
}

#[derive(Message)]
#[rtype(result = "Answer")]
struct Do(Act);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    /// Which incarnation answers, from 1.
    life: u64,
    /// Messages that this incarnation was told.
    told: u64,
    thread: ThreadId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Up(String),
    Down(String),
    Restarted(String, EndReason),
    Failed(String),
    Forgotten(String),
    Acts(String),
    Drained(String),
}

/// Shared by all lives of a puppet.
struct Stage {
    name: String,
    lives: AtomicU64,
    fails_to_start: AtomicBool,
    factory_panics: AtomicBool,
    hangs_in_drain: AtomicBool,
    gate: Notify,
    seen: mpsc::UnboundedSender<Seen>,
}

struct Puppet {
    stage: Arc<Stage>,
    life: u64,
    told: u64,
    act: Option<Act>,
}

#[derive(Debug, thiserror::Error)]
#[error("a string tore")]
struct Torn(#[source] io::Error);

fn torn() -> Torn {
    Torn(io::Error::other("it was old"))
}

impl Steps for Puppet {
    type Failure = Torn;

    async fn started(&mut self) -> Result<(), Torn> {
        if self.stage.fails_to_start.load(Ordering::SeqCst) { Err(torn()) } else { Ok(()) }
    }

    async fn step(&mut self) -> Result<Next, Torn> {
        let Some(act) = self.act.take() else { return Ok(Next::OnNudge) };
        let _ = self.stage.seen.send(Seen::Acts(self.stage.name.clone()));
        match act {
            Act::Nothing => {}
            Act::Panic => panic!("{} fell", self.stage.name),
            Act::Fail => return Err(torn()),
            Act::Hang => std::future::pending().await,
            Act::Wait => self.stage.gate.notified().await,
            Act::Block(until) => {
                let _ = until.recv();
            }
            Act::Finish => return Ok(Next::Finished),
            Act::Pause(pause) => return Ok(Next::After(pause)),
        }
        Ok(Next::OnNudge)
    }

    async fn drain(&mut self) {
        if self.stage.hangs_in_drain.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let _ = self.stage.seen.send(Seen::Drained(self.stage.name.clone()));
    }

    fn observe(&self) -> serde_json::Value {
        serde_json::json!({ "life": self.life, "told": self.told })
    }
}

impl Receives<Do> for Puppet {
    fn receive(&mut self, Do(act): Do) -> Answer {
        self.told += 1;
        self.act = Some(act);
        Answer { life: self.life, told: self.told, thread: std::thread::current().id() }
    }
}

type PuppetRef = ActorRef<Stepper<Puppet>>;

struct Theatre {
    tree: Tree,
    limits: StepLimits,
    tell: mpsc::UnboundedSender<Seen>,
    seen: Mutex<mpsc::UnboundedReceiver<Seen>>,
}

struct Watcher(mpsc::UnboundedSender<Seen>);

impl TreeObserver for Watcher {
    fn up(&self, actor: &str, up: bool) {
        let _ = self.0.send(if up { Seen::Up(actor.into()) } else { Seen::Down(actor.into()) });
    }
    fn restarted(&self, actor: &str, reason: EndReason) {
        let _ = self.0.send(Seen::Restarted(actor.into(), reason));
    }
    fn failed(&self, actor: &str) {
        let _ = self.0.send(Seen::Failed(actor.into()));
    }
    fn forgotten(&self, actor: &str) {
        let _ = self.0.send(Seen::Forgotten(actor.into()));
    }
}

impl Theatre {
    fn open() -> Self {
        let (tell, seen) = mpsc::unbounded_channel();
        let limits =
            TreeLimits { abort_grace: Duration::from_millis(100), ..TreeLimits::default() };
        let tree = Tree::start(limits, Arc::new(Watcher(tell.clone()))).unwrap();
        Self { tree, limits: StepLimits::default(), tell, seen: Mutex::new(seen) }
    }

    fn stage(&self, name: &str) -> Arc<Stage> {
        Arc::new(Stage {
            name: name.to_owned(),
            lives: AtomicU64::new(0),
            fails_to_start: AtomicBool::new(false),
            factory_panics: AtomicBool::new(false),
            hangs_in_drain: AtomicBool::new(false),
            gate: Notify::new(),
            seen: self.tell.clone(),
        })
    }

    fn put_on(&self, stage: &Arc<Stage>, spec: ChildSpec) -> Result<PuppetRef, NotSpawned> {
        let stage = Arc::clone(stage);
        self.tree.spawn_steps(spec, self.limits, move || {
            let life = stage.lives.fetch_add(1, Ordering::SeqCst) + 1;
            assert!(!stage.factory_panics.load(Ordering::SeqCst), "no strings");
            Puppet { stage: Arc::clone(&stage), life, told: 0, act: None }
        })
    }

    fn puppet(&self, name: &str) -> (Arc<Stage>, PuppetRef) {
        let stage = self.stage(name);
        let puppet = self.put_on(&stage, quick(name)).unwrap();
        (stage, puppet)
    }

    /// Waits until `expected` was seen, passing over what came before.
    async fn until(&self, expected: Seen) {
        let seen = async {
            loop {
                // The lock is held for one poll: a test waits in one place.
                let next = std::future::poll_fn(|cx| self.seen.lock().unwrap().poll_recv(cx)).await;
                if next.unwrap() == expected {
                    return;
                }
            }
        };
        timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("{expected:?} was not seen"));
    }

    fn snapshot(&self, name: &str) -> Option<ChildSnapshot> {
        self.tree.snapshot().into_iter().find(|child| child.name == name)
    }
}

/// Restarted quickly, three times a minute, asked often.
fn quick(name: &str) -> ChildSpec {
    ChildSpec {
        restart: RestartPolicy {
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_millis(40),
            max_restarts: 3,
            ..RestartPolicy::default()
        },
        heartbeat: Heartbeat {
            every: Duration::from_millis(20),
            freeze_after: Duration::from_secs(10),
        },
        ..ChildSpec::new(name, ArbiterClass::Listen)
    }
}

async fn told(puppet: &PuppetRef, act: Act) -> Answer {
    puppet.tell(Do(act), PATIENCE).await.unwrap()
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::num::NonZero;

use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

use super::*;
use crate::{
    actors::{
        endpoint::{Endpoint, EndpointHandle},
        shared::Resume,
        wake::{WakeActor, WakeSpec},
    },
    breakers::{BreakerSpec, GuardSpec, RetrySpec},
    chain::{
        client::{ChainClient, ClientLimits},
        transport::HttpLimits,
    },
    cli::demo::anvil::{Anvil, Mining},
    domain::Name,
    supervisor::{
        ActorRef, ArbiterClass, ChildSpec, EndReason, StepLimits, Stepper, Tree, TreeLimits,
        TreeObserver,
    },
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn with_tags_the_window_reaches_beyond_a_lagging_finality() {
    assert_eq!(capacity(64, false), 80);
    assert_eq!(capacity(64, true), 256);
    assert_eq!(capacity(1_000, true), 1_016);
    assert_eq!(capacity_for(400, 96), 516);
    assert_eq!(capacity_for(1_000_000, 96), 8_208, "beyond, depth counts as finality");
    assert_eq!(capacity_for(1_000_000, 20_000), 20_016);
}

struct Unobserved;

impl TreeObserver for Unobserved {
    fn up(&self, _: &str, _: bool) {}
    fn restarted(&self, _: &str, _: EndReason) {}
    fn failed(&self, _: &str) {}
    fn forgotten(&self, _: &str) {}
}

/// A head actor over a real node.
struct Rig {
    anvil: Anvil,
    link: ChainLink,
    head: ActorRef<Stepper<HeadActor>>,
    metrics: Metrics,
    tree: Tree,
}

fn spec() -> HeadSpec {
    HeadSpec {
        finality_depth: 64,
        block_time: Duration::from_millis(200),
        poll_interval: None,
        tags: false,
        trust: Trust::default(),
    }
}

async fn rig(spec: HeadSpec) -> Rig {
    let anvil = Anvil::start(Mining::OnDemand).await.unwrap();
    let tree = Tree::start(TreeLimits::default(), Arc::new(Unobserved)).unwrap();
    let metrics = Metrics::new();
    let limits = HttpLimits {
        connect_timeout: PATIENCE,
        total_timeout: PATIENCE,
        response_bytes_max: 1_000_000,
    };
    let guard = GuardSpec {
        dependency: "endpoint/local/0".to_owned(),
        max_concurrent: NonZero::new(8).unwrap(),
        max_queued: 32,
        queue_timeout: PATIENCE,
        call_timeout: PATIENCE,
        breaker: BreakerSpec {
            consecutive_failures: NonZero::new(20).unwrap(),
            cooldown_min: Duration::from_millis(100),
            cooldown_max: Duration::from_secs(1),
        },
        retry: RetrySpec {
            max_attempts: NonZero::new(3).unwrap(),
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_millis(50),
            budget_percent: 50,
        },
    };
    let endpoint = Endpoint::new(anvil.url().parse().unwrap(), guard, limits, None, &metrics);
    let endpoint = endpoint.unwrap();
    let made = endpoint.clone();
    let child = ChildSpec::new("endpoint/local/0", ArbiterClass::Endpoint);
    let actor = tree.spawn(child, move || made.actor()).unwrap();
    let endpoints = vec![EndpointHandle { actor, endpoint }];
    let name = Name::new("local").unwrap();
    let limits = ClientLimits { call: PATIENCE, range_blocks_max: 1000, hedge_after: None };
    let link = ChainLink {
        name: name.clone(),
        chain_id: 31337,
        client: ChainClient::new(name, 31337, endpoints, limits, &metrics, None),
        view: Arc::new(watch::channel(None).0),
        resumed: Arc::new(watch::channel(None).0),
    };
    let (count, of) = (metrics.clone(), link.clone());
    let child = ChildSpec::new("head/local", ArbiterClass::Listen);
    let head = tree
        .spawn_steps(child, StepLimits::default(), move || {
            HeadActor::new(count.clone(), of.clone(), spec)
        })
        .unwrap();
    Rig { anvil, link, head, metrics, tree }
}

impl Rig {
    async fn view(&self, what: &str, holds: impl Fn(&ChainView) -> bool) -> ChainView {
        let mut views = self.link.view.subscribe();
        let found = views.wait_for(|view| view.as_ref().is_some_and(&holds));
        timeout(PATIENCE, found).await.expect(what).unwrap().clone().unwrap()
    }

    fn announce_by(&self, url: &str) {
        let spec = WakeSpec {
            url: url.parse().unwrap(),
            endpoint: 0,
            dependency: "endpoint/local/0".to_owned(),
            link: self.link.clone(),
            head: self.head.clone(),
            metrics: self.metrics.clone(),
        };
        let child = ChildSpec::new("wake/local/0", ArbiterClass::Listen);
        let limits = StepLimits::default();
        self.tree.spawn_steps(child, limits, move || WakeActor::new(spec.clone())).unwrap();
    }

    async fn announces(&self, up: bool) {
        let gauge = self.metrics.endpoint_websocket_up.with_label_values(&["endpoint/local/0"]);
        let seen = async {
            while gauge.get() != i64::from(up) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, seen).await.expect("the wake actor comes up or goes down");
    }
}

#[tokio::test]
async fn an_announced_head_is_looked_at_before_the_next_poll() {
    let rig = rig(HeadSpec { poll_interval: Some(Duration::from_secs(600)), ..spec() }).await;
    rig.view("the first look", |view| view.latest.number == 0).await;
    rig.announce_by(&rig.anvil.url().replace("http", "ws"));
    rig.announces(true).await;
    for number in 1..4 {
        rig.anvil.mine(1).await.unwrap();
        rig.view("the announced head", |view| view.latest.number == number).await;
    }
}

/// Hands connections on to the node, and cuts them all when it is aborted.
async fn proxy(listener: TcpListener, to: String) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut open = tokio::task::JoinSet::new();
        loop {
            let (mut from, _) = listener.accept().await.unwrap();
            let mut onward = tokio::net::TcpStream::connect(&to).await.unwrap();
            open.spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut from, &mut onward).await;
            });
        }
    })
}

#[tokio::test]
async fn a_websocket_that_dies_is_made_up_for_by_polling_and_comes_back() {
    let rig = rig(spec()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let to = rig.anvil.url().strip_prefix("http://").unwrap().to_owned();
    let first = proxy(listener, to.clone()).await;
    rig.announce_by(&format!("ws://{address}"));
    rig.announces(true).await;
    rig.anvil.mine(1).await.unwrap();
    rig.view("the announced head", |view| view.latest.number == 1).await;

    first.abort();
    let _ = first.await;
    rig.announces(false).await;
    for number in 2..5 {
        rig.anvil.mine(1).await.unwrap();
        rig.view("the polled head", |view| view.latest.number == number).await;
    }
    let again = proxy(TcpListener::bind(address).await.unwrap(), to).await;
    rig.announces(true).await;
    again.abort();
}

#[tokio::test]
async fn reorg_below_finality_freezes_chain() {
    let rig = rig(HeadSpec { finality_depth: 4, ..spec() }).await;
    for number in [15, 30] {
        // Each in one step: a wider gap would begin the window anew.
        rig.anvil.mine(15).await.unwrap();
        rig.view("the blocks so far", |view| view.latest.number == number).await;
    }
    let before = rig.view("all blocks", |view| view.latest.number == 30).await;
    assert_eq!(before.finalized, 26);
    let resume = async |from_block| rig.head.tell(resume_from(from_block), PATIENCE).await.unwrap();
    assert_eq!(resume(20).await, Err(ResumeRefused::NotFrozen));

    rig.anvil.reorg(10).await.unwrap();
    let frozen = rig.view("the freeze", |view| view.frozen.is_some()).await;
    assert_eq!((frozen.latest, frozen.finalized), (before.latest, 26));
    rig.anvil.mine(3).await.unwrap();
    assert_eq!(resume(0).await, Err(ResumeRefused::FromGenesis));
    assert_eq!(resume(27).await, Err(ResumeRefused::AboveFork { fork: 26 }));
    assert!(rig.link.view.borrow().as_ref().unwrap().frozen.is_some());

    let mut resumed = rig.link.resumed.subscribe();
    assert_eq!(resume(21).await, Ok(Resume { from_block: 21, serial: 1 }));
    let told = *resumed.wait_for(Option::is_some).await.unwrap();
    assert_eq!(told, Some(Resume { from_block: 21, serial: 1 }));
    let after = rig.view("the endpoints' branch", |view| view.frozen.is_none()).await;
    assert_eq!(after.latest.number, 33);
    assert_eq!(resume(21).await, Err(ResumeRefused::NotFrozen));
    rig.anvil.mine(1).await.unwrap();
    rig.view("what comes after", |view| view.latest.number == 34).await;
}

fn resume_from(from_block: u64) -> ResumeFrom {
    ResumeFrom { from_block, contract_waits: false }
}

#[tokio::test]
async fn a_tag_that_stays_at_genesis_makes_nothing_final_and_freezes_nothing() {
    // anvil's tags lag behind by 32 and 64 blocks, or stay at 0.
    let rig = rig(HeadSpec { tags: true, ..spec() }).await;
    rig.anvil.mine(20).await.unwrap();
    let view = rig.view("the head", |view| view.latest.number == 20).await;
    assert_eq!((view.safe, view.finalized), (Some(0), 0));
    rig.anvil.reorg(15).await.unwrap();
    rig.anvil.mine(1).await.unwrap();
    let view = rig.view("the other branch", |view| view.latest.number == 21).await;
    assert_eq!(view.frozen, None);
}

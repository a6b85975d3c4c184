#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod absence;
mod batches;
mod denied;
mod faults;
mod follow;
mod hedging;
mod lies;
mod proven;
mod real;
mod responder;
mod second;
mod splitting;

use std::{num::NonZero, sync::Arc};

use tokio::sync::mpsc;

use super::*;
use crate::{
    actors::endpoint::Endpoint,
    breakers::{BreakerSpec, GuardSpec, RetrySpec},
    chain::{health::ChainCheck, rate::Plan, rpc::RpcError, transport::HttpLimits},
    supervisor::{ArbiterClass, ChildSpec, EndReason, Tree, TreeLimits, TreeObserver},
    telemetry::Metrics,
};

struct Unobserved;

impl TreeObserver for Unobserved {
    fn up(&self, _: &str, _: bool) {}
    fn restarted(&self, _: &str, _: EndReason) {}
    fn failed(&self, _: &str) {}
    fn forgotten(&self, _: &str) {}
}

/// A client over real endpoint actors.
struct Rig {
    client: ChainClient,
    metrics: Metrics,
    tree: Tree,
    /// What was found to be wrong.
    lies: mpsc::Receiver<Lie>,
}

const CHAIN_ID: u64 = 31337;

/// Of endpoints without a plan, and without hedging.
fn rig(urls: &[&str]) -> Rig {
    rig_of(urls, None, None)
}

fn rig_of(urls: &[&str], plan: Option<Plan>, hedge_after: Option<Duration>) -> Rig {
    let tree = Tree::start(TreeLimits::default(), Arc::new(Unobserved)).unwrap();
    let metrics = Metrics::new();
    let limits = HttpLimits {
        connect_timeout: Duration::from_secs(2),
        total_timeout: Duration::from_secs(10),
        response_bytes_max: 1_000_000,
    };
    let endpoints = urls.iter().enumerate().map(|(index, url)| {
        let guard = GuardSpec {
            dependency: format!("local-{index}"),
            max_concurrent: NonZero::new(8).unwrap(),
            max_queued: 32,
            queue_timeout: Duration::from_secs(2),
            call_timeout: Duration::from_secs(2),
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
        let endpoint = Endpoint::new(url.parse().unwrap(), guard, limits, plan.clone(), &metrics);
        let endpoint = endpoint.unwrap();
        let spec = ChildSpec::new(format!("endpoint/local/{index}"), ArbiterClass::Endpoint);
        let made = endpoint.clone();
        EndpointHandle { actor: tree.spawn(spec, move || made.actor()).unwrap(), endpoint }
    });
    let endpoints = endpoints.collect();
    let limits =
        ClientLimits { call: Duration::from_secs(15), range_blocks_max: 1000, hedge_after };
    let (tell, lies) = mpsc::channel(8);
    let name = Name::new("local").unwrap();
    let client = ChainClient::new(name, CHAIN_ID, endpoints, limits, &metrics, Some(tell));
    Rig { client, metrics, tree, lies }
}

/// Lets time pass for what the client knows of its endpoints.
async fn pass(client: &mut ChainClient, time: Duration) {
    loop {
        // What compares endpoints aside has a client of its own.
        if let Some(shared) = Arc::get_mut(&mut client.shared) {
            shared.started -= time;
            return;
        }
        tokio::task::yield_now().await;
    }
}

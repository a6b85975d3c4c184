#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod absence;
mod faults;
mod follow;
mod real;
mod responder;

use std::{num::NonZero, sync::Arc};

use super::*;
use crate::{
    actors::endpoint::Endpoint,
    breakers::{BreakerSpec, GuardSpec, RetrySpec},
    chain::transport::HttpLimits,
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
}

const CHAIN_ID: u64 = 31337;

fn rig(urls: &[&str]) -> Rig {
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
        let endpoint = Endpoint::new(url.parse().unwrap(), guard, limits, &metrics).unwrap();
        let spec = ChildSpec::new(format!("endpoint/local/{index}"), ArbiterClass::Endpoint);
        tree.spawn(spec, move || endpoint.actor()).unwrap()
    });
    let endpoints = endpoints.collect();
    let client = ChainClient::new(
        Name::new("local").unwrap(),
        CHAIN_ID,
        endpoints,
        ClientLimits { call: Duration::from_secs(15), range_blocks_max: 1000 },
    );
    Rig { client, metrics, tree }
}

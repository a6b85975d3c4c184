//! Endpoints that hang or are slow.

use alloy::primitives::Bytes;
use serde_json::json;

use super::{
    responder::{Reply, Responder},
    *,
};

/// Names its chain and says nothing else.
async fn hangs() -> Responder {
    Responder::start(|_, _| Reply::Hang).await
}

async fn answers() -> Responder {
    Responder::start(|_, _| Reply::Result(json!("0x9"))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_endpoint_costs_a_cheap_call_less_than_its_own_limit() {
    let (hung, well) = (hangs().await, answers().await);
    let Rig { client, tree: _tree, .. } = rig(&[&hung.url, &well.url]);
    let asked = Instant::now();
    assert_eq!(client.block_number().await, Ok(9));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(client.status()[0].state, EndpointState::Degraded);
    // Then it is not asked first.
    for _ in 0..5 {
        assert_eq!(client.block_number().await, Ok(9));
    }
    assert_eq!(hung.calls("eth_blockNumber"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_read_is_asked_of_a_second_endpoint_and_the_loser_is_dropped() {
    let (hung, well) = (hangs().await, answers().await);
    let hedge = Some(Duration::from_millis(30));
    let Rig { client, metrics, tree: _tree, .. } = rig_of(&[&hung.url, &well.url], None, hedge);
    assert_eq!(client.block_number().await, Ok(9));
    assert_eq!(metrics.endpoint_hedges_total.with_label_values(&["local-1"]).get(), 1);
    assert_eq!(client.status()[0].failures, 0, "nobody waited long enough to say that it failed");
    assert!(client.status()[0].latency_ms >= Some(20));
    // Its place is free again long before its call would have timed out.
    let freed = async {
        while metrics.guard_in_flight.with_label_values(&["local-0"]).get() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), freed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_are_pinned_or_can_wait_are_not_hedged_nor_are_transactions() {
    let (hung, well) = (hangs().await, answers().await);
    let hedge = Some(Duration::from_millis(10));
    let Rig { client, metrics, tree: _tree, .. } = rig_of(&[&hung.url, &well.url], None, hedge);
    let pinned = client.only(0);
    let call = tokio::time::timeout(Duration::from_millis(200), pinned.block_number());
    assert!(call.await.is_err(), "it waits for the one endpoint");
    let low = client.only(0).backfill();
    let call = tokio::time::timeout(Duration::from_millis(200), low.block_number());
    assert!(call.await.is_err());
    let outcomes = client.send_raw(&Bytes::from_static(&[1, 2, 3])).await;
    assert_eq!(outcomes.len(), 2);
    for endpoint in [&hung, &well] {
        assert_eq!(endpoint.calls("eth_sendRawTransaction"), 1);
    }
    assert_eq!(metrics.endpoint_hedges_total.with_label_values(&["local-0"]).get(), 0);
    assert_eq!(metrics.endpoint_hedges_total.with_label_values(&["local-1"]).get(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_first_fails_the_hedge_goes_on() {
    let (hung, broken) =
        (hangs().await, Responder::start(|_, _| Reply::Http(502, "", "Bad Gateway")).await);
    let well = answers().await;
    let hedge = Some(Duration::from_millis(20));
    let urls = [&hung.url, &broken.url, &well.url].map(String::as_str);
    let Rig { client, tree: _tree, .. } = rig_of(&urls, None, hedge);
    // The hedge fails at once; the first is waited for, and then the third asked.
    assert_eq!(client.block_number().await, Ok(9));
    assert_eq!(client.status()[1].failures, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_rate_sends_calls_elsewhere() {
    let (first, second) = (answers().await, answers().await);
    let plan = Plan { per_second: 1, burst: 4, costs: Default::default(), default_cost: 1 };
    let Rig { client, tree: _tree, .. } = rig_of(&[&first.url, &second.url], Some(plan), None);
    let asked = Instant::now();
    for _ in 0..6 {
        assert_eq!(client.block_number().await, Ok(9));
    }
    // The chain's id was a call, too: of one endpoint alone the last call
    // would have waited for three seconds.
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert!(first.calls("eth_blockNumber") >= 3 && second.calls("eth_blockNumber") >= 1);
}

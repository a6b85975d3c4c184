//! Batches, against nodes that answer them in their own ways.

use std::sync::atomic::{AtomicUsize, Ordering};

use alloy::primitives::B256;
use serde_json::{Value as Json, json};

use super::{
    responder::{Reply, Responder},
    *,
};

fn hash(number: u64) -> B256 {
    B256::from(alloy::primitives::U256::from(number + 1))
}

fn header(number: u64) -> Json {
    json!({
        "number": format!("{number:#x}"), "hash": hash(number), "parentHash": B256::ZERO,
        "timestamp": "0x1", "gasLimit": "0x1c9c380",
    })
}

fn number_of(params: &Json) -> u64 {
    u64::from_str_radix(params[0].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// Has the blocks below `head`.
fn node(head: u64) -> impl Fn(&str, &Json) -> Reply + Send + Sync {
    move |method, params| match method {
        "eth_getBlockByNumber" if number_of(params) < head => {
            Reply::Result(header(number_of(params)))
        }
        _ => Reply::Result(Json::Null),
    }
}

fn numbers(headers: &[crate::chain::answers::Header]) -> Vec<u64> {
    headers.iter().map(|header| header.block.number).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_come_in_the_order_they_were_asked_for_in_few_batches() {
    let batches = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&batches);
    let node = Responder::start_with(node(1_000), move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        None
    })
    .await;
    let Rig { client, tree: _tree, .. } = rig(&[&node.url]);
    let asked: Vec<u64> = (100..220).collect();
    assert_eq!(numbers(&client.headers(&asked).await.unwrap()), asked);
    assert_eq!(batches.load(Ordering::SeqCst), 3);
    assert_eq!(client.headers(&[]).await, Ok(vec![]));
    assert_eq!(numbers(&client.headers(&[7]).await.unwrap()), [7]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_endpoint_lacks_is_asked_of_the_next() {
    let (behind, ahead) = (Responder::start(node(10)).await, Responder::start(node(100)).await);
    let Rig { client, tree: _tree, .. } = rig(&[&behind.url, &ahead.url]);
    assert_eq!(numbers(&client.headers(&[8, 9, 10, 11]).await.unwrap()), [8, 9, 10, 11]);
    assert_eq!(ahead.calls("eth_getBlockByNumber"), 2);
    let error = client.headers(&[99, 100]).await.unwrap_err();
    assert!(matches!(error, RpcError::Behind { wanted: 100, .. }), "{error}");

    let forgetful = Responder::start(|_, params| match number_of(params) {
        number if number % 2 == 0 => Reply::Result(header(number)),
        _ => Reply::Nothing,
    })
    .await;
    let Rig { client, tree: _other, .. } = rig(&[&forgetful.url, &ahead.url]);
    assert_eq!(numbers(&client.headers(&[1, 2, 3, 4]).await.unwrap()), [1, 2, 3, 4]);
    // Alone, it is asked once more.
    let Rig { client, tree: _alone, .. } = rig(&[&forgetful.url]);
    assert_eq!(numbers(&client.headers(&[2, 4]).await.unwrap()), [2, 4]);
    let error = client.headers(&[1, 2]).await.unwrap_err();
    assert!(matches!(error, RpcError::Failed { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_batches_is_learnt_and_kept() {
    let too_large: [fn() -> Reply; 5] = [
        || Reply::Error(-32600, "batch too large"),
        || Reply::Error(-32000, "batch limit of 10 exceeded"),
        || Reply::Http(413, "", "Request Entity Too Large"),
        || Reply::Http(400, "", "<html>Bad Request</html>"),
        || Reply::Error(-32603, "batch not supported"),
    ];
    for refusal in too_large {
        let refused = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&refused);
        let node = Responder::start_with(node(1_000), move |size| {
            (size > 6).then(|| {
                count.fetch_add(1, Ordering::SeqCst);
                refusal()
            })
        })
        .await;
        let Rig { client, metrics, tree: _tree, .. } = rig(&[&node.url]);
        let asked: Vec<u64> = (0..60).collect();
        assert_eq!(numbers(&client.headers(&asked).await.unwrap()), asked);
        assert_eq!(client.status()[0].batch_calls, 6);
        assert_eq!(refused.load(Ordering::SeqCst), 3, "50, 25, 12");
        assert_eq!(numbers(&client.headers(&asked).await.unwrap()), asked);
        assert_eq!(refused.load(Ordering::SeqCst), 3);
        assert_eq!(metrics.breaker_state.with_label_values(&["local-0"]).get(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_no_batches_gets_single_calls() {
    let single = Responder::start_with(node(1_000), |_| {
        Some(Reply::Error(-32600, "json: cannot unmarshal array into Go value"))
    })
    .await;
    let Rig { client, tree: _tree, .. } = rig(&[&single.url]);
    assert_eq!(numbers(&client.headers(&[1, 2, 3]).await.unwrap()), [1, 2, 3]);
    assert_eq!(client.status()[0].batch_calls, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_another_call_quarantines_and_goes_elsewhere() {
    let swaps = Responder::start(|_, params| Reply::Result(header(number_of(params) + 1))).await;
    let honest = Responder::start(node(1_000)).await;
    let Rig { client, tree: _tree, .. } = rig(&[&swaps.url, &honest.url]);
    assert_eq!(numbers(&client.headers(&[1, 2, 3]).await.unwrap()), [1, 2, 3]);
    assert!(matches!(client.status()[0].state, EndpointState::Quarantined { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_of_a_batch_costs_and_a_small_burst_makes_small_batches() {
    let node = Responder::start(node(1_000)).await;
    let plan = Plan { per_second: 1_000, burst: 4, costs: Default::default(), default_cost: 1 };
    let Rig { client, tree: _tree, .. } = rig_of(&[&node.url], Some(plan), None);
    let asked: Vec<u64> = (0..12).collect();
    let began = Instant::now();
    assert_eq!(numbers(&client.headers(&asked).await.unwrap()), asked);
    // 13 calls with the chain's id, 4 of them at once.
    assert!(began.elapsed() >= Duration::from_millis(8), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_limited_batch_goes_elsewhere_and_stays_as_large() {
    let limited = Responder::start_with(node(1_000), |_| {
        Some(Reply::Error(-32005, "rate limited, try again in 10s"))
    })
    .await;
    let other = Responder::start(node(1_000)).await;
    let Rig { client, tree: _tree, .. } = rig(&[&limited.url, &other.url]);
    assert_eq!(numbers(&client.headers(&[1, 2, 3]).await.unwrap()), [1, 2, 3]);
    assert_eq!(client.status()[0].state, EndpointState::Limited);
    assert_eq!(client.status()[0].batch_calls, 50);
}

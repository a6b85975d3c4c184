//! Endpoints that lie, what follows, and their way back.

use alloy::{eips::BlockNumberOrTag, primitives::B256};
use serde_json::{Value as Json, json};

use super::{
    responder::{Reply, Responder},
    *,
};
use crate::chain::health::Standing;

const FIVE: BlockNumberOrTag = BlockNumberOrTag::Number(5);

fn header(number: u64, parent: u8) -> Json {
    json!({
        "number": format!("{number:#x}"), "hash": B256::repeat_byte(5),
        "parentHash": B256::repeat_byte(parent), "timestamp": "0x1", "gasLimit": "0x1c9c380",
    })
}

async fn honest() -> Responder {
    Responder::start(|method, _| match method {
        "eth_getLogs" => Reply::Result(json!([])),
        _ => Reply::Result(header(5, 4)),
    })
    .await
}

/// Gives another block than was asked for.
async fn liar() -> Responder {
    Responder::start(|_, _| Reply::Result(header(6, 4))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_is_quarantined_and_told_of() {
    let (liar, honest) = (liar().await, honest().await);
    let Rig { client, metrics, tree: _tree, mut lies } = rig(&[&liar.url, &honest.url]);
    for _ in 0..3 {
        assert!(client.header(FIVE).await.unwrap().is_some());
    }
    assert_eq!(liar.calls("eth_getBlockByNumber"), 1);
    let EndpointState::Quarantined { reason, until_unix_s } = client.status()[0].state.clone()
    else {
        panic!("{:?}", client.status()[0]);
    };
    assert!(reason.contains("it gave block 6 for 5"), "{reason}");
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!((now + 50..=now + 61).contains(&until_unix_s));
    let shown = serde_json::to_value(&client.status()[0]).unwrap();
    assert_eq!(shown["state"], "quarantined");
    assert_eq!(metrics.endpoint_quarantined.with_label_values(&["local-0"]).get(), 1);
    assert_eq!(metrics.endpoint_lies_total.with_label_values(&["local-0", "header"]).get(), 1);
    let lie = lies.try_recv().unwrap();
    assert_eq!((&*lie.endpoint, lie.kind), ("local-0", LieKind::Header));
    assert!(lies.try_recv().is_err(), "it is told once");

    // Pinned to it, there is nobody to ask.
    let error = client.only(0).header(FIVE).await.unwrap_err();
    assert!(matches!(error, RpcError::Quarantined { .. }), "{error}");
    assert!(client.heads().await[0].1.is_err());
    assert_eq!(client.ranking(), [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_liars_stops_and_says_why_and_tries_them_again_later() {
    let (one, two) = (liar().await, liar().await);
    let Rig { mut client, tree: _tree, .. } = rig(&[&one.url, &two.url]);
    client.header(FIVE).await.unwrap_err();
    let error = client.header(FIVE).await.unwrap_err();
    let told = error.to_string();
    assert!(told.contains("every endpoint of chain `local` is quarantined"), "{told}");
    assert!(told.contains("it gave block 6 for 5"), "{told}");
    assert!(client.headers(&[5]).await.is_err());
    assert_eq!(one.calls("eth_getBlockByNumber") + two.calls("eth_getBlockByNumber"), 2);

    pass(&mut client, Duration::from_secs(61)).await;
    let error = client.header(FIVE).await.unwrap_err();
    assert!(matches!(error, RpcError::Wrong { .. }), "{error}");
    pass(&mut client, Duration::from_secs(61)).await;
    let error = client.header(FIVE).await.unwrap_err();
    assert!(matches!(error, RpcError::Quarantined { .. }), "the second time is longer: {error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_answer_of_the_only_endpoint_does_not_stop_the_chain() {
    let liar = liar().await;
    let Rig { client, metrics, tree: _tree, mut lies } = rig(&[&liar.url]);
    for asked in 1..=3 {
        let error = client.header(FIVE).await.unwrap_err();
        assert!(matches!(error, RpcError::Wrong { .. }), "{error}");
        assert_eq!(liar.calls("eth_getBlockByNumber"), asked);
    }
    assert_eq!(metrics.endpoint_lies_total.with_label_values(&["local-0", "header"]).get(), 3);
    assert_eq!(lies.try_recv().unwrap().quarantined_for, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_probation_answers_are_compared_until_trust_is_back() {
    let (suspect, honest) = (honest().await, honest().await);
    let Rig { mut client, metrics, tree: _tree, .. } = rig(&[&suspect.url, &honest.url]);
    client.lied(0, LieKind::Logs, "eth_getLogs", "it withheld a log");
    pass(&mut client, Duration::from_secs(61)).await;
    assert!(matches!(client.status()[0].state, EndpointState::Probation { .. }));
    assert_eq!(metrics.endpoint_quarantined.with_label_values(&["local-0"]).get(), 0);
    let mut compared = 0;
    while client.health()[0].trust.standing(client.now()) != Standing::Trusted {
        assert!(client.header(FIVE).await.unwrap().is_some());
        assert_eq!(suspect.calls("eth_getBlockByNumber"), 0, "nobody gets its answers");
        pass(&mut client, Duration::from_secs(5)).await;
        compared += 1;
        assert!(compared < 20);
    }
    assert!(suspect.calls("eth_getBlockByHash") >= 10);
    // Which of two that are trusted is asked first goes by how fast they were.
    assert!(client.only(0).header(FIVE).await.unwrap().is_some());
    assert_eq!(suspect.calls("eth_getBlockByNumber"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lies_on_probation_is_quarantined_again_for_longer() {
    let forger = Responder::start(|_, _| Reply::Result(header(5, 3))).await;
    let honest = honest().await;
    let Rig { mut client, tree: _tree, .. } = rig(&[&forger.url, &honest.url]);
    client.lied(0, LieKind::Logs, "eth_getLogs", "it withheld a log");
    pass(&mut client, Duration::from_secs(61)).await;
    assert!(client.header(FIVE).await.unwrap().is_some());
    // Waits for the comparison.
    pass(&mut client, Duration::from_secs(61)).await;
    let EndpointState::Quarantined { reason, .. } = client.status()[0].state.clone() else {
        panic!("{:?}", client.status()[0]);
    };
    assert!(reason.contains("is not that of others"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_cannot_be_read_is_a_failure_and_no_lie() {
    let odd = Responder::start(|_, _| Reply::Result(json!({"number": "five"}))).await;
    let honest = honest().await;
    let Rig { client, metrics, tree: _tree, mut lies } = rig(&[&odd.url, &honest.url]);
    assert!(client.header(FIVE).await.unwrap().is_some());
    assert_eq!(client.status()[0].state, EndpointState::Degraded);
    assert_eq!(metrics.endpoint_lies_total.with_label_values(&["local-0", "malformed"]).get(), 1);
    assert!(lies.try_recv().is_err());
}

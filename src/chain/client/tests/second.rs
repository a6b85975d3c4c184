//! A second opinion about the logs of a range.

use alloy::primitives::{Address, B256};
use serde_json::{Value as Json, json};

use super::{
    responder::{Reply, Responder},
    *,
};
use crate::chain::answers::LogFilter;

fn filter() -> LogFilter {
    LogFilter { addresses: vec![Address::repeat_byte(1)], topics0: vec![B256::repeat_byte(2)] }
}

fn log(block: u8) -> Json {
    json!({
        "address": Address::repeat_byte(1), "topics": [B256::repeat_byte(2)], "data": "0x",
        "blockNumber": format!("{block:#x}"), "blockHash": B256::repeat_byte(block),
        "transactionHash": B256::repeat_byte(3), "transactionIndex": "0x0", "logIndex": "0x0",
        "removed": false,
    })
}

/// Tells of logs in these blocks, as far as they are asked for.
async fn telling(blocks: &'static [u8]) -> Responder {
    Responder::start(move |method, params| match method {
        "eth_getLogs" => {
            let bound = |of: &str| {
                let text = params[0][of].as_str().unwrap_or("0x0");
                u8::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
            };
            let asked = bound("fromBlock")..=bound("toBlock");
            let told = blocks.iter().filter(|block| asked.contains(block));
            Reply::Result(told.map(|block| log(*block)).collect())
        }
        "eth_blockNumber" => Reply::Result(json!("0x64")),
        _ => Reply::Error(-32601, "no such method"),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_of_three_tell_is_believed_and_the_third_set_aside() {
    let (silent, all, too) = (telling(&[9]).await, telling(&[7, 9]).await, telling(&[7, 9]).await);
    let Rig { client, tree: _tree, .. } = rig(&[&silent.url, &all.url, &too.url]);
    let range = client.logs(&filter(), 1, 50).await.unwrap();
    assert_eq!(range.logs.len(), 1);
    let error = client.second(&filter(), 1, &range).await.unwrap_err();
    assert!(matches!(error, RpcError::Wrong { .. }), "{error}");
    // What is asked next is asked of the others.
    let range = client.logs(&filter(), 1, 50).await.unwrap();
    assert_eq!(range.logs.len(), 2);
    client.second(&filter(), 1, &range).await.unwrap();
    assert_eq!(silent.calls("eth_getLogs"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_contradicted_by_a_wrong_one_is_believed_all_the_same() {
    let (all, inventing, too) = (telling(&[7]).await, telling(&[7, 8]).await, telling(&[7]).await);
    let Rig { client, tree: _tree, .. } = rig(&[&all.url, &inventing.url, &too.url]);
    let range = client.logs(&filter(), 1, 50).await.unwrap();
    client.second(&filter(), 1, &range).await.unwrap();
    let state = client.status()[1].state.clone();
    assert!(matches!(state, crate::chain::client::EndpointState::Quarantined { .. }), "{state:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_differ_nobody_is_believed_without_a_proof() {
    let (silent, all) = (telling(&[]).await, telling(&[7]).await);
    let Rig { client, tree: _tree, .. } = rig(&[&silent.url, &all.url]);
    let range = client.logs(&filter(), 1, 50).await.unwrap();
    let error = client.second(&filter(), 1, &range).await.unwrap_err();
    let RpcError::Unproven { block: 7, reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("have other logs of it"), "{reason}");
    assert!(!reason.contains("secret"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_alone_or_beside_one_that_fails_is_believed() {
    let all = telling(&[7]).await;
    let failing = Responder::start(|_, _| Reply::Http(500, "no", "broken")).await;
    for urls in [&[&*all.url][..], &[&*all.url, &*failing.url]] {
        let Rig { client, tree: _tree, .. } = rig(urls);
        let range = client.logs(&filter(), 1, 50).await.unwrap();
        client.second(&filter(), 1, &range).await.unwrap();
    }
}

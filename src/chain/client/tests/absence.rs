//! Logs that an endpoint leaves out.

use alloy::primitives::{Address, B256, Bloom};
use serde_json::{Value as Json, json};

use super::{
    responder::{Reply, Responder},
    *,
};
use crate::{chain::answers::LogFilter, domain::BlockRef};

const BLOCK: u64 = 100;

fn hash() -> B256 {
    B256::repeat_byte(0x64)
}

fn filter() -> LogFilter {
    LogFilter { addresses: vec![Address::repeat_byte(1)], topics0: vec![B256::repeat_byte(2)] }
}

/// Speaks of our log.
fn bloom() -> Bloom {
    let mut bloom = Bloom::ZERO;
    bloom.accrue_raw_log(Address::repeat_byte(1), &[B256::repeat_byte(2)]);
    bloom
}

fn expecting(bloom: &Bloom) -> Option<BloomHint<'_>> {
    Some(BloomHint { bloom, expects_logs: true })
}

fn vote() -> Json {
    json!({
        "address": Address::repeat_byte(1), "topics": [B256::repeat_byte(2)], "data": "0x",
        "blockNumber": "0x64", "blockHash": hash(), "transactionHash": B256::repeat_byte(3),
        "transactionIndex": "0x0", "logIndex": "0x0", "removed": false,
    })
}

/// Has the block and the vote in it.
async fn honest() -> Responder {
    Responder::start(|method, params| match method {
        "eth_getLogs" if params[0].get("blockHash") == Some(&json!(hash())) => {
            Reply::Result(json!([vote()]))
        }
        "eth_getLogs" => Reply::Result(json!([vote()])),
        _ => Reply::Result(json!("0x64")),
    })
    .await
}

/// Is on another branch: by number it has nothing, by hash it does not know it.
async fn elsewhere() -> Responder {
    Responder::start(|method, params| match method {
        "eth_getLogs" if params[0].get("blockHash").is_some() => {
            Reply::Error(-32000, "unknown block")
        }
        "eth_getLogs" => Reply::Result(json!([])),
        _ => Reply::Result(json!("0x64")),
    })
    .await
}

/// Answers that there is nothing, whatever it is asked.
async fn silent() -> Responder {
    Responder::start(|method, _| match method {
        "eth_getLogs" => Reply::Result(json!([])),
        _ => Reply::Result(json!("0x64")),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_on_another_branch_cannot_say_that_there_is_nothing() {
    let (other, honest) = (elsewhere().await, honest().await);
    let Rig { client, tree: _tree, .. } = rig(&[&other.url, &honest.url]);
    // By number it would be believed.
    assert!(client.logs(&filter(), BLOCK, BLOCK).await.unwrap().logs.is_empty());
    let logs = client.logs_of_block(&filter(), hash(), None).await.unwrap();
    assert_eq!(logs.len(), 1);
    let Rig { client, tree: _alone, .. } = rig(&[&other.url]);
    assert!(client.logs_of_block(&filter(), hash(), None).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_logs_that_the_bloom_speaks_of_is_asked_for_again() {
    let (silent, honest) = (silent().await, honest().await);
    let Rig { client, tree: _tree, .. } = rig(&[&silent.url, &honest.url]);
    let logs = client.logs_of_block(&filter(), hash(), expecting(&bloom())).await.unwrap();
    assert_eq!(logs.len(), 1);
    assert_eq!(client.status()[0].failures, 1, "it is set aside");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bloom_that_errs_does_not_stall() {
    let (first, second) = (silent().await, silent().await);
    let Rig { client, tree: _tree, .. } = rig(&[&first.url, &second.url]);
    assert_eq!(client.logs_of_block(&filter(), hash(), expecting(&bloom())).await, Ok(vec![]));
    assert_eq!((first.calls("eth_getLogs"), second.calls("eth_getLogs")), (1, 1));

    let Rig { client, tree: _alone, .. } = rig(&[&first.url]);
    assert_eq!(client.logs_of_block(&filter(), hash(), expecting(&bloom())).await, Ok(vec![]));
    assert_eq!(first.calls("eth_getLogs"), 3);
    // A bloom without it costs nothing more.
    assert_eq!(client.logs_of_block(&filter(), hash(), expecting(&Bloom::ZERO)).await, Ok(vec![]));
    assert_eq!(first.calls("eth_getLogs"), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_that_withholds_what_its_last_bloom_speaks_of_is_refused() {
    let (silent, honest) = (silent().await, honest().await);
    let Rig { client, tree: _tree, .. } = rig(&[&silent.url, &honest.url]);
    let block =
        BlockRef { number: BLOCK, hash: hash(), parent_hash: B256::repeat_byte(0x63), time: 1 };
    let range = client.logs(&filter(), 1, BLOCK).await.unwrap();
    let error = client.check_absence(&filter(), &range, &block, &bloom()).await.unwrap_err();
    assert!(matches!(error, RpcError::Wrong { .. }), "{error}");
    // The next call goes to the other endpoint, which told all.
    let range = client.logs(&filter(), 1, BLOCK).await.unwrap();
    assert_eq!(range.logs.len(), 1);
    assert_eq!(client.check_absence(&filter(), &range, &block, &bloom()).await, Ok(()));
}

//! What is too much for an endpoint, and what is asked for instead.

use alloy::primitives::{Address, B256, Bloom};
use serde_json::{Value as Json, json};

use super::{
    responder::{Reply, Responder},
    *,
};
use crate::{breakers::BreakerState, chain::answers::LogFilter};

const HEAD: u64 = 100;

fn number(value: &Json) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

fn hash_of(block: u64) -> B256 {
    B256::with_last_byte(u8::try_from(block).unwrap())
}

fn contract(index: u8) -> Address {
    Address::repeat_byte(index)
}

fn contracts(count: u8) -> LogFilter {
    LogFilter { addresses: (1..=count).map(contract).collect(), topics0: vec![] }
}

/// Each contract's only log of a block.
fn log(block: u64, index: u8) -> Json {
    json!({
        "address": contract(index), "topics": [B256::repeat_byte(2)], "data": "0x",
        "blockNumber": format!("0x{block:x}"), "blockHash": hash_of(block),
        "transactionHash": B256::repeat_byte(3), "transactionIndex": "0x0",
        "logIndex": format!("0x{index:x}"), "removed": false,
    })
}

fn header(block: u64) -> Json {
    let mut bloom = Bloom::ZERO;
    (1..=3).for_each(|index| bloom.accrue_raw_log(contract(index), &[B256::repeat_byte(2)]));
    json!({
        "number": format!("0x{block:x}"), "hash": hash_of(block),
        "parentHash": hash_of(block - 1), "timestamp": "0x1", "gasLimit": "0x1",
        "logsBloom": bloom,
    })
}

fn logs(params: &Json, from: u64, to: u64) -> Reply {
    let wanted = params[0]["address"].as_array().unwrap();
    let all = (from..=to).flat_map(|block| (1..=3).map(move |index| log(block, index)));
    Reply::Result(all.filter(|log| wanted.contains(&log["address"])).collect())
}

fn range(params: &Json) -> Option<(u64, u64)> {
    let query = &params[0];
    query.get("fromBlock")?;
    Some((number(&query["fromBlock"]), number(&query["toBlock"])))
}

/// A node that has three logs in each block, but for how it answers
/// `eth_getLogs`.
async fn node(get_logs: impl Fn(&Json) -> Reply + Send + Sync + 'static) -> Responder {
    Responder::start(move |method, params| match method {
        "eth_getLogs" => get_logs(params),
        "eth_blockNumber" => Reply::Result(json!(format!("0x{HEAD:x}"))),
        "eth_getBlockByNumber" => Reply::Result(header(number(&params[0]))),
        "eth_getBlockByHash" | "eth_getBlockReceipts" => {
            let hash: B256 = serde_json::from_value(params[0].clone()).unwrap();
            let block = u64::from(hash[31]);
            match method {
                _ if hash[0] != 0 => Reply::Result(Json::Null),
                "eth_getBlockByHash" => Reply::Result(header(block)),
                _ => Reply::Result(json!([
                    { "blockHash": hash, "type": "0x7e", "logs": [log(block, 1), log(block, 2)] },
                    { "blockHash": hash, "type": "0x2", "logs": [log(block, 3)] },
                ])),
            }
        }
        _ => Reply::Error(-32601, "method not found"),
    })
    .await
}

fn places(logs: &[alloy::rpc::types::Log]) -> Vec<(u64, u64)> {
    logs.iter().map(|log| (log.block_number.unwrap(), log.log_index.unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_are_asked_for_in_parts_and_their_logs_come_in_order() {
    let capped = node(|params| match params[0]["address"].as_array().unwrap().len() {
        0..=2 => {
            let (from, to) = range(params).unwrap_or((7, 7));
            logs(params, from, to)
        }
        _ => Reply::Error(-32000, "too many addresses: max 2"),
    })
    .await;
    let Rig { client, tree: _tree, .. } = rig(&[&capped.url]);
    let range = client.logs(&contracts(3), 1, 2).await.unwrap();
    assert_eq!(range.through, 2);
    assert_eq!(places(&range.logs), [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]);
    assert_eq!(capped.calls("eth_getLogs"), 3);
    // It is remembered, also for single blocks.
    let of_block = client.logs_of_block(&contracts(3), hash_of(7), None).await.unwrap();
    assert_eq!(places(&of_block), [(7, 1), (7, 2), (7, 3)]);
    assert_eq!(capped.calls("eth_getLogs"), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_before_a_refusal_is_not_asked_for_again() {
    // The second part of the addresses is too dense for the whole range.
    let dense = node(|params| {
        let addresses = params[0]["address"].as_array().unwrap();
        let (from, to) = range(params).unwrap();
        match addresses.len() {
            3.. => Reply::Error(-32000, "please specify less number of address"),
            _ if addresses.contains(&json!(contract(3))) && to > from + 3 => {
                Reply::Error(-32005, "query returned more than 10 results")
            }
            _ => logs(params, from, to),
        }
    })
    .await;
    let Rig { client, tree: _tree, .. } = rig(&[&dense.url]);
    let range = client.logs(&contracts(3), 1, 8).await.unwrap();
    assert_eq!(range.through, 4);
    let wanted: Vec<_> = (1..=4).flat_map(|block| (1..=3).map(move |i| (block, i))).collect();
    assert_eq!(places(&range.logs), wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_whose_logs_are_refused_is_read_by_its_receipts() {
    let full = node(|params| match range(params) {
        Some((from, to)) if !(from..=to).contains(&5) => logs(params, from, to),
        _ => Reply::Error(-32005, "query returned more than 10000 results"),
    })
    .await;
    let Rig { client, tree: _tree, .. } = rig(&[&full.url]);
    let (mut from, mut all) = (1, vec![]);
    while from <= 9 {
        let range = client.logs(&contracts(2), from, 9).await.unwrap();
        all.extend(places(&range.logs));
        from = range.through + 1;
    }
    let wanted: Vec<_> = (1..=9).flat_map(|block| [(block, 1), (block, 2)]).collect();
    assert_eq!(all, wanted);
    assert_eq!(full.calls("eth_getBlockReceipts"), 1);
    let by_hash = client.logs_of_block(&contracts(2), hash_of(5), None).await.unwrap();
    assert_eq!(places(&by_hash), [(5, 1), (5, 2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_receipts_are_refused_too_the_error_is_told() {
    let neither = Responder::start(|method, params| match method {
        "eth_getLogs" => Reply::Error(-32005, "query returned more than 10000 results"),
        "eth_blockNumber" => Reply::Result(json!("0x64")),
        "eth_getBlockByNumber" => Reply::Result(header(number(&params[0]))),
        _ => Reply::Error(-32601, "method not found"),
    })
    .await;
    let Rig { client, tree: _tree, .. } = rig(&[&neither.url]);
    let error = client.logs(&contracts(1), 1, 9).await.unwrap_err();
    assert!(error.to_string().contains("eth_getBlockReceipts"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_lack_what_their_header_speaks_of_are_refused() {
    let liar = Responder::start(|method, params| match method {
        "eth_getLogs" => Reply::Error(-32008, "Response is too big"),
        "eth_blockNumber" => Reply::Result(json!("0x64")),
        "eth_getBlockByNumber" => Reply::Result(header(number(&params[0]))),
        _ => Reply::Result(json!([])),
    })
    .await;
    let Rig { client, tree: _tree, .. } = rig(&[&liar.url]);
    let error = client.logs(&contracts(1), 1, 1).await.unwrap_err();
    assert!(matches!(error, RpcError::Wrong { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_are_proven_where_the_chain_allows_it() {
    let recorded: Json = serde_json::from_str(include_str!(
        "../../../../tests/fixtures/blocks/arbitrum-150000000.json"
    ))
    .unwrap();
    let number = number(&recorded["block"]["number"]);
    let serve = |altered: bool| {
        let (block, mut receipts) = (recorded["block"].clone(), recorded["receipts"].clone());
        let with_logs = receipts.as_array_mut().unwrap().iter_mut();
        let mut with_logs = with_logs.filter(|receipt| receipt["logs"][0].is_object());
        if altered {
            with_logs.next().unwrap()["logs"].as_array_mut().unwrap().remove(0);
        }
        Responder::start(move |method, _| match method {
            "eth_getLogs" => Reply::Error(-32008, "Response is too big"),
            "eth_blockNumber" => Reply::Result(block["number"].clone()),
            "eth_getBlockReceipts" => Reply::Result(receipts.clone()),
            _ => Reply::Result(block.clone()),
        })
    };
    let all: usize = recorded["receipts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|receipt| receipt["logs"].as_array().unwrap().len())
        .sum();
    let (liar, honest) = (serve(true).await, serve(false).await);
    let Rig { client, tree: _tree, .. } = rig(&[&liar.url, &honest.url]);
    let range = client.logs(&LogFilter::default(), number, number).await.unwrap();
    assert_eq!((range.logs.len(), range.endpoint), (all, 1));
    assert_eq!(client.status()[0].failures, 1, "the liar is set aside");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_refuses_block_hashes_is_asked_by_number_and_checked() {
    for words in ["blockHash is not supported", "invalid params", "what is that?"] {
        let by_number = node(move |params| match range(params) {
            Some((from, to)) => logs(params, from, to),
            None => Reply::Error(-32602, words),
        })
        .await;
        let Rig { client, tree: _tree, .. } = rig(&[&by_number.url]);
        for block in [5, 6] {
            let logs = client.logs_of_block(&contracts(3), hash_of(block), None).await.unwrap();
            assert_eq!(places(&logs), [(block, 1), (block, 2), (block, 3)]);
        }
        assert_eq!(by_number.calls("eth_getLogs"), 3, "the refusal is remembered");
        // By number it would be another block's: it does not have this one.
        let orphan = B256::repeat_byte(5);
        let error = client.logs_of_block(&contracts(3), orphan, None).await.unwrap_err();
        assert!(error.refusal().is_some(), "{error}");
        assert_eq!(by_number.calls("eth_getLogs"), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_that_changes_between_two_questions_is_not_believed() {
    // By hash the block is known; by number stands another one by now.
    let flapping = Responder::start(|method, params| match method {
        "eth_getLogs" if range(params).is_none() => Reply::Error(-32602, "no blockHash here"),
        "eth_getLogs" => Reply::Result(json!([])),
        "eth_getBlockByHash" => Reply::Result(header(5)),
        "eth_getBlockByNumber" => {
            let mut other = header(5);
            other["hash"] = json!(B256::repeat_byte(6));
            Reply::Result(other)
        }
        _ => Reply::Error(-32601, "method not found"),
    })
    .await;
    let Rig { client, tree: _tree, .. } = rig(&[&flapping.url]);
    assert!(client.logs_of_block(&contracts(3), hash_of(5), None).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_that_hangs_goes_elsewhere_and_is_narrower_the_next_time() {
    let slow = node(|params| match range(params) {
        Some((from, to)) if to - from < 25 => logs(params, from, to),
        _ => Reply::Hang,
    })
    .await;
    let other = node(|params| {
        let (from, to) = range(params).unwrap();
        logs(params, from, to)
    })
    .await;
    let Rig { client, tree: _tree, .. } = rig(&[&slow.url, &other.url]);
    assert_eq!(client.logs(&contracts(1), 1, 100).await.unwrap().through, 100);
    assert_eq!((slow.calls("eth_getLogs"), other.calls("eth_getLogs")), (1, 1));

    // Alone, it is asked for ever fewer blocks, each width once.
    let Rig { client, tree: _tree, .. } = rig(&[&slow.url]);
    assert!(client.logs(&contracts(1), 1, 100).await.is_err());
    assert_eq!(slow.calls("eth_getLogs"), 2);
    assert_eq!(client.logs(&contracts(1), 1, 100).await.unwrap().through, 25);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unpaid_bill_opens_the_breaker_at_once_and_is_not_retried() {
    let unpaid = Responder::start(|_, _| Reply::Http(402, "", "Payment Required")).await;
    let Rig { client, metrics, tree: _tree, lies: _lies } = rig(&[&unpaid.url]);
    let error = client.block_number().await.unwrap_err();
    assert_eq!(
        error.refusal().map(|refusal| &refusal.class),
        Some(&crate::chain::rpc_errors::RpcErrorClass::Unpaid)
    );
    let calls = |method| unpaid.calls(method);
    assert_eq!((calls("eth_blockNumber"), client.status()[0].failures), (1, 1));
    let state = metrics.breaker_state.with_label_values(&["local-0"]).get();
    assert_eq!(state, BreakerState::Open as i64);
}

//! Against answers that a real node does not give.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, Bytes},
};
use serde_json::{Value as Json, json};

use super::{
    responder::{Reply, Responder},
    *,
};
use crate::chain::{answers::LogFilter, transport::EndpointUrl};

fn number(value: &Json) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

fn everything() -> LogFilter {
    LogFilter::default()
}

async fn at_block(head: &'static str) -> Responder {
    Responder::start(move |method, _| match method {
        "eth_blockNumber" => Reply::Result(json!(head)),
        _ => Reply::Result(json!([])),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_endpoint_is_passed_over_and_its_key_never_shown() {
    let alive = at_block("0x9").await;
    // Bound and dropped: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dead = format!("http://127.0.0.1:{port}/key-secret?k=secret");
    let Rig { client, tree: _tree, .. } = rig(&[&dead, &alive.url]);
    assert_eq!(client.block_number().await, Ok(9));
    assert_eq!(client.status()[0].failures, 1);

    let Rig { client, tree: _alone, .. } = rig(&[&dead]);
    let error = client.block_number().await.unwrap_err();
    assert!(matches!(error, RpcError::Failed { .. }), "{error}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_of_another_chain_is_quarantined() {
    let other = Responder::start(|_, _| Reply::Result(json!("0x1"))).await;
    let right = at_block("0x9").await;
    let Rig { client, metrics, tree: _tree, .. } = rig(&[&other.url, &right.url]);
    // The responder names chain 31337; this client expects 31338.
    let mut foreign = ChainClient::new(
        Name::new("local").unwrap(),
        31338,
        client.shared.endpoints.clone(),
        client.shared.limits,
        &metrics,
        None,
    );
    let error = foreign.block_number().await.unwrap_err();
    assert!(matches!(error, RpcError::OtherChain { expected: 31338, found: CHAIN_ID, .. }));
    assert_eq!(foreign.status()[0].chain, ChainCheck::Wrong(CHAIN_ID));
    let asked = other.calls("eth_chainId") + right.calls("eth_chainId");
    let none = foreign.block_number().await.unwrap_err();
    assert!(matches!(none, RpcError::Quarantined { .. }), "{none}");
    assert_eq!(other.calls("eth_chainId") + right.calls("eth_chainId"), asked);
    assert_eq!(other.calls("eth_blockNumber"), 0);
    // After a minute it is asked which chain it serves, and no more.
    pass(&mut foreign, Duration::from_secs(61)).await;
    foreign.block_number().await.unwrap_err();
    assert_eq!(other.calls("eth_chainId") + right.calls("eth_chainId"), asked + 2);
    assert_eq!(other.calls("eth_blockNumber"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_limited_endpoint_is_left_alone_as_long_as_it_asks() {
    let limited =
        Responder::start(|_, _| Reply::Http(429, "retry-after: 30\r\n", "slow down")).await;
    let other = at_block("0x9").await;
    let Rig { client, tree: _tree, .. } = rig(&[&limited.url, &other.url]);
    for _ in 0..5 {
        assert_eq!(client.block_number().await, Ok(9));
    }
    assert_eq!(limited.calls("eth_blockNumber"), 1);
    assert_eq!(client.status()[0].state, EndpointState::Limited);
    assert_eq!(client.status()[1].state, EndpointState::Healthy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_endpoint_that_asks_for_rest_is_not_called_meanwhile() {
    let limited =
        Responder::start(|_, _| Reply::Http(429, "retry-after: 30\r\n", "slow down")).await;
    let Rig { client, tree: _tree, .. } = rig(&[&limited.url]);
    client.block_number().await.unwrap_err();
    for _ in 0..5 {
        let error = client.block_number().await.unwrap_err();
        assert!(matches!(error, RpcError::Busy { .. }), "{error}");
    }
    assert_eq!(limited.calls("eth_blockNumber"), 1);
}

/// Incident: nodes give answers about the request as internal errors, and a
/// breaker that counted them stopped all calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn semantic_error_never_opens_breaker() {
    for (method, code, message) in [
        ("eth_call", -32603, "nonce too low: next nonce 5, tx nonce 4"),
        ("eth_call", 3, "execution reverted: paused"),
        ("eth_call", -32000, "VM Exception while processing transaction: revert"),
        ("eth_estimateGas", -32603, "insufficient funds for gas * price + value"),
        ("eth_getLogs", -32005, "query returned more than 10000 results"),
        ("eth_getLogs", -32000, "block range is too wide"),
        ("eth_call", -32601, "the method eth_call does not exist/is not available"),
        ("eth_call", -32005, "daily request count exceeded, request rate limited"),
    ] {
        let node = Responder::start(move |asked, _| match asked {
            "eth_blockNumber" => Reply::Result(json!("0xffff")),
            _ => Reply::Error(code, message),
        })
        .await;
        let Rig { client, metrics, tree: _tree, .. } = rig(&[&node.url]);
        for _ in 0..25 {
            let error = match method {
                "eth_getLogs" => client.logs(&everything(), 1, 16).await.unwrap_err(),
                _ => client.any::<Json>(method, ()).await.unwrap_err(),
            };
            assert!(!matches!(error, RpcError::NotCalled { .. }), "{message}: {error}");
        }
        assert_eq!(metrics.breaker_state.with_label_values(&["local-0"]).get(), 0, "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packed_answer_is_read_and_bounded_by_what_it_unpacks_to() {
    let packs = Responder::start(|method, _| match method {
        "eth_blockNumber" => Reply::Packed(json!("0x9")),
        // A few kilobytes on the wire.
        _ => Reply::Packed(json!("0".repeat(2_000_000))),
    })
    .await;
    let Rig { client, tree: _tree, .. } = rig(&[&packs.url]);
    assert_eq!(client.block_number().await, Ok(9));
    let error = client.any::<Json>("eth_gasPrice", ()).await.unwrap_err();
    assert!(error.to_string().contains("larger than 1000000 bytes"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cap_on_ranges_is_learnt_and_kept() {
    let capped = Responder::start(|method, params| match method {
        "eth_getLogs" => {
            let (from, to) = (number(&params[0]["fromBlock"]), number(&params[0]["toBlock"]));
            if to - from + 1 > 100 {
                Reply::Error(-32000, "exceed maximum block range: 100")
            } else {
                Reply::Result(json!([]))
            }
        }
        _ => Reply::Result(json!("0xffff")),
    })
    .await;
    let Rig { client, tree: _tree, .. } = rig(&[&capped.url]);
    assert_eq!(client.logs(&everything(), 1, 5000).await.unwrap().through, 100);
    assert_eq!(client.logs(&everything(), 101, 5000).await.unwrap().through, 200);
    assert_eq!(capped.calls("eth_getLogs"), 3);
    assert_eq!(client.status()[0].range_blocks, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_that_nobody_has_seen_halve_the_range() {
    let odd = Responder::start(|method, params| match method {
        "eth_getLogs" => {
            let (from, to) = (number(&params[0]["fromBlock"]), number(&params[0]["toBlock"]));
            if to - from + 1 > 300 {
                Reply::Error(-1, "no can do")
            } else {
                Reply::Result(json!([]))
            }
        }
        _ => Reply::Result(json!("0xffff")),
    })
    .await;
    let Rig { client, tree: _tree, .. } = rig(&[&odd.url]);
    assert_eq!(client.logs(&everything(), 1, 5000).await.unwrap().through, 250);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_not_asked_of_an_endpoint_that_lacks_the_blocks() {
    let behind = at_block("0x5").await;
    let ahead = at_block("0x20").await;
    let Rig { client, tree: _tree, .. } = rig(&[&behind.url, &ahead.url]);
    assert_eq!(client.logs(&everything(), 1, 16).await.unwrap().through, 16);
    assert_eq!(behind.calls("eth_getLogs"), 0);
    assert_eq!(ahead.calls("eth_getLogs"), 1);
    let error = client.logs(&everything(), 1, 99).await.unwrap_err();
    assert!(matches!(error, RpcError::Behind { wanted: 99, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_that_were_not_asked_for_set_an_endpoint_aside() {
    let fixture: Json =
        serde_json::from_str(include_str!("../../../../tests/fixtures/transfers.json")).unwrap();
    let logs = fixture["logs"].clone();
    let liar = Responder::start(move |method, _| match method {
        "eth_getLogs" => Reply::Result(logs.clone()),
        _ => Reply::Result(json!("0xfffffff")),
    })
    .await;
    let honest = at_block("0xfffffff").await;
    let Rig { client, tree: _tree, .. } = rig(&[&liar.url, &honest.url]);
    let filter = LogFilter { addresses: vec![Address::repeat_byte(1)], topics0: vec![] };
    let range = client.logs(&filter, 18_000_000, 18_000_000).await.unwrap();
    assert!(range.logs.is_empty());
    assert!(matches!(client.status()[0].state, EndpointState::Quarantined { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_hang_are_garbage_or_huge_go_to_the_next_endpoint() {
    let garbage = Responder::start(|_, _| Reply::Http(200, "", "<html>maintenance</html>")).await;
    let huge = Responder::start(|_, _| Reply::Result(json!("0".repeat(2_000_000)))).await;
    let gone = Responder::start(|_, _| Reply::Http(502, "", "Bad Gateway")).await;
    let hangs = Responder::start(|_, _| Reply::Hang).await;
    let good = at_block("0x9").await;
    let urls = [&garbage.url, &huge.url, &gone.url, &hangs.url, &good.url];
    let Rig { client, tree: _tree, .. } = rig(&urls.map(String::as_str));
    assert_eq!(client.block_number().await, Ok(9));
    let failures: Vec<_> = client.status().iter().map(|endpoint| endpoint.failures).collect();
    assert_eq!(failures, [1, 1, 1, 1, 0]);
    // Set aside, they cost the next call nothing.
    assert_eq!(client.block_number().await, Ok(9));
    assert_eq!(hangs.calls("eth_blockNumber"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_endpoint_is_retried_but_a_transaction_never_is() {
    let down = Responder::start(|_, _| Reply::Http(503, "", "")).await;
    let Rig { client, tree: _tree, .. } = rig(&[&down.url]);
    client.block_number().await.unwrap_err();
    assert_eq!(down.calls("eth_blockNumber"), 3);
    let outcomes = client.send_raw(&Bytes::from_static(&[1, 2, 3])).await;
    assert!(outcomes[0].result.is_err());
    assert_eq!(down.calls("eth_sendRawTransaction"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_was_not_asked_for_is_refused() {
    let wrong = Responder::start(|_, _| {
        Reply::Result(json!({
            "number": "0x5", "hash": B256::repeat_byte(5), "parentHash": B256::repeat_byte(4),
            "timestamp": "0x1", "gasLimit": "0x1c9c380",
        }))
    })
    .await;
    let Rig { client, tree: _tree, .. } = rig(&[&wrong.url]);
    let header = client.header(BlockNumberOrTag::Number(5)).await.unwrap().unwrap();
    assert_eq!(header.base_fee, None);
    assert!(matches!(
        client.header(BlockNumberOrTag::Number(6)).await,
        Err(RpcError::Wrong { .. })
    ));
    assert!(matches!(
        client.header_by_hash(B256::repeat_byte(6)).await,
        Err(RpcError::Wrong { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_breaker_costs_no_calls() {
    let down = Responder::start(|_, _| Reply::Http(500, "", "")).await;
    let Rig { client, tree: _tree, .. } = rig(&[&down.url]);
    let mut error = None;
    for _ in 0..25 {
        error = client.block_number().await.err();
    }
    assert!(matches!(error, Some(RpcError::NotCalled { .. })), "{error:?}");
    assert!(down.calls("eth_blockNumber") < 30);
}

#[test]
fn what_an_endpoint_shows_of_itself_holds_no_key() {
    let url: EndpointUrl = "https://node.example/v2/secret".parse().unwrap();
    assert_eq!(url.to_string(), "https://node.example");
}

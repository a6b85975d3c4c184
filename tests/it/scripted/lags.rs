//! Behind the node.

use serde_json::{Value as Json, json};

use super::{HEAD, Rig, hex};
use crate::support::endpoint::{Lag, Refusal, Script};

#[tokio::test]
async fn an_endpoint_that_lags_has_an_earlier_head() {
    let rig = Rig::start().await;
    for lag in [Lag::by(4), Lag::frozen_at(HEAD - 4)] {
        rig.endpoint.set(Script::honest().lag(lag));
        assert_eq!(rig.ask("eth_blockNumber", json!([])).await, "0x6");
        for tag in ["latest", "pending"] {
            let head = rig.ask("eth_getBlockByNumber", json!([tag, false])).await;
            assert_eq!(head["number"], "0x6");
        }
        assert_eq!(rig.block(7).await, Json::Null);
        let above = rig.node("eth_getBlockByNumber", json!(["0x7", false])).await;
        let hash = &above["hash"];
        assert_eq!(rig.ask("eth_getBlockByHash", json!([hash, false])).await, Json::Null);
        assert_eq!(rig.ask("eth_getBlockReceipts", json!([hash])).await, Json::Null);
        assert_eq!(rig.ask("eth_getBlockReceipts", json!(["0x7"])).await, Json::Null);
        let transaction = &above["transactions"][0];
        let receipt = rig.ask("eth_getTransactionReceipt", json!([transaction])).await;
        assert_eq!(receipt, Json::Null);
        // Geth and its like: there is nothing, or only what is below.
        assert!(rig.logs(7, HEAD).await.is_empty());
        assert_eq!(rig.logs(0, HEAD).await.len(), 4);
        rig.try_ask("eth_getLogs", json!([{ "blockHash": hash }])).await.unwrap_err();
        // State is that of its own head.
        let nonce = |tag: &str| json!([rig.anvil.account(1), tag]);
        assert_eq!(rig.ask("eth_getTransactionCount", nonce("latest")).await, "0x2");
        assert_eq!(rig.node("eth_getTransactionCount", nonce("latest")).await, "0x3");
        rig.try_ask("eth_getTransactionCount", nonce("0x7")).await.unwrap_err();
    }
    rig.anvil.mine(3).await.unwrap();
    assert_eq!(rig.ask("eth_blockNumber", json!([])).await, "0x6", "it is frozen");
    rig.endpoint.set(Script::honest().lag(Lag::by(4)));
    assert_eq!(rig.ask("eth_blockNumber", json!([])).await, "0x9");
}

#[tokio::test]
async fn tags_of_safety_lag_as_well() {
    let rig = Rig::start().await;
    rig.anvil.mine(100).await.unwrap();
    let mut heights = Vec::new();
    for lag in [Lag::by(0), Lag::by(7)] {
        rig.endpoint.set(Script::honest().lag(lag));
        for tag in ["safe", "finalized"] {
            let block = rig.ask("eth_getBlockByNumber", json!([tag, false])).await;
            let number = block["number"].as_str().unwrap().trim_start_matches("0x");
            heights.push(u64::from_str_radix(number, 16).unwrap());
        }
    }
    assert!(heights[1] > 7, "{heights:?}");
    assert_eq!((heights[0] - heights[2], heights[1] - heights[3]), (7, 7));
}

#[tokio::test]
async fn what_an_endpoint_lacks_it_may_refuse() {
    let rig = Rig::start().await;
    let said = "requested to block is after last accepted block";
    let lag = Lag::by(4).refusing(Refusal::new(-32000, said));
    rig.endpoint.set(Script::honest().lag(lag));
    for from in [0, 7] {
        let range = json!([{ "fromBlock": hex(from), "toBlock": "0x7" }]);
        let error = rig.try_ask("eth_getLogs", range).await.unwrap_err();
        assert_eq!(error["message"], said);
    }
    assert_eq!(rig.logs(0, 6).await.len(), 4);
}

#[tokio::test]
async fn the_node_that_gives_logs_may_lag_behind_the_one_that_gives_heads() {
    let rig = Rig::start().await;
    rig.endpoint.set(Script::honest().lag(Lag::by(4).of_logs_only()));
    assert_eq!(rig.ask("eth_blockNumber", json!([])).await, "0xa");
    let hash = rig.block(7).await["hash"].clone();
    assert!(rig.logs(7, HEAD).await.is_empty());
    assert_eq!(rig.ask("eth_getLogs", json!([{ "blockHash": hash }])).await, json!([]));
    assert_eq!(rig.receipts(7).await.len(), 2);
}

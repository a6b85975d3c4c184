//! Other branches than the node's.

use alloy::{
    consensus::{self, proofs::calculate_receipt_root},
    primitives::{Bloom, LogData, keccak256},
    rpc::types::{Log, TransactionReceipt},
};
use serde_json::{Value as Json, json};

use super::{HEAD, Rig, hash, hex};
use crate::support::endpoint::{Branch, Edit, ForgedLog, Script, ScriptedEndpoint, Which};

/// A header must have its hash, and its receipts its bloom and root.
pub(super) fn assert_sound(block: &Json, receipts: &[Json]) {
    let header: consensus::Header = serde_json::from_value(block.clone()).unwrap();
    assert_eq!(header.hash_slow(), hash(&block["hash"]), "{block}");
    let (bloom, root) = commitments(receipts);
    assert_eq!((header.logs_bloom, header.receipts_root), (bloom, root), "{block}");
}

/// The bloom and the root that these receipts come to.
pub(super) fn commitments(receipts: &[Json]) -> (Bloom, alloy::primitives::B256) {
    let mut bloom = Bloom::ZERO;
    let receipts: Vec<_> = receipts
        .iter()
        .map(|receipt| {
            let receipt: TransactionReceipt = serde_json::from_value(receipt.clone()).unwrap();
            let logs = receipt.logs().iter();
            logs.for_each(|log| bloom.accrue_log(&log.inner));
            receipt.into_primitives_receipt().into_inner()
        })
        .collect();
    (bloom, calculate_receipt_root(&receipts))
}

/// The chain is linked and sound, and all ways to its logs give the same.
async fn assert_one_branch(rig: &Rig) -> Vec<Log> {
    let mut parent = rig.block(0).await["hash"].clone();
    let mut all = Vec::new();
    for number in 1..=HEAD {
        let block = rig.block(number).await;
        assert_eq!(block["parentHash"], parent, "block {number}");
        parent = block["hash"].clone();
        assert_eq!(rig.ask("eth_getBlockByHash", json!([parent, false])).await, block);
        let receipts = rig.receipts(number).await;
        assert_sound(&block, &receipts);
        let of_block = rig.ask("eth_getLogs", json!([{ "blockHash": parent }])).await;
        let of_block: Vec<Log> = serde_json::from_value(of_block).unwrap();
        let told = receipts.iter().flat_map(|receipt| receipt["logs"].as_array().unwrap());
        let told: Vec<Log> = told.map(|log| serde_json::from_value(log.clone()).unwrap()).collect();
        assert_eq!(of_block, told);
        assert!(of_block.iter().all(|log| log.block_hash == Some(hash(&parent))));
        all.extend(of_block);
    }
    assert_eq!(rig.logs(0, HEAD).await, all);
    all
}

#[tokio::test]
async fn a_fork_is_another_branch_that_is_sound_in_itself() {
    let rig = Rig::start().await;
    let real = rig.node("eth_getBlockByNumber", json!(["0x4", false])).await;
    rig.endpoint.set(Script::honest().branch(Branch::fork(4, "ours")));
    assert_eq!(assert_one_branch(&rig).await.len(), 6);
    for (number, same) in [(3, true), (4, false), (HEAD, false)] {
        let node = rig.node("eth_getBlockByNumber", json!([hex(number), false])).await;
        assert_eq!(rig.block(number).await["hash"] == node["hash"], same, "block {number}");
    }
    // The node's own blocks are not known on it.
    assert_eq!(rig.ask("eth_getBlockByHash", json!([real["hash"], false])).await, Json::Null);
    assert_eq!(rig.ask("eth_getBlockReceipts", json!([real["hash"]])).await, Json::Null);
    let by_hash = json!([{ "blockHash": real["hash"] }]);
    assert_eq!(rig.try_ask("eth_getLogs", by_hash).await.unwrap_err()["message"], "unknown block");
    let transaction = &real["transactions"][0];
    let receipt = rig.ask("eth_getTransactionReceipt", json!([transaction])).await;
    assert_eq!(receipt["blockHash"], rig.block(4).await["hash"]);

    // Who has the same mark is on the same branch, and knows it by hash.
    let head = rig.block(HEAD).await;
    let other = ScriptedEndpoint::start(rig.anvil.url()).await;
    for (mark, known) in [("ours", true), ("theirs", false)] {
        other.set(Script::honest().branch(Branch::fork(4, mark)));
        let params = json!([head["hash"], false]);
        let found = super::ask(&rig.client, other.url(), "eth_getBlockByHash", params).await;
        assert_eq!(found.unwrap() == head, known, "{mark}");
    }

    // The node's chain may reorganise below it.
    rig.anvil.reorg(5).await.unwrap();
    assert_ne!(rig.block(HEAD).await["hash"], head["hash"]);
    assert_eq!(assert_one_branch(&rig).await.len(), 4);
}

#[tokio::test]
async fn a_fork_may_have_other_logs_and_is_still_sound() {
    let rig = Rig::start().await;
    let topics = vec![keccak256("Invented()")];
    let invented = |block| {
        let data = LogData::new_unchecked(topics.clone(), vec![1, 2, 3].into());
        let log = alloy::primitives::Log { address: rig.inbox, data };
        Edit::Invent(ForgedLog { block, log })
    };
    let branch = Branch::fork(3, "edited")
        .edited(Edit::Withhold(Which::those(|log| log.block_number == Some(7))))
        .edited(Edit::Alter(Which::Share { share: 0.5, seed: 9 }))
        .edited(invented(4))
        .edited(invented(4))
        .edited(invented(5))
        .edited(invented(2));
    rig.endpoint.set(Script::honest().branch(branch));
    let logs = assert_one_branch(&rig).await;
    let of_block = |block| logs.iter().filter(move |log| log.block_number == Some(block));
    assert_eq!(
        [2, 4, 5, 7].map(|block| of_block(block).count()),
        [1, 5, 1, 0],
        "below the fork nothing is"
    );
    assert!(of_block(4).map(|log| log.log_index.unwrap()).eq(0..5));
    let filter = json!([{ "fromBlock": "0x0", "topics": topics }]);
    let found = rig.ask("eth_getLogs", filter).await;
    assert_eq!(found.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_flapping_block_is_another_every_second_time() {
    let rig = Rig::start().await;
    rig.endpoint.set(Script::honest().branch(Branch::flapping(4)));
    let mut seen = Vec::new();
    for _ in 0..6 {
        let block = rig.block(4).await;
        assert_sound(
            &block,
            &rig.node("eth_getBlockReceipts", json!(["0x4"])).await.as_array().unwrap().clone(),
        );
        seen.push(block["hash"].clone());
    }
    assert_eq!(seen[0], rig.block(5).await["parentHash"]);
    assert_ne!(seen[0], seen[1]);
    assert_eq!((&seen[..2], &seen[..2]), (&seen[2..4], &seen[4..]));
    for known in &seen[..2] {
        let block = rig.ask("eth_getBlockByHash", json!([known, false])).await;
        assert_eq!(block["hash"], *known);
        let logs = rig.ask("eth_getLogs", json!([{ "blockHash": known }])).await;
        let logs: Vec<Log> = serde_json::from_value(logs).unwrap();
        assert_eq!(logs.len(), 3);
        assert!(logs.iter().all(|log| log.block_hash == Some(hash(known))));
    }
}

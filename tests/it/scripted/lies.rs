//! Logs that are not the node's.

use alloy::primitives::{LogData, keccak256};
use serde_json::json;

use super::{
    HEAD, Rig,
    branches::{assert_sound, commitments},
    hash,
};
use crate::support::endpoint::{Edit, ForgedLog, Reach, ReceiptLie, Script, Which};

#[tokio::test]
async fn a_lie_reaches_as_far_as_it_is_told_to() {
    let rig = Rig::start().await;
    let honest = rig.block(4).await;
    for reach in [Reach::Logs, Reach::Receipts, Reach::Bloom] {
        rig.endpoint.set(Script::honest().lie(Edit::Withhold(Which::All), reach));
        let (block, receipts) = (rig.block(4).await, rig.receipts(4).await);
        assert!(rig.logs(0, HEAD).await.is_empty());
        let by_hash = rig.ask("eth_getLogs", json!([{ "blockHash": block["hash"] }])).await;
        assert_eq!(by_hash, json!([]));
        assert_eq!(block["hash"], honest["hash"]);
        assert_eq!(block["receiptsRoot"], honest["receiptsRoot"]);
        let logs_in = |receipt: &serde_json::Value| receipt["logs"].as_array().unwrap().len();
        let in_receipts: usize = receipts.iter().map(logs_in).sum();
        let alone = rig.ask("eth_getTransactionReceipt", json!([block["transactions"][1]])).await;
        let (bloom, root) = commitments(&receipts);
        match reach {
            Reach::Logs => {
                assert_eq!((in_receipts, logs_in(&alone)), (3, 1));
                assert_sound(&block, &receipts);
            }
            Reach::Receipts => {
                assert_eq!((in_receipts, logs_in(&alone)), (0, 0));
                assert_ne!(hash(&block["receiptsRoot"]), root);
                assert_ne!(block["logsBloom"], json!(bloom));
                assert_sound(
                    &block,
                    &rig.node("eth_getBlockReceipts", json!(["0x4"]))
                        .await
                        .as_array()
                        .unwrap()
                        .clone(),
                );
            }
            Reach::Bloom => {
                assert_eq!((in_receipts, logs_in(&alone)), (0, 0));
                assert_eq!(block["logsBloom"], json!(bloom));
                let header: alloy::consensus::Header =
                    serde_json::from_value(block.clone()).unwrap();
                assert_ne!(header.hash_slow(), hash(&block["hash"]));
            }
        }
    }
}

#[tokio::test]
async fn a_share_of_the_logs_is_the_same_each_time() {
    let rig = Rig::start().await;
    let mut seen = Vec::new();
    for seed in [1, 1, 2, 3] {
        let which = Which::Share { share: 0.5, seed };
        rig.endpoint.set(Script::honest().lie(Edit::Withhold(which), Reach::Logs));
        seen.push(rig.logs(0, HEAD).await);
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0] != seen[2] || seen[0] != seen[3]);
}

#[tokio::test]
async fn logs_are_altered_repeated_misplaced_and_invented() {
    let rig = Rig::start().await;
    let honest = rig.logs(0, HEAD).await;
    let with = |edit| rig.endpoint.set(Script::honest().lie(edit, Reach::Logs));

    with(Edit::Alter(Which::those(|log| log.block_number == Some(2))));
    let altered = rig.logs(0, HEAD).await;
    assert_ne!(altered[0].data(), honest[0].data());
    assert_eq!(altered[0].topics(), honest[0].topics());
    assert_eq!(altered[1..], honest[1..]);

    with(Edit::RepeatIndexes);
    let repeated = rig.logs(0, HEAD).await;
    assert!(repeated.iter().all(|log| log.log_index == Some(0)));

    with(Edit::WrongBlockHash(Which::those(|log| log.log_index == Some(1))));
    let misplaced = rig.logs(0, HEAD).await;
    let wrong = honest.iter().zip(&misplaced).filter(|(a, b)| a.block_hash != b.block_hash);
    assert_eq!(wrong.count(), 2);

    let data = LogData::new_unchecked(vec![keccak256("Invented()")], vec![7].into());
    let log = alloy::primitives::Log { address: rig.inbox, data };
    with(Edit::Invent(ForgedLog { block: 4, log: log.clone() }));
    let invented = rig.logs(0, HEAD).await;
    assert_eq!(invented.len(), honest.len() + 1);
    let forged = &invented[4];
    assert_eq!(forged.inner, log);
    assert_eq!((forged.block_hash, forged.log_index), (honest[3].block_hash, Some(3)));
    assert_eq!(forged.transaction_hash, honest[3].transaction_hash);
    let elsewhere = json!([{ "fromBlock": "0x0", "address": rig.anvil.account(0) }]);
    assert_eq!(rig.ask("eth_getLogs", elsewhere).await, json!([]));
}

#[tokio::test]
async fn receipts_are_hidden_or_said_to_have_failed() {
    let rig = Rig::start().await;
    let hash = rig.block(4).await["transactions"][0].clone();
    let receipt = async || rig.ask("eth_getTransactionReceipt", json!([hash])).await;
    let mut honest = receipt().await;
    assert_eq!(honest["status"], "0x1");

    rig.endpoint.set(Script::honest().receipts(ReceiptLie::Hidden));
    assert!(receipt().await.is_null());
    rig.endpoint.set(Script::honest().receipts(ReceiptLie::Failed));
    honest["status"] = json!("0x0");
    assert_eq!(receipt().await, honest);
}

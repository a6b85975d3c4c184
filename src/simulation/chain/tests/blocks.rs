//! Blocks, logs and reorgs, as the daemon sees them.

use alloy::rpc::types::TransactionReceipt;

use super::*;
use crate::chain::proof::{FullHeader, FullTransactions, Receipt, prove, prove_transactions};

fn header(chain: &mut Chain, number: u64) -> FullHeader {
    let told = ask(chain, "eth_getBlockByNumber", json!([format!("{number:#x}"), false])).unwrap();
    serde_json::from_value(told).unwrap()
}

#[test]
fn headers_are_linked_and_hashed_and_commit_to_receipts_and_transactions() {
    let mut chain = lively();
    let mut parent = None;
    let mut proven_logs = 0;
    for number in 0..=chain.number() {
        let header = header(&mut chain, number);
        assert!(header.hash_is_proven(), "{number}");
        assert!(parent.is_none_or(|hash| hash == header.fields.parent_hash));
        parent = Some(header.hash);
        let told = ask(&mut chain, "eth_getBlockReceipts", json!([header.hash])).unwrap();
        let receipts: Vec<Receipt> = serde_json::from_value(told).unwrap();
        let proven = prove(&header, receipts).unwrap();
        assert!(proven.blooms_hold());
        proven_logs += proven.logs(&Default::default()).len();
        let told = ask(&mut chain, "eth_getBlockByHash", json!([header.hash, true])).unwrap();
        let full: FullTransactions = serde_json::from_value(told).unwrap();
        let hashes = prove_transactions(&header, &full).unwrap();
        assert_eq!(Some(hashes), header.transactions);
    }
    assert_eq!(proven_logs, chain.logs().count());
    assert_eq!(proven_logs, 9);
}

#[test]
fn a_reorg_rolls_back_and_what_comes_back_has_other_hashes() {
    let mut chain = lively();
    let (key, before) = (key().address(), chain.hash(4).unwrap());
    assert!(chain.has(member(1), 1) && chain.badges(member(4)) == 1);
    assert!(chain.nonce(key) == 1 && !chain.spent(key).is_zero());
    assert_eq!(chain.reorg(1, Fate::SameOrder), 1);
    assert!(!chain.has(member(1), 1) && chain.badges(member(4)) == 0);
    assert!(chain.nonce(key) == 0 && chain.spent(key).is_zero() && chain.waiting(key) == 1);
    assert_eq!(ask(&mut chain, "eth_getBlockByHash", json!([before, false])), Ok(Json::Null));
    let lost = ask(&mut chain, "eth_getLogs", json!([{ "blockHash": before }])).unwrap_err();
    assert_eq!(lost.message, "unknown block");
    chain.mine(1_008, 10);
    assert!(chain.has(member(1), 1) && chain.number() == 4);
    assert_ne!(chain.hash(4), Some(before));
    assert_eq!(chain.reorg(1_000, Fate::Lost), 4);
    chain.mine(1_010, 10);
    assert!(chain.number() == 1 && chain.logs().next().is_none());
}

#[test]
fn what_is_orphaned_is_mined_again_in_the_order_that_its_fate_says() {
    let order = |fate| {
        let mut chain = lively();
        chain.reorg(1, fate);
        chain.mine(1_008, 10);
        let block = chain.block(4).unwrap();
        block.transactions.iter().map(|it| it.transaction.hash).collect::<Vec<_>>()
    };
    let (same, mut reversed) = (order(Fate::SameOrder), order(Fate::Reversed));
    reversed.reverse();
    assert_eq!((same, 0), (reversed, order(Fate::Lost).len()));
}

#[test]
fn a_clone_goes_its_own_way() {
    let mut chain = lively();
    let earlier = chain.clone();
    chain.reorg(3, Fate::Lost);
    assert_eq!((earlier.number(), chain.number()), (4, 1));
    assert!(earlier.has(member(1), 1) && !chain.has(member(1), 1));
}

#[test]
fn logs_are_found_by_contract_topic_and_range() {
    let mut chain = lively();
    let Deployment { badge, governor, .. } = *chain.deployment();
    let mut count = |filter: Json| {
        let told = ask(&mut chain, "eth_getLogs", json!([filter])).unwrap();
        let logs: Vec<Log> = serde_json::from_value(told).unwrap();
        assert!(logs.is_sorted_by_key(|log| (log.block_number, log.log_index)));
        logs.len()
    };
    let created = keccak(
        "ProposalCreated(uint256,address,address[],uint256[],string[],bytes[],uint256,uint256,string)",
    );
    let cast = keccak("VoteCast(address,uint256,uint8,uint256,string)");
    assert_eq!(count(json!({ "fromBlock": "0x0" })), 9);
    assert_eq!(count(json!({ "fromBlock": "0x0", "toBlock": "0x3" })), 4);
    assert_eq!(count(json!({ "fromBlock": "0x0", "toBlock": "0x100", "address": badge })), 2);
    assert_eq!(count(json!({ "fromBlock": "0x4", "address": [badge, governor] })), 3);
    assert_eq!(count(json!({ "fromBlock": "0x0", "topics": [[created, cast]] })), 2);
    assert_eq!(count(json!({ "fromBlock": "0x0", "topics": [cast, member(1).into_word()] })), 1);
    assert_eq!(count(json!({ "fromBlock": "0x0", "topics": [null, member(4).into_word()] })), 0);
    assert_eq!(count(json!({ "fromBlock": "0x3", "toBlock": "0x3" })), 0);
}

fn keccak(text: &str) -> B256 {
    alloy::primitives::keccak256(text)
}

#[test]
fn who_is_behind_does_not_see_what_is_new() {
    let mut chain = lively();
    let key = key().address();
    let block = chain.head().unwrap().clone();
    let hash = block.transactions.iter().find(|it| it.transaction.from == key).unwrap();
    let hash = hash.transaction.hash;
    for (behind, nonce, logs) in [(0, "0x1", 9), (1, "0x0", 4)] {
        let mut ask =
            |method: &str, params: Json| ask_behind(&mut chain, behind, method, params).unwrap();
        let mined = behind == 0;
        assert_eq!(ask("eth_blockNumber", json!([])), json!(format!("{:#x}", 4 - behind)));
        assert_eq!(ask("eth_getBlockByNumber", json!(["0x4", false])).is_object(), mined);
        assert_eq!(ask("eth_getBlockByHash", json!([block.hash, false])).is_object(), mined);
        assert_eq!(ask("eth_getBlockReceipts", json!(["0x4"])).is_array(), mined);
        assert_eq!(ask("eth_getTransactionCount", json!([key, "latest"])), nonce);
        assert_eq!(ask("eth_getTransactionCount", json!([key, "pending"])), "0x1");
        let receipt = ask("eth_getTransactionReceipt", json!([hash]));
        assert_eq!(receipt.is_object(), mined);
        // In its pool it is all the same.
        let told = ask("eth_getTransactionByHash", json!([hash]));
        assert_eq!((told["hash"].clone(), told["blockHash"].is_string()), (json!(hash), mined));
        let told = ask("eth_getLogs", json!([{ "fromBlock": "0x0", "toBlock": "0x4" }]));
        assert_eq!(told.as_array().unwrap().len(), logs);
        let fees = ask("eth_feeHistory", json!(["0x2", "latest", [50.0]]));
        assert_eq!(fees["baseFeePerGas"].as_array().unwrap().len(), 3);
    }
    let error = ask_behind(&mut chain, 1, "eth_getBalance", json!([key, "0x4"])).unwrap_err();
    assert_eq!(error.message, "header not found");
}

#[test]
fn a_receipt_says_what_was_paid_and_fees_follow_blocks() {
    let mut chain = lively();
    let (key, block) = (key().address(), chain.head().unwrap().clone());
    let place = block.transactions.iter().position(|it| it.transaction.from == key).unwrap();
    let hash = block.transactions[place].transaction.hash;
    let told = ask(&mut chain, "eth_getTransactionReceipt", json!([hash])).unwrap();
    let receipt: TransactionReceipt = serde_json::from_value(told).unwrap();
    assert!(receipt.status() && receipt.logs().len() == 2 && receipt.from == key);
    let paid = U256::from(receipt.effective_gas_price) * U256::from(receipt.gas_used);
    assert_eq!(paid, chain.spent(key));
    assert_eq!(paid + chain.balance(key), U256::from(100) * U256::from(GWEI * GWEI));
    chain.set_base_fee(77 * 1_000_000_000);
    let fees = ask(&mut chain, "eth_feeHistory", json!(["0x1", "latest", [0.0, 100.0]])).unwrap();
    assert_eq!(fees["baseFeePerGas"][1], json!("0x11ed8ec200"));
    assert_eq!(fees["reward"], json!([["0x3b9aca00", "0x3b9aca00"]]));
    chain.mine(1_010, 10);
    assert_eq!(header(&mut chain, 5).fields.base_fee_per_gas, Some(77_000_000_000));
    assert!(chain.next_base_fee < 77_000_000_000);
}

#[test]
fn states_of_old_blocks_are_pruned() {
    let mut chain = chain();
    for second in 0..=STATES_KEPT as u64 {
        chain.mine(2_000 + second, 10);
    }
    let who = member(1);
    assert!(ask(&mut chain, "eth_getBalance", json!([who, "0x2"])).is_ok());
    let error = ask(&mut chain, "eth_getBalance", json!([who, "0x1"])).unwrap_err();
    assert!(error.message.starts_with("missing trie node"));
    assert_eq!(chain.reorg(1_000, Fate::Lost), STATES_KEPT as u64);
}

//! What an honest endpoint of some chain may answer is no lie; and receipts of
//! every type have the bytes that they should have.

use alloy::consensus::{self, Eip658Value, ReceiptEnvelope, ReceiptWithBloom, TxType};
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::primitives::{Address, B256, Log, LogData, keccak256};
use alloy::rlp::{Encodable as _, Header};
use alloy::trie::root::ordered_trie_root_encoded;
use serde_json::{Value as Json, json};

use super::Block;
use crate::chain::answers::LogFilter;
use crate::chain::proof::{
    HeaderProof, Lie, NotProven, OddHeader, Receipt, Unprovable, compare, is_state_sync,
};

/// The JSON of a receipt with one log, and the receipt as alloy has it.
fn receipt(kind: u8, index: usize) -> (Json, consensus::Receipt) {
    let log = Log {
        address: Address::repeat_byte(kind),
        data: LogData::new_unchecked(vec![B256::repeat_byte(9)], vec![7; 70].into()),
    };
    let gas = 21_000 * (index as u64 + 1);
    let json = json!({
        "type": format!("{kind:#x}"), "status": "0x1", "cumulativeGasUsed": format!("{gas:#x}"),
        "transactionHash": B256::repeat_byte(index as u8 + 1), "blockHash": B256::ZERO,
        "transactionIndex": format!("{index:#x}"), "from": Address::ZERO, "to": null,
        "logs": [{
            "address": log.address, "topics": log.topics(), "data": log.data.data,
            "logIndex": format!("{index:#x}"),
        }],
    });
    let status = Eip658Value::Eip658(true);
    (json, consensus::Receipt { status, cumulative_gas_used: gas, logs: vec![log] })
}

/// A block of this receipts root, whose hash is proven.
fn block(receipts_root: B256, mut receipts: Vec<Json>) -> Block {
    let transactions: Vec<Json> = receipts.iter().map(|r| r["transactionHash"].clone()).collect();
    let receipts_parsed: Vec<Receipt> = serde_json::from_value(json!(receipts)).unwrap();
    let mut logs_bloom = alloy::primitives::Bloom::ZERO;
    receipts_parsed.iter().for_each(|receipt| logs_bloom.accrue_bloom(&receipt.bloom));
    let header = consensus::Header {
        number: 77,
        receipts_root,
        logs_bloom,
        state_root: B256::repeat_byte(1),
        transactions_root: B256::repeat_byte(2),
        base_fee_per_gas: Some(7),
        ..consensus::Header::default()
    };
    let hash = header.hash_slow();
    for receipt in &mut receipts {
        receipt["blockHash"] = json!(hash);
    }
    let mut block = serde_json::to_value(header).unwrap();
    block["hash"] = json!(hash);
    block["transactions"] = json!(transactions);
    block["size"] = json!("0x1");
    Block { block, receipts: json!(receipts) }
}

/// What is said of a block whose root is another.
fn verdict(receipts: Vec<Json>) -> NotProven {
    block(B256::repeat_byte(0xee), receipts).prove().unwrap_err()
}

#[test]
fn receipts_of_all_types_of_ethereum_prove() {
    let mut encoded = Vec::new();
    let mut told = Vec::new();
    let kinds =
        [TxType::Legacy, TxType::Eip2930, TxType::Eip1559, TxType::Eip4844, TxType::Eip7702];
    for (index, kind) in kinds.into_iter().enumerate() {
        let (json, receipt) = receipt(kind.into(), index);
        told.push(json);
        encoded.push(ReceiptEnvelope::from_typed(kind, receipt).encoded_2718());
    }
    let block = block(ordered_trie_root_encoded(&encoded), told);
    let proven = block.prove().unwrap();
    assert!(proven.is_anchored() && proven.blooms_hold());
    assert_eq!(proven.encoded(), encoded);
}

#[test]
fn a_deposit_is_hashed_with_nonce_and_version_since_canyon() {
    let (mut json, receipt) = receipt(0x7e, 0);
    let mut common = Vec::new();
    ReceiptWithBloom::from(receipt).encode(&mut common);
    let before_canyon = [&[0x7e], &common[..]].concat();
    let mut payload = common.as_slice();
    Header::decode(&mut payload).unwrap();
    let mut payload = payload.to_vec();
    0x123_4567_u64.encode(&mut payload);
    1_u64.encode(&mut payload);
    let mut since_canyon = vec![0x7e];
    Header { list: true, payload_length: payload.len() }.encode(&mut since_canyon);
    since_canyon.extend(payload);

    json["depositNonce"] = json!("0x1234567");
    let regolith = block(ordered_trie_root_encoded(&[&before_canyon]), vec![json.clone()]);
    assert_eq!(regolith.prove().unwrap().encoded(), [before_canyon]);
    json["depositReceiptVersion"] = json!("0x1");
    let canyon = block(ordered_trie_root_encoded(&[&since_canyon]), vec![json]);
    assert_eq!(canyon.prove().unwrap().encoded(), [since_canyon]);
}

#[test]
fn a_differing_root_is_a_lie_only_when_all_that_it_depends_on_is_known() {
    let wrong = verdict(vec![receipt(2, 0).0]);
    assert!(matches!(wrong, NotProven::Lie(Lie::WrongReceipts { .. })), "{wrong}");
    let innocent = |kind: u8, change: &dyn Fn(&mut Json)| {
        let (mut json, _) = receipt(kind, 1);
        change(&mut json);
        let NotProven::Unprovable(why) = verdict(vec![receipt(2, 0).0, json]) else {
            panic!("an honest endpoint is accused")
        };
        why
    };
    let (block, transaction_index) = (77, 1);
    let same = |_: &mut Json| {};
    let kind = |kind| Unprovable::Kind { block, transaction_index, kind };
    assert_eq!(innocent(0x7b, &same), kind(0x7b));
    assert_eq!(innocent(0x7e, &same), kind(0x7e));
    assert_eq!(
        innocent(2, &|json| json["feeToken"] = json!("0x1")),
        Unprovable::Field { block, transaction_index, field: "feeToken".to_owned() }
    );
    assert_eq!(
        innocent(0, &|json| drop(json.as_object_mut().unwrap().remove("status"))),
        Unprovable::NoOutcome { block, transaction_index }
    );
}

#[test]
fn the_state_sync_of_polygon_is_known_by_its_hash() {
    let innocent = NotProven::from(Unprovable::StateSync { block: 77 });
    // Told with its receipt.
    let mut polygon = block(B256::repeat_byte(0xee), vec![receipt(0, 0).0, receipt(0, 1).0]);
    let hash = polygon.header().hash;
    let key = [b"matic-bor-receipt-", &77_u64.to_be_bytes()[..], &hash[..]].concat();
    polygon.receipts[1]["transactionHash"] = json!(keccak256(key));
    assert_eq!(polygon.prove().unwrap_err(), innocent);

    // Told without: the root agrees, but its logs are not proven.
    let (json, receipt) = receipt(0, 0);
    let encoded = ReceiptEnvelope::from_typed(TxType::Legacy, receipt).encoded_2718();
    let mut polygon = block(ordered_trie_root_encoded(&[encoded]), vec![json]);
    let proven = polygon.prove().unwrap();
    let hash = polygon.header().hash;
    let key = [b"matic-bor-receipt-", &77_u64.to_be_bytes()[..], &hash[..]].concat();
    let state_sync = keccak256(key);
    let named = polygon.block["transactions"].as_array_mut().unwrap();
    named.push(json!(state_sync));
    assert_eq!(polygon.prove().unwrap_err(), innocent);
    let named = polygon.block["transactions"].as_array_mut().unwrap();
    named[1] = json!(B256::ZERO);
    let other = Unprovable::Unreceipted { block: 77, transactions: 2, receipts: 1 };
    assert_eq!(polygon.prove().unwrap_err(), other.into());

    // Its logs are answered, and no receipts have them.
    let truth = proven.logs(&LogFilter::default());
    let mut answered = truth.clone();
    let mut log = truth[0].clone();
    log.log_index = Some(1);
    log.transaction_index = Some(1);
    assert!(!is_state_sync(&log));
    log.transaction_hash = Some(state_sync);
    assert!(is_state_sync(&log));
    answered.push(log);
    assert_eq!(compare(&truth, &answered).unwrap_err(), innocent);
}

#[test]
fn a_node_without_old_state_roots_is_not_accused() {
    let mut ethereum = Block::ethereum();
    for receipt in ethereum.receipts.as_array_mut().unwrap() {
        receipt.as_object_mut().unwrap().remove("root");
        receipt["status"] = json!("0x1");
    }
    let why = Unprovable::StateRoots { block: 4_369_999 };
    assert_eq!(ethereum.prove().unwrap_err(), why.into());
}

#[test]
fn receipts_prove_against_a_header_that_does_not_and_say_so() {
    let mut avalanche = Block::arbitrum();
    avalanche.block["extDataHash"] = json!(B256::ZERO);
    avalanche.block["gasUsed"] = json!("0x1");
    let why = OddHeader::Unknown { field: "extDataHash".to_owned() };
    assert_eq!(*avalanche.header().proof(), HeaderProof::Unprovable { why });
    assert!(!avalanche.prove().unwrap().is_anchored());
    // A contradiction to such a header convicts nobody.
    avalanche.receipts.as_array_mut().unwrap().pop();
    let wrong = avalanche.prove().unwrap_err();
    assert!(matches!(wrong, NotProven::Unprovable(Unprovable::Header { .. })), "{wrong}");
}

#[test]
fn a_header_that_lacks_fields_is_unprovable() {
    let odd = |change: &dyn Fn(&mut Json)| {
        let mut block = Block::ethereum();
        change(&mut block.block);
        let HeaderProof::Unprovable { why } = block.header().proof().clone() else {
            panic!("neither proven nor a lie")
        };
        why
    };
    let without =
        |field: &'static str| odd(&|block| drop(block.as_object_mut().unwrap().remove(field)));
    assert_eq!(without("mixHash"), OddHeader::Missing { field: "mixHash" });
    assert_eq!(without("nonce"), OddHeader::Missing { field: "nonce" });
    assert_eq!(
        odd(&|block| block["stateRoot"] = json!("0x")),
        OddHeader::Missing { field: "stateRoot" }
    );
    assert_eq!(
        odd(&|block| block["baseFeePerGas"] = json!("0x10000000000000000")),
        OddHeader::BaseFee
    );
}

#[test]
fn blooms_that_deny_proven_logs_are_the_chains_own() {
    let (mut json, receipt) = receipt(2, 0);
    let zero = alloy::primitives::Bloom::ZERO;
    json["logsBloom"] = json!(zero);
    let with_bloom = ReceiptWithBloom::new(receipt, zero);
    let mut encoded = vec![2];
    with_bloom.encode(&mut encoded);
    let proven = block(ordered_trie_root_encoded(&[encoded]), vec![json]).prove().unwrap();
    assert!(proven.is_anchored() && !proven.blooms_hold());
}

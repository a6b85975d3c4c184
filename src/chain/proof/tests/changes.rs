//! No change of a receipt goes unseen.

use alloy::primitives::{Address, B256};
use proptest::{prelude::*, sample::Index};
use serde_json::{Value as Json, json};

use super::Block;
use crate::chain::proof::{Lie, NotProven};

#[derive(Clone, Copy, Debug)]
enum Change {
    DropLog,
    RepeatLog,
    LogAddress,
    LogData,
    LogTopic,
    DropTopic,
    SwapLogs,
    MoveLog,
    LogIndex,
    LogTransaction,
    LogBlock,
    DropReceipt,
    RepeatReceipt,
    SwapReceipts,
    Outcome,
    Gas,
    Kind,
    Bloom,
    TransactionHash,
    TransactionIndex,
    BlockHash,
}

const CHANGES: [Change; 21] = [
    Change::DropLog,
    Change::RepeatLog,
    Change::LogAddress,
    Change::LogData,
    Change::LogTopic,
    Change::DropTopic,
    Change::SwapLogs,
    Change::MoveLog,
    Change::LogIndex,
    Change::LogTransaction,
    Change::LogBlock,
    Change::DropReceipt,
    Change::RepeatReceipt,
    Change::SwapReceipts,
    Change::Outcome,
    Change::Gas,
    Change::Kind,
    Change::Bloom,
    Change::TransactionHash,
    Change::TransactionIndex,
    Change::BlockHash,
];

/// Another hexadecimal string of the same length.
fn other_hex(value: &mut Json, at: &Index) {
    let mut text = value.as_str().unwrap().to_owned();
    if text.len() <= 2 {
        text.push_str("00");
    }
    let at = 2 + at.index(text.len() - 2);
    let digit = if text.as_bytes()[at] == b'7' { "5" } else { "7" };
    text.replace_range(at..=at, digit);
    *value = json!(text);
}

/// Changes the receipts; where there is nothing of that sort to change, leaves
/// them as they are.
fn apply(change: Change, receipts: &mut Vec<Json>, [a, b, c]: [&Index; 3]) {
    let (first, second) = (a.index(receipts.len()), b.index(receipts.len()));
    match change {
        Change::DropReceipt => drop(receipts.remove(first)),
        Change::RepeatReceipt => receipts.insert(second, receipts[first].clone()),
        Change::SwapReceipts => {
            let index = receipts[first]["transactionIndex"].clone();
            receipts[first]["transactionIndex"] = receipts[second]["transactionIndex"].take();
            receipts[second]["transactionIndex"] = index;
        }
        Change::MoveLog => {
            let logs = receipts[first]["logs"].as_array_mut().unwrap();
            if let Some(log) = logs.pop() {
                receipts[second]["logs"].as_array_mut().unwrap().push(log);
            }
        }
        _ => apply_to_receipt(change, &mut receipts[first], [b, c]),
    }
}

fn apply_to_receipt(change: Change, receipt: &mut Json, [a, b]: [&Index; 2]) {
    match change {
        Change::Outcome if receipt["status"] == "0x1" => receipt["status"] = json!("0x0"),
        Change::Outcome if receipt["status"] == "0x0" => receipt["status"] = json!("0x1"),
        Change::Outcome => other_hex(&mut receipt["root"], a),
        Change::Gas => other_hex(&mut receipt["cumulativeGasUsed"], a),
        Change::Kind if receipt["type"] == "0x1" => receipt["type"] = json!("0x4"),
        Change::Kind => receipt["type"] = json!("0x1"),
        Change::Bloom => other_hex(&mut receipt["logsBloom"], a),
        Change::TransactionHash => other_hex(&mut receipt["transactionHash"], a),
        Change::TransactionIndex => receipt["transactionIndex"] = json!("0x63"),
        Change::BlockHash => other_hex(&mut receipt["blockHash"], a),
        _ => apply_to_logs(change, receipt["logs"].as_array_mut().unwrap(), [a, b]),
    }
}

fn apply_to_logs(change: Change, logs: &mut Vec<Json>, [a, b]: [&Index; 2]) {
    if logs.is_empty() {
        return;
    }
    let (first, second) = (a.index(logs.len()), b.index(logs.len()));
    let log = &mut logs[first];
    match change {
        Change::DropLog => drop(logs.remove(first)),
        Change::RepeatLog => logs.insert(second, logs[first].clone()),
        Change::LogAddress => log["address"] = json!(Address::repeat_byte(0x77)),
        Change::LogData => other_hex(&mut log["data"], b),
        Change::LogTopic => {
            let topics = log["topics"].as_array_mut().unwrap();
            match topics.is_empty() {
                true => topics.push(json!(B256::ZERO)),
                false => other_hex(&mut topics[0], b),
            }
        }
        Change::DropTopic => drop(log["topics"].as_array_mut().unwrap().pop()),
        Change::SwapLogs => {
            // Their indexes stay in order, as an endpoint's would.
            let index = log["logIndex"].clone();
            let other = logs[second]["logIndex"].clone();
            logs.swap(first, second);
            logs[first]["logIndex"] = index;
            logs[second]["logIndex"] = other;
        }
        Change::LogIndex => log["logIndex"] = json!("0x7777"),
        Change::LogTransaction => log["transactionHash"] = json!(B256::ZERO),
        _ => log["blockHash"] = json!(B256::ZERO),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 210, ..ProptestConfig::default() })]

    #[test]
    fn any_change_of_a_receipt_is_found(
        change in prop::sample::select(&CHANGES[..]),
        arbitrum in any::<bool>(),
        a in any::<Index>(), b in any::<Index>(), c in any::<Index>(),
    ) {
        let truth = if arbitrum { Block::arbitrum() } else { Block::ethereum() };
        let mut changed = truth.clone();
        apply(change, changed.receipts.as_array_mut().unwrap(), [&a, &b, &c]);
        // Nothing to change, or two of a kind were swapped.
        prop_assume!(changed.receipts != truth.receipts);
        let found = changed.prove();
        prop_assert!(matches!(found, Err(NotProven::Lie(_))), "{:?}", found.map(|p| p.len()));
    }
}

#[test]
fn a_change_is_called_what_it_is() {
    let found = |change: &dyn Fn(&mut Vec<Json>)| {
        let mut changed = Block::ethereum();
        change(changed.receipts.as_array_mut().unwrap());
        let NotProven::Lie(lie) = changed.prove().unwrap_err() else { panic!("not a lie") };
        lie
    };
    let block = 4_369_999;
    let with_logs = |receipts: &Vec<Json>| {
        receipts.iter().position(|r| !r["logs"].as_array().unwrap().is_empty()).unwrap()
    };
    let transaction_index = with_logs(Block::ethereum().receipts.as_array().unwrap());
    assert_eq!(
        found(&|receipts| receipts[transaction_index]["logs"] = json!([])),
        Lie::BloomContradiction { block, transaction_index }
    );
    assert_eq!(
        found(&|receipts| drop(receipts.pop())),
        Lie::ReceiptCount { block, transactions: 22, receipts: 21 }
    );
    assert_eq!(
        found(&|receipts| receipts[5]["cumulativeGasUsed"] = json!("0x1")),
        Lie::DecreasingGas { block, transaction_index: 5 }
    );
    let wrong = found(&|receipts| receipts[5]["root"] = json!(B256::ZERO));
    assert!(matches!(wrong, Lie::WrongReceipts { .. }), "{wrong}");
    let wrong = found(&|receipts| receipts[5]["blockHash"] = json!(B256::ZERO));
    assert!(matches!(wrong, Lie::WrongBlockHash { told: B256::ZERO, .. }), "{wrong}");
    let wrong = found(&|receipts| receipts[21]["transactionIndex"] = json!("0x20"));
    assert_eq!(wrong, Lie::WrongTransactionIndex { block, expected: 21, told: 32 });
    let wrong = found(&|receipts| {
        receipts[transaction_index]["logs"][0]["logIndex"] = json!("0x9");
    });
    let transaction_index = transaction_index as u64;
    assert_eq!(wrong, Lie::NonMonotonicLogIndex { block, transaction_index, expected: 0, told: 9 });
}

#[test]
fn receipts_in_another_order_are_the_same() {
    let mut reversed = Block::ethereum();
    reversed.receipts.as_array_mut().unwrap().reverse();
    assert_eq!(reversed.prove().unwrap().encoded(), Block::ethereum().prove().unwrap().encoded());
}

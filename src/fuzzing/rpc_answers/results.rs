//! What is made of a result.

use std::sync::LazyLock;

use alloy::{
    primitives::{B256, Bytes, U64, U128},
    rpc::types::{FeeHistory, Log},
};
use serde::de::DeserializeOwned;

use crate::{
    actors::market,
    chain::{
        adapters::ordinals,
        answers::{Header, LogBlocks, LogFilter},
        client::FullReceipt,
        proof::{FullHeader, FullTransactions, Receipt, prove, prove_transactions},
    },
    shortened::shortened,
    signing::{
        calls::decode_bool,
        fees::{Decision, FeePolicy},
    },
};

/// A block of mainnet whose receipts the corpus has.
static BLOCK: LazyLock<FullHeader> = LazyLock::new(|| {
    let block = include_str!("../../../tests/fixtures/blocks/ethereum-4369999-block.json");
    serde_json::from_str(block).unwrap()
});
/// Hash of all its logs, in order: see [`digest`].
static LOGS: LazyLock<String> = LazyLock::new(|| {
    let receipts = include_str!("../../../tests/fixtures/blocks/ethereum-4369999-receipts.json");
    let receipts: Vec<Receipt> = serde_json::from_str(receipts).unwrap();
    digest(&prove(&BLOCK, receipts).unwrap().logs(&LogFilter::default()))
});

pub(super) fn result(method: &str, text: &str) {
    match method {
        "eth_getLogs" => {
            if let Some(logs) = read::<Vec<Log>>(text) {
                told_logs(logs);
            }
        }
        "eth_getBlockByNumber" => block(text),
        "eth_getBlockReceipts" => receipts(text),
        "eth_feeHistory" => {
            if let Some(history) = read::<FeeHistory>(text) {
                fees(&history);
            }
        }
        "eth_call" => {
            if let Some(bytes) = read::<Bytes>(text)
                && decode_bool(&bytes).is_some()
            {
                assert!(bytes.len() >= 32, "less than a word is no yes or no");
            }
        }
        "eth_getTransactionReceipt" => drop(read::<Option<FullReceipt>>(text)),
        "eth_sendRawTransaction" => drop(read::<B256>(text)),
        "eth_gasPrice" => drop(read::<U128>(text)),
        _ => drop(read::<U64>(text)),
    }
}

/// What can't be read is told shortly.
fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    match serde_json::from_str(text) {
        Ok(value) => Some(value),
        Err(error) => {
            let why = shortened(&error);
            assert!(why.chars().count() <= 300, "an error that repeats the answer: {why}");
            None
        }
    }
}

/// Logs that pass the checks are in order, pass them again, and each has its place.
fn told_logs(mut logs: Vec<Log>) {
    let all = LogBlocks::Range(0, u64::MAX);
    if LogFilter::default().check(&all, &mut logs).is_err() {
        return;
    }
    assert!(logs.is_sorted_by_key(|log| (log.block_number, log.log_index)));
    assert_eq!(ordinals(&logs).len(), logs.len());
    let mut again = logs.clone();
    assert_eq!(LogFilter::default().check(&all, &mut again), Ok(()));
    assert_eq!(digest(&again), digest(&logs), "checking changes nothing but the order");
}

/// A header is read alike by whoever reads it; its hash proves what it says.
fn block(text: &str) {
    let header = read::<Option<Header>>(text).flatten();
    let Some(full) = read::<Option<FullHeader>>(text).flatten() else { return };
    if let Some(header) = header {
        assert_eq!(header.block, full.block(), "two readings of one header");
    }
    if full.hash_is_proven() && full.block().hash == BLOCK.block().hash {
        assert!(full.says_the_same(&BLOCK), "a header with the hash of another");
    }
    if let Some(transactions) = read::<FullTransactions>(text)
        && let Ok(hashes) = prove_transactions(&full, &transactions)
    {
        assert_eq!(hashes.len(), transactions.encoded().len());
    }
}

/// Nothing is proven to be in a block but what is in it.
fn receipts(text: &str) {
    let Some(receipts) = read::<Vec<Receipt>>(text) else { return };
    match prove(&BLOCK, receipts) {
        Ok(proven) => {
            let logs = proven.logs(&LogFilter::default());
            assert_eq!(digest(&logs), *LOGS, "logs that the block does not have");
        }
        Err(error) => assert!(error.to_string().chars().count() <= 1_000),
    }
}

/// Addresses, topics, data and places. Hashes of transactions are not in the trie.
fn digest(logs: &[Log]) -> String {
    let plain = logs.iter().map(|log| Log { transaction_hash: None, ..log.clone() });
    serde_json::to_string(&plain.collect::<Vec<_>>()).unwrap()
}

/// Whatever is asked, nothing above the cap is offered.
fn fees(history: &FeeHistory) {
    let Some(market) = market::of_history(history) else { return };
    let cap = 60_000_000_000;
    let policy = FeePolicy { price_margin_percent: 10, min_tip: 1, max_fee_per_gas: cap };
    let first = policy.price(&market);
    let Decision::Pay(offer) = first else { return };
    assert!(offer.max_per_gas() <= cap && offer.tip_per_gas() <= offer.max_per_gas(), "{offer:?}");
    if let Decision::Pay(dearer) = policy.replace(offer, &market) {
        assert!(dearer.max_per_gas() <= cap && dearer.max_per_gas() > offer.max_per_gas());
    }
}

//! Proofs over real blocks, and what is said of answers that were changed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod changes;
mod innocence;
mod logs;

use serde_json::{Value as Json, json};

use super::{
    FullHeader, FullTransactions, HeaderProof, Lie, NotProven, ProvenReceipts, Receipt, Unprovable,
    prove, prove_inclusion, prove_transactions, verify_inclusion,
};
use crate::chain::answers::LogFilter;

/// A block's answer and its receipts', as JSON.
#[derive(Clone)]
struct Block {
    block: Json,
    receipts: Json,
}

impl Block {
    fn ethereum() -> Self {
        Self {
            block: read(include_str!("../../../tests/fixtures/blocks/ethereum-4369999-block.json")),
            receipts: read(include_str!(
                "../../../tests/fixtures/blocks/ethereum-4369999-receipts.json"
            )),
        }
    }

    fn arbitrum() -> Self {
        Self::of(include_str!("../../../tests/fixtures/blocks/arbitrum-150000000.json"))
    }

    fn cronos() -> Self {
        Self::of(include_str!("../../../tests/fixtures/blocks/cronos-6541.json"))
    }

    fn of(file: &str) -> Self {
        let mut both = read(file);
        Self { block: both["block"].take(), receipts: both["receipts"].take() }
    }

    fn header(&self) -> FullHeader {
        serde_json::from_str(&self.block.to_string()).unwrap()
    }

    fn receipts(&self) -> Vec<Receipt> {
        serde_json::from_str(&self.receipts.to_string()).unwrap()
    }

    fn prove(&self) -> Result<ProvenReceipts, NotProven> {
        prove(&self.header(), self.receipts())
    }
}

fn read(file: &str) -> Json {
    serde_json::from_str(file).unwrap()
}

#[test]
fn receipts_with_state_roots_prove() {
    let proven = Block::ethereum().prove().unwrap();
    assert!(proven.is_anchored());
    assert!(proven.blooms_hold());
    assert_eq!(proven.len(), 22);
    assert_eq!(proven.logs(&LogFilter::default()).len(), 171);
}

#[test]
fn receipts_of_a_chain_with_types_of_its_own_prove() {
    let arbitrum = Block::arbitrum();
    let proven = arbitrum.prove().unwrap();
    assert!(proven.is_anchored());
    assert!(proven.blooms_hold());
    let kinds: Vec<_> = arbitrum.receipts().iter().map(|receipt| receipt.kind).collect();
    assert!(kinds.contains(&0x6a) && kinds.contains(&2) && kinds.contains(&0), "{kinds:?}");
}

#[test]
fn a_chain_that_commits_to_nothing_is_not_accused() {
    let cronos = Block::cronos();
    assert!(matches!(cronos.header().proof(), HeaderProof::Differs { .. }));
    let expected = Unprovable::NoCommitment { block: 6541 };
    assert_eq!(cronos.prove().unwrap_err(), expected.clone().into());
    // With receipts it would be the same.
    let mut with_receipts = cronos;
    with_receipts.receipts = Block::arbitrum().receipts;
    assert_eq!(with_receipts.prove().unwrap_err(), expected.into());
}

#[test]
fn full_transactions_prove_their_hashes() {
    let mut ethereum = Block::ethereum();
    let full: FullTransactions = serde_json::from_value(ethereum.block.clone()).unwrap();
    let hashes = ethereum.header().transactions.unwrap();
    assert_eq!(prove_transactions(&ethereum.header(), &full), Ok(hashes));

    ethereum.block["transactions"][3]["hash"] = json!(alloy::primitives::B256::ZERO);
    let wrong = prove_transactions(&ethereum.header(), &full).unwrap_err();
    assert!(
        matches!(
            wrong,
            NotProven::Lie(Lie::WrongTransactionHash { transaction_index: 3, told, .. })
                if told.is_zero()
        ),
        "{wrong}"
    );
    let mut fewer = full.clone();
    fewer.transactions.pop();
    let wrong = prove_transactions(&ethereum.header(), &fewer).unwrap_err();
    assert!(matches!(wrong, NotProven::Lie(Lie::WrongTransactions { .. })), "{wrong}");
    ethereum.block["transactions"].as_array_mut().unwrap().pop();
    let wrong = prove_transactions(&ethereum.header(), &full).unwrap_err();
    assert!(matches!(wrong, NotProven::Lie(Lie::TransactionCount { .. })), "{wrong}");
}

#[test]
fn one_receipt_is_proven_by_the_nodes_on_the_way_to_it() {
    for block in [Block::ethereum(), Block::arbitrum()] {
        let root = block.header().fields.receipts_root;
        let encoded = block.prove().unwrap().encoded();
        for (index, receipt) in encoded.iter().enumerate() {
            let nodes = prove_inclusion(&encoded, index).unwrap();
            assert!(verify_inclusion(root, index, receipt, &nodes));
            assert!(!verify_inclusion(root, index + 1, receipt, &nodes));
            assert!(!verify_inclusion(root, index, &receipt[1..], &nodes));
            assert!(!verify_inclusion(root, index, receipt, &nodes[1..]));
        }
        assert_eq!(prove_inclusion(&encoded, encoded.len()), None);
    }
    let single = vec![Block::arbitrum().prove().unwrap().encoded().remove(0)];
    let root = alloy::trie::root::ordered_trie_root_encoded(&single);
    let nodes = prove_inclusion(&single, 0).unwrap();
    assert!(verify_inclusion(root, 0, &single[0], &nodes));
}

#[test]
fn a_header_that_differs_from_a_proven_one_is_a_lie() {
    let truth = Block::ethereum();
    let proven = truth.header();
    assert!(proven.hash_is_proven());
    assert_eq!(proven.contradicts(&proven), None);
    let zero = json!(alloy::primitives::B256::ZERO);
    for (field, value, what) in [
        ("number", json!("0x1"), "number"),
        ("parentHash", zero.clone(), "parent"),
        ("timestamp", json!("0x1"), "time"),
        ("receiptsRoot", zero.clone(), "receipts root"),
        ("transactionsRoot", zero, "transactions root"),
        ("logsBloom", json!(alloy::primitives::Bloom::ZERO), "bloom"),
    ] {
        let mut told = truth.clone();
        told.block[field] = value;
        let told = told.header();
        assert!(matches!(told.proof(), HeaderProof::Differs { .. }));
        let (block, hash) = (proven.fields.number, proven.hash);
        assert_eq!(told.contradicts(&proven), Some(Lie::AlteredHeader { block, hash, what }));
        // The word of an unproven header against a proven one is none.
        assert_eq!(proven.contradicts(&told), None);
    }
}

#[test]
fn transactions_may_be_told_as_hashes_or_in_full() {
    let full = Block::ethereum();
    let mut hashes = full.clone();
    let list = hashes.block["transactions"].as_array_mut().unwrap();
    for transaction in list.iter_mut() {
        *transaction = transaction["hash"].take();
    }
    assert_eq!(full.header(), hashes.header());
    assert_eq!(full.header().transactions.unwrap().len(), 22);
    let mut none = full;
    none.block.as_object_mut().unwrap().remove("transactions");
    assert_eq!(none.header().transactions, None);
    assert!(none.prove().is_ok());
}

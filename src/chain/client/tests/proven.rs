//! Logs by proof, against endpoints of which some lie.

use alloy::{
    consensus::{self, EMPTY_ROOT_HASH},
    primitives::B256,
    rpc::types::Header,
};
use serde_json::{Value as Json, json};

use super::{
    responder::{Reply, Responder},
    *,
};
use crate::chain::answers::LogFilter;

/// A real block of 22 transactions and 171 logs.
pub(super) const REAL: u64 = 4_369_999;

pub(super) fn real() -> (Json, Json) {
    let read = |file: &str| serde_json::from_str(file).unwrap();
    (
        read(include_str!("../../../../tests/fixtures/blocks/ethereum-4369999-block.json")),
        read(include_str!("../../../../tests/fixtures/blocks/ethereum-4369999-receipts.json")),
    )
}

/// The place of the first receipt that has any.
fn first_with_logs(receipts: &Json) -> usize {
    let has_logs = |receipt: &Json| !receipt["logs"].as_array().unwrap().is_empty();
    receipts.as_array().unwrap().iter().position(has_logs).unwrap()
}

/// An endpoint with one block.
async fn node(block: Json, receipts: Json) -> Responder {
    Responder::start(move |method, _| match method {
        "eth_getBlockReceipts" => Reply::Result(receipts.clone()),
        _ => Reply::Result(block.clone()),
    })
    .await
}

pub(super) fn hash_of(block: &Json) -> B256 {
    serde_json::from_value(block["hash"].clone()).unwrap()
}

/// Blocks without transactions, each upon the one before.
fn chain(length: u64, salt: u8) -> Vec<Json> {
    let mut parent_hash = B256::repeat_byte(1);
    (0..length)
        .map(|number| {
            let header = Header::new(consensus::Header {
                number,
                parent_hash,
                state_root: B256::repeat_byte(salt),
                receipts_root: EMPTY_ROOT_HASH,
                transactions_root: EMPTY_ROOT_HASH,
                base_fee_per_gas: Some(7),
                ..Default::default()
            });
            parent_hash = header.hash;
            let mut told = serde_json::to_value(header).unwrap();
            told["transactions"] = json!([]);
            told
        })
        .collect()
}

/// An endpoint with some blocks at their heights, which knows others by hash.
async fn holder(canonical: Vec<Json>, others: Vec<Json>) -> Responder {
    Responder::start(move |method, params| {
        let found = match method {
            "eth_getBlockByNumber" => canonical.iter().find(|block| block["number"] == params[0]),
            "eth_getBlockByHash" => {
                canonical.iter().chain(&others).find(|block| block["hash"] == params[0])
            }
            _ => None,
        };
        Reply::Result(found.cloned().unwrap_or_default())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_taken_from_receipts_of_the_headers_root() {
    let (block, receipts) = real();
    let node = node(block.clone(), receipts).await;
    let Rig { client, tree: _tree, .. } = rig(&[&node.url]);
    let all = LogFilter::default();
    let proven = client.proven_logs(&all, REAL, REAL, None).await.unwrap();
    assert_eq!(proven.logs.len(), 171);
    assert_eq!(proven.blocks[0].hash, hash_of(&block));
    assert_eq!(client.proven_logs_of(&all, hash_of(&block)).await.unwrap(), proven.logs);
    assert_eq!(node.calls("eth_getLogs"), 0);
    // Its bloom was shown to hold: it denies what is not there.
    let asked = node.calls("eth_getBlockReceipts");
    let nobody = LogFilter { addresses: vec![alloy::primitives::Address::ZERO], topics0: vec![] };
    assert_eq!(client.proven_logs_of(&nobody, hash_of(&block)).await, Ok(vec![]));
    assert_eq!(node.calls("eth_getBlockReceipts"), asked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_withholds_or_invents_logs_is_convicted_and_another_one_asked() {
    let (block, receipts) = real();
    let with_logs = first_with_logs(&receipts);
    let (mut withheld, mut invented) = (receipts.clone(), receipts.clone());
    withheld[with_logs]["logs"].as_array_mut().unwrap().pop();
    let extra = invented[with_logs]["logs"][0].clone();
    invented[with_logs]["logs"].as_array_mut().unwrap().push(extra);
    let mut altered = receipts.clone();
    altered[with_logs]["logs"][0]["data"] = json!("0x01");
    for (what, lie) in [
        ("withheld", withheld),
        ("invented", invented),
        ("altered", altered),
        ("denied", json!([])),
    ] {
        let (liar, honest) =
            (node(block.clone(), lie).await, node(block.clone(), receipts.clone()).await);
        let Rig { client, metrics, tree: _tree, mut lies } = rig(&[&liar.url, &honest.url]);
        let all = LogFilter::default();
        let error = client.only(0).proven_logs_of(&all, hash_of(&block)).await.unwrap_err();
        let caught = matches!(error, RpcError::Wrong { .. } | RpcError::Quarantined { .. });
        assert!(caught, "{what}: {error}");
        let told = lies.try_recv().unwrap();
        assert_eq!((&*told.endpoint, told.kind), ("local-0", LieKind::Receipt));
        assert_eq!(metrics.endpoint_quarantined.with_label_values(&["local-0"]).get(), 1);
        assert_eq!(client.proven_logs_of(&all, hash_of(&block)).await.unwrap().len(), 171);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_liar_proves_nothing_and_nothing_is_taken_from_it() {
    let (block, mut receipts) = real();
    receipts.as_array_mut().unwrap().pop();
    let liar = node(block.clone(), receipts).await;
    let Rig { client, tree: _tree, .. } = rig(&[&liar.url]);
    let error = client.proven_logs_of(&LogFilter::default(), hash_of(&block)).await.unwrap_err();
    assert!(matches!(error, RpcError::Wrong { .. }), "{error}");
    // A node that keeps no receipts proves nothing, and accuses nobody.
    let without = node(block.clone(), Json::Null).await;
    let Rig { client, tree: _other, mut lies, .. } = rig(&[&without.url]);
    let error = client.proven_logs_of(&LogFilter::default(), hash_of(&block)).await.unwrap_err();
    assert!(matches!(error, RpcError::Unproven { block: REAL, .. }), "{error}");
    assert!(lies.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_with_a_false_root_is_corrected_by_one_whose_hash_proves_it() {
    let (block, receipts) = real();
    let mut forged = block.clone();
    forged["receiptsRoot"] = json!(B256::repeat_byte(7));
    let liar = node(forged, json!([])).await;
    let honest = node(block.clone(), receipts).await;
    let Rig { client, tree: _tree, mut lies, .. } = rig(&[&liar.url, &honest.url]);
    let all = LogFilter::default();
    let told = loop {
        // Whichever is asked first, nothing false is taken.
        assert_eq!(client.proven_logs_of(&all, hash_of(&block)).await.unwrap().len(), 171);
        if let Ok(told) = lies.try_recv() {
            break told;
        }
    };
    assert_eq!((&*told.endpoint, told.kind), ("local-0", LieKind::Header));
    assert!(told.reason.contains("receipts root"), "{}", told.reason);

    // Alone it can't be told from a chain that hashes its headers otherwise.
    let Rig { client, tree: _other, mut lies, .. } = rig(&[&liar.url]);
    let error = client.proven_logs_of(&LogFilter::default(), hash_of(&block)).await.unwrap_err();
    assert!(error.to_string().contains("no second endpoint"), "{error}");
    assert!(lies.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_hangs_on_a_block_that_most_endpoints_name() {
    let (right, wrong) = (chain(6, 0), chain(6, 9));
    let forked = holder(wrong.clone(), right.clone()).await;
    let (one, two) = (holder(right.clone(), vec![]).await, holder(right.clone(), vec![]).await);
    let Rig { client, tree: _tree, mut lies, .. } = rig(&[&forked.url, &one.url, &two.url]);
    let proven = client.proven_logs(&LogFilter::default(), 2, 5, None).await.unwrap();
    let hashes: Vec<B256> = proven.blocks.iter().map(|block| block.hash).collect();
    assert_eq!(hashes, right[2..].iter().map(hash_of).collect::<Vec<_>>());
    assert_eq!(&*lies.try_recv().unwrap().endpoint, "local-0");

    // One against one is nobody's word.
    let Rig { client, tree: _other, mut lies, .. } = rig(&[&forked.url, &one.url]);
    let error = client.proven_logs(&LogFilter::default(), 2, 5, None).await.unwrap_err();
    assert!(error.to_string().contains("none has a majority"), "{error}");
    assert!(lies.try_recv().is_err());
    // Unless it is known.
    let top = Some(hash_of(&right[5]));
    let proven = client.proven_logs(&LogFilter::default(), 2, 5, top).await.unwrap();
    assert_eq!(proven.blocks.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_is_no_ancestor_of_the_top_is_replaced_and_its_giver_convicted() {
    let (right, wrong) = (chain(6, 0), chain(6, 9));
    let mut mixed = right.clone();
    mixed[3] = wrong[3].clone();
    let liar = holder(mixed, right.clone()).await;
    let honest = holder(right.clone(), vec![]).await;
    let Rig { client, tree: _tree, mut lies, .. } = rig(&[&liar.url, &honest.url]);
    let proven = client.proven_logs(&LogFilter::default(), 1, 5, None).await.unwrap();
    assert_eq!(proven.blocks[2].hash, hash_of(&right[3]));
    let told = lies.try_recv().unwrap();
    assert_eq!((&*told.endpoint, told.kind), ("local-0", LieKind::Header));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_names_a_false_parent_is_convicted_and_its_branch_is_not_followed() {
    let (right, wrong) = (chain(6, 0), chain(6, 9));
    // The true hash on top, a false parent in it, and a branch that fits that.
    let mut top = right[5].clone();
    top["parentHash"] = wrong[4]["hash"].clone();
    let mut told = wrong.clone();
    told[5] = top;
    let liar = holder(told, vec![]).await;
    let (one, two) = (holder(right.clone(), vec![]).await, holder(right.clone(), vec![]).await);
    let Rig { client, tree: _tree, mut lies, .. } = rig(&[&liar.url, &one.url, &two.url]);
    let all = LogFilter::default();
    let mut convicted = Vec::new();
    for _ in 0..20 {
        let proven = client.proven_logs(&all, 1, 5, None).await.unwrap();
        let hashes: Vec<B256> = proven.blocks.iter().map(|block| block.hash).collect();
        assert_eq!(hashes, right[1..].iter().map(hash_of).collect::<Vec<_>>());
        convicted.extend(std::iter::from_fn(|| lies.try_recv().ok()));
    }
    assert!(!convicted.is_empty());
    assert!(convicted.iter().all(|lie| &*lie.endpoint == "local-0"), "{convicted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_have_their_own_hashes_whoever_names_them_otherwise() {
    let (block, receipts) = real();
    let with_logs = first_with_logs(&receipts);
    let false_hash = json!(B256::repeat_byte(0xee));
    let (mut other_block, mut other_receipts) = (block.clone(), receipts.clone());
    other_block["transactions"][with_logs]["hash"] = false_hash.clone();
    other_receipts[with_logs]["transactionHash"] = false_hash.clone();
    for log in other_receipts[with_logs]["logs"].as_array_mut().unwrap() {
        log["transactionHash"] = false_hash.clone();
    }
    let all = LogFilter::default();
    let honest = node(block.clone(), receipts.clone()).await;
    let Rig { client, tree: _tree, .. } = rig(&[&honest.url]);
    let truth = client.proven_logs_of(&all, hash_of(&block)).await.unwrap();
    // Both false, the receipts alone, the list alone, a list that lacks one.
    let mut short = block.clone();
    short["transactions"].as_array_mut().unwrap().pop();
    for (block_told, receipts_told) in [
        (other_block.clone(), other_receipts.clone()),
        (block.clone(), other_receipts),
        (other_block, receipts.clone()),
        (short, receipts.clone()),
    ] {
        let liar = node(block_told, receipts_told).await;
        let Rig { client, tree: _other, mut lies, .. } = rig(&[&liar.url, &honest.url]);
        for _ in 0..12 {
            let found = client.proven_logs_of(&all, hash_of(&block)).await;
            assert_eq!(found.as_ref(), Ok(&truth));
        }
        while let Ok(lie) = lies.try_recv() {
            assert_eq!(&*lie.endpoint, "local-0", "nobody else is accused: {lie:?}");
        }
    }
}

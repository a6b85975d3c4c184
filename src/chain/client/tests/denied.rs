//! Logs that the bloom of their block denies.

use alloy::{
    consensus::{self, EMPTY_ROOT_HASH},
    primitives::{Address, B256, Bloom, Bytes, LogData},
    rpc::types::{Header, Log},
};
use serde_json::{Value as Json, json};

use super::{
    proven::{REAL, hash_of, real},
    responder::{Reply, Responder},
    *,
};
use crate::chain::{
    answers::LogFilter,
    proof::{FullHeader, prove},
};

/// An endpoint with one block, which tells these logs of it.
async fn node(block: &Json, receipts: &Json, logs: &[Json]) -> Responder {
    let (block, receipts, logs) = (block.clone(), receipts.clone(), json!(logs));
    Responder::start(move |method, _| match method {
        "eth_getLogs" => Reply::Result(logs.clone()),
        "eth_getBlockReceipts" => Reply::Result(receipts.clone()),
        "eth_blockNumber" => Reply::Result(block["number"].clone()),
        _ => Reply::Result(block.clone()),
    })
    .await
}

/// The real logs of a contract of the real block, and those with one more.
fn true_and_false() -> (LogFilter, Vec<Json>, Vec<Json>) {
    let (block, receipts) = real();
    let header: FullHeader = serde_json::from_value(block).unwrap();
    let proven = prove(&header, serde_json::from_value(receipts).unwrap()).unwrap();
    let all = proven.logs(&LogFilter::default());
    let filter = LogFilter { addresses: vec![all[0].address()], topics0: vec![] };
    let known: Vec<Log> = proven.logs(&filter);
    let mut extra = Log { log_index: Some(171), ..all.last().unwrap().clone() };
    // Somebody else's vote.
    let topics = [known[0].topics(), &[B256::repeat_byte(0x77)]].concat();
    extra.inner.address = known[0].address();
    extra.inner.data = LogData::new_unchecked(topics, Bytes::new());
    let json = |log: &Log| serde_json::to_value(log).unwrap();
    let known: Vec<Json> = known.iter().map(json).collect();
    let told = [known.clone(), vec![json(&extra)]].concat();
    (filter, known, told)
}

fn parsed(logs: &[Json]) -> Vec<Log> {
    logs.iter().map(|log| serde_json::from_value(log.clone()).unwrap()).collect()
}

fn bloom_of(block: &Json) -> Bloom {
    serde_json::from_value(block["logsBloom"].clone()).unwrap()
}

fn hint(bloom: &Bloom) -> Option<BloomHint<'_>> {
    Some(BloomHint { bloom, expects_logs: false })
}

/// A block of nobody's logs, whose hash is proven.
fn bare(transactions_root: B256, logs_bloom: Bloom) -> Json {
    let header = Header::new(consensus::Header {
        number: REAL,
        receipts_root: B256::repeat_byte(4),
        transactions_root,
        logs_bloom,
        base_fee_per_gas: Some(7),
        ..Default::default()
    });
    let mut told = serde_json::to_value(header).unwrap();
    told["transactions"] = json!([]);
    told
}

fn log_of(block: &Json) -> (LogFilter, Json) {
    let log = json!({
        "address": Address::repeat_byte(1), "topics": [B256::repeat_byte(2)], "data": "0x",
        "blockNumber": block["number"], "blockHash": block["hash"],
        "transactionHash": B256::repeat_byte(3), "transactionIndex": "0x0", "logIndex": "0x0",
        "removed": false,
    });
    (LogFilter { addresses: vec![Address::repeat_byte(1)], topics0: vec![] }, log)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_invents_a_log_that_the_bloom_denies_is_convicted_and_another_one_asked() {
    let (block, receipts) = real();
    let (filter, known, told) = true_and_false();
    let (hash, bloom) = (hash_of(&block), bloom_of(&block));
    let honest = node(&block, &receipts, &known).await;
    // Its receipts, where it has any, refute it; else the other endpoint does.
    for its_receipts in [receipts.clone(), Json::Null] {
        let liar = node(&block, &its_receipts, &told).await;
        let Rig { client, tree: _tree, mut lies, .. } = rig(&[&liar.url, &honest.url]);
        // Whichever would be asked first.
        let error = client.settle_denied(0, hash, &bloom, &parsed(&told)).await.unwrap_err();
        assert!(matches!(error, RpcError::Wrong { .. }), "{error}");
        let told = lies.try_recv().unwrap();
        assert_eq!((&*told.endpoint, told.kind), ("local-0", LieKind::Logs));
        assert!(told.reason.contains("denies log 171"), "{}", told.reason);
        let logs = client.logs_of_block(&filter, hash, hint(&bloom)).await.unwrap();
        assert_eq!(logs, parsed(&known));
    }
    // Alone it is refused.
    let liar = node(&block, &receipts, &told).await;
    let Rig { client, tree: _other, .. } = rig(&[&liar.url]);
    let error = client.logs_of_block(&filter, hash, hint(&bloom)).await.unwrap_err();
    assert!(matches!(error, RpcError::Wrong { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_with_an_invented_log_is_refused_and_its_giver_set_aside() {
    let (block, receipts) = real();
    let (filter, known, told) = true_and_false();
    let bloom = bloom_of(&block);
    let (liar, honest) =
        (node(&block, &receipts, &told).await, node(&block, &receipts, &known).await);
    let Rig { client, tree: _tree, mut lies, .. } = rig(&[&liar.url, &honest.url]);
    let at = client.headers(&[REAL]).await.unwrap()[0].block;
    let range = client.only(0).logs(&filter, REAL, REAL).await.unwrap();
    // Of a block whose bloom is not known, and of another branch, nothing is said.
    assert_eq!(client.check_presence(&range, &range.logs, []).await, Ok(()));
    let other = crate::domain::BlockRef { hash: B256::repeat_byte(1), ..at };
    assert_eq!(client.check_presence(&range, &range.logs, [(&other, &bloom)]).await, Ok(()));
    let error = client.check_presence(&range, &range.logs, [(&at, &bloom)]).await.unwrap_err();
    assert!(matches!(error, RpcError::Wrong { .. }), "{error}");
    assert_eq!(&*lies.try_recv().unwrap().endpoint, "local-0");
    let range = client.logs(&filter, REAL, REAL).await.unwrap();
    assert_eq!(range.logs, parsed(&known));
    assert_eq!(client.check_presence(&range, &range.logs, [(&at, &bloom)]).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_bloom_accuses_nobody_who_told_the_logs() {
    let (block, receipts) = real();
    let (filter, known, _) = true_and_false();
    let honest = node(&block, &receipts, &known).await;
    let Rig { client, tree: _tree, mut lies, .. } = rig(&[&honest.url]);
    // Somebody hid logs with it.
    let logs = client.logs_of_block(&filter, hash_of(&block), hint(&Bloom::ZERO)).await;
    assert_eq!(logs, Ok(parsed(&known)));
    assert!(lies.try_recv().is_err());
    // A true one costs no call.
    let asked = honest.methods.lock().unwrap().len();
    let bloom = bloom_of(&block);
    client.logs_of_block(&filter, hash_of(&block), hint(&bloom)).await.unwrap();
    assert_eq!(honest.methods.lock().unwrap().len(), asked + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_keeps_no_blooms_is_read_all_the_same() {
    // Neither its blooms nor its receipts say anything.
    let block = bare(B256::repeat_byte(9), Bloom::ZERO);
    let (filter, log) = log_of(&block);
    let logs = [log];
    let (one, two) = (node(&block, &Json::Null, &logs).await, node(&block, &Json::Null, &[]).await);
    let Rig { client, tree: _tree, mut lies, .. } = rig(&[&one.url, &two.url]);
    let found = client.only(0).logs_of_block(&filter, hash_of(&block), hint(&Bloom::ZERO)).await;
    assert_eq!(found, Ok(parsed(&logs)));
    assert!(lies.try_recv().is_err());
    // A block without transactions has no logs, whatever the chain.
    let block = bare(EMPTY_ROOT_HASH, Bloom::ZERO);
    let (filter, log) = log_of(&block);
    let liar = node(&block, &Json::Null, &[log]).await;
    let Rig { client, tree: _other, mut lies, .. } = rig(&[&liar.url]);
    let found = client.logs_of_block(&filter, hash_of(&block), hint(&Bloom::ZERO)).await;
    assert!(matches!(found, Err(RpcError::Wrong { .. })), "{found:?}");
    assert!(lies.try_recv().is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blooms_that_two_endpoints_refute_are_not_asked_again() {
    let bloom = Bloom::repeat_byte(1);
    let block = bare(B256::repeat_byte(9), bloom);
    let (filter, log) = log_of(&block);
    let logs = [log];
    let (one, two) =
        (node(&block, &Json::Null, &logs).await, node(&block, &Json::Null, &logs).await);
    let Rig { client, tree: _tree, mut lies, .. } = rig(&[&one.url, &two.url]);
    for calls in [2, 3] {
        let found = client.logs_of_block(&filter, hash_of(&block), hint(&bloom)).await;
        assert_eq!(found, Ok(parsed(&logs)));
        assert_eq!(one.calls("eth_getLogs") + two.calls("eth_getLogs"), calls);
    }
    assert!(lies.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_sync_of_polygon_is_no_lie_there_and_one_elsewhere() {
    let bloom = Bloom::repeat_byte(1);
    let block = bare(B256::repeat_byte(9), bloom);
    let (filter, mut log) = log_of(&block);
    let key = [b"matic-bor-receipt-", &REAL.to_be_bytes()[..], &hash_of(&block)[..]].concat();
    log["transactionHash"] = json!(alloy::primitives::keccak256(key));
    let logs = [log];
    let endpoint = node(&block, &Json::Null, &logs).await;
    for (chain_id, is_believed) in [(137, true), (CHAIN_ID, false)] {
        let Rig { mut client, tree: _tree, mut lies, .. } = rig(&[&endpoint.url]);
        // The endpoint tells our chain; that was checked by then.
        client.logs(&filter, REAL, REAL).await.unwrap();
        loop {
            if let Some(shared) = Arc::get_mut(&mut client.shared) {
                shared.chain_id = chain_id;
                break;
            }
            tokio::task::yield_now().await;
        }
        let found = client.logs_of_block(&filter, hash_of(&block), hint(&bloom)).await;
        assert_eq!(found.is_ok(), is_believed, "{found:?}");
        assert_eq!(lies.try_recv().is_err(), is_believed);
    }
}

//! Against a real node.

use alloy::{
    consensus::{SignableTransaction, TxEip1559},
    eips::{BlockId, BlockNumberOrTag, eip2718::Encodable2718},
    primitives::{Address, B256, Bytes, TxKind, U256},
    rpc::types::TransactionRequest,
    signers::{SignerSync, local::PrivateKeySigner},
};

use super::*;
use crate::{
    breakers::BreakerState,
    chain::{
        adapters::{Adapter, Decoded, Kind, LogContext, ordinals},
        answers::LogFilter,
        headers::{HeadChange, HeaderWindow},
    },
    cli::demo::{
        anvil::{Anvil, Mining},
        world::World,
    },
};

const LATEST: BlockNumberOrTag = BlockNumberOrTag::Latest;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_of_real_contracts_become_standard_events() {
    let world = World::create(Mining::Every(Duration::from_millis(100))).await.unwrap();
    let member = world.anvil.account(3);
    world.mint_badge(member).await.unwrap();
    world.propose(world.admin, "Plant trees").await.unwrap();
    let Rig { client, tree: _tree, .. } = rig(&[world.anvil.url()]);

    let head = client.block_number().await.unwrap();
    let mut names = Vec::new();
    for (kind, address) in [
        (Kind::Erc721, world.badge),
        (Kind::Governor, world.governor),
        (Kind::Achievements, world.achievements),
    ] {
        let adapter = Adapter::for_kind(kind, None).unwrap();
        let filter = LogFilter { addresses: vec![address], topics0: adapter.topics0() };
        let range = client.logs(&filter, 0, head).await.unwrap();
        assert_eq!(range.through, head);
        for (log, ordinal) in range.logs.iter().zip(ordinals(&range.logs)) {
            let number = BlockNumberOrTag::Number(log.block_number.unwrap());
            let header = client.header(number).await.unwrap().unwrap();
            assert_eq!(log.block_hash, Some(header.block.hash));
            let hint = BloomHint { bloom: &header.logs_bloom, expects_logs: true };
            let by_hash = client.logs_of_block(&filter, header.block.hash, Some(hint)).await;
            let by_hash = by_hash.unwrap();
            assert!(by_hash.contains(log));
            let context = LogContext {
                chain: client.chain().clone(),
                chain_id: client.chain_id(),
                contract: Name::new("watched").unwrap(),
                ordinal,
                block: header.block,
            };
            match adapter.decode(&context, log).unwrap() {
                Decoded::Event(event) => names.push(event.name.to_string()),
                Decoded::NotOurs => panic!("a filter by topic brought {log:?}"),
            }
        }
    }
    assert_eq!(names.iter().filter(|name| *name == "minted").count(), 1);
    assert_eq!(names.iter().filter(|name| *name == "proposal_created").count(), 1);
    assert_eq!(names.iter().filter(|name| *name == "achievement_defined").count(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_sent_once_to_each_endpoint_and_found_again() {
    let anvil = Anvil::start(Mining::OnDemand).await.unwrap();
    let Rig { client, tree: _tree, .. } = rig(&[anvil.url(), anvil.url()]);
    let key = PrivateKeySigner::random();
    let to = Address::repeat_byte(7);
    let (from, ether) = (key.address(), U256::from(10).pow(U256::from(18)));
    anvil.set_balance(from, ether).await.unwrap();
    assert_eq!(client.balance(from, LATEST).await.unwrap(), ether);
    assert_eq!(client.transaction_count(from, LATEST).await.unwrap(), 0);
    assert!(client.code_at(to, BlockId::latest()).await.unwrap().is_empty());
    let fees = client.fee_history(1, LATEST, &[50.0]).await.unwrap();
    assert!(!fees.base_fee_per_gas.is_empty());
    let gas = client.estimate_gas(&TransactionRequest::default().from(from).to(to)).await.unwrap();
    assert_eq!(gas, 21_000);

    let tx = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce: 0,
        gas_limit: gas,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(to),
        value: U256::from(5),
        ..TxEip1559::default()
    };
    let signature = key.sign_hash_sync(&tx.signature_hash()).unwrap();
    let signed = tx.into_signed(signature);
    let raw: Bytes = signed.encoded_2718().into();
    let outcomes = client.send_raw(&raw).await;
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes.iter().any(|outcome| outcome.result == Ok(*signed.hash())), "{outcomes:?}");
    for outcome in &outcomes {
        // The second time the node knows it already, which is an answer.
        let refused = outcome.result.as_ref().err();
        assert!(refused.is_none_or(|error| error.semantic().is_some()), "{outcome:?}");
    }
    assert_eq!(client.receipt(*signed.hash()).await.unwrap(), None);
    anvil.mine(1).await.unwrap();
    let receipt = client.receipt(*signed.hash()).await.unwrap().unwrap().receipt;
    assert!(receipt.status());
    assert_eq!(client.transaction_count(from, LATEST).await.unwrap(), 1);

    let again = client.send_raw(&raw).await;
    assert!(again.iter().all(|outcome| outcome.result.as_ref().unwrap_err().semantic().is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reverts_are_answers_and_never_open_the_breaker() {
    let anvil = Anvil::start(Mining::OnDemand).await.unwrap();
    let Rig { client, metrics, tree: _tree, .. } = rig(&[anvil.url()]);
    // PUSH1 0 PUSH1 0 REVERT, as the code of a contract under creation.
    let create =
        TransactionRequest::default().input(Bytes::from_static(&[0x60, 0, 0x60, 0, 0xfd]).into());
    for _ in 0..30 {
        let error = client.call(&create, BlockId::latest()).await.unwrap_err();
        assert!(error.semantic().is_some(), "{error}");
    }
    assert_eq!(client.status()[0].failures, 0);
    assert_eq!(
        metrics.breaker_state.with_label_values(&["local-0"]).get(),
        BreakerState::Closed as i64
    );
    assert_eq!(metrics.guard_retries_total.with_label_values(&["local-0"]).get(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_of_a_real_chain_is_followed_by_hash() {
    let anvil = Anvil::start(Mining::OnDemand).await.unwrap();
    anvil.mine(10).await.unwrap();
    let Rig { client, tree: _tree, .. } = rig(&[anvil.url()]);
    let mut window = HeaderWindow::new(64);
    for number in 0..=10 {
        let header = client.header(BlockNumberOrTag::Number(number)).await.unwrap().unwrap();
        window.observe(header.block).unwrap();
    }
    let orphan = *window.head().unwrap();
    anvil.reorg(3).await.unwrap();
    anvil.mine(1).await.unwrap();

    let heads = client.heads().await;
    let mut header = heads[0].1.clone().unwrap();
    let change = loop {
        match window.observe(header.block) {
            Ok(change) => break change,
            Err(need) => header = client.header_by_hash(need.hash).await.unwrap().unwrap(),
        }
    };
    let HeadChange::Reorged { common, orphaned, to } = change else { panic!("{change:?}") };
    assert_eq!(common.number, 7);
    assert_eq!(orphaned.last(), Some(&orphan));
    assert_eq!(to.number, 11);
    assert_eq!(client.header_by_hash(B256::repeat_byte(1)).await.unwrap(), None);
    assert_eq!(client.header(BlockNumberOrTag::Number(99)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_endpoint_actor_is_back_for_the_next_call() {
    let anvil = Anvil::start(Mining::OnDemand).await.unwrap();
    let Rig { client, tree, .. } = rig(&[anvil.url()]);
    assert_eq!(client.block_number().await, Ok(0));
    tree.crash("endpoint/local/0").await.unwrap();
    while tree.snapshot().iter().all(|child| child.restarts == 0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.block_number().await, Ok(0));
}

//! What the signer did, by the chain and by its stream: nonces and money.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    consensus::Transaction as TransactionTrait,
    eips::BlockNumberOrTag,
    network::TransactionResponse as _,
    primitives::{B256, U256, utils::parse_ether},
    providers::Provider as _,
};
use meritd::{
    actors::messages,
    cli::demo::world::World,
    domain::{TransactionMessage, TransactionState, UnlockId},
    streams::subjects::StreamId,
};

use crate::support::Daemon;

/// Of the configuration.
const MAX_FEE_WEI: u128 = 100_000_000_000;
const DAILY_BUDGET_ETHER: &str = "5";

/// Every nonce that was taken has been used.
pub(super) async fn waiting(world: &World, daemon: &Daemon) -> Vec<String> {
    let provider = world.anvil.provider();
    let signer = daemon.setting.signer();
    let mined = provider.get_transaction_count(signer).await.unwrap();
    let pending = provider.get_transaction_count(signer).pending().await.unwrap();
    let waits = (mined != pending).then(|| format!("{} transactions wait", pending - mined));
    waits.into_iter().collect()
}

/// A transaction of the signer's account on the chain as it is.
struct Sent {
    hash: B256,
    nonce: u64,
    max_fee: u128,
    fee: U256,
}

/// Those that the daemon sent: another program with its key sends to itself.
async fn sent(world: &World, daemon: &Daemon) -> Vec<Sent> {
    let provider = world.anvil.provider();
    let signer = daemon.setting.signer();
    let mut all = Vec::new();
    for number in 0..=world.anvil.block_number().await.unwrap() {
        let block = provider.get_block_by_number(BlockNumberOrTag::Number(number)).full().await;
        let Some(block) = block.unwrap() else { continue };
        for transaction in block.transactions.txns().filter(|it| it.from() == signer) {
            let fills_gap = transaction.value().is_zero() && transaction.input().is_empty();
            if transaction.to() == Some(signer) && !fills_gap {
                continue;
            }
            let hash = transaction.tx_hash();
            let receipt = provider.get_transaction_receipt(hash).await.unwrap();
            let Some(receipt) = receipt else { continue };
            let fee = U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price);
            let (nonce, max_fee) =
                (transaction.nonce(), TransactionTrait::max_fee_per_gas(transaction));
            all.push(Sent { hash, nonce, max_fee, fee });
        }
    }
    all
}

/// A nonce has one effect for ever, and nothing is sent that was not written down.
pub(super) async fn nonces(world: &World, daemon: &Daemon, lost_messages: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut effects: BTreeMap<u64, Vec<UnlockId>> = BTreeMap::new();
    let mut written: BTreeSet<B256> = BTreeSet::new();
    for (_, body) in daemon.stream(StreamId::Transactions).await {
        let Ok(message) = messages::read::<TransactionMessage>(&body) else { continue };
        if !matches!(message.state, TransactionState::Signed | TransactionState::Replaced) {
            continue;
        }
        written.extend(message.hash);
        // It only fills a gap.
        if message.unlocks.is_empty() {
            continue;
        }
        let effect = effects.entry(message.nonce).or_insert_with(|| message.unlocks.clone());
        if *effect != message.unlocks {
            wrong.push(format!("nonce {} has two effects", message.nonce));
        }
    }
    // Of a stream that lost something, nobody knows what it had.
    if !lost_messages {
        let sent = sent(world, daemon).await;
        let unwritten = sent.iter().filter(|it| !written.contains(&it.hash));
        let unwritten: Vec<u64> = unwritten.map(|it| it.nonce).collect();
        if !unwritten.is_empty() {
            wrong.push(format!("sent and not written down: nonces {unwritten:?}"));
        }
    }
    wrong
}

/// Nothing was paid beyond what the configuration allows.
pub(super) async fn spending(world: &World, daemon: &Daemon) -> Vec<String> {
    let sent = sent(world, daemon).await;
    let mut wrong = Vec::new();
    let dear = sent.iter().filter(|it| it.max_fee > MAX_FEE_WEI);
    wrong.extend(dear.map(|it| format!("nonce {} would pay {} wei", it.nonce, it.max_fee)));
    let paid: U256 = sent.iter().map(|it| it.fee).sum();
    if paid > parse_ether(DAILY_BUDGET_ETHER).unwrap() {
        wrong.push(format!("{paid} wei were paid, beyond the day's budget"));
    }
    wrong
}

//! What the chain and its market do.

use std::time::Duration;

use alloy::{
    consensus::Transaction as _,
    eips::BlockNumberOrTag,
    network::TransactionResponse as _,
    primitives::{Address, Bytes, U64},
    providers::Provider as _,
};
use meritd::cli::demo::{contracts::IAchievements, world::World};
use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value as Json, json};

/// Blocks that a reorg replaces: less than the chain's finality.
const REORG_DEPTH: std::ops::RangeInclusive<u64> = 1..=12;
const BASE_FEE_GWEI: std::ops::RangeInclusive<u64> = 1..=150;
/// Far beyond what a chain's rules let a block be ahead: a reorg may take it back, and what
/// waited for its time would wait for most of an hour.
const BLOCK_TIME_JUMP_S: std::ops::RangeInclusive<u64> = 1..=3_000;
const PAUSED_MS: std::ops::RangeInclusive<u64> = 500..=3_000;
/// What a foreign transaction outbids everybody with.
const FOREIGN_GWEI: u64 = 500;
const GWEI: u64 = 1_000_000_000;

/// What becomes of orphaned transactions.
#[derive(Clone, Copy)]
enum Fate {
    Lost,
    SameOrder,
    Reversed,
}

pub(super) async fn reorg(world: &World, chance: &mut StdRng) -> &'static str {
    let depth = chance.random_range(REORG_DEPTH);
    let fate = *[Fate::Lost, Fate::SameOrder, Fate::Reversed].choose(chance).unwrap();
    let again = match fate {
        Fate::Lost => Vec::new(),
        Fate::SameOrder => orphaned(world, depth).await,
        Fate::Reversed => reversed(orphaned(world, depth).await, depth),
    };
    let again: Vec<Json> = again.into_iter().map(|it| json!([it.raw, it.block])).collect();
    // A chain that is too short refuses.
    let _ = world.anvil.call::<Json>("anvil_reorg", json!([depth, again])).await;
    match fate {
        Fate::Lost => "reorg_lost",
        Fate::SameOrder => "reorg_same_order",
        Fate::Reversed => "reorg_other_order",
    }
}

struct Mined {
    from: Address,
    raw: Bytes,
    /// Counted from the first block that is replaced.
    block: u64,
}

/// The transactions of the last blocks, the daemon's among them. Those of an account that
/// nobody has the key of can't be mined again.
async fn orphaned(world: &World, depth: u64) -> Vec<Mined> {
    let provider = world.anvil.provider();
    let Ok(head) = world.anvil.block_number().await else { return Vec::new() };
    let mut all = Vec::new();
    for block in 0..depth {
        let number = BlockNumberOrTag::Number((head + 1 + block).saturating_sub(depth));
        let Ok(Some(found)) = provider.get_block_by_number(number).full().await else { continue };
        for transaction in found.transactions.txns() {
            if transaction.to() == Some(transaction.from()) {
                continue;
            }
            let hash = json!([transaction.tx_hash()]);
            let raw = world.anvil.call::<Bytes>("eth_getRawTransactionByHash", hash).await;
            all.extend(raw.map(|raw| Mined { from: transaction.from(), raw, block }));
        }
    }
    all
}

/// Sender by sender in the opposite order; one sender's stay in theirs, as nonces say.
fn reversed(mut all: Vec<Mined>, depth: u64) -> Vec<Mined> {
    let mut senders: Vec<Address> = Vec::new();
    for mined in all.iter().rev() {
        if !senders.contains(&mined.from) {
            senders.push(mined.from);
        }
    }
    all.sort_by_key(|mined| senders.iter().position(|sender| *sender == mined.from));
    let count = all.len() as u64;
    for (place, mined) in all.iter_mut().enumerate() {
        mined.block = place as u64 * depth / count;
    }
    all
}

pub(super) async fn market(world: &World, signer: Address, chance: &mut StdRng) -> &'static str {
    match chance.random_range(0..6) {
        0 | 1 => {
            let fee = U64::from(chance.random_range(BASE_FEE_GWEI) * GWEI);
            let _ = world.anvil.call::<Json>("anvil_setNextBlockBaseFeePerGas", json!([fee])).await;
            "fees"
        }
        2 => {
            let _ = world.anvil.call::<Json>("anvil_dropAllTransactions", json!([])).await;
            "pool_forgotten"
        }
        3 => {
            foreign(world, signer, chance.random_bool(0.5)).await;
            "foreign_nonce"
        }
        4 => {
            let at = world.achievements;
            let _ = within(world.admin_call("pause", at, IAchievements::pauseCall {})).await;
            let paused = Duration::from_millis(chance.random_range(PAUSED_MS));
            tokio::time::sleep(paused).await;
            go_on(world).await;
            "contract_paused"
        }
        _ => {
            let seconds = chance.random_range(BLOCK_TIME_JUMP_S);
            let _ = world.anvil.call::<Json>("evm_increaseTime", json!([seconds])).await;
            "block_time_jumps"
        }
    }
}

/// The contract takes unlocks again: what said so may have been orphaned.
pub(super) async fn go_on(world: &World) {
    let at = world.achievements;
    let _ = within(world.admin_call("unpause", at, IAchievements::unpauseCall {})).await;
}

/// A reorg may take a transaction for good while its sender waits for it.
async fn within<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::from_secs(2), future).await.ok()
}

/// Another program uses the signer's key: behind what waits, or in the place of it.
async fn foreign(world: &World, signer: Address, displaces: bool) {
    let anvil = &world.anvil;
    let mut transaction = json!({ "from": signer, "to": signer, "value": "0x1", "gas": "0x5208" });
    if displaces {
        let Ok(nonce) = anvil.provider().get_transaction_count(signer).await else { return };
        transaction["nonce"] = json!(U64::from(nonce));
        transaction["gasPrice"] = json!(U64::from(FOREIGN_GWEI * GWEI));
    }
    // What the node refuses is not done.
    let _ = anvil.call::<Json>("anvil_impersonateAccount", json!([signer])).await;
    let _ = anvil.call::<Json>("eth_sendTransaction", json!([transaction])).await;
    let _ = anvil.call::<Json>("anvil_stopImpersonatingAccount", json!([signer])).await;
}

//! Transactions land exactly once, whatever nodes, markets, money and other
//! people do.

mod answers;
mod asking;
mod crashes;
mod delivery;
#[cfg(any(feature = "aws-kms", feature = "gcp-kms"))]
mod kms;
mod money;
mod nonces;
mod refusals;
mod repair;

use std::{fs, time::Duration};

use alloy::{
    consensus::Transaction as _,
    eips::BlockNumberOrTag,
    network::TransactionResponse as _,
    primitives::{Address, U256},
    providers::Provider as _,
    rpc::types::{Filter, Transaction},
    sol_types::SolEvent as _,
};
use meritd::cli::demo::{anvil::Mining, contracts::IAchievements, world::World};
use serde_json::{Value as Json, json};

use crate::support::{self, Daemon, PATIENCE, contribute, endpoint::ScriptedEndpoint, until};

/// What a contribution earns.
const CONTRIBUTOR: u64 = 7;
const FAST: Mining = Mining::Every(Duration::from_millis(150));

/// A chain, an endpoint before it, and a daemon behind that.
struct Scene {
    world: World,
    endpoint: ScriptedEndpoint,
    daemon: Daemon,
}

impl Scene {
    /// With further keys of the signer's section (TOML).
    async fn start(signer_keys: &str) -> Self {
        let mut scene = Self::set(signer_keys).await;
        scene.daemon.start().await;
        scene
    }

    /// The same, with the daemon still to be started.
    async fn set(signer_keys: &str) -> Self {
        let world = World::create(FAST).await.unwrap();
        let endpoint = ScriptedEndpoint::start(world.anvil.url()).await;
        let daemon = Daemon::of(&world).await;
        support::reach_through(&world, &daemon, &[&endpoint], "");
        let file = daemon.setting.config().join("development.toml");
        let text = fs::read_to_string(&file).unwrap();
        let text = text.replace("bump_after_s = 20\n", &format!("{signer_keys}\n"));
        fs::write(&file, text).unwrap();
        Self { world, endpoint, daemon }
    }

    fn signer(&self) -> Address {
        self.daemon.setting.signer()
    }

    fn member(&self, number: usize) -> Address {
        support::story(&self.world).member(number)
    }

    /// Waits until the signer's state is such.
    async fn signer_is(&self, what: &str, is: impl Fn(&Json) -> bool) {
        until(what, PATIENCE, async || {
            let signer = self.daemon.actor("signer/awards").await?;
            is(&signer["observed"]).then_some(())
        })
        .await;
    }

    /// Waits until the signer says why it does not go on.
    async fn signer_says(&self, text: &str) {
        self.signer_is(text, |signer| {
            signer["not_ready"].as_str().is_some_and(|why| why.contains(text))
        })
        .await;
    }

    async fn has(&self, member: Address) -> bool {
        self.world.has_achievement(member, CONTRIBUTOR).await.unwrap()
    }

    async fn lands(&self, member: Address) {
        until("the unlock is on chain", PATIENCE, async || self.has(member).await.then_some(()))
            .await;
    }

    /// A contribution, and its unlock.
    async fn earns(&self, member: Address) {
        contribute(&self.world, member).await;
        self.lands(member).await;
    }

    async fn blocks_pass(&self, count: u64) {
        let head = self.world.anvil.block_number().await.unwrap();
        until("blocks pass", PATIENCE, async || {
            (self.world.anvil.block_number().await.unwrap() >= head + count).then_some(())
        })
        .await;
    }

    async fn anvil(&self, method: &'static str, params: Json) {
        self.world.anvil.call::<Json>(method, params).await.unwrap();
    }

    async fn mine_by_hand(&self) {
        self.anvil("evm_setIntervalMining", json!([0])).await;
    }

    async fn mine_again(&self) {
        // Whole seconds only.
        self.anvil("evm_setIntervalMining", json!([1])).await;
    }

    /// How often endpoints were given transactions.
    fn broadcasts(&self) -> u64 {
        self.endpoint.counts().of("eth_sendRawTransaction")
    }

    /// The signer's transactions on the chain, in order.
    async fn transactions(&self) -> Vec<Transaction> {
        let provider = self.world.anvil.provider();
        let head = self.world.anvil.block_number().await.unwrap();
        let mut found = Vec::new();
        for number in 0..=head {
            let block = provider.get_block_by_number(BlockNumberOrTag::Number(number)).full().await;
            let transactions = block.unwrap().unwrap().transactions.into_transactions();
            found.extend(transactions.filter(|it| it.from() == self.signer()));
        }
        found
    }

    /// All is there that the oracle expects, once.
    async fn is_right(&self) {
        let story = support::story(&self.world);
        support::assert_right_outcome(&self.world, &story).await;
        self.is_orderly().await;
    }

    /// Each nonce carries one transaction, and nothing was unlocked twice.
    async fn is_orderly(&self) {
        let transactions = self.transactions().await;
        for (transaction, nonce) in transactions.iter().zip(0..) {
            assert_eq!(transaction.nonce(), nonce, "{transactions:?}");
        }
        let filter = Filter::new()
            .address(self.world.achievements)
            .event_signature(IAchievements::AchievementUnlocked::SIGNATURE_HASH)
            .from_block(0);
        let logs = self.world.anvil.provider().get_logs(&filter).await.unwrap();
        let mut unlocked: Vec<_> = logs.iter().map(|log| log.topics().to_vec()).collect();
        let all = unlocked.len();
        unlocked.sort();
        unlocked.dedup();
        assert_eq!(unlocked.len(), all, "something was unlocked twice");
    }
}

/// Wei of so many gwei.
fn gwei(gwei: u64) -> U256 {
    U256::from(gwei) * U256::from(1_000_000_000)
}

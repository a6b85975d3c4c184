//! Contracts that another one creates are followed from their block on.

use std::{collections::BTreeMap, fs};

use alloy::{
    primitives::{Address, B256, U256, keccak256},
    providers::Provider as _,
    rpc::types::Filter,
    sol,
    sol_types::{SolCall as _, SolEvent as _},
};
use meritd::{
    cli::demo::{anvil::Mining, contracts::IInbox, world::World},
    domain::Event,
};

use crate::{
    support::{
        Daemon, PATIENCE,
        truth::{Told, told},
        until,
    },
    verify,
};

const FACTORY: &str = include_str!("../../contracts/artifacts/InboxFactory.json");

sol! {
    interface IInboxFactory {
        event InboxCreated(address indexed creator, address inbox);
        function create(string note) external returns (address inbox);
    }
}

/// A chain with a factory, and a daemon that follows what it creates.
struct Stage {
    world: World,
    daemon: Daemon,
    factory: Address,
}

impl Stage {
    async fn set(keys: &str) -> Self {
        let mining = Mining::Every(std::time::Duration::from_millis(100));
        let world = World::create(mining).await.unwrap();
        let artifact: serde_json::Value = serde_json::from_str(FACTORY).unwrap();
        let code = artifact["bytecode"].as_str().unwrap();
        let code = alloy::hex::decode(code).unwrap();
        let made = world.anvil.transact("deploy", world.admin, None, code).await.unwrap();
        let factory = made.contract_address.unwrap();
        let daemon = Daemon::of(&world).await;
        daemon.setting.set_chain(&world, keys).unwrap();
        daemon.setting.write("factory.json", FACTORY).unwrap();
        let file = daemon.setting.config().join("development.toml");
        let more = format!(
            r#"
[[contracts]]
name = "factory"
chain = "local"
kind = "abi"
abi = "factory.json"
address = "{factory}"

[[contracts]]
name = "inboxes"
chain = "local"
kind = "abi"
abi = "inbox.json"
created_by = {{ contract = "factory", event = "inbox_created", field = "inbox" }}
"#
        );
        fs::write(&file, fs::read_to_string(&file).unwrap() + &more).unwrap();
        Self { world, daemon, factory }
    }

    fn creation(note: &str) -> Vec<u8> {
        IInboxFactory::createCall { note: note.to_owned() }.abi_encode()
    }

    fn contribution(note: &str) -> Vec<u8> {
        let topic = keccak256("translations");
        let (amount, note) = (U256::from(100), note.to_owned());
        IInbox::contributeCall { topic, amount, note }.abi_encode()
    }

    /// Where the factory's next inbox will be.
    async fn next_inbox(&self) -> Address {
        let nonce = self.world.anvil.provider().get_transaction_count(self.factory).await.unwrap();
        self.factory.create(nonce)
    }

    async fn create(&self, note: &str) -> Address {
        let inbox = self.next_inbox().await;
        let (member, data) = (self.world.anvil.account(1), Self::creation(note));
        self.world.anvil.transact("create", member, Some(self.factory), data).await.unwrap();
        inbox
    }

    async fn contribute(&self, inbox: Address, note: &str) {
        let (member, data) = (self.world.anvil.account(2), Self::contribution(note));
        self.world.anvil.transact("contribute", member, Some(inbox), data).await.unwrap();
    }

    /// The logs of all inboxes that the chain has, by its own word.
    async fn truth(&self) -> Vec<(B256, u64)> {
        let provider = self.world.anvil.provider();
        let all = async |filter: Filter| provider.get_logs(&filter.from_block(0)).await.unwrap();
        let created = Filter::new()
            .address(self.factory)
            .event_signature(IInboxFactory::InboxCreated::SIGNATURE_HASH);
        let mut since = BTreeMap::new();
        for log in all(created).await {
            let inbox = log.log_decode::<IInboxFactory::InboxCreated>().unwrap().inner.inbox;
            since.entry(inbox).or_insert(log.block_number.unwrap());
        }
        let contributed = Filter::new().event_signature(IInbox::Contributed::SIGNATURE_HASH);
        let logs = all(contributed).await.into_iter();
        let counts = |log: &alloy::rpc::types::Log| {
            since.get(&log.address()).is_some_and(|since| log.block_number.unwrap() >= *since)
        };
        logs.filter(counts).map(|log| (log.block_hash.unwrap(), log.log_index.unwrap())).collect()
    }

    /// Waits until inboxes are read up to the present head, and compares.
    async fn assert_nothing_is_missing(&self) -> Told {
        let head = self.world.anvil.block_number().await.unwrap();
        let told = until("inboxes are read up to the head", PATIENCE, async || {
            let told = told(&self.daemon).await;
            told.through.get("inboxes").is_some_and(|through| *through >= head).then_some(told)
        })
        .await;
        let through = told.through["inboxes"];
        let ours: Vec<_> =
            of_inboxes(&told).map(|it| (it.block.hash, it.position.log_index)).collect();
        let mut truth = self.truth().await;
        // Those of blocks that have come since.
        truth.truncate(ours.len().max(truth.len().saturating_sub(3)));
        assert_eq!(ours, truth, "up to block {through}");
        told
    }
}

fn of_inboxes(told: &Told) -> impl Iterator<Item = &Event> {
    told.events.iter().filter(|event| event.contract.as_str() == "inboxes")
}

#[tokio::test]
async fn what_a_factory_creates_is_followed_from_its_block_on_without_a_gap() {
    let mut stage = Stage::set("finality_depth = 6").await;
    let early = stage.next_inbox().await;
    // Nobody is there yet, and nothing comes of it.
    stage.contribute(early, "too early").await;
    assert_eq!(stage.create("first").await, early);
    stage.contribute(early, "a").await;
    stage.world.anvil.mine(30).await.unwrap();
    let second = stage.create("second").await;
    stage.contribute(second, "b").await;
    stage.contribute(early, "c").await;

    stage.daemon.start().await;
    let history = stage.assert_nothing_is_missing().await;
    assert_eq!(of_inboxes(&history).count(), 5);
    until("both are shown", PATIENCE, async || {
        let shown = stage.daemon.actor("contract/inboxes").await?;
        (shown["observed"]["addresses"] == 2).then_some(())
    })
    .await;

    // In one block, or two that follow each other.
    let third = stage.next_inbox().await;
    let (anvil, member) = (&stage.world.anvil, stage.world.anvil.account(3));
    let created = anvil.submit(member, Some(stage.factory), Stage::creation("third")).await;
    let used = anvil.submit(member, Some(third), Stage::contribution("d")).await;
    created.and(used).unwrap();
    let live = until("both are told", PATIENCE, async || {
        let told = told(&stage.daemon).await;
        (of_inboxes(&told).filter(|event| event.address == third).count() == 2).then_some(told)
    })
    .await;
    let mut notes = of_inboxes(&live).filter(|it| it.address == third).map(|it| &it.fields["note"]);
    assert!(notes.next().is_some_and(|note| note == "third") && notes.next().unwrap() == "d");

    // A creation that a reorg takes back, and that happens again elsewhere.
    // Nothing becomes final before.
    stage.world.anvil.hold().await.unwrap();
    let (fourth, data) = (stage.next_inbox().await, Stage::creation("orphan"));
    stage.world.anvil.submit(member, Some(stage.factory), data).await.unwrap();
    stage.world.anvil.mine(4).await.unwrap();
    let first = until("it is told", PATIENCE, async || {
        let told = told(&stage.daemon).await;
        of_inboxes(&told).find(|event| event.address == fourth).cloned()
    })
    .await;
    stage.world.anvil.orphan(first.block.number).await.unwrap();
    stage.world.anvil.go_on().await.unwrap();
    stage.contribute(fourth, "into the void").await;
    assert_eq!(stage.create("again").await, fourth);
    stage.contribute(fourth, "e").await;
    let after = stage.assert_nothing_is_missing().await;
    let notes: Vec<_> =
        of_inboxes(&after).filter(|it| it.address == fourth).map(|it| &it.fields["note"]).collect();
    assert_eq!(notes, ["again", "e"]);
    assert!(after.void.iter().any(|event| event.id == first.id));

    // What it knows of them survives.
    stage.daemon.kill().await;
    stage.contribute(second, "f").await;
    let fifth = stage.create("fifth").await;
    stage.daemon.start().await;
    stage.contribute(fifth, "g").await;
    stage.contribute(early, "h").await;
    stage.assert_nothing_is_missing().await;

    let (code, report) = verify::report(&stage.daemon, &[]).await;
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["differences_total"], 0, "{report:#}");
}

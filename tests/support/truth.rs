//! The stream of events must be what the chain has: nothing missing, nothing
//! twice, nothing else.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, B256},
    providers::Provider as _,
    rpc::types::{Filter, Log},
    sol_types::SolEvent as _,
};
use meritd::{
    cli::demo::{
        contracts::{IBadge, IGovernor, IInbox},
        world::World,
    },
    domain::{Event, Rewind, Watermark},
    streams::subjects::StreamId,
};
use serde_json::Value as Json;

use super::{Daemon, PATIENCE, until};

/// What a consumer of the stream knows.
#[derive(Debug, Default)]
pub struct Told {
    /// The events that hold, in the stream's order.
    pub events: Vec<Event>,
    /// The events that held once.
    pub void: Vec<Event>,
    /// Up to which block each contract is complete.
    pub through: BTreeMap<String, u64>,
}

/// Everything that was told until now.
pub async fn told(daemon: &Daemon) -> Told {
    let mut told = Told::default();
    for (subject, body) in daemon.stream(StreamId::Events).await {
        let mut body: Json = serde_json::from_slice(&body).unwrap_or_default();
        if subject.starts_with("merit.v1.events.") {
            // Who has the broker's login may write there what is none.
            told.events.extend(serde_json::from_value::<Event>(body["data"].take()));
        } else if subject.starts_with("merit.v1.watermarks.") {
            let read = serde_json::from_value::<Watermark>(body["data"].take());
            let Ok(watermark) = read else { continue };
            if let Watermark::Retraction { contract, from, to, .. } = &watermark {
                let is_void = |event: &Event| {
                    event.contract == *contract && (*from..=*to).contains(&event.block.number)
                };
                let (void, events) = told.events.into_iter().partition(is_void);
                told.events = events;
                told.void.extend::<Vec<_>>(void);
            }
            let contract = watermark.contract().to_string();
            told.through.insert(contract, watermark.complete_through().number);
        } else if subject.starts_with("merit.v1.rewinds.") {
            let rewind: Rewind = serde_json::from_value(body["data"].take()).unwrap();
            let is_void = |event: &Event| {
                event.contract == rewind.contract && event.block.number >= rewind.from_block
            };
            let (void, events) = told.events.into_iter().partition(is_void);
            told.events = events;
            told.void.extend::<Vec<_>>(void);
        }
    }
    told
}

/// Waits until all contracts are complete up to the chain's present head, and
/// compares. Gives what was told.
pub async fn assert_stream_is_the_chain(world: &World, daemon: &Daemon) -> Told {
    let head = world.anvil.block_number().await.unwrap();
    let told = until("all contracts are read up to the head", PATIENCE, async || {
        let told = told(daemon).await;
        let complete = told.through.values().filter(|through| **through >= head).count();
        (complete == 4).then_some(told)
    })
    .await;
    let watched: [(_, _, &[&str], _); 3] = [
        (
            "dao",
            world.governor,
            &["proposal_created", "vote_cast"],
            vec![IGovernor::ProposalCreated::SIGNATURE_HASH, IGovernor::VoteCast::SIGNATURE_HASH],
        ),
        (
            "badge",
            world.badge,
            &["minted", "burned", "transferred"],
            vec![IBadge::Transfer::SIGNATURE_HASH],
        ),
        ("contributions", world.inbox, &["contributed"], vec![IInbox::Contributed::SIGNATURE_HASH]),
    ];
    for (contract, address, names, topics) in watched {
        let of_contract = told.events.iter().filter(|event| {
            event.contract.as_str() == contract && names.contains(&event.name.as_str())
        });
        let ours: Vec<_> =
            of_contract.map(|event| (event.block.hash, event.position.log_index)).collect();
        let theirs = logs(world, address, topics, told.through[contract]).await;
        let theirs: Vec<_> =
            theirs.iter().map(|log| (log.block_hash.unwrap(), log.log_index.unwrap())).collect();
        assert_eq!(ours, theirs, "events of {contract}");
    }
    let amounts = told.events.iter().filter(|event| event.name.as_str() == "contributed");
    let amounts: Vec<_> =
        amounts.map(|event| event.fields["amount"].as_str().unwrap().to_owned()).collect();
    let topics = vec![IInbox::Contributed::SIGNATURE_HASH];
    let logs = logs(world, world.inbox, topics, told.through["contributions"]).await;
    let contributed = logs.iter().map(|log| log.log_decode::<IInbox::Contributed>().unwrap());
    let theirs: Vec<_> = contributed.map(|log| log.inner.amount.to_string()).collect();
    assert_eq!(amounts, theirs, "amounts that were contributed");
    let dead = daemon.stream(StreamId::DeadLetters).await;
    let dead: Vec<_> = dead.iter().filter(|(subject, _)| !subject.contains(".fences.")).collect();
    assert!(dead.is_empty(), "{dead:?}");
    told
}

/// The chain's own logs.
async fn logs(world: &World, of: Address, topics: Vec<B256>, to: u64) -> Vec<Log> {
    let filter = Filter::new().address(of).event_signature(topics).from_block(0).to_block(to);
    world.anvil.provider().get_logs(&filter).await.unwrap()
}

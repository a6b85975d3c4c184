//! What is not confirmed yet is told on subjects of its own, where one asks
//! for it.

use std::{fs, time::Duration};

use meritd::{
    cli::demo::{anvil::Mining, world::World},
    domain::{Event, Watermark},
    streams::subjects::StreamId,
};
use serde_json::Value as Json;

use crate::{
    schemas::Schemas,
    support::{Daemon, PATIENCE, contribute, truth::told, until},
};

/// What is said of unconfirmed blocks, in order.
async fn said(daemon: &Daemon) -> Vec<(String, Json)> {
    let stored = daemon.stream(StreamId::Provisional).await;
    let read = |(subject, body): (String, Vec<u8>)| {
        let mut body: Json = serde_json::from_slice(&body).ok()?;
        Some((subject, body["data"].take()))
    };
    stored.into_iter().filter_map(read).collect()
}

async fn events(daemon: &Daemon) -> Vec<Event> {
    let of = |(subject, data): (String, Json)| {
        (subject == "merit.v1.provisional.events.local.contributions.contributed")
            .then(|| serde_json::from_value(data).unwrap())
    };
    said(daemon).await.into_iter().filter_map(of).collect()
}

#[tokio::test]
async fn unconfirmed_events_are_told_early_and_taken_back_by_a_reorg() {
    let world = World::create(Mining::Every(Duration::from_millis(200))).await.unwrap();
    let mut daemon = Daemon::of(&world).await;
    daemon.setting.set_chain(&world, "confirmations = 20\nfinality_depth = 40").unwrap();
    let file = daemon.setting.config().join("development.toml");
    let text = fs::read_to_string(&file).unwrap();
    let asked =
        text.replace("name = \"contributions\"", "name = \"contributions\"\nprovisional = true");
    assert_ne!(asked, text);
    fs::write(&file, asked).unwrap();
    world.anvil.mine(60).await.unwrap();
    daemon.start().await;

    contribute(&world, world.anvil.account(2)).await;
    // Neither confirmed nor final before it is taken away.
    world.anvil.hold().await.unwrap();
    let early =
        until("it is told early", PATIENCE, async || events(&daemon).await.into_iter().next())
            .await;
    let confirmed = async || {
        let told = told(&daemon).await;
        told.events.into_iter().filter(|it| it.contract.as_str() == "contributions").collect()
    };
    let known: Vec<Event> = confirmed().await;
    assert!(known.is_empty(), "long before it is confirmed: {known:?}");

    world.anvil.orphan(early.block.number).await.unwrap();
    until("it is taken back", PATIENCE, async || {
        said(&daemon).await.into_iter().find_map(|(subject, data)| {
            assert!(
                !subject.contains("contributions.contributed")
                    || data["id"] == early.id.to_string()
            );
            match serde_json::from_value(data).ok()? {
                Watermark::Retraction { from, to, .. } => {
                    (from..=to).contains(&early.block.number).then_some(())
                }
                Watermark::Progress { .. } => None,
            }
        })
    })
    .await;

    world.anvil.go_on().await.unwrap();
    contribute(&world, world.anvil.account(2)).await;
    world.anvil.mine(20).await.unwrap();
    let known = until("the second one is confirmed", PATIENCE, async || {
        let known: Vec<Event> = confirmed().await;
        (!known.is_empty()).then_some(known)
    })
    .await;
    assert_eq!(known.len(), 1, "and the first one never was");
    assert_ne!(known[0].id, early.id);
    let told_early = events(&daemon).await;
    assert!(told_early.iter().any(|event| event.id == known[0].id), "under the same id");
    // Of the others nobody asked.
    let others =
        said(&daemon).await.into_iter().filter(|(subject, _)| !subject.contains("contributions"));
    assert_eq!(others.filter(|(subject, _)| !subject.contains("fences")).count(), 0);
    let mut schemas = Schemas::load();
    for (subject, body) in daemon.stream(StreamId::Provisional).await {
        schemas.take(&subject, &body);
    }
    assert!(schemas.wrong.is_empty(), "{:?}", schemas.wrong);
}

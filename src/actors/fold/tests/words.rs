//! What a fold that was made anew says again.

use super::*;
use crate::streams::envelope::Envelope;

/// A light that events switch.
#[derive(Clone)]
struct Light;

impl Fold for Light {
    type Output = Json;
    type Key = String;

    fn begin_block(&self, _: u64, _: u64, _: u64, _: &mut State, _: &mut Vec<Json>) {}

    fn apply(&self, event: &Event, _: &mut State, output: &mut Vec<Json>) {
        output.push(json!(event.name.as_str() == "on"));
    }
}

/// Says whether it is on.
#[derive(Clone)]
struct Watching;

fn said_of(on: bool) -> Vec<u8> {
    json!({ "on": on }).to_string().into_bytes()
}

fn message(on: bool, id: &str) -> Result<Outgoing, MessageError> {
    let kind = if on { "requested" } else { "retracted" };
    let envelope = Envelope::new(
        id.to_owned(),
        "/meritd/rule-sets/quests".to_owned(),
        format!("merit.v1.unlock.{kind}"),
        UnixTime(1),
        json!({ "on": on }),
    );
    messages::outgoing(
        StreamId::Unlocks,
        format!("merit.v1.unlocks.quests.light.{kind}"),
        &envelope,
    )
}

impl Folding for Watching {
    type Fold = Light;
    type Asking = ();

    fn writer(&self) -> Writer {
        Counting.writer()
    }
    fn stream(&self) -> StreamId {
        StreamId::Unlocks
    }
    fn fold(&self) -> Light {
        Light
    }
    fn version(&self) -> String {
        "1".to_owned()
    }
    fn sources(&self) -> Vec<(Name, Source)> {
        Counting.sources()
    }
    fn say(&self, emission: &Emission<Json>) -> Result<Vec<Outgoing>, MessageError> {
        let Emitted::Says(on) = &emission.emitted else { return Ok(Vec::new()) };
        Ok(vec![message(on == true, &emission.revision.to_string())?])
    }
    fn words(&self) -> Vec<(StreamId, Vec<String>)> {
        let filter = |kind| format!("merit.v1.unlocks.quests.*.{kind}");
        vec![(StreamId::Unlocks, vec![filter("requested"), filter("retracted")])]
    }
    fn word(&self, stored: &Stored) -> Option<Keep> {
        let on = messages::read::<Json>(&stored.payload).ok()?["on"].as_bool()?;
        Some(Keep { key: b"light".to_vec(), said: said_of(on), holds: on })
    }
    fn keep(&self, emission: &Emission<Json>) -> Option<Keep> {
        let Emitted::Says(on) = &emission.emitted else { return None };
        let on = on == true;
        Some(Keep { key: b"light".to_vec(), said: said_of(on), holds: on })
    }
    fn say_kept(&self, said: &[u8], mark: &str) -> Result<Option<Outgoing>, MessageError> {
        message(said == said_of(true), mark).map(Some)
    }
    fn drop_kept(&self, _: &[u8], _: bool, mark: &str) -> Result<Option<Outgoing>, MessageError> {
        message(false, mark).map(Some)
    }
    async fn learn(&self, (): &mut (), _: &mut Engine<Light>) -> Result<bool, RpcError> {
        Ok(false)
    }
    fn opened(&self, _: &Shared, _: &Engine<Light>) {}
    fn settled(&self, _: &Shared, _: &[Emission<Json>]) {}
    fn observe(&self, _: &Engine<Light>) -> Json {
        json!({})
    }
}

/// The light is switched in these blocks, one after the other.
async fn switch(shared: &Shared, from: u64, to: &[&str]) {
    let last = from + to.len() as u64 - 1;
    let mut said: Vec<_> =
        (from..).zip(to).map(|(number, to)| messages::event(&event_in(number, to))).collect();
    said.push(progress(from, last));
    for (i, message) in said.into_iter().enumerate() {
        let id = format!("{from}-{last}/{i}");
        shared.publish(StreamId::Events, &id, message.unwrap(), None).await.unwrap();
    }
}

async fn watch_all(shared: &Shared) {
    let mut actor = FoldActor::new(shared.clone(), Watching);
    for _ in 0..6 {
        actor.step().await.unwrap();
    }
    assert_eq!(actor.trouble, None);
    assert!(actor.open.as_ref().unwrap().mark.is_none(), "it has caught up");
}

async fn heard(rig: &Rig) -> Vec<bool> {
    let said = rig.said(StreamId::Unlocks, SAID).await;
    said.iter().map(|message| message["data"]["on"].as_bool().unwrap()).collect()
}

const TABLES: [Table; 5] =
    [Table::Positions, Table::State, Table::Inbox, Table::Journal, Table::Outbox];

/// All that the fold has in the store.
async fn rows(rig: &Rig) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let owner = Watching.writer().to_string();
    let mut all = Vec::new();
    for table in TABLES {
        let rows = rig.shared.store.scan_all(table, owner.as_bytes()).await.unwrap();
        all.extend(rows.into_iter().map(|(key, value)| (table, key, value)));
    }
    all
}

/// The store has what it had when these were read.
async fn restore(rig: &Rig, copy: Vec<(Table, Vec<u8>, Vec<u8>)>) {
    let now = rows(rig).await.into_iter().map(|(table, key, _)| Write::delete(table, key));
    let then = copy.into_iter().map(|(table, key, value)| Write::put(table, key, value));
    rig.shared.store.commit(now.chain(then).collect()).await.unwrap();
}

#[actix::test]
async fn a_lost_store_says_nothing_again_that_consumers_have_heard() {
    let rig = Rig::start().await;
    switch(&rig.shared, 1, &["on", "off", "on"]).await;
    watch_all(&rig.shared).await;
    assert_eq!(heard(&rig).await, [true, false, true]);
    restore(&rig, Vec::new()).await;
    watch_all(&rig.shared).await;
    assert_eq!(heard(&rig).await, [true, false, true]);
    // What comes then is said as ever.
    switch(&rig.shared, 4, &["off"]).await;
    watch_all(&rig.shared).await;
    assert_eq!(heard(&rig).await, [true, false, true, false]);
    rig.stop().await;
}

#[actix::test]
async fn an_older_copy_of_the_store_says_nothing_again() {
    let rig = Rig::start().await;
    switch(&rig.shared, 1, &["on"]).await;
    watch_all(&rig.shared).await;
    let copy = rows(&rig).await;
    switch(&rig.shared, 2, &["off", "on", "off"]).await;
    watch_all(&rig.shared).await;
    let all = [true, false, true, false];
    assert_eq!(heard(&rig).await, all);
    restore(&rig, copy).await;
    watch_all(&rig.shared).await;
    assert_eq!(heard(&rig).await, all);
    rig.stop().await;
}

#[actix::test]
async fn on_a_stream_that_is_gone_the_last_word_alone_is_said_again() {
    let rig = Rig::start().await;
    switch(&rig.shared, 1, &["on", "off", "on"]).await;
    watch_all(&rig.shared).await;
    rig.redeclare(StreamId::Unlocks).await;
    watch_all(&rig.shared).await;
    assert_eq!(heard(&rig).await, [true]);
    rig.stop().await;
}

#[actix::test]
async fn what_the_stream_says_and_nothing_supports_is_taken_back() {
    let rig = Rig::start().await;
    switch(&rig.shared, 1, &["on"]).await;
    watch_all(&rig.shared).await;
    // Neither the events nor the store know of it any more.
    rig.redeclare(StreamId::Events).await;
    restore(&rig, Vec::new()).await;
    watch_all(&rig.shared).await;
    assert_eq!(heard(&rig).await, [true, false]);
    watch_all(&rig.shared).await;
    assert_eq!(heard(&rig).await, [true, false], "once");
    rig.stop().await;
}

/// A block whose time is far ahead of its parent's, in which the light is switched.
async fn switch_ahead(shared: &Shared, number: u64, to: &str) {
    let mut event = event_in(number, to);
    event.block.hash = keccak256("ahead");
    event.block.time += 100_000;
    event.position.time = event.block.time;
    event.id = EventId::of(1, event.block.hash, event.block.hash, 0);
    let progress = Watermark::Progress {
        chain: name("chain"),
        chain_id: 1,
        contract: name("inbox"),
        through: event.block,
        recent: vec![event.block],
        finalized: 0,
        events: Some(1),
        digest: None,
        after: Some(block(number - 1)),
    };
    let said = [messages::event(&event), messages::watermark(&name("chain"), &progress)];
    for (i, message) in said.into_iter().enumerate() {
        let id = format!("ahead/{i}");
        shared.publish(StreamId::Events, &id, message.unwrap(), None).await.unwrap();
    }
}

/// Reads what there is, with the events so far too few to compare.
async fn watch_some(shared: &Shared) {
    let mut actor = FoldActor::new(shared.clone(), Watching);
    for _ in 0..6 {
        actor.step().await.unwrap();
    }
    assert!(actor.open.as_ref().unwrap().mark.is_some(), "it has not come as far");
}

#[actix::test]
async fn what_was_said_stays_until_as_much_is_read_again() {
    let rig = Rig::start().await;
    switch(&rig.shared, 1, &["on", "off", "on"]).await;
    watch_all(&rig.shared).await;
    let all = [true, false, true];
    rig.redeclare(StreamId::Events).await;
    switch(&rig.shared, 1, &["on", "off"]).await;
    watch_some(&rig.shared).await;
    assert_eq!(heard(&rig).await, all);
    switch(&rig.shared, 3, &["on"]).await;
    watch_all(&rig.shared).await;
    assert_eq!(heard(&rig).await, all);
    rig.stop().await;
}

#[actix::test]
async fn an_orphaned_block_of_a_time_far_ahead_delays_nothing_that_is_said_anew() {
    let rig = Rig::start().await;
    switch(&rig.shared, 1, &["on", "off"]).await;
    switch_ahead(&rig.shared, 3, "on").await;
    watch_all(&rig.shared).await;
    assert_eq!(heard(&rig).await, [true, false, true]);
    // Another block has its place, and its time is not ahead.
    rig.redeclare(StreamId::Events).await;
    switch(&rig.shared, 1, &["on", "off", "off"]).await;
    watch_all(&rig.shared).await;
    assert_eq!(heard(&rig).await, [true, false, true, false]);
    rig.stop().await;
}

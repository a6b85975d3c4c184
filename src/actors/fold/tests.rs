#![allow(clippy::unwrap_used)]

mod words;

use alloy::primitives::{Address, B256, keccak256};
use serde_json::json;

use super::{opening::area_key, *};
use crate::{
    actors::{
        messages,
        outbox::{Outgoing, owned_key},
        testing::Rig,
    },
    domain::{
        BlockRef, Event, EventId, FieldMap, Name, Origin, Position, Rewind, RewindReason, Watermark,
    },
    fold::{Emission, Emitted, JsonPaths as _, Source, State},
    store::{Table, Write},
    streams::{
        batch::publish_atomic,
        envelope::{EnvelopeError, UnixTime},
        publish::OutMessage,
        read::Stored,
        setup,
        subjects::{StreamId, Writer, WriterKind},
    },
};

const SAID: &str = "merit.v1.unlocks.>";

/// Counts events, and says each.
#[derive(Clone)]
struct Count;

impl Fold for Count {
    type Output = Json;
    type Key = String;

    fn begin_block(&self, _: u64, _: u64, _: u64, _: &mut State, _: &mut Vec<Json>) {}

    fn apply(&self, event: &Event, state: &mut State, output: &mut Vec<Json>) {
        assert_ne!(event.name.as_str(), "poison", "nobody can fold this");
        let count = state.get("count").unwrap_or(0) + 1;
        state.put("count", &count);
        output.push(json!(count));
    }
}

#[derive(Clone)]
struct Counting;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

impl Folding for Counting {
    type Fold = Count;
    type Asking = ();

    fn writer(&self) -> Writer {
        Writer::new(WriterKind::RuleSet, name("quests"))
    }
    fn stream(&self) -> StreamId {
        StreamId::Unlocks
    }
    fn fold(&self) -> Count {
        Count
    }
    fn version(&self) -> String {
        "1".to_owned()
    }
    fn sources(&self) -> Vec<(Name, Source)> {
        vec![(name("chain"), Source { chain_id: 1, contract: name("inbox") })]
    }
    fn say(&self, emission: &Emission<Json>) -> Result<Vec<Outgoing>, MessageError> {
        let Emitted::Says(count) = &emission.emitted else { return Ok(Vec::new()) };
        Ok(vec![Outgoing::Publish {
            stream: StreamId::Unlocks,
            id: count.to_string(),
            subject: "merit.v1.unlocks.quests.count.requested".to_owned(),
            payload: json!({ "count": count }).to_string(),
        }])
    }
    async fn learn(&self, (): &mut (), _: &mut Engine<Count>) -> Result<bool, RpcError> {
        Ok(false)
    }
    fn opened(&self, _: &Shared, _: &Engine<Count>) {}
    fn settled(&self, _: &Shared, _: &[Emission<Json>]) {}
    fn observe(&self, _: &Engine<Count>) -> Json {
        json!({})
    }
}

fn block(number: u64) -> BlockRef {
    let hash = |number: u64| keccak256(number.to_be_bytes());
    let parent_hash = number.checked_sub(1).map_or(B256::ZERO, hash);
    BlockRef { number, hash: hash(number), parent_hash, time: 100 + number }
}

/// One event in each of the blocks, and the watermark behind them.
async fn publish(shared: &Shared, from: u64, to: u64) {
    publish_again(shared, from, to, "").await;
}

/// The same, told from an earlier time by `again`.
async fn publish_again(shared: &Shared, from: u64, to: u64, again: &str) {
    let mut messages: Vec<_> =
        (from..=to).map(|number| messages::event(&event_in(number, "added"))).collect();
    messages.push(progress(from, to));
    for (i, message) in messages.into_iter().enumerate() {
        let id = format!("{again}{from}-{to}/{i}");
        shared.publish(StreamId::Events, &id, message.unwrap(), None).await.unwrap();
    }
}

/// One event of a block that can't be folded, and the watermark behind it.
async fn publish_poison(shared: &Shared, number: u64) -> EventId {
    let event = event_in(number, "poison");
    let said = [messages::event(&event), progress(number, number)];
    for (i, message) in said.into_iter().enumerate() {
        let id = format!("poison/{i}");
        shared.publish(StreamId::Events, &id, message.unwrap(), None).await.unwrap();
    }
    event.id
}

/// The one event of a block.
fn event_in(number: u64, of: &str) -> Event {
    let block = block(number);
    Event {
        id: EventId::of(1, block.hash, block.hash, 0),
        origin: Origin { chain_id: 1, transaction_hash: block.hash, ordinal: 0 },
        chain: name("chain"),
        contract: name("inbox"),
        address: Address::ZERO,
        name: name(of),
        position: Position {
            time: block.time,
            chain_id: 1,
            block: number,
            transaction_index: 0,
            log_index: 0,
        },
        block,
        fields: FieldMap::new(),
    }
}

/// That the events of these blocks, one each, are told.
fn progress(from: u64, to: u64) -> Result<OutMessage, EnvelopeError> {
    messages::watermark(
        &name("chain"),
        &Watermark::Progress {
            chain: name("chain"),
            chain_id: 1,
            contract: name("inbox"),
            through: block(to),
            recent: (from..=to).map(block).collect(),
            finalized: to.saturating_sub(50),
            events: Some(to - from + 1),
            digest: None,
            after: from.checked_sub(2).map(|_| block(from - 1)),
        },
    )
}

/// What a contract says when it is read again from a block on.
async fn rewind(shared: &Shared, from_block: u64, reason: RewindReason) {
    let said = Rewind {
        chain: name("chain"),
        chain_id: 1,
        contract: name("inbox"),
        from_block,
        reason,
        missing: 1,
    };
    let retraction = Watermark::Retraction {
        chain: name("chain"),
        chain_id: 1,
        contract: name("inbox"),
        from: from_block,
        to: from_block,
        common: block(from_block - 1),
        after: None,
    };
    let said = [
        messages::rewind(&said, "rewind".to_owned(), UnixTime(1)).unwrap(),
        messages::watermark(&name("chain"), &retraction).unwrap(),
    ];
    for (i, message) in said.into_iter().enumerate() {
        let id = format!("rewind/{i}");
        shared.publish(StreamId::Events, &id, message, None).await.unwrap();
    }
}

/// A new incarnation that has folded all there is; its count.
async fn fold_all(shared: &Shared) -> (FoldActor<Counting>, Option<u64>) {
    let mut actor = FoldActor::new(shared.clone(), Counting);
    for _ in 0..3 {
        actor.step().await.unwrap();
    }
    assert_eq!(actor.trouble, None);
    let count = actor.open.as_ref().and_then(|open| open.engine.state().get("count"));
    (actor, count)
}

async fn said(rig: &Rig) -> Vec<u64> {
    let said = rig.said(StreamId::Unlocks, SAID).await;
    said.iter().map(|message| message["count"].as_u64().unwrap()).collect()
}

#[actix::test]
async fn a_fold_that_fails_at_an_event_stands_still_and_sets_it_aside_once() {
    let rig = Rig::start().await;
    publish(&rig.shared, 1, 3).await;
    let (mut actor, _) = fold_all(&rig.shared).await;
    let poison = publish_poison(&rig.shared, 4).await;
    for _ in 0..3 {
        let next = actor.step().await.unwrap();
        if actor.frozen.is_some() {
            assert!(matches!(next, Next::After(pause) if pause >= Duration::from_secs(60)));
        }
    }
    let why = actor.frozen.clone().unwrap();
    assert!(why.contains(&poison.to_string()) && why.contains("nobody can fold this"), "{why}");
    assert_eq!(actor.observe()["not_ready"], why);
    let letters = rig.said(StreamId::DeadLetters, "merit.v1.dead_letters.>").await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0]["data"]["origin"]["event"], poison.to_string());
    assert_eq!(said(&rig).await, [1, 2, 3], "nothing that was found before is lost");
    // What follows is not folded without it, by another incarnation neither.
    publish_again(&rig.shared, 5, 6, "after").await;
    let mut actor = FoldActor::new(rig.shared.clone(), Counting);
    for _ in 0..3 {
        actor.step().await.unwrap();
    }
    assert!(actor.frozen.is_some());
    assert_eq!(said(&rig).await, [1, 2, 3]);
    rig.stop().await;
}

#[actix::test]
async fn a_fold_that_is_behind_reads_on_while_it_commits() {
    const PER_WATERMARK: u64 = 300;
    let rig = Rig::start().await;
    for part in 0..30 {
        let (from, to) = (part * PER_WATERMARK + 1, (part + 1) * PER_WATERMARK);
        let events = (from..=to).map(|number| messages::event(&event_in(number, "added")));
        let messages = events.chain([progress(from, to)]).collect::<Result<_, _>>().unwrap();
        publish_atomic(&rig.shared.connection, StreamId::Events, messages, None).await.unwrap();
    }
    let mut actor = FoldActor::new(rig.shared.clone(), Counting);
    actor.step().await.unwrap();
    assert_eq!(actor.trouble, None);
    let open = actor.open.as_ref().unwrap();
    assert_eq!(open.engine.state().get("count"), Some(9_000), "in one round");
    assert_eq!((open.pending, open.outbox.len()), (0, 0));
    drop(actor);
    let all: Vec<u64> = (1..=9_000).collect();
    assert_eq!(said(&rig).await, all, "each once, in order");

    let (_, count) = fold_all(&rig.shared).await;
    assert_eq!(count, Some(9_000), "all of it was committed");
    assert_eq!(said(&rig).await.len(), all.len());
    rig.stop().await;
}

/// Between forgetting and reading the stream anything may fail: an inbox that
/// can't be opened, a kill.
#[actix::test]
async fn a_fold_that_was_forgotten_and_killed_reads_everything_again() {
    let rig = Rig::start().await;
    publish(&rig.shared, 1, 3).await;
    let (actor, count) = fold_all(&rig.shared).await;
    assert_eq!(count, Some(3));
    actor.forget(&actor.owner(), false).await.unwrap();
    drop(actor);

    let (_, count) = fold_all(&rig.shared).await;
    assert_eq!(count, Some(3));
    assert_eq!(said(&rig).await, [1, 2, 3]);
    rig.stop().await;
}

#[actix::test]
async fn forgetting_takes_the_position_with_it_before_anything_else() {
    let rig = Rig::start().await;
    publish(&rig.shared, 1, 3).await;
    let (actor, _) = fold_all(&rig.shared).await;
    // A forgetting that ended after its first commit.
    let owner = actor.owner();
    rig.shared.store.commit(vec![Write::delete(Table::Positions, owner.as_str())]).await.unwrap();
    let state = rig.shared.store.scan_all(Table::State, &owned_key(&owner, &[])).await.unwrap();
    assert!(!state.is_empty());
    assert_eq!(fold_all(&rig.shared).await.1, Some(3), "not three more");
    rig.stop().await;
}

#[actix::test]
async fn an_unreadable_fold_is_rebuilt() {
    let rig = Rig::start().await;
    publish(&rig.shared, 1, 3).await;
    let (actor, _) = fold_all(&rig.shared).await;
    let key = area_key(&actor.owner(), crate::fold::Area::Meta, b"unknown");
    rig.shared.store.commit(vec![Write::put(Table::State, key, "?")]).await.unwrap();
    assert_eq!(fold_all(&rig.shared).await.1, Some(3));
    rig.stop().await;
}

#[actix::test]
async fn what_was_said_on_a_stream_that_is_gone_is_said_again() {
    let rig = Rig::start().await;
    publish(&rig.shared, 1, 3).await;
    let (actor, _) = fold_all(&rig.shared).await;
    drop(actor);
    assert_eq!(said(&rig).await, [1, 2, 3]);
    rig.redeclare(StreamId::Unlocks).await;
    assert_eq!(fold_all(&rig.shared).await.1, Some(3));
    assert_eq!(said(&rig).await, [1, 2, 3]);
    // And only then.
    publish(&rig.shared, 4, 4).await;
    assert_eq!(fold_all(&rig.shared).await.1, Some(4));
    assert_eq!(said(&rig).await, [1, 2, 3, 4]);
    rig.stop().await;
}

#[actix::test]
async fn an_output_stream_lost_while_open_is_noticed_with_the_next_word() {
    let rig = Rig::start().await;
    publish(&rig.shared, 1, 3).await;
    let (mut actor, _) = fold_all(&rig.shared).await;
    rig.redeclare(StreamId::Unlocks).await;
    publish(&rig.shared, 4, 4).await;
    for _ in 0..4 {
        actor.step().await.unwrap();
    }
    assert_eq!(said(&rig).await, [1, 2, 3, 4]);
    rig.stop().await;
}

#[actix::test]
async fn an_output_stream_lost_while_open_is_noticed_by_a_fold_that_has_nothing_to_say() {
    let rig = Rig::start().await;
    publish(&rig.shared, 1, 3).await;
    let (mut actor, _) = fold_all(&rig.shared).await;
    rig.redeclare(StreamId::Unlocks).await;
    actor.step().await.unwrap();
    assert_eq!(said(&rig).await, [0_u64; 0], "it has looked a moment ago");
    let open = actor.open.as_mut().unwrap();
    open.output_seen = open.output_seen.checked_sub(OUTPUT_SEEN).unwrap();
    for _ in 0..4 {
        actor.step().await.unwrap();
    }
    assert_eq!(said(&rig).await, [1, 2, 3]);
    rig.stop().await;
}

#[actix::test]
async fn another_daemon_is_told_of_and_left_alone_for_a_while() {
    let rig = Rig::start().await;
    publish(&rig.shared, 1, 1).await;
    let (mut ours, _) = fold_all(&rig.shared).await;
    let (_theirs, _) = fold_all(&rig.other_run("rival")).await;
    publish(&rig.shared, 2, 2).await;
    // The rival's reader took over the consumer: it takes a step to notice.
    let mut next = Next::Again;
    for _ in 0..5 {
        if ours.yields_until.is_none() {
            next = ours.step().await.unwrap();
        }
    }
    let why = &ours.trouble;
    assert!(matches!(next, Next::After(pause) if pause == RIVAL_PAUSE), "{next:?}: {why:?}");
    let shown = ours.observe()["not_ready"].to_string();
    assert!(shown.contains("another daemon (run rival) writes for rule_set-quests"), "{shown}");
    // A message that wakes it changes nothing.
    assert!(matches!(ours.step().await.unwrap(), Next::After(_)));
    assert_eq!(ours.observe()["not_ready"].to_string(), shown);

    ours.yields_until = Some(Instant::now());
    for _ in 0..3 {
        ours.step().await.unwrap();
    }
    assert_eq!(ours.trouble, None, "it takes over");
    rig.stop().await;
}

#[actix::test]
async fn an_incarnation_that_was_replaced_by_the_next_ends() {
    let rig = Rig::start().await;
    publish(&rig.shared, 1, 1).await;
    let (mut old, _) = fold_all(&rig.shared).await;
    let (_new, _) = fold_all(&rig.shared).await;
    publish(&rig.shared, 2, 2).await;
    let mut ends = Vec::new();
    for _ in 0..5 {
        ends.extend(old.step().await.err());
    }
    assert!(matches!(ends.first(), Some(FoldFailure::Fenced(_))), "{ends:?}");
    rig.stop().await;
}

#[actix::test]
async fn a_hole_in_the_stream_stops_the_fold_until_the_contract_is_read_again() {
    let rig = Rig::start().await;
    let connection = &rig.shared.connection;
    publish(&rig.shared, 1, 3).await;
    publish(&rig.shared, 4, 6).await;
    // The event of block 5.
    rig.server.lose(connection, StreamId::Events, 6).await;
    assert_eq!(setup::missing(connection, StreamId::Events).await.unwrap(), 1);

    let mut actor = FoldActor::new(rig.shared.clone(), Counting);
    for _ in 0..3 {
        actor.step().await.unwrap();
    }
    assert_eq!(said(&rig).await, [1, 2, 3], "what is whole was folded");
    let why = actor.observe()["not_ready"].to_string();
    assert!(why.contains("lacks messages of contract `inbox` from block 4 on"), "{why}");
    assert!(rig.shared.doubted.contains_key(&name("inbox")), "its actor is told");

    rewind(&rig.shared, 4, RewindReason::Lost).await;
    publish_again(&rig.shared, 4, 6, "again").await;
    assert_eq!(fold_all(&rig.shared).await.1, Some(6));
    assert_eq!(said(&rig).await, [1, 2, 3, 4, 5, 6]);
    rig.stop().await;
}

#[actix::test]
async fn a_retraction_below_finality_is_told_of_in_the_same_words_after_a_restart() {
    let rig = Rig::start().await;
    publish(&rig.shared, 1, 60).await;
    fold_all(&rig.shared).await;
    let retraction = Watermark::Retraction {
        chain: name("chain"),
        chain_id: 1,
        contract: name("inbox"),
        from: 6,
        to: 60,
        common: block(5),
        after: Some(block(60)),
    };
    let message = messages::watermark(&name("chain"), &retraction).unwrap();
    rig.shared.publish(StreamId::Events, "below", message, None).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        let mut actor = FoldActor::new(rig.shared.clone(), Counting);
        for _ in 0..100 {
            actor.step().await.unwrap();
            if actor.frozen.is_some() || actor.trouble.is_some() {
                break;
            }
        }
        assert_eq!(actor.trouble, None);
        let why = actor.frozen.unwrap();
        assert!(why.contains("final"), "{why}");
        told.push(why);
    }
    assert_eq!(told[0], told[1]);
    rig.stop().await;
}

#[actix::test]
async fn a_rewind_below_what_was_folded_rebuilds_without_what_it_voids() {
    let rig = Rig::start().await;
    publish(&rig.shared, 1, 5).await;
    let (mut actor, count) = fold_all(&rig.shared).await;
    assert_eq!(count, Some(5));
    rewind(&rig.shared, 3, RewindReason::Resumed).await;
    for _ in 0..3 {
        actor.step().await.unwrap();
    }
    assert_eq!(actor.open.as_ref().unwrap().engine.state().get::<u64>("count"), None);
    // The branch that was resumed has no more than block 3 yet.
    publish_again(&rig.shared, 3, 3, "again").await;
    for _ in 0..3 {
        actor.step().await.unwrap();
    }
    assert_eq!(actor.open.as_ref().unwrap().engine.state().get("count"), Some(3));
    drop(actor);
    // Whoever begins later comes to the same.
    assert_eq!(fold_all(&rig.shared).await.1, Some(3));
    rig.stop().await;
}

#![allow(clippy::unwrap_used)]

use super::*;
use crate::actors::testing::Rig;

const OWNER: &str = "rule_set-quests";
const SUBJECT: &str = "merit.v1.unlocks.quests.voter.requested";
const LETTERS: &str = "merit.v1.dead_letters.>";

fn unlock(id: &str, bytes: usize) -> Outgoing {
    let payload = json!({ "id": id, "filling": "x".repeat(bytes) }).to_string();
    let (id, subject) = (id.to_owned(), SUBJECT.to_owned());
    Outgoing::Publish { stream: StreamId::Unlocks, id, subject, payload }
}

async fn ids(rig: &Rig, stream: StreamId, filter: &str) -> Vec<String> {
    let said = rig.said(stream, filter).await;
    said.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
}

async fn rows(rig: &Rig) -> usize {
    let prefix = owned_key(OWNER, &[]);
    rig.shared.store.scan_all(Table::Outbox, &prefix).await.unwrap().len()
}

#[actix::test]
async fn what_can_never_be_said_becomes_a_dead_letter_and_the_rest_is_said() {
    let rig = Rig::start().await;
    let mut outbox = Outbox::restore(&rig.shared, OWNER).await.unwrap();
    let broken = Outgoing::Publish {
        stream: StreamId::Unlocks,
        id: "two\r\nlines".to_owned(),
        subject: SUBJECT.to_owned(),
        payload: "{}".to_owned(),
    };
    let put = Outgoing::Put {
        bucket: crate::streams::setup::BENEFITS_BUCKET.to_owned(),
        key: ".".to_owned(),
        revision: 1,
        value: serde_json::Map::new(),
    };
    let said = [unlock("first", 1), unlock("large", 9 << 20), broken, put, unlock("last", 1)];
    rig.shared.store.commit(outbox.add(said)).await.unwrap();
    outbox.flush(&rig.shared, &[]).await.unwrap();

    assert_eq!(ids(&rig, StreamId::Unlocks, SUBJECT).await, ["first", "last"]);
    let letters = rig.said(StreamId::DeadLetters, LETTERS).await;
    assert_eq!(letters.len(), 3);
    assert_eq!(letters[0]["id"], "unsayable/rule_set-quests/large");
    assert_eq!(letters[0]["data"]["origin"]["subject"], SUBJECT);
    assert!(letters[0]["data"]["origin"]["bytes"].as_u64().unwrap() > 9 << 20);
    rig.shared.store.commit(outbox.forget_said()).await.unwrap();
    assert_eq!(rows(&rig).await, 0);
    rig.stop().await;
}

#[actix::test]
async fn full_dead_letters_stop_nobody_and_lose_nothing_but_the_letter() {
    let rig = Rig::start().await;
    rig.server.limit(&rig.shared.connection, StreamId::DeadLetters, 64).await;
    let mut outbox = Outbox::restore(&rig.shared, OWNER).await.unwrap();
    let writer = writer_of(OWNER).unwrap();
    let letter = messages::dead_letter(&writer, "letter", "unreadable", &json!({})).unwrap();
    let said = [letter, unlock("large", 9 << 20), unlock("last", 1)];
    rig.shared.store.commit(outbox.add(said)).await.unwrap();
    outbox.flush(&rig.shared, &[]).await.unwrap();
    rig.shared.bury(&writer, "another", "unreadable", json!({})).await.unwrap();

    assert_eq!(ids(&rig, StreamId::Unlocks, SUBJECT).await, ["last"]);
    assert!(rig.said(StreamId::DeadLetters, LETTERS).await.is_empty());
    let lost = rig.shared.metrics.dead_letters_lost_total.with_label_values(&[OWNER]).get();
    assert_eq!(lost, 3);
    // What nobody knows of has its row until there is room.
    rig.shared.store.commit(outbox.forget_said()).await.unwrap();
    assert_eq!(rows(&rig).await, 1);
    rig.server.limit(&rig.shared.connection, StreamId::DeadLetters, 1 << 20).await;
    let mut outbox = Outbox::restore(&rig.shared, OWNER).await.unwrap();
    outbox.flush(&rig.shared, &[]).await.unwrap();
    let told = ids(&rig, StreamId::DeadLetters, LETTERS).await;
    assert_eq!(told, ["unsayable/rule_set-quests/large"]);
    rig.stop().await;
}

#[actix::test]
async fn a_full_stream_of_another_kind_keeps_its_messages_waiting() {
    let rig = Rig::start().await;
    rig.server.limit(&rig.shared.connection, StreamId::Unlocks, 64).await;
    let mut outbox = Outbox::restore(&rig.shared, OWNER).await.unwrap();
    rig.shared.store.commit(outbox.add([unlock("first", 100)])).await.unwrap();
    outbox.flush(&rig.shared, &[]).await.unwrap_err();
    rig.server.limit(&rig.shared.connection, StreamId::Unlocks, 1 << 20).await;
    outbox.flush(&rig.shared, &[]).await.unwrap();
    assert_eq!(ids(&rig, StreamId::Unlocks, SUBJECT).await, ["first"]);
    rig.stop().await;
}

#[actix::test]
async fn an_unreadable_row_becomes_a_dead_letter_in_its_place() {
    let rig = Rig::start().await;
    let key = |number: u64| owned_key(OWNER, &number.to_be_bytes());
    let sound = serde_json::to_vec(&unlock("sound", 1)).unwrap();
    let found =
        [Write::put(Table::Outbox, key(3), "{\"kind\":"), Write::put(Table::Outbox, key(4), sound)];
    rig.shared.store.commit(found.into()).await.unwrap();
    let mut outbox = Outbox::restore(&rig.shared, OWNER).await.unwrap();
    assert_eq!(outbox.next, 5);
    outbox.flush(&rig.shared, &[]).await.unwrap();
    assert_eq!(ids(&rig, StreamId::Unlocks, SUBJECT).await, ["sound"]);
    let told = ids(&rig, StreamId::DeadLetters, LETTERS).await;
    assert_eq!(told, ["unreadable/rule_set-quests/3"]);
    rig.shared.store.commit(outbox.forget_said()).await.unwrap();
    assert_eq!(rows(&rig).await, 0);
    rig.stop().await;
}

#[test]
fn every_kind_of_writer_is_known_by_its_name() {
    for owner in ["contract-a-b", "rule_set-q", "governor-g", "signer-s", "notifier-n"] {
        assert_eq!(writer_of(owner).unwrap().to_string(), owner);
    }
    assert_eq!(writer_of("elsewhere"), None);
}

fn unlocks(range: std::ops::Range<u32>) -> impl Iterator<Item = Outgoing> {
    range.map(|number| unlock(&format!("{number:03}"), 1))
}

#[actix::test]
async fn many_messages_are_said_as_one_in_their_order() {
    let rig = Rig::start().await;
    let mut outbox = Outbox::restore(&rig.shared, OWNER).await.unwrap();
    let count = 2_500;
    rig.shared.store.commit(outbox.add(unlocks(0..count))).await.unwrap();
    let writer = writer_of(OWNER).unwrap();
    let fence = Fence::acquire(&rig.shared.connection, StreamId::Unlocks, &writer, "one").await;
    let fences = [(StreamId::Unlocks, fence.unwrap())];
    outbox.flush(&rig.shared, &fences).await.unwrap();
    let said = ids(&rig, StreamId::Unlocks, SUBJECT).await;
    let all: Vec<String> = (0..count).map(|number| format!("{number:03}")).collect();
    assert_eq!(said, all);
    // Three publishes: that of a batch is timed once.
    let labels = [StreamId::Unlocks.name()];
    let timed = rig.shared.metrics.stream_publish_seconds.with_label_values(&labels);
    assert_eq!(timed.get_sample_count(), 3);

    // Whoever holds the fence no more says nothing of it.
    Fence::acquire(&rig.shared.connection, StreamId::Unlocks, &writer, "two").await.unwrap();
    rig.shared.store.commit(outbox.add(unlocks(5_000..5_050))).await.unwrap();
    let error = outbox.flush(&rig.shared, &fences).await.unwrap_err();
    assert!(matches!(error, OutboxError::Publish(PublishError::Fenced { .. })), "{error}");
    assert_eq!(ids(&rig, StreamId::Unlocks, SUBJECT).await.len(), 2_500);
    rig.stop().await;
}

#[actix::test]
async fn what_a_crash_left_half_said_is_said_once() {
    let rig = Rig::start().await;
    let mut outbox = Outbox::restore(&rig.shared, OWNER).await.unwrap();
    rig.shared.store.commit(outbox.add(unlocks(0..40))).await.unwrap();
    // Said, and not written down as said: by themselves, then as one.
    for outgoing in unlocks(0..3) {
        say(&rig.shared, &[], &outgoing).await.unwrap();
    }
    outbox.flush(&rig.shared, &[]).await.unwrap();
    let mut again = Outbox::restore(&rig.shared, OWNER).await.unwrap();
    assert_eq!(again.len(), 40);
    rig.shared.store.commit(again.add(unlocks(40..60))).await.unwrap();
    again.flush(&rig.shared, &[]).await.unwrap();
    let all: Vec<String> = (0..60).map(|number| format!("{number:03}")).collect();
    assert_eq!(ids(&rig, StreamId::Unlocks, SUBJECT).await, all);
    rig.shared.store.commit(again.forget_said()).await.unwrap();
    assert_eq!(rows(&rig).await, 0);
    rig.stop().await;
}

#[actix::test]
async fn one_that_is_too_large_spoils_no_other_of_many() {
    let rig = Rig::start().await;
    let mut outbox = Outbox::restore(&rig.shared, OWNER).await.unwrap();
    let large = [unlock("large", 9 << 20)];
    let all = unlocks(0..20).chain(large).chain(unlocks(20..40));
    rig.shared.store.commit(outbox.add(all)).await.unwrap();
    outbox.flush(&rig.shared, &[]).await.unwrap();
    let rest: Vec<String> = (0..40).map(|number| format!("{number:03}")).collect();
    assert_eq!(ids(&rig, StreamId::Unlocks, SUBJECT).await, rest);
    let told = ids(&rig, StreamId::DeadLetters, LETTERS).await;
    assert_eq!(told, ["unsayable/rule_set-quests/large"]);
    rig.stop().await;
}

#[actix::test]
async fn one_beyond_the_streams_own_limit_spoils_no_other_of_many() {
    let rig = Rig::start().await;
    rig.server.limit_messages(&rig.shared.connection, StreamId::Unlocks, 4_096).await;
    let mut outbox = Outbox::restore(&rig.shared, OWNER).await.unwrap();
    let large = [unlock("large", 8_192)];
    let all = unlocks(0..20).chain(large).chain(unlocks(20..40));
    rig.shared.store.commit(outbox.add(all)).await.unwrap();
    outbox.flush(&rig.shared, &[]).await.unwrap();
    let rest: Vec<String> = (0..40).map(|number| format!("{number:03}")).collect();
    assert_eq!(ids(&rig, StreamId::Unlocks, SUBJECT).await, rest);
    let told = ids(&rig, StreamId::DeadLetters, LETTERS).await;
    assert_eq!(told, ["unsayable/rule_set-quests/large"]);
    rig.stop().await;
}

#[actix::test]
async fn a_batch_that_was_said_before_a_crash_is_said_once() {
    let rig = Rig::start().await;
    let mut outbox = Outbox::restore(&rig.shared, OWNER).await.unwrap();
    rig.shared.store.commit(outbox.add(unlocks(0..40))).await.unwrap();
    outbox.flush(&rig.shared, &[]).await.unwrap();
    let mut again = Outbox::restore(&rig.shared, OWNER).await.unwrap();
    again.flush(&rig.shared, &[]).await.unwrap();
    assert_eq!(ids(&rig, StreamId::Unlocks, SUBJECT).await.len(), 40);
    rig.stop().await;
}

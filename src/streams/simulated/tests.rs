//! The simulated server is held to the real one: the same calls, the same answers.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::{Map, json};

use super::*;
use crate::streams::{
    batch::publish_atomic,
    connection::Connection,
    consume::{Inbox, InboxSpec, unread},
    fence::Fence,
    kv::Bucket,
    publish::{OutMessage, publish_one},
    read::{extent, last_by_subject, read_range, tail},
    setup::{BENEFITS_BUCKET, Replicas, declare},
    single,
    subjects::{Writer, WriterKind},
    testing::TestServer,
};

const STREAM: StreamId = StreamId::Unlocks;

fn message(name: &str, body: &str) -> OutMessage {
    let subject = format!("merit.v1.unlocks.set.{name}");
    OutMessage::new(subject, HeaderMap::new(), Bytes::from(body.to_owned()))
}

fn spec(after: Option<crate::streams::consume::Cursor>) -> InboxSpec {
    InboxSpec {
        stream: STREAM,
        durable: "reader".to_owned(),
        filters: vec!["merit.v1.unlocks.*.a.>".to_owned(), "merit.v1.unlocks.set.b.>".to_owned()],
        max_batch: 10,
        ack_wait: Duration::from_secs(30),
        reads_ahead: true,
        resume_after: after,
        reads: unread,
    }
}

/// What each step of a long talk brings, as text.
async fn talk(connection: &Connection) -> Vec<String> {
    let mut said = Vec::new();
    let mut say = |what: &str, answer: String| said.push(format!("{what}: {answer}"));
    let writer = Writer::new(WriterKind::RuleSet, "set".parse().unwrap());
    say("no stream", format!("{:?}", extent(connection, STREAM).await));
    say(
        "none takes it",
        format!(
            "{:?}",
            publish_one(connection, STREAM, "0", message("a.x", ""), None).await.is_err()
        ),
    );
    declare(connection, Replicas::ONE).await.unwrap();
    let one = async |id: &str, name: &str| {
        publish_one(connection, STREAM, id, message(name, id), None).await
    };
    say("first", format!("{:?}", one("1", "a.x").await));
    say("again", format!("{:?}", one("1", "a.x").await));
    say("other", format!("{:?}", one("2", "c.x").await));
    let wrong = message("a.x", "").expecting(7);
    say("wrong", format!("{:?}", publish_one(connection, STREAM, "3", wrong, None).await));
    let right = message("a.x", "").expecting(1);
    say("right", format!("{:?}", publish_one(connection, STREAM, "4", right, None).await));
    let fence = Fence::acquire(connection, STREAM, &writer, "me").await.unwrap();
    say("fence", format!("{fence:?}"));
    let batch = vec![message("a.y", "1"), message("b.y", "2"), message("b.z", "3")];
    let sent = publish_atomic(connection, STREAM, batch.clone(), Some(&fence)).await;
    say("batch", format!("{sent:?}"));
    let guarded = vec![message("a.y", "4").expecting(5), message("d.y", "5")];
    let sent = publish_atomic(connection, STREAM, guarded, Some(&fence)).await;
    say("guarded", format!("{sent:?}"));
    let bad = vec![message("d.y", "6"), message("a.y", "7").expecting(1)];
    let sent = publish_atomic(connection, STREAM, bad, Some(&fence)).await;
    say("bad", format!("{sent:?}"));
    let own = vec![message("e.y", "8"), message("e.y", "9").expecting(0)];
    say("own", format!("{:?}", publish_atomic(connection, STREAM, own, None).await));
    let named = ["1", "new"].map(|id| {
        let mut named = message("f.y", id);
        named.headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
        named
    });
    say("named", format!("{:?}", publish_atomic(connection, STREAM, named.into(), None).await));
    let rival = Fence::acquire(connection, STREAM, &writer, "rival").await.unwrap();
    say("rival", format!("{rival:?}"));
    say("fenced", format!("{:?}", publish_atomic(connection, STREAM, batch, Some(&fence)).await));
    let late = publish_one(connection, STREAM, "5", message("a.x", ""), Some(&fence)).await;
    say("late", format!("{late:?}"));
    say("extent", format!("{:?}", extent(connection, STREAM).await));
    let short = |stored: Stored| (stored.sequence, stored.subject, stored.payload);
    let last = last_by_subject(connection, STREAM, "merit.v1.unlocks.set.a.y").await.unwrap();
    say("last", format!("{:?}", last.map(short)));
    let none = last_by_subject(connection, STREAM, "merit.v1.unlocks.set.a.none").await;
    say("none", format!("{:?}", none.unwrap().map(short)));
    let filters = ["merit.v1.unlocks.set.a.*".to_owned()];
    for (from, limit) in [(1, 2), (2, 100), (100, 5)] {
        let range = read_range(connection, STREAM, &filters, from, limit).await.unwrap();
        let messages: Vec<_> = range.messages.into_iter().map(short).collect();
        say("range", format!("{:?} {messages:?}", range.caught_up));
    }
    let end = tail(connection, STREAM, "merit.v1.unlocks.>", 4).await.unwrap();
    say("tail", format!("{:?}", end.into_iter().map(short).collect::<Vec<_>>()));

    let (mut inbox, how) = Inbox::open(connection, spec(None)).await.unwrap();
    let first = inbox.fetch(2, Duration::ZERO).await.unwrap();
    let seen = |all: &[crate::streams::consume::Delivered]| -> Vec<(u64, u64)> {
        all.iter().map(|it| (it.sequence, it.pending)).collect()
    };
    say("inbox", format!("{how:?} {:?}", seen(&first)));
    say("ack", format!("{:?}", inbox.ack_through(first[1].sequence).await));
    let cursor = inbox.cursor_at(first[1].sequence);
    let rest = inbox.fetch(10, Duration::ZERO).await.unwrap();
    say("rest", format!("{:?}", seen(&rest)));
    say("empty", format!("{:?}", seen(&inbox.fetch(10, Duration::from_millis(20)).await.unwrap())));
    say("removed", format!("{:?}", single::remove(connection, STREAM, 6).await));
    say("gone", format!("{:?}", single::remove(connection, STREAM, 6).await));
    say(
        "message",
        format!("{:?}", single::message(connection, STREAM, 6).await.unwrap().is_some()),
    );
    let (mut inbox, how) = Inbox::open(connection, spec(Some(cursor))).await.unwrap();
    let again = inbox.fetch(10, Duration::ZERO).await.unwrap();
    say("resumed", format!("{how:?} {:?}", seen(&again)));
    say("missing", format!("{:?}", crate::streams::setup::missing(connection, STREAM).await));

    let bucket = Bucket::open(connection, BENEFITS_BUCKET).await.unwrap();
    let value = |text: &str| Map::from_iter([("text".to_owned(), json!(text))]);
    for (revision, text) in [(3, "three"), (2, "two"), (3, "anew"), (9, "nine")] {
        let put = bucket.put_if_newer("key", revision, value(text)).await;
        say("put", format!("{put:?} {:?}", bucket.get("key").await));
    }
    say("keys", format!("{:?}", bucket.keys().await));
    say("no value", format!("{:?}", bucket.get("other").await));
    said
}

#[actix::test]
async fn it_says_what_the_real_server_says() {
    let real = TestServer::start().await;
    let expected = talk(&real.connect().await).await;
    let found = talk(&Connection::simulated(Server::new())).await;
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
    real.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_while_it_is_away_lands_when_it_is_back() {
    let server = Server::new();
    let connection = Connection::simulated(server.clone());
    declare(&connection, Replicas::ONE).await.unwrap();
    server.go_down();
    let sent = publish_one(&connection, STREAM, "1", message("a.x", ""), None).await;
    assert!(matches!(sent, Err(PublishError::Ambiguous { .. })), "{sent:?}");
    let mut reconnects = connection.reconnects();
    reconnects.borrow_and_update();
    server.come_up();
    assert!(reconnects.has_changed().unwrap());
    assert_eq!(server.messages(STREAM).len(), 1, "it was sent late");
}

#[tokio::test(start_paused = true)]
async fn a_rolled_back_stream_is_told_from_the_one_that_was_read() {
    let server = Server::new();
    let connection = Connection::simulated(server.clone());
    declare(&connection, Replicas::ONE).await.unwrap();
    publish_one(&connection, STREAM, "1", message("a.x", ""), None).await.unwrap();
    let image = server.image();
    publish_one(&connection, STREAM, "2", message("a.x", ""), None).await.unwrap();
    let (mut inbox, _) = Inbox::open(&connection, spec(None)).await.unwrap();
    assert_eq!(inbox.fetch(10, Duration::ZERO).await.unwrap().len(), 2);
    server.go_down();
    server.restore(image);
    server.come_up();
    let fetched = inbox.fetch(10, Duration::ZERO).await;
    assert!(matches!(fetched, Err(StreamError::Discontinued { .. })), "{fetched:?}");
}

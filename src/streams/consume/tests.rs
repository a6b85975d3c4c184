#![allow(clippy::unwrap_used, clippy::panic, irrefutable_let_patterns)]

use async_nats::HeaderMap;
use rustix::process::Signal;

use super::*;
use crate::streams::{
    batch::publish_atomic,
    publish::OutMessage,
    setup::Replicas,
    testing::{TestServer, wait_until},
};

const STREAM: StreamId = StreamId::Unlocks;
const WAIT: Duration = Duration::from_secs(5);

async fn ready(server: &TestServer) -> Connection {
    let connection = server.connect().await;
    setup::declare(&connection, Replicas::ONE).await.unwrap();
    connection
}

/// One message each, in one batch, on `…<state>`.
async fn publish(connection: &Connection, states: &[&str]) {
    let messages = states.iter().map(|state| {
        let subject = format!("merit.v1.unlocks.quests.voter.{state}");
        OutMessage::new(subject, HeaderMap::new(), Bytes::from_static(b"{}"))
    });
    publish_atomic(connection, STREAM, messages.collect(), None).await.unwrap();
}

fn spec(resume_after: Option<Cursor>) -> InboxSpec {
    InboxSpec {
        stream: STREAM,
        durable: "signer-awards".to_owned(),
        filters: vec!["merit.v1.unlocks.*.*.requested".to_owned()],
        max_batch: 4,
        ack_wait: Duration::from_secs(30),
        reads_ahead: true,
        resume_after,
        reads: unread,
    }
}

async fn fetch(inbox: &mut Inbox) -> Vec<u64> {
    let messages = inbox.fetch(100, WAIT).await.unwrap();
    messages.iter().map(|message| message.sequence).collect()
}

#[tokio::test]
async fn a_reader_killed_before_its_acknowledgement_misses_and_repeats_nothing() {
    let server = TestServer::start().await;
    let connection = ready(&server).await;
    publish(&connection, &["requested", "submitted", "requested", "requested"]).await;
    let (mut first, how) = Inbox::open(&connection, spec(None)).await.unwrap();
    assert_eq!(how, Resumption::FromStart);
    let messages = first.fetch(2, WAIT).await.unwrap();
    assert_eq!(
        messages.iter().map(|m| (m.sequence, m.pending)).collect::<Vec<_>>(),
        [(1, 2), (3, 1)]
    );
    // It commits both, hands out a third that it doesn't commit, and dies
    // without having acknowledged anything.
    let stored = first.cursor_at(3);
    assert_eq!(fetch(&mut first).await, [4]);
    drop(first);

    let (mut second, how) = Inbox::open(&connection, spec(Some(stored))).await.unwrap();
    assert_eq!(how, Resumption::Continued);
    assert_eq!(fetch(&mut second).await, [4], "at once, not after the first reader's ack_wait");
    second.ack_through(4).await.unwrap();
    let Pump::Nats(_, consumer) = &mut second.pump else { panic!("a real consumer") };
    let info = consumer.get_info().await.unwrap();
    assert_eq!((info.ack_floor.stream_sequence, info.num_ack_pending), (4, 0));
    server.stop().await;
}

#[tokio::test]
async fn a_lost_store_reads_everything_again() {
    let server = TestServer::start().await;
    let connection = ready(&server).await;
    publish(&connection, &["requested"; 4]).await;
    let (mut inbox, _) = Inbox::open(&connection, spec(None)).await.unwrap();
    assert_eq!(fetch(&mut inbox).await, [1, 2, 3, 4]);
    inbox.ack_through(4).await.unwrap();

    // From a backup, then without any: behind what was acknowledged.
    let backup = inbox.cursor_at(2);
    let (mut inbox, how) = Inbox::open(&connection, spec(Some(backup))).await.unwrap();
    assert_eq!((how, fetch(&mut inbox).await), (Resumption::Continued, vec![3, 4]));
    let (mut inbox, how) = Inbox::open(&connection, spec(None)).await.unwrap();
    assert_eq!((how, fetch(&mut inbox).await), (Resumption::FromStart, vec![1, 2, 3, 4]));
    server.stop().await;
}

#[tokio::test]
async fn other_filters_take_effect_from_the_cursor_on() {
    let server = TestServer::start().await;
    let connection = ready(&server).await;
    publish(&connection, &["requested", "submitted", "requested", "submitted"]).await;
    let (mut inbox, _) = Inbox::open(&connection, spec(None)).await.unwrap();
    assert_eq!(fetch(&mut inbox).await, [1, 3]);
    let mut wider = spec(Some(inbox.cursor_at(1)));
    wider.filters = vec!["merit.v1.unlocks.>".to_owned()];
    let (mut inbox, _) = Inbox::open(&connection, wider).await.unwrap();
    assert_eq!(fetch(&mut inbox).await, [2, 3, 4]);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_made_anew_is_noticed_while_open_and_when_opened() {
    let server = TestServer::start().await;
    let connection = ready(&server).await;
    publish(&connection, &["requested"; 3]).await;
    let (mut inbox, _) = Inbox::open(&connection, spec(None)).await.unwrap();
    assert_eq!(fetch(&mut inbox).await, [1, 2, 3]);
    let cursor = inbox.cursor_at(3);

    connection.jetstream().delete_stream(STREAM.name()).await.unwrap();
    setup::declare(&connection, Replicas::ONE).await.unwrap();
    publish(&connection, &["requested"; 5]).await;

    wait_until(async || {
        let answer = inbox.fetch(1, Duration::ZERO).await;
        matches!(answer, Err(StreamError::Discontinued { .. }))
    })
    .await;
    let (mut inbox, how) = Inbox::open(&connection, spec(Some(cursor))).await.unwrap();
    assert_eq!(how, Resumption::NewIncarnation);
    assert_eq!(fetch(&mut inbox).await, [1, 2, 3, 4]);
    assert_ne!(inbox.cursor_at(3), cursor);
    server.stop().await;
}

#[tokio::test]
async fn a_lost_tail_is_told_and_read_from_its_end() {
    let server = TestServer::start().await;
    let connection = ready(&server).await;
    publish(&connection, &["requested"; 3]).await;
    let (inbox, _) = Inbox::open(&connection, spec(None)).await.unwrap();
    let beyond = inbox.cursor_at(9);
    let (mut inbox, how) = Inbox::open(&connection, spec(Some(beyond))).await.unwrap();
    assert_eq!(how, Resumption::TailLost { last: 3 });
    publish(&connection, &["requested"]).await;
    assert_eq!(fetch(&mut inbox).await, [4]);
    server.stop().await;
}

/// A server that comes back with an older disk, and went on writing: the
/// stream's name, age and length tell nothing.
#[tokio::test]
async fn a_tail_that_was_lost_and_grew_again_is_told() {
    let server = TestServer::start().await;
    let connection = ready(&server).await;
    publish(&connection, &["requested"; 3]).await;
    let (mut inbox, _) = Inbox::open(&connection, spec(None)).await.unwrap();
    assert_eq!(fetch(&mut inbox).await, [1, 2, 3]);
    let here = inbox.cursor_at(2);
    let (inbox, how) = Inbox::open(&connection, spec(Some(here))).await.unwrap();
    assert_eq!(how, Resumption::Continued);
    assert_eq!(inbox.cursor_at(2), here, "what nobody read again is still known");

    let seen = here.witness.unwrap();
    let another_time = Witness { stored_at_ns: seen.stored_at_ns + 1, ..seen };
    let another_body = Witness { checksum: seen.checksum.map(|it| it ^ 1), ..seen };
    for another in [another_time, another_body] {
        let then = Cursor { witness: Some(another), ..here };
        let (mut inbox, how) = Inbox::open(&connection, spec(Some(then))).await.unwrap();
        assert_eq!(how, Resumption::TailReplaced);
        assert_eq!(fetch(&mut inbox).await, [1, 2, 3]);
    }

    let unsummed = Cursor { witness: Some(Witness { checksum: None, ..seen }), ..here };
    let (_, how) = Inbox::open(&connection, spec(Some(unsummed))).await.unwrap();
    assert_eq!(how, Resumption::Continued, "an older version's witness is known by its time");

    let mut old: serde_json::Value = serde_json::to_value(here).unwrap();
    old.as_object_mut().unwrap().remove("witness").unwrap();
    let old: Cursor = serde_json::from_value(old).unwrap();
    let (_, how) = Inbox::open(&connection, spec(Some(old))).await.unwrap();
    assert_eq!(how, Resumption::Continued, "an older version's cursor is believed");
    server.stop().await;
}

#[tokio::test]
async fn a_second_puller_on_the_consumer_makes_no_hole() {
    let server = TestServer::start().await;
    let connection = ready(&server).await;
    publish(&connection, &["requested"; 4]).await;
    let (mut inbox, _) = Inbox::open(&connection, spec(None)).await.unwrap();
    assert_eq!(inbox.pump.ready(2, Duration::from_secs(5)).await.unwrap().len(), 2);
    let mut got = Vec::new();
    wait_until(async || {
        got.extend(fetch(&mut inbox).await);
        got.len() >= 4
    })
    .await;
    assert_eq!(got, [1, 2, 3, 4]);
    server.stop().await;
}

/// Twelve messages by fours, of which the next four are always under way.
async fn with_more_under_way(server: &TestServer) -> (Connection, Inbox) {
    let connection = ready(server).await;
    publish(&connection, &["requested"; 12]).await;
    let (mut inbox, _) = Inbox::open(&connection, spec(None)).await.unwrap();
    assert_eq!(fetch(&mut inbox).await, [1, 2, 3, 4]);
    assert!(inbox.ahead.is_some());
    (connection, inbox)
}

#[tokio::test]
async fn a_batch_under_way_is_the_next_whether_it_is_wanted_or_not() {
    let server = TestServer::start().await;
    let (connection, mut inbox) = with_more_under_way(&server).await;
    assert_eq!(fetch(&mut inbox).await, [5, 6, 7, 8]);
    // Less is wanted than comes.
    assert!(inbox.ahead.is_some());
    let two = inbox.fetch(2, WAIT).await.unwrap();
    assert_eq!(two.iter().map(|message| message.sequence).collect::<Vec<_>>(), [9, 10]);
    assert_eq!(fetch(&mut inbox).await, [11, 12]);
    assert!(inbox.ahead.is_none(), "nothing waits");
    inbox.ack_through(12).await.unwrap();
    // Another reader goes on where the store says, whatever was under way.
    let cursor = inbox.cursor_at(6);
    drop(inbox);
    let (mut next, _) = Inbox::open(&connection, spec(Some(cursor))).await.unwrap();
    assert_eq!(fetch(&mut next).await, [7, 8, 9, 10]);
    server.stop().await;
}

#[tokio::test]
async fn who_does_not_read_ahead_is_told_what_waits_now() {
    let server = TestServer::start().await;
    let connection = ready(&server).await;
    publish(&connection, &["requested"; 5]).await;
    let plain = InboxSpec { reads_ahead: false, ..spec(None) };
    let (mut inbox, _) = Inbox::open(&connection, plain).await.unwrap();
    let first = inbox.fetch(4, WAIT).await.unwrap();
    assert_eq!(first.last().unwrap().pending, 1);
    publish(&connection, &["requested"]).await;
    let rest = inbox.fetch(4, WAIT).await.unwrap();
    let rest: Vec<_> = rest.iter().map(|message| (message.sequence, message.pending)).collect();
    assert_eq!(rest, [(5, 1), (6, 0)]);
    server.stop().await;
}

#[tokio::test]
async fn what_is_made_of_a_message_comes_with_it_from_batches_under_way_too() {
    let server = TestServer::start().await;
    let connection = ready(&server).await;
    let states = ["requested", "submitted", "unlocked", "rejected", "retracted"];
    publish(&connection, &states.repeat(2)).await;
    let spec = InboxSpec {
        stream: STREAM,
        durable: "reader".to_owned(),
        filters: vec!["merit.v1.unlocks.>".to_owned()],
        max_batch: 4,
        ack_wait: Duration::from_secs(30),
        reads_ahead: true,
        resume_after: None,
        reads: |subject: &str, body: &[u8]| format!("{subject} {}", body.escape_ascii()),
    };
    let (mut inbox, _) = Inbox::open(&connection, spec).await.unwrap();
    let mut read = Vec::new();
    while read.len() < 10 {
        read.extend(inbox.fetch(4, WAIT).await.unwrap().into_iter().map(|it| it.read));
    }
    let said = |state: &str| format!("merit.v1.unlocks.quests.voter.{state} {{}}");
    assert_eq!(read, states.repeat(2).into_iter().map(said).collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test]
async fn a_batch_under_way_that_never_comes_makes_no_hole() {
    let mut server = TestServer::start().await;
    let (connection, mut inbox) = with_more_under_way(&server).await;
    // The consumer that was asked is gone, with what it delivered to nobody else.
    let name = spec(None).durable;
    connection.jetstream().delete_consumer_from_stream(&name, STREAM.name()).await.unwrap();
    let mut got = Vec::new();
    // It may tell an error, once or twice, and goes on then.
    let mut get = async |inbox: &mut Inbox, count: usize| {
        wait_until(async || {
            if let Ok(messages) = inbox.fetch(100, WAIT).await {
                got.extend(messages.iter().map(|message| message.sequence));
            }
            got.len() >= count
        })
        .await;
    };
    get(&mut inbox, 4).await;
    server.signal(Signal::KILL);
    server.managed.wait().await.unwrap();
    server.managed.restart().await.unwrap();
    get(&mut inbox, 8).await;
    assert_eq!(got, [5, 6, 7, 8, 9, 10, 11, 12]);
    server.stop().await;
}

#[tokio::test]
async fn a_dropped_fetch_and_a_deleted_consumer_make_no_hole() {
    let server = TestServer::start().await;
    let connection = ready(&server).await;
    let (mut inbox, _) = Inbox::open(&connection, spec(None)).await.unwrap();
    // Given up while it waits, with its pull standing at the server, which
    // then delivers to nobody.
    let waiting = inbox.fetch(4, Duration::from_secs(60));
    assert!(tokio::time::timeout(Duration::from_millis(100), waiting).await.is_err());
    publish(&connection, &["requested"; 2]).await;
    assert_eq!(fetch(&mut inbox).await, [1, 2]);

    connection
        .jetstream()
        .delete_consumer_from_stream("signer-awards", STREAM.name())
        .await
        .unwrap();
    assert!(inbox.ack_through(2).await.is_err());
    publish(&connection, &["requested"; 2]).await;
    assert_eq!(fetch(&mut inbox).await, [3, 4]);
    inbox.ack_through(4).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_server_killed_and_restarted_under_a_waiting_reader_makes_no_hole() {
    let mut server = TestServer::start().await;
    let connection = ready(&server).await;
    publish(&connection, &["requested"; 2]).await;
    let (mut inbox, _) = Inbox::open(&connection, spec(None)).await.unwrap();
    assert_eq!(fetch(&mut inbox).await, [1, 2]);
    let reader = tokio::spawn(async move {
        let mut got = Vec::new();
        while got.len() < 3 {
            if let Ok(messages) = inbox.fetch(4, Duration::from_secs(60)).await {
                got.extend(messages.iter().map(|message| message.sequence));
            }
        }
        got
    });
    server.signal(Signal::KILL);
    server.managed.wait().await.unwrap();
    server.managed.restart().await.unwrap();
    let again = server.connect().await;
    publish(&again, &["requested"; 3]).await;
    let got = tokio::time::timeout(Duration::from_secs(20), reader).await.unwrap().unwrap();
    assert_eq!(got, [3, 4, 5]);
    server.stop().await;
}

#[tokio::test]
async fn what_is_sent_again_is_not_handed_out_again() {
    let server = TestServer::start().await;
    let connection = ready(&server).await;
    publish(&connection, &["requested"; 2]).await;
    let mut hasty = spec(None);
    hasty.ack_wait = Duration::from_millis(50);
    let (mut inbox, _) = Inbox::open(&connection, hasty).await.unwrap();
    assert_eq!(fetch(&mut inbox).await, [1, 2]);
    // Both are sent again and skipped; then comes the next one.
    assert_eq!(inbox.fetch(4, WAIT).await.unwrap().len(), 0);
    publish(&connection, &["requested"]).await;
    let mut got = Vec::new();
    wait_until(async || {
        got.extend(fetch(&mut inbox).await);
        !got.is_empty()
    })
    .await;
    assert_eq!(got, [3]);
    inbox.ack_through(3).await.unwrap();
    server.stop().await;
}

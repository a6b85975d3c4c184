#![allow(clippy::unwrap_used)]

use super::*;
use crate::streams::testing::TestServer;

#[tokio::test]
async fn declaring_twice_changes_nothing_and_a_new_incarnation_is_told() {
    let server = TestServer::start().await;
    let connection = server.connect().await;
    let first = declare(&connection, Replicas::ONE).await.unwrap();
    assert_eq!(first.len(), StreamId::ALL.len());
    assert_eq!(declare(&connection, Replicas::ONE).await.unwrap(), first);

    connection.jetstream().delete_stream("MERIT_EVENTS").await.unwrap();
    let gone = incarnation(&connection, StreamId::Events).await.unwrap_err();
    assert!(matches!(gone, StreamError::NoStream { .. }), "{gone}");
    let second = declare(&connection, Replicas::ONE).await.unwrap();
    assert_ne!(second[&StreamId::Events], first[&StreamId::Events]);
    assert_eq!(second[&StreamId::Unlocks], first[&StreamId::Unlocks]);
    server.stop().await;
}

#[tokio::test]
async fn settings_are_restored_and_an_operators_own_ones_kept() {
    let server = TestServer::start().await;
    let connection = server.connect().await;
    let mut config = wanted(StreamId::Events, Replicas::ONE);
    config.subjects = vec!["merit.v1.events.>".to_owned()];
    config.allow_atomic_publish = false;
    config.max_bytes = 10 * MIB;
    config.discard = DiscardPolicy::Old;
    config.description = Some("ours".to_owned());
    connection.jetstream().create_stream(config).await.unwrap();

    declare(&connection, Replicas::ONE).await.unwrap();

    let config = info((&connection, connection.nats()), StreamId::Events).await.unwrap().config;
    assert_eq!(config.subjects, StreamId::Events.subjects());
    assert!(config.allow_atomic_publish);
    assert_eq!(config.discard, DiscardPolicy::New);
    assert_eq!((config.max_bytes, config.description.as_deref()), (10 * MIB, Some("ours")));
    server.stop().await;
}

#[tokio::test]
async fn a_stream_that_forgets_is_refused_by_name_and_setting() {
    let server = TestServer::start().await;
    let connection = server.connect().await;
    let mut config = wanted(StreamId::Unlocks, Replicas::ONE);
    config.max_age = Duration::from_secs(3600);
    connection.jetstream().create_stream(config).await.unwrap();
    let text = declare(&connection, Replicas::ONE).await.unwrap_err().to_string();
    assert!(text.contains("MERIT_UNLOCKS") && text.contains("max_age"), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn a_foreign_stream_over_our_subjects_is_told() {
    let server = TestServer::start().await;
    let connection = server.connect().await;
    let foreign = Config {
        name: "FOREIGN".to_owned(),
        subjects: vec!["merit.>".to_owned()],
        ..Config::default()
    };
    connection.jetstream().create_stream(foreign).await.unwrap();
    let error = declare(&connection, Replicas::ONE).await.unwrap_err();
    assert!(matches!(error, SetupError::SubjectsTaken { .. }), "{error}");
    server.stop().await;
}

#[test]
fn memory_storage_and_foreign_retention_clash() {
    let found = wanted(StreamId::Events, Replicas::ONE);
    for broken in [
        Config { storage: StorageType::Memory, ..found.clone() },
        Config { retention: RetentionPolicy::WorkQueue, ..found.clone() },
        Config { sealed: true, ..found.clone() },
        Config { no_ack: true, ..found.clone() },
        Config { max_messages_per_subject: 1, ..found.clone() },
    ] {
        let error = reconcile(StreamId::Events, Replicas::ONE, &broken).unwrap_err();
        assert!(matches!(error, SetupError::Clash { .. }), "{error}");
    }
    assert_eq!(reconcile(StreamId::Events, Replicas::ONE, &found), Ok(found));
    assert_eq!((Replicas::new(2), Replicas::new(3)), (None, Some(Replicas(3))));
}

//! SIGTERM: intake stops, what is in flight is written down, all closes.

use crate::support::{self, Daemon, PATIENCE, living};

#[tokio::test]
async fn sigterm_drains_and_the_process_ends_with_zero() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let mut story = support::story(&world);
    story.everybody_joins().await.unwrap();
    daemon.start().await;
    let mut wire = daemon.listen().await;
    story.first_votes().await.unwrap();
    wire.next_where("something is in flight", PATIENCE, |subject, _| {
        subject == "merit.v1.transactions.awards.signed"
    })
    .await;
    let broker = daemon.broker();
    assert_eq!(broker.len(), 1, "{broker:?}");

    let status = daemon.stop().await;

    assert_eq!(status.code(), Some(0), "{status}");
    assert!(broker.iter().all(|pid| !living(*pid)), "the broker outlived its daemon");
    let log = daemon.log();
    assert!(log.contains("\"stopped\""), "it did not say that it stopped");
    assert!(!log.contains("not drained in time"), "something was left undrained");

    daemon.start().await;
    support::assert_right_outcome(&world, &story).await;
}

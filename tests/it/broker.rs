//! The broker is a process of its own, and may die alone.

use rustix::process::{Signal, kill_process};

use crate::support::{self, Daemon, PATIENCE, until};

#[tokio::test]
async fn a_broker_killed_under_the_daemon_comes_back() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let mut story = support::story(&world);
    story.everybody_joins().await.unwrap();
    daemon.start().await;
    story.first_votes().await.unwrap();
    let before = daemon.broker();
    let [broker] = before.as_slice() else { panic!("one broker: {before:?}") };

    kill_process(*broker, Signal::KILL).unwrap();

    until("another broker runs", PATIENCE, async || {
        let now = daemon.broker();
        (now.len() == 1 && now != before).then_some(())
    })
    .await;
    support::play_on(&world, &mut story).await;
    support::assert_right_outcome(&world, &story).await;
    daemon.wait_ready().await;
}

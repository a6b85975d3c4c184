//! The broker is a process of its own, and may die alone.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _};

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

/// A server that tells its port and is gone, the first time; later the real one.
const SHORT_LIVED: &str = r#"#!/bin/sh
if [ "$1" = --config ] && mkdir "$MARK" 2>/dev/null; then
    echo '{"nats": ["nats://127.0.0.1:PORT"]}' > "$(dirname "$2")/ports/nats-server_$$.ports"
    sleep 0.1
    kill -9 $$
fi
exec "$REAL" "$@"
"#;

#[tokio::test]
async fn a_broker_that_ends_before_the_daemon_reached_it_is_started_again() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (program, mark) =
        (daemon.setting.config().join("server"), daemon.setting.config().join("mark"));
    fs::write(&program, SHORT_LIVED.replace("PORT", &free.to_string())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let real = meritd::tools::find("nats-server").unwrap();
    daemon.setting.set_variable("REAL", real.to_str().unwrap());
    daemon.setting.set_variable("MARK", mark.to_str().unwrap());
    daemon.setting.set_variable("MERITD__NATS__BINARY", program.to_str().unwrap());

    daemon.start().await;

    assert!(mark.is_dir(), "the first server was the short-lived one");
    assert!(daemon.log().contains("nats-server ended; restarting it"), "{}", daemon.log());
}

//! What others provide may be away: the daemon waits, says so, and goes on.

use std::{fs, net::SocketAddr};

use serde_json::Value as Json;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpSocket, TcpStream},
};

use crate::support::{self, Daemon, PATIENCE, until};

/// Hands every connection on to `to`, until it is dropped with its task.
async fn hand_on(listener: TcpListener, to: SocketAddr) {
    while let Ok((mut from, _)) = listener.accept().await {
        tokio::spawn(async move {
            if let Ok(mut onward) = TcpStream::connect(to).await {
                // Either side may hang up.
                let _ = copy_bidirectional(&mut from, &mut onward).await;
            }
        });
    }
}

#[tokio::test]
async fn an_endpoint_that_is_down_makes_the_daemon_not_ready_and_it_recovers() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let mut story = support::story(&world);
    // Bound and not listening: the port is ours, and refuses connections.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let text = fs::read_to_string(daemon.setting.config().join("development.toml")).unwrap();
    assert!(text.contains(world.anvil.url()));
    let text = text.replace(world.anvil.url(), &url);
    daemon.setting.write("development.toml", &text).unwrap();

    daemon.spawn();
    daemon.wait_listening().await;
    let parts = until("the chain's head is named as not ready", PATIENCE, async || {
        let (code, body) = daemon.get("/readyz").await;
        let body: Json = serde_json::from_str(&body).unwrap();
        let parts = body["not_ready"].as_array().unwrap().clone();
        let named = parts.iter().any(|part| part["part"] == "head/local");
        named.then_some((code, parts))
    })
    .await;
    assert_eq!(parts.0, 503, "{parts:?}");
    until("the endpoint's breaker is open", PATIENCE, async || {
        let parts = daemon.get("/readyz").await.1;
        parts.contains("endpoint/local/0").then_some(())
    })
    .await;
    assert_eq!(daemon.get("/healthz").await.0, 200);
    let process = daemon.running().id();

    let anvil = world.anvil.url().strip_prefix("http://").unwrap().parse().unwrap();
    let proxy = tokio::spawn(hand_on(socket.listen(128).unwrap(), anvil));
    daemon.wait_ready().await;

    story.everybody_joins().await.unwrap();
    story.first_votes().await.unwrap();
    support::assert_right_outcome(&world, &story).await;
    assert_eq!(daemon.running().id(), process, "it is the same process");
    let actors = daemon.actors().await;
    assert!(actors.iter().all(|actor| actor["restarts"] == 0), "{actors:?}");
    proxy.abort();
}

//! An actor that keeps ending is given up and named, the others run on, and
//! a person brings it back without a restart of the daemon.

use meritd::cli::demo::setting;

use crate::support::{self, Daemon, PATIENCE, until};

const CRASHED: &str = "contract/badge";

#[tokio::test]
async fn an_actor_that_is_given_up_is_named_and_comes_back_when_told() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let text = setting::DEFAULT.replace("max_restarts = 10", "max_restarts = 1");
    daemon.setting.write("default.toml", &text).unwrap();
    daemon.start().await;
    assert_eq!(daemon.retry(CRASHED).await, 409, "it has not failed");
    assert_eq!(daemon.retry("contract/none").await, 404);

    assert!(daemon.crash(CRASHED).await);
    until("it is back once", PATIENCE, async || {
        let actor = daemon.actor(CRASHED).await?;
        (actor["state"] == "running" && actor["restarts"] == 1).then_some(())
    })
    .await;
    assert!(daemon.crash(CRASHED).await);
    until("it is given up", PATIENCE, async || {
        (daemon.actor(CRASHED).await?["state"] == "failed").then_some(())
    })
    .await;
    let (code, body) = daemon.get("/readyz").await;
    assert_eq!(code, 503);
    assert!(body.contains(CRASHED) && body.contains("given up after"), "{body}");
    for actor in daemon.actors().await {
        assert_eq!(actor["state"] == "running", actor["name"] != CRASHED, "{actor}");
    }

    assert_eq!(daemon.retry(CRASHED).await, 202);
    until("the daemon is ready again", PATIENCE, async || {
        (daemon.get("/readyz").await.0 == 200).then_some(())
    })
    .await;
}

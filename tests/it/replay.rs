//! `meritd replay`: consumers that lost events get them again.

use meritd::streams::subjects::StreamId;
use serde_json::{Value as Json, json};

use crate::support::{self, Daemon, truth::told};

const DAO: &str = "merit.v1.events.local.dao.";

/// The last block of which the stream has all events of a contract.
async fn last_block(daemon: &Daemon, contract: &str) -> u64 {
    let actor = daemon.actor(&format!("contract/{contract}")).await.unwrap();
    actor["observed"]["next_block"].as_u64().unwrap() - 1
}

/// The ids of the governor's events that hold, each once, in order.
async fn governor(daemon: &Daemon) -> Vec<String> {
    let mut ids = Vec::new();
    for event in told(daemon).await.events {
        let id = event.id.to_string();
        if event.contract.as_str() == "dao" && !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// Status code and problem of a request to replay the governor.
async fn refused(daemon: &Daemon, contract: &str, body: &str) -> (u16, String) {
    let url = format!("{}/api/v1/contracts/{contract}/replay", daemon.url());
    let request = reqwest::Client::new().post(url).header("content-type", "application/json");
    let answer = request.body(body.to_owned()).send().await.unwrap();
    let code = answer.status().as_u16();
    let problem: Json = answer.json().await.unwrap();
    (code, problem["detail"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_replay_tells_the_same_events_again_under_the_same_ids() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let mut story = support::story(&world);
    story.everybody_joins().await.unwrap();
    daemon.start().await;
    support::play(&world, &mut story).await;
    support::assert_right_outcome(&world, &story).await;

    let before = governor(&daemon).await;
    let messages = daemon.stream(StreamId::Events).await.len();
    let to = last_block(&daemon, "dao").await;
    let (from_text, to_text) = ("1", to.to_string());
    let arguments = ["replay", "--contract", "dao", "--from-block", from_text, "--to-block"];
    let output = daemon.command(&[&arguments[..], &[&to_text, "--json"]].concat()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let status: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&status["state"], &status["next_block"]), (&json!("done"), &json!(to + 1)));

    // The same messages, byte by byte, in the same order.
    let stream = daemon.stream(StreamId::Events).await;
    let (old, new) = stream.split_at(messages);
    let again: Vec<_> = new.iter().filter(|(subject, _)| subject.starts_with(DAO)).collect();
    let id = |body: &[u8]| -> String {
        let body: Json = serde_json::from_slice(body).unwrap();
        body["data"]["id"].as_str().unwrap().to_owned()
    };
    let told: Vec<String> = again.iter().map(|(_, body)| id(body)).collect();
    assert_eq!(told, before);
    assert_eq!(status["events"], before.len());
    assert!(again.iter().all(|message| old.contains(message)), "{again:?}");

    // Nothing comes of it, now or when the stream is read again.
    support::assert_right_outcome(&world, &story).await;
    assert_eq!(governor(&daemon).await, before);
    let shown = daemon.json("/api/v1/contracts/dao/replay").await;
    assert_eq!(shown, status);
    assert!(daemon.stop().await.success());
    std::fs::remove_file(daemon.setting.data().join("meritd.redb")).unwrap();
    daemon.start().await;
    support::assert_right_outcome(&world, &story).await;
    let log = daemon.log();
    assert!(!log.contains("examining") && !log.contains("lacks messages"), "{log}");
    // A replay is known to the incarnation of the actor that told it.
    assert_eq!(daemon.get("/api/v1/contracts/dao/replay").await.0, 404);
}

#[tokio::test]
async fn what_can_not_be_replayed_is_refused_by_name() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    daemon.start().await;
    support::until("the governor was read", support::PATIENCE, async || {
        let actor = daemon.actor("contract/dao").await?;
        actor["observed"]["next_block"].as_u64().filter(|next| *next > 2)
    })
    .await;
    for (contract, body, code, says) in [
        ("nft", r#"{"from_block":1,"to_block":2}"#, 404, "known: achievements, badge"),
        ("..%2F", r#"{"from_block":1,"to_block":2}"#, 404, "known: achievements, badge"),
        ("dao", r#"{"from_block":2,"to_block":1}"#, 400, "from_block 2 is above to_block 1"),
        ("dao", r#"{"from_block":1,"to_block":999}"#, 409, "above the contract's last watermark"),
        ("dao", r#"{"from_block":0,"to_block":100000}"#, 400, "more than one replay may have"),
        ("dao", r#"{"from_block":0,"to_block":18446744073709551615}"#, 400, "ask for fewer"),
        ("dao", r#"{"from_block":0,"to_block":18446744073709551616}"#, 400, ""),
        ("dao", r#"{"from_block":-1,"to_block":2}"#, 400, ""),
        ("dao", r#"{"from_block":1}"#, 400, "to_block"),
        ("dao", r#"{"from_block":1,"to_block":2,"fast":true}"#, 400, "fast"),
        ("dao", "{", 400, ""),
        ("dao", "", 400, ""),
    ] {
        let (found, detail) = refused(&daemon, contract, body).await;
        assert_eq!(found, code, "{contract} {body}: {detail}");
        assert!(detail.contains(says), "`{says}` is not in: {detail}");
    }
    let (found, _) = refused(&daemon, "dao", &" ".repeat(100_000)).await;
    assert_eq!(found, 413);
    assert_eq!(daemon.get("/api/v1/contracts/dao/replay").await.0, 404);

    let command = async |contract: &str, from: &str, to: &str| {
        let arguments = ["replay", "--contract", contract, "--from-block", from, "--to-block", to];
        let output = daemon.command(&arguments).await;
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (contract, from, to, code, says) in [
        ("nft", "1", "2", 2, "known: achievements, badge"),
        ("dao", "2", "1", 2, "from_block 2 is above to_block 1"),
        ("dao", "0", "100000", 2, "ask for fewer"),
        ("dao", "1", "99999", 1, "above the contract's last watermark"),
        ("d/o", "1", "2", 2, "is not a name"),
        ("dao", "one", "2", 2, "--from-block"),
    ] {
        let (found, stderr) = command(contract, from, to).await;
        assert_eq!(found, Some(code), "{contract} {from} {to}: {stderr}");
        assert!(stderr.contains(says), "`{says}` is not in: {stderr}");
    }
}

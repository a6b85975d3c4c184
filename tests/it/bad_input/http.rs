//! Requests that make no sense.

use serde_json::Value as Json;

use super::place::{Daemon, Place, WHOLE};

const USER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const RULES: &str = r#"
id = "participation"
signer = "awards"
achievements_contract = "achievements"
[[achievements]]
name = "first-vote"
id = 1
when = { event = "dao.vote_cast", subject = "voter" }
"#;

/// Asserts an error of RFC 9457 with this status, and returns its detail.
#[track_caller]
fn problem((status, kind, body): (u16, String, String), expected: u16) -> String {
    assert_eq!((status, kind.as_str()), (expected, "application/problem+json"), "{body}");
    let json: Json = serde_json::from_str(&body).unwrap();
    assert_eq!(json["status"], expected, "{body}");
    json["detail"].as_str().unwrap().to_owned()
}

async fn explain(daemon: &Daemon, query: &str) -> (u16, String, String) {
    daemon.get(&format!("/api/v1/explain{query}")).await
}

/// A whole daemon whose chain is away: it is up, and not ready.
#[tokio::test]
async fn bad_requests_get_problems_and_the_daemon_goes_on() {
    let place = Place::new(format!("[api]\nlisten = \"127.0.0.1:0\"\n{WHOLE}"));
    place.write("rules/participation.toml", RULES);
    let mut daemon = place.daemon();
    let good = format!("?achievement=first-vote&user={USER}");
    // The rule set reads its state first.
    let began = std::time::Instant::now();
    while explain(&daemon, &good).await.0 != 200 {
        assert!(began.elapsed().as_secs() < 60, "{:?}", explain(&daemon, &good).await);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }

    for (query, says) in [
        ("", "achievement"),
        ("?achievement=first-vote", "user"),
        (&format!("?user={USER}"), "achievement"),
        (&format!("{good}&extra=1"), "extra"),
        (&format!("{good}&user={USER}"), "user"),
        ("?achievement=first-vote&user=0x123", ""),
        ("?achievement=first-vote&user=vitalik.eth", ""),
        (&format!("?achievement=first-vote&user={}", "f".repeat(10_000)), ""),
        ("?achievement=first-vote&user=%00%ff", ""),
    ] {
        let detail = problem(explain(&daemon, query).await, 400);
        assert!(detail.contains(says), "`{says}` is not in: {detail}");
    }
    let huge = "a".repeat(10_000);
    for hostile in
        ["nothing", "", "..%2F..%2Fetc%2Fpasswd", "%3Cscript%3E", "%00", "%F0%9F%92%A5", &huge]
    {
        let query = format!("?achievement={hostile}&user={USER}");
        let detail = problem(explain(&daemon, &query).await, 404);
        assert!(detail.contains("known: first-vote"), "{detail}");
    }

    for path in ["/", "/nowhere", "/api/v1/", "/api/v1/explain/first-vote", "/%2e%2e/etc/passwd"] {
        problem(daemon.get(path).await, 404);
    }
    let forbidden = problem(daemon.post("/api/v1/debug/crash/store").await, 403);
    assert!(forbidden.contains("debug.fault_injection is off"), "{forbidden}");

    let (status, _, body) = daemon.get("/readyz").await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("head/local") || body.contains("endpoint/local/0"), "{body}");
    assert_eq!(daemon.get("/healthz").await.0, 200);
    assert!(daemon.runs());

    // The command line says the same, in words.
    let url = daemon.url().unwrap();
    let unknown = ["explain", "frist-vote", USER, "--api", &url];
    super::place::Ended::of(place.command(&unknown)).says(1, &["frist-vote", "known: first-vote"]);
}

#[tokio::test]
async fn a_crash_on_request_needs_an_actor_that_is_there() {
    let place = Place::new(
        "[api]\nlisten = \"127.0.0.1:0\"\n[nats]\nmode = \"external\"\n\
         urls = [\"nats://127.0.0.1:1\"]\n[debug]\nfault_injection = true",
    );
    let mut daemon = place.daemon();
    for actor in ["nobody", "contract%2Fnobody", "", "..%2F..", "%00"] {
        problem(daemon.post(&format!("/api/v1/debug/crash/{actor}")).await, 404);
    }
    assert!(daemon.runs());
}

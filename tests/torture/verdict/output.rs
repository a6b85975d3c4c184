//! No secret in anything that is said.

use std::fs;

use meritd::streams::subjects::StreamId;

use crate::{support::Daemon, torture::scene::Scene};

const SHOWN: [&str; 3] = ["/metrics", "/api/v1/status", "/readyz"];

pub(super) async fn secrets(daemon: &Daemon, canaries: &[String]) -> Vec<String> {
    let log = fs::read_to_string(daemon.setting.log()).unwrap_or_default();
    let broker_log = daemon.setting.data().join("nats/nats-server.log");
    let broker_log = fs::read_to_string(broker_log).unwrap_or_default();
    let mut outputs =
        vec![("the log".to_owned(), log), ("the broker's log".to_owned(), broker_log)];
    for path in SHOWN {
        outputs.push((path.to_owned(), daemon.get(path).await.1));
    }
    for stream in StreamId::ALL {
        let messages = daemon.stream(stream).await;
        let text: Vec<_> =
            messages.iter().map(|(_, body)| String::from_utf8_lossy(body).into_owned()).collect();
        outputs.push((stream.name().to_owned(), text.join("\n")));
    }
    let password = Scene::broker_password(daemon);
    let secrets = canaries.iter().chain(&password);
    let shown = secrets
        .flat_map(|secret| outputs.iter().filter(move |(_, text)| text.contains(secret.as_str())));
    shown.map(|(place, _)| format!("a secret is in {place}")).collect()
}

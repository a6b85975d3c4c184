//! NATS is away, too old, or not what it must be.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use meritd::tools;

use super::place::{Daemon, NO_BROKER, Place};

fn external(port: u16) -> String {
    NO_BROKER.replace("127.0.0.1:1\"", &format!("127.0.0.1:{port}\""))
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A real server; it ends with this.
struct Server(Child);

impl Server {
    fn start(port: u16, more: &[&str]) -> Self {
        let program = tools::find("nats-server").expect("nats-server; run `make tools`");
        let child = Command::new(program)
            .args(["--addr", "127.0.0.1", "--port", &port.to_string()])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        super::place::within("nats-server listens", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn ready(daemon: &Daemon, status: u16) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (found, _, body) = daemon.get("/readyz").await;
        if found == status {
            return body;
        }
        assert!(Instant::now() < deadline, "{found}: {body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_daemon_waits_for_its_broker_and_gets_ready_when_it_comes() {
    let port = free_port();
    let place = Place::new(external(port));
    let mut daemon = place.daemon();
    super::place::within("it has tried", || daemon.log().contains("trying again").then_some(()));
    let body = ready(&daemon, 503).await;
    assert!(body.contains("\"nats\"") && body.contains(&format!("127.0.0.1:{port}")), "{body}");
    assert_eq!(daemon.get("/healthz").await.0, 200);

    let store = tempfile::tempdir().unwrap();
    let _server = Server::start(port, &["-js", "-sd", store.path().to_str().unwrap()]);
    assert!(ready(&daemon, 200).await.contains("true"));
    assert!(daemon.runs());
    let checked = place.meritd(&["check"]);
    checked.says(0, &[]);
    checked.prints(&[" ok   nats: external, 2."]);
}

#[test]
fn check_names_a_broker_that_does_not_answer() {
    let checked = Place::new(external(1)).meritd(&["check"]);
    checked.says(2, &["1 of 2 checks failed"]);
    checked.prints(&["FAIL  nats: ", "nats://127.0.0.1:1", "check `nats.urls`"]);
}

#[test]
fn a_server_without_jetstream_ends_the_daemon_with_the_remedy() {
    let port = free_port();
    let _server = Server::start(port, &[]);
    let place = Place::new(external(port));
    let remedy = ["JetStream is not available", "enable `jetstream` on the server"];
    place.meritd(&["run"]).says(1, &remedy);
    let checked = place.meritd(&["check"]);
    checked.says(2, &[]);
    checked.prints(&remedy);
}

#[test]
fn a_server_that_refuses_the_login_ends_the_daemon_and_no_password_is_told() {
    let port = free_port();
    let _server = Server::start(port, &["--user", "merit", "--pass", "right"]);
    let login = "user = \"merit\"\npassword = \"env:NATS_PASSWORD\"\n";
    let mut place = Place::new(format!("{}{login}", external(port)));
    place.set("NATS_PASSWORD", "s3cr3t-wrong");
    let ended = place.meritd(&["run"]);
    ended.says(1, &[&format!("127.0.0.1:{port}"), "credentials"]);
    ended.repeats_not("s3cr3t");
}

/// Speaks as much NATS as a client needs to connect.
fn greet(stream: TcpStream) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let info = r#"{"server_id":"old","server_name":"old","version":"2.9.10","go":"go1.19","host":"127.0.0.1","port":4222,"headers":true,"max_payload":1048576,"proto":1,"jetstream":true}"#;
    write!(writer, "INFO {info}\r\n")?;
    for line in BufReader::new(stream).lines() {
        if line?.starts_with("PING") {
            writer.write_all(b"PONG\r\n")?;
        }
    }
    Ok(())
}

#[test]
fn a_server_that_is_too_old_ends_the_daemon_with_both_versions() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A client that goes away is no concern of a server.
            std::thread::spawn(|| drop(greet(stream)));
        }
    });
    let place = Place::new(external(port));
    let versions = ["version 2.9.10", "2.12.0 or newer"];
    place.meritd(&["run"]).says(1, &versions);
    let checked = place.meritd(&["check"]);
    checked.says(2, &[]);
    checked.prints(&versions);
}

//! Wrong usage.

use super::place::{Ended, NO_BROKER, NOBODY, Place, WHOLE};

fn meritd(arguments: &[&str]) -> Ended {
    Ended::of(Place::new("").command(arguments))
}

#[test]
fn wrong_usage_exits_2_and_shows_the_usage() {
    meritd(&["rnu"]).says(2, &["unrecognized subcommand 'rnu'", "--help"]);
    meritd(&["run", "--confg", "x"]).says(2, &["--confg", "'--config"]);
    meritd(&["explain", "first-vote"]).says(2, &["<USER>"]);
    meritd(&["explain", "first-vote", "0x123"]).says(2, &["'0x123'", "<USER>"]);
    meritd(&["status", "--api", "not a url"]).says(2, &["--api", "not a url"]);
    meritd(&[]).says(2, &["Usage: meritd <COMMAND>"]);
}

#[test]
fn every_subcommand_helps_with_an_example() {
    for command in [
        "run",
        "demo",
        "check",
        "status",
        "explain",
        "resume",
        "verify",
        "replay",
        "pause",
        "repair",
        "quote",
        "dead-letters list",
        "dead-letters show",
        "dead-letters replay",
        "dead-letters discard",
        "keys create",
        "keys import",
        "keys address",
    ] {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let ended = meritd(&words);
        ended.says(0, &[]);
        ended.prints(&["Usage:", "Example:", &format!("  meritd {command}")]);
    }
}

#[test]
fn without_a_daemon_status_and_explain_say_what_to_do() {
    let user = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    let url = format!("http://{NOBODY}");
    for command in [vec!["status"], vec!["explain", "first-vote", user]] {
        let by_url = meritd(&[command.as_slice(), &["--api", &url]].concat());
        by_url.says(1, &[&url, "nothing answers there", "meritd run", "--api"]);

        let place = Place::new(NO_BROKER);
        let by_config = place.meritd(&command);
        by_config.says(1, &["api.listen", "any port", "api-address", "meritd run"]);

        let elsewhere = meritd(&[command.as_slice(), &["--config", "nowhere"]].concat());
        elsewhere.says(2, &["nowhere/default.toml", "point --config at a folder"]);
    }
}

#[test]
fn verify_says_what_it_does_not_know_and_whom_it_does_not_reach() {
    let place = Place::new(WHOLE);
    let verify = |more: &[&str]| place.meritd(&[&["verify", "--chain"], more].concat());
    verify(&["mars"]).says(2, &["--chain mars", "known: local"]);
    verify(&["Mars"]).says(2, &["`Mars` is not a name"]);
    verify(&["local", "--contract", "nft"]).says(2, &["--contract nft", "known: dao, badge"]);
    verify(&["local", "--from-block", "9", "--to-block", "8"]).says(2, &["--from-block 9"]);
    verify(&["local", "--sample", "0"]).says(2, &["--sample"]);
    verify(&["local"]).says(1, &["nats-client.json", "meritd run"]);

    let place = Place::new(format!("{NO_BROKER}{WHOLE}"));
    let away = place.meritd(&["verify", "--chain", "local"]);
    away.says(1, &["no NATS server can be reached", "is the daemon running?"]);
}

#[test]
fn what_answers_there_and_is_no_daemon_is_told_as_such() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        let page = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\n<ok>";
        stream.write_all(page.as_bytes()).unwrap();
    });
    meritd(&["status", "--api", &url]).says(1, &[&url, "not an answer of meritd"]);
    server.join().unwrap();
}

#[tokio::test]
async fn status_finds_a_daemon_that_took_any_port() {
    let place = Place::new(NO_BROKER);
    let daemon = place.daemon();
    let ended = place.meritd(&["status"]);
    ended.says(0, &[]);
    ended.prints(&["NOT READY"]);
    drop(daemon);
}

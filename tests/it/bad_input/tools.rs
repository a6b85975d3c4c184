//! The programs that meritd starts are not there, or not good enough.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::place::{Ended, Place};

/// `PATH` and the tools folder hold nothing.
fn without_tools(place: &Place, arguments: &[&str]) -> Ended {
    let mut command = place.command(arguments);
    command.env("PATH", "").env("MERITD_TOOLS_DIR", place.folder().join("nowhere"));
    Ended::of(command)
}

#[test]
fn without_anvil_the_demo_says_what_to_install() {
    let place = Place::new("");
    let ended = without_tools(&place, &["demo"]);
    ended.says(1, &["`anvil` was found neither", "make tools", "Foundry"]);
}

#[test]
fn without_nats_server_the_daemon_says_what_to_install() {
    let place = Place::new("[api]\nlisten = \"127.0.0.1:0\"");
    let config = place.config();
    let config = config.to_str().unwrap();
    let remedies = ["nats-server", "2.12.0", "install-tools.sh", "nats.mode"];
    without_tools(&place, &["run", "--config", config]).says(1, &remedies);
    let checked = without_tools(&place, &["check", "--config", config]);
    checked.says(2, &["1 of 2 checks failed"]);
    checked.prints(&[" ok   configuration", "FAIL  nats: "]);
    checked.prints(&remedies);
}

#[test]
fn a_binary_that_is_missing_or_too_old_is_named_with_its_key() {
    let place = Place::new("[api]\nlisten = \"127.0.0.1:0\"\n[nats]\nbinary = \"../old\"");
    let missing = ["nats.binary", "config/../old", "2.12.0"];
    place.meritd(&["run"]).says(1, &missing);
    let checked = place.meritd(&["check"]);
    checked.says(2, &[]);
    checked.prints(&missing);

    let script = place.folder().join("old");
    fs::write(&script, "#!/bin/sh\necho 'nats-server: v2.9.10'\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let old = ["nats.binary", "config/../old", "version 2.9.10", "2.12.0 or newer"];
    place.meritd(&["run"]).says(1, &old);
    let checked = place.meritd(&["check"]);
    checked.says(2, &[]);
    checked.prints(&old);

    fs::set_permissions(&script, fs::Permissions::from_mode(0o600)).unwrap();
    place.meritd(&["run"]).says(1, &["nats.binary", "does not run here", "Permission denied"]);
}

//! Keys and secrets that can't be had.

use std::{fs, os::unix::fs::PermissionsExt as _};

use alloy::signers::local::LocalSigner;

use super::place::{Place, WHOLE};

const PASSPHRASE: &str = "correct-horse-battery";

/// A keystore opened by [`PASSPHRASE`], which `AWARDS_PASSPHRASE` holds.
fn with_keystore() -> Place {
    let keystore = "{ keystore = \"keys/awards.json\", passphrase = \"env:AWARDS_PASSPHRASE\" }";
    let mut place = Place::new(WHOLE.replace("{ raw = \"env:AWARDS_KEY\" }", keystore));
    let folder = place.config().join("keys");
    fs::create_dir(&folder).unwrap();
    let random = &mut rand_08::thread_rng();
    LocalSigner::new_keystore(&folder, random, PASSPHRASE, Some("awards.json")).unwrap();
    mode(&place, 0o600);
    place.set("AWARDS_PASSPHRASE", PASSPHRASE);
    place
}

fn mode(place: &Place, mode: u32) {
    let path = place.config().join("keys/awards.json");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_keystore_with_its_passphrase_is_accepted() {
    with_keystore().meritd(&["check", "--offline"]).says(0, &[]);
}

#[test]
fn a_wrong_passphrase_is_told_and_not_repeated() {
    let mut place = with_keystore();
    place.set("AWARDS_PASSPHRASE", "wrong-horse-battery");
    let ended = place.refused();
    ended.says(2, &["signers[0].key", "`awards`", "passphrase does not open", "keys/awards.json"]);
    ended.repeats_not("horse-battery");
}

#[test]
fn a_missing_passphrase_variable_is_named() {
    let mut place = with_keystore();
    place.unset("AWARDS_PASSPHRASE");
    let key = "config/development.toml: signers[0].key.passphrase = `env:AWARDS_PASSPHRASE`: ";
    place.refused().says(2, &[key, "variable `AWARDS_PASSPHRASE` is not set; set it"]);
    place.set("AWARDS_PASSPHRASE", "  ");
    place.refused().says(2, &[key, "env:AWARDS_PASSPHRASE is empty; put it there"]);
}

#[test]
fn a_keystore_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let place = with_keystore();
    for open in [0o644, 0o640, 0o660] {
        mode(&place, open);
        let file = place.config().join("keys/awards.json");
        let remedy = format!("chmod 600 {}", file.display());
        place.refused().says(2, &["signers[0].key", &format!("{open:04o}"), &remedy]);
    }
}

#[test]
fn a_file_that_is_no_keystore_is_refused() {
    for content in ["", "{}", "not json", "[1, 2]", "\u{0}"] {
        let place = with_keystore();
        place.write("keys/awards.json", content);
        place
            .refused()
            .says(2, &["signers[0].key", "keys/awards.json", "no keystore of version 3"]);
    }
    let place = with_keystore();
    fs::remove_file(place.config().join("keys/awards.json")).unwrap();
    place.refused().says(2, &["signers[0].key", "keys/awards.json", "can't be read"]);
}

#[test]
fn a_raw_key_that_is_none_is_refused_and_not_repeated() {
    for bad in ["hunter2hunter2", "0xhunter2", &format!("0x{}", "f".repeat(64))] {
        let mut place = Place::new(WHOLE);
        place.set("AWARDS_KEY", bad);
        let ended = place.refused();
        ended.says(2, &["signers[0].key", "not 32 bytes in hex"]);
        ended.repeats_not(bad);
    }
}

#[test]
fn secrets_that_are_nowhere_are_told_before_anything_starts() {
    let place = Place::new(WHOLE.replace("\"http://127.0.0.1:1\"", "\"env:RPC_NOWHERE\""));
    let unset = "variable `RPC_NOWHERE` is not set";
    place
        .refused()
        .says(2, &["development.toml", "chains[0].endpoints[0].url = `env:RPC_NOWHERE`", unset]);

    let nats = "[nats]\nmode = \"external\"\nurls = [\"nats://h:4222\"]\nuser = \"u\"\n";
    let place = Place::new(format!("{nats}password = \"file:secrets/nats\""));
    let missing = "create it with the secret alone in it, mode 0600";
    place
        .refused()
        .says(2, &["development.toml", "nats.password = `file:", "secrets/nats", missing]);

    let mut place = Place::new(WHOLE.replace("\"http://127.0.0.1:1\"", "\"env:RPC\""));
    place.set("RPC", "wss://h/s3cr3t");
    place.unset("AWARDS_KEY");
    let ended = place.refused();
    ended.says(2, &["chains[0].endpoints[0].url = `env:RPC`", "http"]);
    ended.says(2, &["signers[0].key.raw = `env:AWARDS_KEY`", "is not set"]);
    ended.repeats_not("s3cr3t");
}

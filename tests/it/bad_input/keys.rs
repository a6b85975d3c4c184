//! Keys and secrets that can't be had.

use std::{fs, os::unix::fs::PermissionsExt as _};

use alloy::signers::local::LocalSigner;

use super::place::{Ended, Place, WHOLE};

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

#[test]
fn an_unencrypted_key_signs_for_development_chains_only() {
    let real = WHOLE.replace("chain_id = 31337", "chain_id = 1");
    let place = Place::new(&real);
    let key = "development.toml: signers[0].key.raw = `env:AWARDS_KEY`: an unencrypted key signs";
    place.refused().says(2, &[key, "chain `local`", "meritd keys import", "--insecure"]);
    place.meritd(&["check", "--offline", "--insecure"]).says(0, &[]);
    let known = real.replace("chain_id = 1\n", "chain_id = 1\npreset = \"dev\"\n");
    Place::new(known).meritd(&["check", "--offline"]).says(0, &[]);
}

#[test]
fn a_keystore_is_made_once_and_opens_with_its_passphrase() {
    let mut place = Place::new(WHOLE);
    place.set("PASSPHRASE", PASSPHRASE);
    place.set("WRONG", "wrong-horse-battery");
    let keys = |arguments: &str| {
        let words: Vec<&str> = arguments.split(' ').collect();
        let ended = Ended::of(place.command(&[&["keys"], words.as_slice()].concat()));
        ended.repeats_not("horse-battery");
        ended
    };
    let made = keys("import awards.json --from env:AWARDS_KEY --passphrase env:PASSPHRASE");
    made.says(0, &[]);
    let file = place.folder().join("awards.json");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // As another implementation reads it, and with geth's parameters.
    let other = LocalSigner::decrypt_keystore(&file, PASSPHRASE).unwrap();
    assert_eq!(made.stdout.trim(), other.address().to_checksum(None));
    let text = fs::read_to_string(&file).unwrap();
    let keystore: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(keystore["crypto"]["kdfparams"]["n"], 262_144);
    assert_eq!(keystore["address"], other.address().to_string()[2..].to_lowercase());
    keys("address awards.json --passphrase env:PASSPHRASE").prints(&[made.stdout.trim()]);
    keys("address awards.json --passphrase env:WRONG").says(1, &["does not open", "awards.json"]);
    // Nothing is written over it.
    keys("create awards.json --light --passphrase env:PASSPHRASE").says(1, &["exists already"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    let new = keys("create new.json --light --json --passphrase env:PASSPHRASE");
    let told: serde_json::Value = serde_json::from_str(&new.stdout).unwrap();
    let opened = keys("address new.json --json --passphrase env:PASSPHRASE");
    assert_eq!(told, serde_json::from_str::<serde_json::Value>(&opened.stdout).unwrap());
}

#[test]
fn what_makes_no_keystore_leaves_no_file() {
    let mut place = Place::new(WHOLE);
    place.set("PASSPHRASE", PASSPHRASE);
    place.set("SHORT", "horse");
    place.set("NO_KEY", "0xhunter2");
    for (arguments, code, says) in [
        ("create k.json --passphrase env:SHORT", 2, "fewer than 8 characters"),
        ("create k.json --passphrase env:NOWHERE", 2, "`NOWHERE` is not set"),
        ("create k.json --passphrase hunter2", 2, "give env:NAME or file:PATH"),
        ("create k.json", 2, "there is no terminal to ask on"),
        ("create no/such/k.json --passphrase env:PASSPHRASE", 1, "no/such/k.json"),
        ("import k.json --from env:NO_KEY --passphrase env:PASSPHRASE", 1, "not 32 bytes in hex"),
        ("import k.json --passphrase env:PASSPHRASE", 2, "give --from env:NAME"),
        ("address k.json --passphrase env:PASSPHRASE", 1, "can't be read"),
    ] {
        let words: Vec<&str> = arguments.split(' ').collect();
        let ended = Ended::of(place.command(&[&["keys"], words.as_slice()].concat()));
        ended.says(code, &[says]);
        ended.repeats_not("hunter2");
        assert!(!place.folder().join("k.json").exists(), "{arguments}");
    }
}

/// A signer whose key a service keeps, refused for such reasons.
fn refuses_service(key: &str, says: &[&str]) {
    let place = Place::new(WHOLE.replace("{ raw = \"env:AWARDS_KEY\" }", key));
    place.refused().says(2, says);
}

const ACCOUNT: &str = "address = \"0x2000000000000000000000000000000000000001\"";

#[test]
fn a_key_of_a_service_is_named_whole_or_refused() {
    let key = "signers[0].key";
    refuses_service(
        "{ aws_kms = \"alias/a\" }",
        &[key, "address", "missing", "meritd keys address"],
    );
    let bad = "{ aws_kms = \"alias/a\", address = \"0x12\" }";
    refuses_service(bad, &[key, "address = `0x12`", "not an address"]);
    for name in ["", "two words", &"k".repeat(3000)] {
        let key = format!("{{ aws_kms = \"{name}\", {ACCOUNT} }}");
        refuses_service(&key, &["signers[0].key.aws_kms", "not a key's name"]);
    }
    let both = format!("{{ aws_kms = \"a\", gcp_kms = \"b\", {ACCOUNT} }}");
    refuses_service(&both, &[key, "not one key", "gcp_kms"]);
    let two = format!("{{ aws_kms = \"a\", raw = \"env:AWARDS_KEY\", {ACCOUNT} }}");
    refuses_service(&two, &[key, "not one key"]);
    let wrong = format!("{{ aws_kms = 7, {ACCOUNT} }}");
    refuses_service(&wrong, &[key, "aws_kms", "string"]);
    let stray = format!("{{ raw = \"env:AWARDS_KEY\", {ACCOUNT}, region = \"eu\" }}");
    refuses_service(&stray, &["signers[0].key.address", "signers[0].key.region", "remove it"]);
    let region = format!("{{ gcp_kms = \"k\", region = \"eu\", {ACCOUNT} }}");
    refuses_service(&region, &["signers[0].key.region", "only keys of AWS"]);
}

#[test]
fn a_service_is_reached_in_the_clear_on_this_machine_only() {
    for url in ["http://kms.example.org", "kms.example.org", "ftp://127.0.0.1", ""] {
        let key = format!("{{ aws_kms = \"a\", endpoint = \"{url}\", {ACCOUNT} }}");
        refuses_service(&key, &["signers[0].key.endpoint", "not a service's URL"]);
    }
}

#[cfg(feature = "gcp-kms")]
#[test]
fn a_key_of_google_is_named_with_its_version() {
    let key = format!("{{ gcp_kms = \"projects/p/locations/l\", {ACCOUNT} }}");
    refuses_service(&key, &["signers[0].key", "no key version", "cryptoKeyVersions/N"]);
}

#[cfg(feature = "aws-kms")]
#[test]
fn a_key_of_a_service_needs_no_secret_here() {
    let key = format!("{{ aws_kms = \"alias/a\", {ACCOUNT} }}");
    let place = Place::new(WHOLE.replace("{ raw = \"env:AWARDS_KEY\" }", &key));
    place.meritd(&["check", "--offline"]).says(0, &[]);
}

#[cfg(not(feature = "aws-kms"))]
#[test]
fn a_service_that_this_build_cannot_talk_to_is_refused_with_the_remedy() {
    let key = format!("{{ aws_kms = \"alias/a\", {ACCOUNT} }}");
    refuses_service(&key, &["signers[0].key", "--features aws-kms"]);
}

#[test]
fn keys_address_wants_one_key() {
    let place = Place::new(WHOLE);
    let keys = |words: &[&str]| Ended::of(place.command(&[&["keys", "address"], words].concat()));
    keys(&[]).says(2, &["--aws-kms", "--gcp-kms"]);
    keys(&["a.json", "--aws-kms", "k"]).says(2, &["cannot be used with"]);
    keys(&["--gcp-kms", "unlock"]).says(2, &["no key version"]);
    keys(&["--gcp-kms", "k", "--region", "eu"]).says(2, &["--region", "cannot be used with"]);
}

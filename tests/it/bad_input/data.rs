//! The data folder and the HTTP port are not to be had.

use std::{fs, net::TcpListener};

use meritd::store::{Database, SCHEMA_VERSION, Table, Write};

use super::place::{NO_BROKER, Place};

fn store_of(place: &Place) -> std::path::PathBuf {
    place.data().join("meritd.redb")
}

#[test]
fn a_second_daemon_on_the_same_data_is_refused_and_the_first_goes_on() {
    let place = Place::new(NO_BROKER);
    let mut first = place.daemon();
    let second = place.meritd(&["run"]);
    second.says(1, &["meritd.redb", "in use by another process", "another data folder"]);
    assert!(first.runs());
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let place = Place::new(format!("data_dir = \"../file/data\"\n{NO_BROKER}"));
    fs::write(place.folder().join("file"), "in the way").unwrap();
    place.meritd(&["run"]).says(1, &["data_dir", "file/data", "Not a directory", "writable"]);

    // Whoever runs the test, nobody makes a folder there.
    let place = Place::new(format!("data_dir = \"/proc/meritd\"\n{NO_BROKER}"));
    place.meritd(&["run"]).says(1, &["data_dir", "/proc/meritd", "writable"]);
}

#[test]
fn a_store_file_that_cannot_be_opened_is_named_with_the_reason() {
    let place = Place::new(NO_BROKER);
    fs::create_dir_all(store_of(&place)).unwrap();
    place.meritd(&["run"]).says(1, &["meritd.redb", "check the folder", "Is a directory"]);
}

#[test]
fn a_store_of_a_newer_schema_is_refused_and_left_as_it_is() {
    let place = Place::new(NO_BROKER);
    let newer = SCHEMA_VERSION + 1;
    let database = Database::open(store_of(&place)).unwrap();
    let version = Write {
        table: Table::Meta,
        key: b"schema_version".to_vec(),
        value: Some(newer.to_be_bytes().to_vec()),
    };
    database.session().commit([&version]).unwrap();
    drop(database);

    let found = format!("schema version {newer}");
    let known = format!("up to {SCHEMA_VERSION}");
    for _ in 0..2 {
        place.meritd(&["run"]).says(1, &["meritd.redb", &found, &known, "run the newer meritd"]);
    }
}

#[test]
fn a_store_file_of_something_else_is_refused_and_left_as_it_is() {
    let place = Place::new(NO_BROKER);
    fs::create_dir_all(place.data()).unwrap();
    for garbage in [&b"not a database\n"[..], &[0xab; 8192], &[0x72, 0x65, 0x64, 0x62, 0x1a]] {
        fs::write(store_of(&place), garbage).unwrap();
        place.meritd(&["run"]).says(1, &["meritd.redb", "move it away"]);
        assert_eq!(fs::read(store_of(&place)).unwrap(), garbage);
    }
}

#[test]
fn a_port_that_is_taken_is_named_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let place = Place::new(NO_BROKER.replace("127.0.0.1:0", &address));
    let ended = place.meritd(&["run"]);
    ended.says(1, &["api.listen", &address, "in use", "choose another port"]);
}

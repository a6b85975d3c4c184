//! The promises of the file, without an actor.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, io};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    testing::{Faults, faulty},
    *,
};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn put(key: &str, value: &str) -> Write {
    Write::put(Table::State, key, value)
}

fn value(session: &Session, key: &str) -> Option<String> {
    session
        .get(Table::State, key.as_bytes())
        .unwrap()
        .map(|value| String::from_utf8(value).unwrap())
}

#[test]
fn commits_survive_reopening_in_order_of_their_writes() {
    let folder = folder();
    let file = folder.path().join("data/meritd.redb");
    let session = Database::open(&file).unwrap().session();
    session.commit(&[put("a", "1"), put("b", "1"), put("a", "2")]).unwrap();
    session.commit(&[Write::delete(Table::State, "b"), put("c", "3")]).unwrap();
    drop(session);
    let session = Database::open(&file).unwrap().session();
    assert_eq!(value(&session, "a").as_deref(), Some("2"));
    assert_eq!(value(&session, "b"), None);
    assert_eq!(value(&session, "c").as_deref(), Some("3"));
    assert_eq!(session.get(Table::Outbox, b"a").unwrap(), None);
}

#[test]
fn what_was_committed_survives_a_kill() {
    let folder = folder();
    let file = folder.path().join("meritd.redb");
    let session = Database::open(&file).unwrap().session();
    session.commit(&[put("a", "1")]).unwrap();
    // What the disk holds at this moment, not closed in order.
    let killed = folder.path().join("killed.redb");
    fs::copy(&file, &killed).unwrap();
    let session = Database::open(&killed).unwrap().session();
    assert_eq!(value(&session, "a").as_deref(), Some("1"));
}

#[test]
fn a_file_in_use_is_refused_by_name() {
    let folder = folder();
    let file = folder.path().join("meritd.redb");
    let _held = Database::open(&file).unwrap();
    let error = Database::open(&file).unwrap_err();
    assert!(matches!(&error, OpenError::AlreadyOpen { file: named } if *named == file));
    assert!(error.to_string().contains("meritd.redb"), "{error}");
}

#[test]
fn a_newer_schema_is_refused_with_both_versions() {
    let folder = folder();
    let file = folder.path().join("meritd.redb");
    let session = Database::open(&file).unwrap().session();
    let version = (SCHEMA_VERSION + 6).to_be_bytes();
    session.commit(&[Write::put(Table::Meta, "schema_version", version)]).unwrap();
    drop(session);
    let error = Database::open(&file).unwrap_err();
    assert!(
        matches!(error, OpenError::NewerSchema { found: 7, known: SCHEMA_VERSION, .. }),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("version 7") && text.contains("up to 1") && text.contains("meritd.redb"));
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    let folder = folder();
    let notes = folder.path().join("notes.txt");
    fs::write(&notes, "do not overwrite me, I am a long enough note\n").unwrap();
    assert!(matches!(Database::open(&notes).unwrap_err(), OpenError::Foreign { .. }));
    assert!(fs::read_to_string(&notes).unwrap().starts_with("do not overwrite"));

    let other = folder.path().join("other.redb");
    let database = redb::Database::create(&other).unwrap();
    let transaction = database.begin_write().unwrap();
    let table: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("meta");
    transaction.open_table(table).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(matches!(Database::open(&other).unwrap_err(), OpenError::Foreign { .. }));
}

#[test]
fn a_damaged_file_is_refused_by_name() {
    let folder = folder();
    let file = folder.path().join("meritd.redb");
    drop(Database::open(&file).unwrap());
    let length = fs::metadata(&file).unwrap().len();
    fs::File::options().write(true).open(&file).unwrap().set_len(length / 2).unwrap();
    let error = Database::open(&file).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}

#[test]
fn a_file_whose_making_was_killed_is_made_again() {
    let folder = folder();
    let file = folder.path().join("meritd.redb");
    fs::write(&file, [0; 8_192]).unwrap();
    let session = Database::open(&file).unwrap().session();
    session.commit(&[put("a", "1")]).unwrap();
}

#[test]
fn a_place_that_cant_be_written_is_refused_by_name() {
    let folder = folder();
    let error = Database::open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::Unwritable { .. }), "{error:?}");
    let taken = folder.path().join("file");
    fs::write(&taken, "").unwrap();
    let error = Database::open(taken.join("meritd.redb")).unwrap_err();
    assert!(matches!(error, OpenError::Unwritable { .. }), "{error:?}");
}

#[test]
fn a_full_disk_keeps_nothing_of_the_commit_and_the_next_one_goes_on() {
    let folder = folder();
    let faults = Faults::default();
    let session = faulty(&folder.path().join("meritd.redb"), &faults).session();
    session.commit(&[put("a", "1")]).unwrap();
    faults.at_next_sync(|| Err(io::ErrorKind::StorageFull.into()));
    let error = session.commit(&[put("a", "2"), put("b", "2")]).unwrap_err();
    assert!(matches!(error, StoreError::Storage { .. }), "{error:?}");
    assert_eq!(value(&session, "a").as_deref(), Some("1"));
    assert_eq!(value(&session, "b"), None);
    session.commit(&[put("b", "3")]).unwrap();
    assert_eq!(value(&session, "b").as_deref(), Some("3"));
}

#[test]
fn a_session_that_was_succeeded_can_neither_write_nor_read() {
    let folder = folder();
    let database = Database::open(folder.path().join("meritd.redb")).unwrap();
    let (old, new) = (database.session(), database.session());
    assert!(matches!(old.commit(&[put("a", "old")]), Err(StoreError::Superseded)));
    assert!(matches!(old.get(Table::State, b"a"), Err(StoreError::Superseded)));
    new.commit(&[put("a", "new")]).unwrap();
    assert_eq!(value(&new, "a").as_deref(), Some("new"));
}

/// Few different bytes, so that prefixes meet; the last one has no successor.
fn key(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0_u8, 1, 254, 255]), 0..=longest)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn pages_join_to_exactly_the_rows_of_the_prefix(
        keys in prop::collection::btree_set(key(4), 0..40),
        prefix in key(2),
        limit in 1_usize..7,
    ) {
        let folder = folder();
        let session = Database::open(folder.path().join("meritd.redb")).unwrap().session();
        let writes: Vec<_> =
            keys.iter().map(|key| Write::put(Table::State, key.clone(), key.clone())).collect();
        session.commit(&writes).unwrap();
        session.commit(&[Write::put(Table::Outbox, prefix.clone(), "elsewhere")]).unwrap();
        let mut rows = Page::new();
        loop {
            let after = rows.last().map(|(key, _)| key.clone());
            let page = session.scan_prefix(Table::State, &prefix, after.as_deref(), limit).unwrap();
            prop_assert!(page.len() <= limit);
            let last = page.len() < limit;
            rows.extend(page);
            if last {
                break;
            }
        }
        let expected: Page = keys
            .iter()
            .filter(|key| key.starts_with(&prefix))
            .map(|key| (key.clone(), key.clone()))
            .collect();
        prop_assert_eq!(rows, expected);
    }
}

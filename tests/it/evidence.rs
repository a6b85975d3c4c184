//! Evidence that convinces somebody who trusts no daemon.

use std::{fs, path::Path, process::Output};

use alloy::primitives::{Address, U256};
use meritd::{domain::UnlockId, evidence::EvidenceFile};
use serde_json::{Value as Json, json};

use crate::support::{self, Daemon, PATIENCE, until};

async fn verify(file: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut program = tokio::process::Command::new(Daemon::program());
    program.arg("verify-evidence").arg(file).args(more).kill_on_drop(true);
    let Output { status, stdout, stderr } =
        tokio::time::timeout(PATIENCE, program.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
    (status.code(), said.into_owned())
}

/// Every text of hex digits in it, by its path.
fn hex_texts(json: &Json, path: &str, found: &mut Vec<String>) {
    match json {
        Json::Object(members) => {
            for (key, value) in members {
                hex_texts(value, &format!("{path}/{key}"), found);
            }
        }
        Json::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                hex_texts(value, &format!("{path}/{index}"), found);
            }
        }
        Json::String(text) if text.starts_with("0x") && text.len() > 2 => found.push(path.into()),
        _ => {}
    }
}

/// Whether all of a file holds; what can't be read holds nothing.
fn holds(file: &Json) -> bool {
    let Ok(file) = serde_json::from_value::<EvidenceFile>(file.clone()) else { return false };
    file.findings().iter().all(|finding| finding.flaw.is_none())
}

#[tokio::test]
async fn an_evidence_file_convinces_without_the_daemon_and_no_byte_of_it_can_be_changed() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    daemon.start().await;
    let member = world.anvil.account(4);
    support::contribute(&world, member).await;
    let path = daemon.setting.config().join("evidence.json");
    let user = member.to_checksum(None);
    let shown = path.to_str().unwrap().to_owned();
    let arguments = ["explain", "contributor", &user, "--with-inclusion-proofs", &shown];
    let file = until("it has landed, deep enough", PATIENCE, async || {
        let output = daemon.command(&arguments).await;
        let file = output.status.success().then(|| fs::read(&path).unwrap())?;
        let file: Json = serde_json::from_slice(&file).unwrap();
        (!file["landing"].is_null()).then_some(file)
    })
    .await;
    daemon.stop().await;

    let (code, said) = verify(&path, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("yes  contributions.contributed is log"), "{said}");
    assert!(
        said.contains("gives it to this user for this commitment") && said.contains("--rpc"),
        "{said}"
    );
    let url = world.anvil.url().to_owned();
    let (code, said) = verify(&path, &["--rpc", &url, "--json"]).await;
    assert_eq!(code, Some(0), "{said}");
    let report: Json = serde_json::from_str(&said).unwrap();
    assert_eq!((&report["verified"], &report["blocks_asked"]), (&json!(true), &json!(true)));

    // Somebody's own node has another block there.
    let block = file["evidence"]["items"][0]["block"].as_u64().unwrap();
    world.anvil.orphan(block).await.unwrap();
    let (code, said) = verify(&path, &["--rpc", &url]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the node has"), "{said}");

    assert!(holds(&file));
    assert_nobody_else_can_use_it(&file);
    let mut texts = Vec::new();
    hex_texts(&file, "", &mut texts);
    assert!(texts.len() > 20, "{texts:?}");
    for at in &texts {
        let text = file.pointer(at).unwrap().as_str().unwrap();
        // Its first digit, one in the middle, its last one.
        for place in [2, 2 + (text.len() - 2) / 2, text.len() - 1] {
            let mut changed = text.as_bytes().to_vec();
            changed[place] = if changed[place] == b'7' { b'8' } else { b'7' };
            let mut forged = file.clone();
            *forged.pointer_mut(at).unwrap() = String::from_utf8(changed).unwrap().into();
            assert!(!holds(&forged), "{at} at {place}");
        }
    }
    for (at, value) in [
        ("/proofs/0/place", json!(1)),
        ("/evidence/total", json!(7)),
        ("/evidence/items/0/block", json!(1)),
        ("/evidence/items/0/log_index", json!(3)),
        ("/achievement_id", json!("8")),
        ("/chain_id", json!(1)),
        ("/format", json!("meritd evidence 9")),
        ("/proofs", json!([])),
        ("/landing", json!(null)),
        ("/proofs/0/place", json!(u64::MAX)),
        ("/proofs/0/proof", json!({ "unproven": "trust me" })),
    ] {
        let mut forged = file.clone();
        *forged.pointer_mut(at).unwrap() = value;
        assert!(!holds(&forged), "{at}");
    }
}

/// Whoever has somebody's file can compute what is computed in it, but not have been
/// given the achievement.
fn assert_nobody_else_can_use_it(file: &Json) {
    let other = Address::repeat_byte(0x66);
    let typed: EvidenceFile = serde_json::from_value(file.clone()).unwrap();
    let mut stolen = typed.clone();
    stolen.user = other;
    stolen.unlock = UnlockId::of(stolen.chain_id, stolen.contract, stolen.achievement_id, other);
    assert!(stolen.findings().iter().any(|finding| finding.flaw.is_some()));
    let mut raised = typed;
    raised.achievement_id = U256::from(99);
    raised.unlock =
        UnlockId::of(raised.chain_id, raised.contract, raised.achievement_id, raised.user);
    assert!(raised.findings().iter().any(|finding| finding.flaw.is_some()));
}

#[tokio::test]
async fn what_is_no_evidence_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.json");
    for (text, said) in [
        ("", "no evidence file"),
        ("{}", "missing field"),
        ("[1, 2]", "no evidence file"),
        ("{\"format\": \"meritd evidence 1\", \"more\": 1}", "unknown field"),
    ] {
        fs::write(&path, text).unwrap();
        let (code, told) = verify(&path, &[]).await;
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains(said), "{text}: {told}");
    }
    let (code, told) = verify(&folder.path().join("nowhere.json"), &[]).await;
    assert!(code == Some(2) && told.contains("nowhere.json"), "{told}");
}

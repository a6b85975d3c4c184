//! The committed artifacts are those of the committed sources. (`make test`
//! also rebuilds them where the compiler is; this needs nothing.)

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use alloy::{hex, json_abi::JsonAbi};
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    contract_name: String,
    source_sha256: BTreeMap<String, String>,
    abi: JsonAbi,
    bytecode: String,
}

fn contracts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts")
}

fn artifacts() -> Vec<Artifact> {
    let files = fs::read_dir(contracts().join("artifacts")).unwrap().map(|f| f.unwrap().path());
    files
        .map(|path| {
            let artifact: Artifact = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            assert_eq!(path.file_stem().unwrap().to_str(), Some(artifact.contract_name.as_str()));
            artifact
        })
        .collect()
}

#[test]
fn every_artifact_was_built_from_the_committed_sources() {
    for artifact in artifacts() {
        let own = format!("src/{}.sol", artifact.contract_name);
        assert!(artifact.source_sha256.contains_key(&own), "{own}");
        for (source, recorded) in &artifact.source_sha256 {
            let found = hex::encode(Sha256::digest(fs::read(contracts().join(source)).unwrap()));
            let name = &artifact.contract_name;
            assert_eq!(recorded, &found, "{source} changed after {name}: run `make contracts`");
        }
    }
}

#[test]
fn every_source_is_behind_an_artifact() {
    let behind: BTreeSet<String> =
        artifacts().into_iter().flat_map(|artifact| artifact.source_sha256.into_keys()).collect();
    let sources: BTreeSet<String> = fs::read_dir(contracts().join("src"))
        .unwrap()
        .map(|file| format!("src/{}", file.unwrap().file_name().to_str().unwrap()))
        .collect();
    assert_eq!(behind, sources);
}

#[test]
fn every_artifact_can_be_deployed() {
    for artifact in artifacts() {
        let code = hex::decode(&artifact.bytecode).unwrap();
        assert!(code.len() > 100, "{} has no bytecode", artifact.contract_name);
    }
}

#[test]
fn the_manager_has_every_call_and_event_that_the_signer_uses() {
    let artifacts = artifacts();
    let manager = artifacts.iter().find(|a| a.contract_name == "AchievementManager").unwrap();
    let functions: BTreeSet<String> = manager.abi.functions().map(|f| f.signature()).collect();
    for used in [
        "unlockAchievement(address,uint256,bytes)",
        "batchUnlockAchievements(address[],uint256[],bytes[])",
        "revokeAchievement(address,uint256,bytes)",
        "hasAchievement(address,uint256)",
        "hasRole(bytes32,address)",
        "UNLOCKER_ROLE()",
        "REVOKER_ROLE()",
    ] {
        assert!(functions.contains(used), "{used} is not in {functions:#?}");
    }
    let events: BTreeSet<String> =
        manager.abi.events().map(|event| event.full_signature()).collect();
    for used in [
        "AchievementUnlocked(address indexed user, uint256 indexed id, uint256 tokenId, bytes proofData)",
        "AchievementSkipped(address indexed user, uint256 indexed id)",
        "AchievementRevoked(address indexed user, uint256 indexed id, uint256 tokenId, bytes reason)",
    ] {
        let used = format!("event {used}");
        assert!(events.contains(&used), "{used} is not in {events:#?}");
    }
}

/// Every Rust file below a folder of the repository.
fn rust_files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            rust_files(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    rust_files(&root.join("tests"), &mut files);
    let code: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let named: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| !word.starts_with("meritd_") && !word.starts_with("process_"))
        .filter(|word| word.matches('_').count() >= 3)
        .filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_numeric()))
        .collect();
    assert!(named.len() > 30, "the page names its tests in backticks: {named:?}");
    for name in named {
        assert!(code.contains(&format!("fn {name}(")), "{name} is no test");
    }
}

#[test]
fn the_crates_that_carry_the_load_are_used_for_what_they_are_for() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let uses = [
        ("actix", "src/supervisor/stepper.rs", "impl<S: Steps> Actor for Stepper<S>"),
        ("actix-web", "src/api/mod.rs", "HttpServer::new"),
        ("alloy", "src/chain/transport.rs", "RpcClient"),
        ("async-nats", "src/streams/connection.rs", "jetstream::Context"),
        ("redb", "src/store/tables.rs", "TableDefinition"),
        ("dashmap", "src/actors/shared.rs", "DashMap<"),
        ("failsafe", "src/breakers/breaker.rs", "failsafe"),
        ("prometheus", "src/telemetry/metrics.rs", "Registry::new"),
        ("serde", "src/domain/event.rs", "Deserialize"),
        ("tokio", "src/actors/head.rs", "async fn step"),
    ];
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (name, file, mark) in uses {
        assert!(manifest.contains(&format!("\n{name} = ")), "{name} is no dependency");
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains(mark), "{file} does not use {name} by `{mark}`");
    }
}

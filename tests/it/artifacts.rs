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

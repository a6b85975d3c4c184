//! Keys from files and text, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, os::unix::fs::PermissionsExt as _};

use alloy::{
    consensus::TxEnvelope,
    eips::Decodable2718 as _,
    primitives::{Bytes, hex},
    signers::k256::elliptic_curve::rand_core::OsRng,
};
use serde_json::{Value, json};

use super::*;
use crate::signing::ledger::AttemptKind;

// A key of the public test vectors that come with every development node.
const TEXT: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

fn secret(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

fn from_text(text: &str) -> Result<LocalKey, KeyError> {
    LocalKey::from_hex(text)
}

struct Keystore {
    folder: tempfile::TempDir,
}

impl Keystore {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = hex::decode(TEXT).unwrap();
        eth_keystore::encrypt_key(folder.path(), &mut OsRng, key, "right", Some("key.json"))
            .unwrap();
        let keystore = Self { folder };
        keystore.chmod(0o600);
        keystore
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("key.json")
    }

    fn chmod(&self, mode: u32) {
        fs::set_permissions(self.path(), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self, passphrase: &str) -> Result<LocalKey, KeyError> {
        LocalKey::from_keystore(&self.path(), passphrase)
    }

    /// Changes the file's JSON and says how it is then refused.
    fn broken(change: impl Fn(&mut Value)) -> String {
        let keystore = Self::new();
        let mut json: Value = serde_json::from_slice(&fs::read(keystore.path()).unwrap()).unwrap();
        change(&mut json);
        fs::write(keystore.path(), json.to_string()).unwrap();
        match keystore.load("right") {
            Err(KeyError::NotAKeystore { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_keystore_opens_with_its_passphrase_only() {
    let keystore = Keystore::new();
    assert_eq!(keystore.load("right").unwrap().address().to_string(), ADDRESS);
    assert!(matches!(keystore.load("wrong"), Err(KeyError::WrongPassphrase { .. })));
}

#[test]
fn a_keystore_that_others_can_read_is_refused_with_the_remedy() {
    let keystore = Keystore::new();
    for mode in [0o640, 0o604, 0o620, 0o777] {
        keystore.chmod(mode);
        let error = keystore.load("right").unwrap_err();
        assert!(matches!(error, KeyError::Exposed { mode: found, .. } if found == mode));
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}

#[test]
fn a_missing_file_and_another_file_are_told_apart() {
    let keystore = Keystore::new();
    fs::write(keystore.path(), "not json").unwrap();
    assert!(matches!(keystore.load("right"), Err(KeyError::NotAKeystore { .. })));
    fs::remove_file(keystore.path()).unwrap();
    assert!(matches!(keystore.load("right"), Err(KeyError::Unreadable { .. })));
}

#[test]
fn a_keystore_that_would_panic_or_exhaust_its_reader_is_refused() {
    for (change, says) in [
        (json!({"version": 1}), "version"),
        (json!({"crypto": {"cipherparams": {"iv": "00"}}}), "iv"),
        (json!({"crypto": {"kdfparams": {"dklen": 16}}}), "dklen"),
        (json!({"crypto": {"kdfparams": {"n": 1 << 30}}}), "1 GiB"),
        (json!({"crypto": {"kdfparams": {"n": 2, "r": 1 << 22, "p": 16}}}), "1 GiB"),
        (json!({"crypto": {"kdfparams": {"n": 1000}}}), "power of two"),
        (json!({"crypto": {"cipher": "rot13"}}), "cipher"),
    ] {
        let reason = Keystore::broken(|json| merge(json, &change));
        assert!(reason.contains(says), "{reason}");
    }
}

#[test]
fn a_keystore_that_holds_another_key_than_it_says_is_refused() {
    let own = json!({"address": ADDRESS.strip_prefix("0x").unwrap().to_lowercase()});
    let keystore = Keystore::new();
    let mut json: Value = serde_json::from_slice(&fs::read(keystore.path()).unwrap()).unwrap();
    merge(&mut json, &own);
    fs::write(keystore.path(), json.to_string()).unwrap();
    assert_eq!(keystore.load("right").unwrap().address().to_string(), ADDRESS);
    // The passphrase is right, and the check value holds: it does not cover this.
    let reason = Keystore::broken(|json| {
        merge(json, &own);
        let iv = json["crypto"]["cipherparams"]["iv"].as_str().unwrap().to_owned();
        let other = if iv.starts_with('0') { "1" } else { "0" };
        json["crypto"]["cipherparams"]["iv"] = format!("{other}{}", &iv[1..]).into();
    });
    assert!(reason.contains(ADDRESS) && reason.contains("damaged"), "{reason}");
    let reason = Keystore::broken(|json| merge(json, &json!({"address": "0x12"})));
    assert!(!reason.is_empty());
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

#[test]
fn a_private_key_is_64_hex_digits_and_is_never_shown() {
    let key = from_text(TEXT).unwrap();
    assert_eq!(key.address().to_string(), ADDRESS);
    assert_eq!(from_text(&TEXT[2..]).unwrap().address(), key.address());
    let digits = &TEXT[2..];
    assert!(!format!("{key:?}").contains(&digits[..8]));
    let spec = KeySpec::PrivateKeyHex(secret(TEXT));
    assert!(!format!("{spec:?}").contains(&digits[..8]));
    let spec = KeySpec::Keystore { path: "k".into(), passphrase: secret("hunter2") };
    assert!(!format!("{spec:?}").contains("hunter2"));
    let zero = "0".repeat(64);
    let above_the_order = "f".repeat(64);
    for bad in ["", "0x12", &digits[..62], zero.as_str(), above_the_order.as_str()] {
        let error = from_text(bad).unwrap_err();
        assert!(matches!(error, KeyError::NotAKey));
        assert!(bad.len() < 8 || !error.to_string().contains(bad));
    }
}

#[tokio::test]
async fn signatures_are_of_the_key_and_the_same_for_the_same_input() {
    let key = SignerKey::Local(from_text(TEXT).unwrap());
    let call = Call {
        to: Address::repeat_byte(1),
        calldata: Bytes::from_static(b"data"),
        gas_limit: 50_000,
    };
    let dynamic = Fees::Dynamic { max_fee_per_gas: 20, max_priority_fee_per_gas: 2 };
    for fees in [dynamic, Fees::Legacy { gas_price: 7 }] {
        let signed = key.sign(31337, 3, &call, fees).await.unwrap();
        assert_eq!(signed, key.sign(31337, 3, &call, fees).await.unwrap());
        let envelope = TxEnvelope::decode_2718(&mut signed.raw.as_ref()).unwrap();
        assert_eq!(*envelope.tx_hash(), signed.hash);
        let prehash = envelope.signature_hash();
        let signer = envelope.signature().recover_address_from_prehash(&prehash).unwrap();
        assert_eq!(signer, key.address());
        let attempt = signed.into_attempt(AttemptKind::Effect, 9);
        assert_eq!(attempt.max_fee_per_gas, fees.max_per_gas());
    }
}

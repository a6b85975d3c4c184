//! Keystore files.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf, thread};

use alloy::primitives::Address;
use eth_keystore::{EthKeystore, KdfparamsType};
use serde_json::Value as Json;

use crate::signing::keys::{KeyError, LocalKey, check_keystore};

/// What those of the corpus were encrypted with.
const PASSPHRASE: &str = "hunter2-hunter2";
/// Of an error that a person reads on one line.
const ERROR_CHARS_MAX: usize = 1_000;

/// The text of a keystore.
///
/// It is refused, shortly and without its passphrase, or opens with that to the key that it
/// says it holds. Nothing in it makes deriving a key take more memory than is allowed.
pub fn keystores(bytes: &[u8]) {
    if let Ok(keystore) = serde_json::from_slice::<EthKeystore>(bytes)
        && check_keystore(&keystore).is_ok()
        && is_slow(&keystore)
    {
        // Slow on purpose, and nothing new.
        return;
    }
    let file = File::of(bytes);
    match LocalKey::from_keystore(&file.0, PASSPHRASE) {
        Ok(key) => {
            let says: Json = serde_json::from_slice(bytes).unwrap();
            let says = says["address"].as_str().map(|text| text.parse::<Address>().unwrap());
            assert!(says.is_none_or(|says| says == key.address()), "another key than it says");
        }
        Err(KeyError::Unreadable { source, .. }) => panic!("{source}"),
        Err(KeyError::NotAKeystore { reason, .. }) => {
            assert!(!reason.is_empty() && reason.chars().count() <= ERROR_CHARS_MAX, "{reason}");
            assert!(!reason.contains(PASSPHRASE));
        }
        Err(KeyError::WrongPassphrase { .. }) => {}
        Err(other) => panic!("{other}"),
    }
}

/// Whether deriving the key takes longer than in the files of the corpus.
fn is_slow(keystore: &EthKeystore) -> bool {
    match &keystore.crypto.kdfparams {
        KdfparamsType::Pbkdf2 { c, .. } => *c > 10_000,
        KdfparamsType::Scrypt { n, r, p, .. } => {
            u64::from(*n) * u64::from(*r) * u64::from(*p) > 64 * 8
        }
    }
}

/// A file that only its owner can read: keystores are opened by path.
struct File(PathBuf);

impl File {
    fn of(bytes: &[u8]) -> Self {
        let name = format!("meritd-fuzz-{}-{:?}", std::process::id(), thread::current().id());
        let path = std::env::temp_dir().join(name);
        let mut options = fs::OpenOptions::new();
        let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        opened.and_then(|mut file| file.write_all(bytes)).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // What is left among temporary files harms nobody.
        let _ = fs::remove_file(&self.0);
    }
}

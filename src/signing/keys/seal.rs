//! New keystore files: Web3 Secret Storage, version 3, as every Ethereum
//! client reads it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use aes::{Aes128, cipher::KeyIvInit as _, cipher::StreamCipher as _};
use alloy::primitives::{hex, keccak256};
use rand::{TryRngCore as _, rngs::OsRng};
use serde_json::json;
use zeroize::Zeroizing;

use super::LocalKey;

/// How long it takes to try a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// scrypt with n = 2^18 as geth makes them: about a second and 256 MiB.
    Standard,
    /// n = 2^12, geth's `--lightkdf`: for development.
    Light,
}

/// Why there is no new keystore.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Nothing is ever written over a key.
    #[error(
        "{} exists already and is left as it is; name another file, or move it away", path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It can't be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system has no random numbers, or not the memory for scrypt.
    #[error("the key can't be encrypted: {0}")]
    Crypto(String),
}

impl LocalKey {
    /// Writes the key, encrypted, into a new file that only its owner can read.
    /// Slow on purpose: call it on a thread that may block.
    ///
    /// # Errors
    /// See [`SealError`]; a file that was there is left as it was.
    pub fn seal(&self, path: &Path, passphrase: &str, strength: Strength) -> Result<(), SealError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => SealError::Exists { path: path.to_owned() },
            _ => SealError::File { path: path.to_owned(), source },
        };
        // First, so that a wrong path costs no second of scrypt.
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        let written = self.sealed(passphrase, strength).and_then(|text| {
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
        });
        if written.is_err() {
            // Half a keystore must not look like one.
            let _ = fs::remove_file(path);
        }
        written
    }

    fn sealed(&self, passphrase: &str, strength: Strength) -> Result<String, SealError> {
        let crypto = |error: &dyn std::fmt::Display| SealError::Crypto(error.to_string());
        let log_n = match strength {
            Strength::Standard => 18,
            Strength::Light => 12,
        };
        let (mut salt, mut iv, mut id) = ([0_u8; 32], [0_u8; 16], [0_u8; 16]);
        for bytes in [&mut salt[..], &mut iv, &mut id] {
            OsRng.try_fill_bytes(bytes).map_err(|error| crypto(&error))?;
        }
        // RFC 9562: a random UUID says so in these bits.
        id[6] = (id[6] & 0x0f) | 0x40;
        id[8] = (id[8] & 0x3f) | 0x80;
        let mut derived = Zeroizing::new([0_u8; 32]);
        let params = scrypt::Params::new(log_n, 8, 1).map_err(|error| crypto(&error))?;
        scrypt::scrypt(passphrase.as_bytes(), &salt, &params, &mut *derived)
            .map_err(|error| crypto(&error))?;
        let mut text = Zeroizing::new(self.0.to_bytes().0);
        let (cipher_key, mac_key) = derived.split_at(16);
        let mut cipher = ctr::Ctr128BE::<Aes128>::new_from_slices(cipher_key, &iv)
            .map_err(|error| crypto(&error))?;
        // From here on it holds no secret any more.
        cipher.apply_keystream(&mut *text);
        let mac = keccak256([mac_key, &text[..]].concat());
        let keystore = json!({
            "address": hex::encode(self.address()),
            "crypto": {
                "cipher": "aes-128-ctr",
                "cipherparams": { "iv": hex::encode(iv) },
                "ciphertext": hex::encode(&text[..]),
                "kdf": "scrypt",
                "kdfparams": {
                    "dklen": 32, "n": 1_u32 << log_n, "p": 1, "r": 8, "salt": hex::encode(salt),
                },
                "mac": hex::encode(mac),
            },
            "id": uuid(id),
            "version": 3,
        });
        Ok(format!("{keystore:#}\n"))
    }
}

fn uuid(bytes: [u8; 16]) -> String {
    let digits = hex::encode(bytes);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    parts.map(|part| digits.get(part).unwrap_or_default()).join("-")
}

//! Keys in this process: from keystore files and from text. The only file of
//! this module that reads key material.

use std::{fmt, fs, os::unix::fs::PermissionsExt as _, path::Path};

use alloy::{
    primitives::{Address, B256, Signature, hex},
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use eth_keystore::{EthKeystore, KdfparamsType, KeystoreError};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::KeyError;
use crate::shortened::shortened;

/// A key in this process's memory. Wiped when dropped.
pub struct LocalKey(pub(super) PrivateKeySigner);

impl fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl LocalKey {
    /// A new key from the system's random numbers.
    #[must_use]
    pub fn random() -> Self {
        Self(PrivateKeySigner::random())
    }

    /// From 32 bytes in hex, with or without `0x`.
    ///
    /// # Errors
    /// [`KeyError::NotAKey`], which does not repeat the text.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(text.trim(), bytes.as_mut_slice()).map_err(|_| KeyError::NotAKey)?;
        PrivateKeySigner::from_slice(bytes.as_slice()).map(Self).map_err(|_| KeyError::NotAKey)
    }

    /// From a Web3 Secret Storage file, version 3. Its key derivation is slow
    /// on purpose (up to seconds): call this on a thread that may block.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_keystore(path: &Path, passphrase: &str) -> Result<Self, KeyError> {
        let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
        let not_a_keystore =
            |reason: String| KeyError::NotAKeystore { path: path.to_owned(), reason };
        let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { path: path.to_owned(), mode });
        }
        let bytes = fs::read(path).map_err(unreadable)?;
        let unlike = |error: serde_json::Error| not_a_keystore(shortened(&error));
        let keystore: EthKeystore = serde_json::from_slice(&bytes).map_err(unlike)?;
        let Claimed { address } = serde_json::from_slice(&bytes).map_err(unlike)?;
        check(&keystore).map_err(|reason| not_a_keystore(reason.to_owned()))?;
        let secret = eth_keystore::decrypt_key(path, passphrase).map_err(|error| match error {
            KeystoreError::MacMismatch => KeyError::WrongPassphrase { path: path.to_owned() },
            other => not_a_keystore(other.to_string()),
        })?;
        let secret = Zeroizing::new(secret);
        let key = PrivateKeySigner::from_slice(&secret)
            .map(Self)
            .map_err(|_| not_a_keystore("what it holds is no private key".into()))?;
        match address.filter(|claimed| *claimed != key.address()) {
            Some(claimed) => Err(not_a_keystore(format!(
                "it says that it is of {claimed}, and holds the key of {}: it is damaged, or was \
                 put together from others",
                key.address()
            ))),
            None => Ok(key),
        }
    }

    /// The account.
    #[must_use]
    pub fn address(&self) -> Address {
        self.0.address()
    }

    /// Deterministic (RFC 6979): the same input gives the same bytes.
    pub(super) fn sign_hash(&self, hash: &B256) -> Result<Signature, KeyError> {
        self.0.sign_hash_sync(hash).map_err(|error| KeyError::Signing { reason: error.to_string() })
    }
}

/// Whose key a file says that it holds: most do. Nothing else of it protects the
/// initialisation vector, and with another one it opens to another key.
#[derive(Deserialize)]
struct Claimed {
    address: Option<Address>,
}

/// The decrypting crate slices by these lengths without asking (a short `iv`
/// or `dklen` panics), and allocates what the file says.
pub(crate) fn check(keystore: &EthKeystore) -> Result<(), &'static str> {
    const SCRYPT_BYTES_MAX: u64 = 1 << 30;
    const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;
    let crypto = &keystore.crypto;
    if keystore.version != 3 {
        return Err("its `version` is not 3");
    }
    if crypto.cipher != "aes-128-ctr" || crypto.cipherparams.iv.len() != 16 {
        return Err("its cipher is not aes-128-ctr with an `iv` of 16 bytes");
    }
    match &crypto.kdfparams {
        KdfparamsType::Pbkdf2 { dklen: 32, c, prf, .. } if prf == "hmac-sha256" => {
            if (1..=PBKDF2_ROUNDS_MAX).contains(c) {
                Ok(())
            } else {
                Err("pbkdf2's `c` is not within 1 to 10,000,000")
            }
        }
        KdfparamsType::Scrypt { dklen: 32, n, r, p, .. } => {
            // RFC 7914: a table of n blocks, and p blocks that are mixed with it.
            let blocks = u64::from(*n) + u64::from(*p);
            let bytes = 128_u64.saturating_mul(blocks).saturating_mul((*r).into());
            if n.is_power_of_two() && *n > 1 && bytes <= SCRYPT_BYTES_MAX && (1..=16).contains(p) {
                Ok(())
            } else {
                Err("scrypt's `n` is no power of two, or its parameters need more than 1 GiB")
            }
        }
        _ => Err("its key derivation is neither scrypt nor pbkdf2 (hmac-sha256) with `dklen` 32"),
    }
}

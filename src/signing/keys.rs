//! Keys: where they come from, and signatures with them. The only part of
//! this module that does I/O.
//!
//! Key material is wiped from memory when it is dropped, as far as its types
//! allow, and no `Debug` or error shows it. A key that a key management
//! service keeps never comes here at all.

mod kms;
mod local;
mod seal;
mod transaction;

use std::{fmt, path::PathBuf};

use alloy::primitives::Address;
use zeroize::Zeroizing;

pub use kms::{GcpVersion, KmsKey, RemoteKey};
pub use local::LocalKey;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use local::check as check_keystore;
pub use seal::{SealError, Strength};
pub use transaction::SignedTx;

use self::transaction::Unsigned;
use super::{fees::Fees, ledger::Call};

/// Where a signer's key is.
pub enum KeySpec {
    /// A Web3 Secret Storage file, version 3.
    Keystore {
        /// The file.
        path: PathBuf,
        /// What it was encrypted with.
        passphrase: Zeroizing<String>,
    },
    /// 32 bytes in hex, with or without `0x`.
    PrivateKeyHex(Zeroizing<String>),
    /// A key management service signs.
    Kms {
        /// Which key of which service.
        key: KmsKey,
        /// The account that it is expected to be.
        address: Address,
    },
}

impl fmt::Debug for KeySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keystore { path, .. } => {
                f.debug_struct("Keystore").field("path", path).finish_non_exhaustive()
            }
            Self::PrivateKeyHex(_) => f.write_str("PrivateKeyHex(…)"),
            Self::Kms { key, address } => {
                f.debug_struct("Kms").field("key", key).field("address", address).finish()
            }
        }
    }
}

/// Why there is no key or no signature.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file can't be read.
    #[error("keystore `{}` can't be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others on this machine may read or write the file.
    #[error(
        "keystore `{}` has mode {mode:04o}, so that others can open it; run: chmod 600 {}",
        path.display(), path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is something else, or asks for more than an honest one does.
    #[error("`{}` is no keystore of version 3: {reason}", path.display())]
    NotAKeystore {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It was encrypted with another passphrase (or was damaged).
    #[error("the passphrase does not open keystore `{}`", path.display())]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The given text is no private key. It is not repeated here.
    #[error(
        "the private key is not 32 bytes in hex (64 digits, `0x` allowed) within the curve's order"
    )]
    NotAKey,
    /// The signature failed.
    #[error("no signature could be made: {reason}")]
    Signing {
        /// Why.
        reason: String,
    },
    /// This program can't talk to the service.
    #[error("this meritd was built without {service}; build it with `--features {feature}`")]
    NotBuiltIn {
        /// What is missing.
        service: &'static str,
        /// The feature of the build that adds it.
        feature: &'static str,
    },
    /// The given text names no version of a key.
    #[error(
        "`{given}` is no key version; give projects/P/locations/L/keyRings/R/cryptoKeys/K/\
         cryptoKeyVersions/N"
    )]
    NotAKeyVersion {
        /// What was given.
        given: String,
    },
    /// The service gave no answer, or refused: for now, or until a person helps.
    #[error("{key}: {reason}")]
    Unavailable {
        /// Which key, of which service.
        key: String,
        /// What the service or the way to it said.
        reason: String,
    },
    /// The service's key is another account's, such as after an alias was
    /// turned to a new key.
    #[error(
        "{key} is the account {found}, and `key.address` says {expected}; correct one of the two"
    )]
    OtherAccount {
        /// Which key, of which service.
        key: String,
        /// As configured.
        expected: Address,
        /// The account of the service's key.
        found: Address,
    },
}

/// A key that signs.
#[derive(Debug)]
pub enum SignerKey {
    /// In this process's memory.
    Local(LocalKey),
    /// Kept by a key management service.
    Remote(RemoteKey),
}

impl SignerKey {
    /// Loads a key. A keystore's key derivation is slow on purpose (up to
    /// seconds): call this on a thread that may block. A key management
    /// service is asked when the first signature is wanted.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn load(spec: &KeySpec) -> Result<Self, KeyError> {
        match spec {
            KeySpec::Keystore { path, passphrase } => {
                LocalKey::from_keystore(path, passphrase).map(Self::Local)
            }
            KeySpec::PrivateKeyHex(text) => LocalKey::from_hex(text).map(Self::Local),
            KeySpec::Kms { key, address } => {
                RemoteKey::new(key.clone(), *address).map(Self::Remote)
            }
        }
    }

    /// The account.
    #[must_use]
    pub fn address(&self) -> Address {
        match self {
            Self::Local(key) => key.address(),
            Self::Remote(key) => key.address(),
        }
    }

    /// Signs a call at a nonce, as EIP-1559 or, by the kind of `fees`, as a
    /// legacy transaction with EIP-155 replay protection.
    ///
    /// # Errors
    /// [`KeyError::Signing`]; of a service's key also
    /// [`KeyError::Unavailable`] (within ten seconds) and
    /// [`KeyError::OtherAccount`].
    pub async fn sign(
        &self,
        chain_id: u64,
        nonce: u64,
        call: &Call,
        fees: Fees,
    ) -> Result<SignedTx, KeyError> {
        let unsigned = Unsigned::new(chain_id, nonce, call, fees);
        let hash = unsigned.signature_hash();
        let signature = match self {
            Self::Local(key) => key.sign_hash(&hash)?,
            Self::Remote(key) => key.sign_hash(&hash).await?,
        };
        Ok(unsigned.signed(signature))
    }
}

#[cfg(test)]
mod tests;

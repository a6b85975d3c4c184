//! Keys: where they come from, and signatures with them. The only file of
//! this module that does I/O.
//!
//! Key material is wiped from memory when it is dropped, as far as its types
//! allow, and no `Debug` or error shows it.

mod seal;

use std::{
    fmt, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy},
    eips::Encodable2718,
    primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex},
    signers::{SignerSync, local::PrivateKeySigner},
};
use eth_keystore::{EthKeystore, KdfparamsType, KeystoreError};
use zeroize::Zeroizing;

pub use seal::{SealError, Strength};

use super::{
    fees::Fees,
    ledger::{Attempt, AttemptKind, Call},
};

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
}

impl fmt::Debug for KeySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keystore { path, .. } => {
                f.debug_struct("Keystore").field("path", path).finish_non_exhaustive()
            }
            Self::PrivateKeyHex(_) => f.write_str("PrivateKeyHex(…)"),
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
}

/// A key that signs. Wiped when dropped.
pub struct SignerKey(PrivateKeySigner);

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerKey").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// A signed transaction, ready to be recorded and then broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTx {
    /// Transaction hash.
    pub hash: B256,
    /// EIP-2718 bytes.
    pub raw: Bytes,
    fees: Fees,
}

impl SignedTx {
    /// As the ledger records it.
    #[must_use]
    pub fn into_attempt(self, kind: AttemptKind, signed_at_unix_s: u64) -> Attempt {
        Attempt {
            hash: self.hash,
            raw: self.raw,
            kind,
            max_fee_per_gas: self.fees.max_per_gas(),
            max_priority_fee_per_gas: self.fees.tip_per_gas(),
            signed_at_unix_s,
        }
    }
}

impl SignerKey {
    /// Loads a key. A keystore's key derivation is slow on purpose (up to
    /// seconds): call this on a thread that may block.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn load(spec: &KeySpec) -> Result<Self, KeyError> {
        match spec {
            KeySpec::Keystore { path, passphrase } => from_keystore(path, passphrase),
            KeySpec::PrivateKeyHex(text) => {
                let mut bytes = Zeroizing::new([0_u8; 32]);
                hex::decode_to_slice(text.trim(), bytes.as_mut_slice())
                    .map_err(|_| KeyError::NotAKey)?;
                PrivateKeySigner::from_slice(bytes.as_slice())
                    .map(Self)
                    .map_err(|_| KeyError::NotAKey)
            }
        }
    }

    /// The account.
    #[must_use]
    pub fn address(&self) -> Address {
        self.0.address()
    }

    /// Signs a call at a nonce, as EIP-1559 or, by the kind of `fees`, as a
    /// legacy transaction with EIP-155 replay protection. Signatures are
    /// deterministic (RFC 6979): the same input gives the same bytes.
    ///
    /// # Errors
    /// [`KeyError::Signing`].
    pub fn sign(
        &self,
        chain_id: u64,
        nonce: u64,
        call: &Call,
        fees: Fees,
    ) -> Result<SignedTx, KeyError> {
        let (to, input, value) = (TxKind::Call(call.to), call.calldata.clone(), U256::ZERO);
        let gas_limit = call.gas_limit;
        let envelope: TxEnvelope = match fees {
            Fees::Dynamic { max_fee_per_gas, max_priority_fee_per_gas } => {
                let transaction = TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to,
                    value,
                    access_list: alloy::eips::eip2930::AccessList::default(),
                    input,
                };
                let signature = self.signature(&transaction)?;
                transaction.into_signed(signature).into()
            }
            Fees::Legacy { gas_price } => {
                let chain_id = Some(chain_id);
                let transaction =
                    TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input };
                let signature = self.signature(&transaction)?;
                transaction.into_signed(signature).into()
            }
        };
        Ok(SignedTx { hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into(), fees })
    }

    fn signature(
        &self,
        transaction: &impl SignableTransaction<Signature>,
    ) -> Result<Signature, KeyError> {
        self.0
            .sign_hash_sync(&transaction.signature_hash())
            .map_err(|error| KeyError::Signing { reason: error.to_string() })
    }
}

fn from_keystore(path: &Path, passphrase: &str) -> Result<SignerKey, KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
    let not_a_keystore = |reason: String| KeyError::NotAKeystore { path: path.to_owned(), reason };
    let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    let keystore: EthKeystore =
        serde_json::from_slice(&bytes).map_err(|error| not_a_keystore(error.to_string()))?;
    check(&keystore).map_err(|reason| not_a_keystore(reason.to_owned()))?;
    let secret = eth_keystore::decrypt_key(path, passphrase).map_err(|error| match error {
        KeystoreError::MacMismatch => KeyError::WrongPassphrase { path: path.to_owned() },
        other => not_a_keystore(other.to_string()),
    })?;
    let secret = Zeroizing::new(secret);
    PrivateKeySigner::from_slice(&secret)
        .map(SignerKey)
        .map_err(|_| not_a_keystore("what it holds is no private key".into()))
}

/// The decrypting crate slices by these lengths without asking (a short `iv`
/// or `dklen` panics), and allocates what the file says.
fn check(keystore: &EthKeystore) -> Result<(), &'static str> {
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
            let bytes = 128_u64.saturating_mul((*n).into()).saturating_mul((*r).into());
            if n.is_power_of_two() && *n > 1 && bytes <= SCRYPT_BYTES_MAX && (1..=16).contains(p) {
                Ok(())
            } else {
                Err("scrypt's `n` is no power of two, or its parameters need more than 1 GiB")
            }
        }
        _ => Err("its key derivation is neither scrypt nor pbkdf2 (hmac-sha256) with `dklen` 32"),
    }
}

#[cfg(test)]
mod tests;

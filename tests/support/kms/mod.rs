//! Stand-ins for key management services, as far as a signer uses them: AWS
//! KMS over HTTP and Google's over gRPC, with the answers that those give.

mod aws;
mod gcp;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use alloy::{
    primitives::Address,
    signers::{
        k256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _},
        local::PrivateKeySigner,
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};

pub use aws::AwsKms;
pub use gcp::GcpKms;

/// The one key that a service keeps.
pub struct Vault {
    key: SigningKey,
    account: Address,
    is_down: AtomicBool,
    signatures: AtomicU64,
}

impl Vault {
    pub fn new(key: &PrivateKeySigner) -> Self {
        Self {
            key: key.credential().clone(),
            account: key.address(),
            is_down: AtomicBool::new(false),
            signatures: AtomicU64::new(0),
        }
    }

    pub fn account(&self) -> Address {
        self.account
    }

    /// Whether the service fails every request.
    pub fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    fn is_down(&self) -> bool {
        self.is_down.load(Ordering::SeqCst)
    }

    /// Signatures that were made.
    pub fn signatures(&self) -> u64 {
        self.signatures.load(Ordering::SeqCst)
    }

    /// A signature in DER. Services don't care which of the two values of `s`
    /// they give, and chains do: every other one is the high one.
    fn sign(&self, digest: &[u8]) -> Vec<u8> {
        let low: Signature = self.key.sign_prehash(digest).unwrap();
        let made = self.signatures.fetch_add(1, Ordering::SeqCst);
        let signature = if made.is_multiple_of(2) {
            Signature::from_scalars(low.r().to_bytes(), (-*low.s()).to_bytes()).unwrap()
        } else {
            low
        };
        signature.to_der().as_bytes().to_vec()
    }

    /// The public key as SubjectPublicKeyInfo (RFC 5480) of secp256k1.
    fn public_key(&self) -> Vec<u8> {
        const HEAD: [u8; 23] = [
            0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
            0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a, 0x03, 0x42, 0x00,
        ];
        let point = self.key.verifying_key().to_encoded_point(false);
        [&HEAD, point.as_bytes()].concat()
    }
}

/// A PEM block (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

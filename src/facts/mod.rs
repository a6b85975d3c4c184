//! Facts that no chain has: said by somebody whom the configuration trusts, signed, and
//! put into an order of their own.
//!
//! A source of facts is to rules what a contract is: it has a name, events with typed
//! fields, a place in the stream, and watermarks. Its order is that in which facts were
//! taken in; what came first can't be worked out anew from any chain, so the stream is
//! its truth, and explanations and evidence say so.

mod chain;
mod reading;

use std::{collections::BTreeMap, fmt};

use alloy::primitives::{Address, B256};
use serde_json::Value as Json;
use zeroize::Zeroizing;

pub use chain::{FactChain, ID_FIELD};
pub use reading::{Refused, Signed, signing_hash};

use crate::domain::{EventSchema, Name};

/// The kind of sources of facts, where kinds of contracts are named.
pub const KIND: &str = "facts";

/// Who says facts of which kinds.
#[derive(Clone, Debug)]
pub struct FactSource {
    /// Its name, as rules name contracts.
    pub name: Name,
    /// What it tells.
    pub events: Vec<EventSchema>,
    /// Whose signatures (EIP-712) are taken.
    pub signers: Vec<Address>,
    /// The secret of a webhook's HMAC-SHA256.
    pub secret: Option<WebhookSecret>,
}

/// The key of a webhook's HMAC. It shows itself to nobody.
#[derive(Clone)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl WebhookSecret {
    /// Wraps a key, of any length.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self(Zeroizing::new(key.as_bytes().to_vec()))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A fact as it was said and found to be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// By what its source tells it from any other.
    pub id: String,
    /// What happened.
    pub event: Name,
    /// Its fields, as events have them.
    pub fields: BTreeMap<String, Json>,
    /// Who signed it; zero where the source itself did.
    pub by: Address,
    /// Stands for all that was said.
    pub digest: B256,
}

#[cfg(test)]
mod tests;

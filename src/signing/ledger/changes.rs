//! What a step of the ledger asks the shell to make durable and to say.

use serde::Serialize;

use crate::domain::{UnlockId, UnlockMessage, UnlockRequest};

/// One key of the signer's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// `item/` + 32 bytes, `nonce/` + 8 bytes big-endian, or `meta`.
    pub key: Vec<u8>,
    /// JSON; `None` deletes the key.
    pub value: Option<Vec<u8>>,
}

/// What one step changed. The shell commits `writes` together with the
/// messages' outbox entries in one store transaction **before** it acts on
/// the step. When that commit fails, the ledger in memory is ahead of the
/// disk: drop it and restore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Changes {
    /// In no order; a key stands once.
    pub writes: Vec<Write>,
    /// To be published on `merit.v1.unlocks.…`.
    pub messages: Vec<UnlockMessage>,
    /// Landed achievements that lost their evidence under policy `alert`.
    pub alerts: Vec<UnlockRequest>,
}

impl Changes {
    /// Whether the step did nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.messages.is_empty() && self.alerts.is_empty()
    }

    /// Adds a later step, so that both commit at once: a key written twice
    /// keeps its last value.
    pub fn then(&mut self, later: Self) {
        self.writes.retain(|write| later.writes.iter().all(|newer| newer.key != write.key));
        self.writes.extend(later.writes);
        self.messages.extend(later.messages);
        self.alerts.extend(later.alerts);
    }
}

pub(super) const META: &[u8] = b"meta";
const ITEM: &[u8] = b"item/";
const NONCE: &[u8] = b"nonce/";

/// Whose record a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Item,
    Nonce,
    Meta,
}

/// The key of an item's record: how a shell finds an archived one.
#[must_use]
pub fn item_key(id: UnlockId) -> Vec<u8> {
    [ITEM, id.0.as_slice()].concat()
}

pub(super) fn nonce_key(nonce: u64) -> Vec<u8> {
    [NONCE, &nonce.to_be_bytes()].concat()
}

pub(super) fn key_kind(key: &[u8]) -> Option<Key> {
    if key == META {
        Some(Key::Meta)
    } else if key.starts_with(ITEM) {
        Some(Key::Item)
    } else if key.starts_with(NONCE) {
        Some(Key::Nonce)
    } else {
        None
    }
}

pub(super) fn put<T: Serialize>(key: Vec<u8>, value: &T) -> Result<Write, serde_json::Error> {
    Ok(Write { key, value: Some(serde_json::to_vec(value)?) })
}

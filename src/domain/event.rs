//! A log as a standard event.

use crate::teeth::{Tooth, is_planted};
use std::fmt;

use alloy::primitives::{Address, B256, Keccak256};
use serde::{Deserialize, Serialize};

use super::{BlockRef, FieldMap, FieldType, Name, Position, Value, ValueError};

/// Names one log for ever: keccak-256 of (chain id, block hash, transaction
/// hash, log index). The block hash makes the same transaction, mined again
/// in another block, another event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub B256);

impl EventId {
    /// The id of a log.
    #[must_use]
    pub fn of(chain_id: u64, block_hash: B256, transaction_hash: B256, log_index: u64) -> Self {
        let mut hasher = Keccak256::new();
        hasher.update(chain_id.to_be_bytes());
        if !is_planted(Tooth::IdWithoutBlockHash) {
            hasher.update(block_hash);
        }
        hasher.update(transaction_hash);
        hasher.update(log_index.to_be_bytes());
        Self(hasher.finalize())
    }
}

/// How many events, and which, in whatever order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSum {
    /// How many.
    pub events: u64,
    /// Their ids, each once, by exclusive or.
    pub digest: B256,
}

impl EventSum {
    /// One more: not one of those before.
    pub fn add(&mut self, id: EventId) {
        self.events += 1;
        self.digest ^= id.0;
    }
}

impl FromIterator<EventId> for EventSum {
    fn from_iter<I: IntoIterator<Item = EventId>>(ids: I) -> Self {
        let mut sum = Self::default();
        ids.into_iter().for_each(|id| sum.add(id));
        sum
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What stays the same when a transaction is mined again in another block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Hash of the transaction.
    pub transaction_hash: B256,
    /// Which log of this contract within the transaction, from 0.
    pub ordinal: u64,
}

/// One decoded log of a watched contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// See [`EventId`].
    pub id: EventId,
    /// Links re-mined copies of one log.
    pub origin: Origin,
    /// The chain's configured name.
    pub chain: Name,
    /// The contract's configured name.
    pub contract: Name,
    /// The contract's address.
    #[serde(with = "super::unlock::checksummed")]
    pub address: Address,
    /// Standard name in snake_case, or the ABI's name in snake_case.
    pub name: Name,
    /// Where it stands in the order of all events.
    pub position: Position,
    /// The block it is in.
    pub block: BlockRef,
    /// Fields by name, as [`Value::to_json`] writes them.
    pub fields: FieldMap,
}

impl Event {
    /// A field, read as the type its schema promises; `None` when the event
    /// has no field of that name.
    ///
    /// # Errors
    /// When the field is of another type.
    pub fn field(&self, name: &str, field_type: &FieldType) -> Result<Option<Value>, ValueError> {
        self.fields.get(name).map(|json| Value::from_json(field_type, json)).transpose()
    }
}

/// One field of an event kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSchema {
    /// Standard name.
    pub name: String,
    /// Its type.
    pub field_type: FieldType,
}

/// What events of one name look like: rules are checked against it at load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSchema {
    /// Standard name of the event.
    pub name: Name,
    /// Fields in the ABI's order.
    pub fields: Vec<FieldSchema>,
}

impl EventSchema {
    /// The type of a field, if events of this kind have it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&FieldType> {
        self.fields.iter().find(|field| field.name == name).map(|field| &field.field_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remined_transaction_gets_a_new_id() {
        let tx = B256::repeat_byte(7);
        let first = EventId::of(1, B256::repeat_byte(1), tx, 3);
        assert_eq!(first, EventId::of(1, B256::repeat_byte(1), tx, 3));
        assert_ne!(first, EventId::of(1, B256::repeat_byte(2), tx, 3));
        assert_ne!(first, EventId::of(2, B256::repeat_byte(1), tx, 3));
        assert_ne!(first, EventId::of(1, B256::repeat_byte(1), tx, 4));
    }
}

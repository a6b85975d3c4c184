//! The words of the field: what a block, a position, an event, an unlock, a
//! benefit is. No I/O, no clock, no randomness, and nothing about actors,
//! brokers or stores.

mod block;
mod event;
mod field_map;
mod names;
pub mod off_chain;
mod rewind;
mod transaction;
pub(crate) mod unlock;
mod value;
mod watermark;

pub use block::{BlockRef, Position};
pub use event::{Event, EventId, EventSchema, EventSum, FieldSchema, Origin};
pub use field_map::FieldMap;
pub use names::{InvalidName, Name};
pub use rewind::{Rewind, RewindReason};
pub use transaction::{TransactionMessage, TransactionState};
pub use unlock::{
    Evidence, EvidenceItem, OnRetract, UnlockId, UnlockMessage, UnlockRequest, UnlockState, Urgency,
};
pub use value::{FieldType, Value, ValueError};
pub use watermark::Watermark;

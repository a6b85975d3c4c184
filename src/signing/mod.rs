//! Landing transactions: the pure core of the signer and transaction actors.
//!
//! [`ledger`] holds one signer's books: which effects are wanted, which nonce
//! carries which. [`batcher`] chooses what goes next, [`calls`], [`gas`] and
//! [`fees`] make a transaction of it, [`keys`] signs it, [`lifecycle`] sees
//! one nonce through to its fate, [`send_errors`] and [`reverts`] explain
//! refusals. No I/O, clock or randomness but in [`keys`], which reads key
//! files; nothing here knows actors, stores or brokers.

pub mod batcher;
pub mod calls;
pub mod fees;
pub mod gas;
pub mod item;
pub mod keys;
pub mod ledger;
pub mod lifecycle;
pub mod quote;
pub mod ready;
pub mod retold;
pub mod reverts;
pub mod send_errors;
pub mod spending;
pub mod texts;

/// `u128` as a decimal string: JSON readers lose digits above 2^53.
mod decimal_u128 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    // Serde hands a reference to `serialize_with`.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(super) fn serialize<S: Serializer>(value: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|error| D::Error::custom(format!("`{text}` is no number: {error}")))
    }
}

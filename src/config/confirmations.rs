//! How deep a block must be, as people write it.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// How deep a block must be before its events are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmations {
    /// So many blocks on top of it.
    Blocks(u64),
    /// At or below the `safe` tag.
    Safe,
    /// At or below the `finalized` tag.
    Finalized,
}

impl<'de> Deserialize<'de> for Confirmations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Confirmations;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of blocks, \"safe\" or \"finalized\"")
            }
            fn visit_u64<E: de::Error>(self, blocks: u64) -> Result<Confirmations, E> {
                Ok(Confirmations::Blocks(blocks))
            }
            fn visit_i64<E: de::Error>(self, blocks: i64) -> Result<Confirmations, E> {
                u64::try_from(blocks)
                    .map(Confirmations::Blocks)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(blocks), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Confirmations, E> {
                match text {
                    "safe" => Ok(Confirmations::Safe),
                    "finalized" => Ok(Confirmations::Finalized),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

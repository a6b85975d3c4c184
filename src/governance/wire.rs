//! How numbers and addresses stand in this module's messages and state:
//! decimal strings, and addresses with their EIP-55 checksum.

use alloy::primitives::U256;
use serde::{Deserialize, Serialize};

use crate::domain::unlock::decimal;

/// A 256-bit integer written as a decimal string wherever it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Decimal(#[serde(with = "decimal")] pub(super) U256);

/// Optional 256-bit integers as decimal strings.
pub(super) mod optional_decimal {
    use alloy::primitives::U256;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Decimal;

    pub fn serialize<S: Serializer>(
        value: &Option<U256>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(Decimal).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<U256>, D::Error> {
        Ok(Option::<Decimal>::deserialize(deserializer)?.map(|decimal| decimal.0))
    }
}

/// Addresses with their checksum; read in any case.
pub(super) mod checksummed {
    use alloy::primitives::Address;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Address, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.to_checksum(None))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        Address::deserialize(deserializer)
    }
}

/// Optional lists of ids in configuration: whole numbers, or decimal strings
/// where 64 bits are not enough. Written as decimal strings.
pub(super) mod configured_ids {
    use std::fmt;

    use alloy::primitives::U256;
    use serde::{
        Deserialize, Deserializer, Serialize, Serializer,
        de::{Error, Visitor},
    };

    use super::Decimal;

    pub fn serialize<S: Serializer>(
        ids: &Option<Vec<U256>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let ids = ids.as_ref().map(|ids| ids.iter().copied().map(Decimal).collect::<Vec<_>>());
        ids.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<U256>>, D::Error> {
        let ids = Option::<Vec<Id>>::deserialize(deserializer)?;
        Ok(ids.map(|ids| ids.into_iter().map(|id| id.0).collect()))
    }

    struct Id(U256);

    impl<'de> Deserialize<'de> for Id {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(IdVisitor)
        }
    }

    struct IdVisitor;

    impl Visitor<'_> for IdVisitor {
        type Value = Id;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an id: a whole number, or a string of decimal digits")
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Id, E> {
            Ok(Id(U256::from(number)))
        }

        // TOML has no unsigned integers.
        fn visit_i64<E: Error>(self, number: i64) -> Result<Id, E> {
            let wrong = |_| E::invalid_value(serde::de::Unexpected::Signed(number), &self);
            u64::try_from(number).map_err(wrong).map(|number| Id(U256::from(number)))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
            let wrong = |_| E::invalid_value(serde::de::Unexpected::Str(text), &self);
            U256::from_str_radix(text, 10).map_err(wrong).map(Id)
        }
    }
}

//! Decoded event fields: their types, their values and how both are written.
//!
//! In messages every integer is a decimal string (JSON numbers lose bits
//! past 2^53), bytes and addresses are 0x-hex, addresses checksummed
//! (EIP-55). A value read back from a message needs its [`FieldType`], which
//! the event's schema tells.

use std::{collections::BTreeMap, fmt};

use alloy::primitives::{Address, Bytes, I256, U256};
use serde_json::Value as Json;

/// What a field of an event can be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Any `uintN`.
    Uint,
    /// Any `intN`.
    Int,
    /// `address`.
    Address,
    /// `bool`.
    Bool,
    /// `bytes` and `bytesN`; the hash of an indexed dynamic field.
    Bytes,
    /// `string`.
    Text,
    /// `T[]` and `T[n]`.
    List(Box<FieldType>),
    /// A struct: named members in order. Members without a name are `_0`, `_1`, ….
    Tuple(Vec<(String, FieldType)>),
}

/// A decoded field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Any `uintN`.
    Uint(U256),
    /// Any `intN`.
    Int(I256),
    /// `address`.
    Address(Address),
    /// `bool`.
    Bool(bool),
    /// `bytes`, `bytesN` and hashes of indexed dynamic fields.
    Bytes(Bytes),
    /// `string`. Bytes that are no UTF-8 were replaced at decoding.
    Text(String),
    /// `T[]` and `T[n]`.
    List(Vec<Value>),
    /// A struct by its members' names.
    Tuple(BTreeMap<String, Value>),
}

/// Why a JSON value is not of the type that the schema promises.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got `{got}`")]
pub struct ValueError {
    /// The type the schema names.
    pub expected: FieldType,
    /// What was there, cut at 80 characters.
    pub got: String,
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uint => f.write_str("an unsigned integer"),
            Self::Int => f.write_str("a signed integer"),
            Self::Address => f.write_str("an address"),
            Self::Bool => f.write_str("true or false"),
            Self::Bytes => f.write_str("0x-hex bytes"),
            Self::Text => f.write_str("text"),
            Self::List(item) => write!(f, "a list, each {item}"),
            Self::Tuple(_) => f.write_str("a struct"),
        }
    }
}

impl Value {
    /// As it stands in messages.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Uint(n) => Json::String(n.to_string()),
            Self::Int(n) => Json::String(n.to_string()),
            Self::Address(a) => Json::String(a.to_checksum(None)),
            Self::Bool(b) => Json::Bool(*b),
            Self::Bytes(b) => Json::String(b.to_string()),
            Self::Text(t) => Json::String(t.clone()),
            Self::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Self::Tuple(members) => {
                Json::Object(members.iter().map(|(k, v)| (k.clone(), v.to_json())).collect())
            }
        }
    }

    /// Reads a value of the given type from a message.
    ///
    /// # Errors
    /// When the JSON is of another shape than `field_type` is written in.
    pub fn from_json(field_type: &FieldType, json: &Json) -> Result<Self, ValueError> {
        let wrong = || ValueError {
            expected: field_type.clone(),
            got: json.to_string().chars().take(80).collect(),
        };
        let text = || json.as_str().ok_or_else(wrong);
        Ok(match field_type {
            FieldType::Uint => Self::Uint(text()?.parse().map_err(|_| wrong())?),
            FieldType::Int => Self::Int(text()?.parse().map_err(|_| wrong())?),
            FieldType::Address => Self::Address(text()?.parse().map_err(|_| wrong())?),
            FieldType::Bool => Self::Bool(json.as_bool().ok_or_else(wrong)?),
            FieldType::Bytes => Self::Bytes(text()?.parse().map_err(|_| wrong())?),
            FieldType::Text => Self::Text(text()?.to_owned()),
            FieldType::List(item) => Self::List(
                json.as_array()
                    .ok_or_else(wrong)?
                    .iter()
                    .map(|entry| Self::from_json(item, entry))
                    .collect::<Result<_, _>>()?,
            ),
            FieldType::Tuple(members) => {
                let object = json.as_object().ok_or_else(wrong)?;
                let member = |(name, kind): &(String, FieldType)| {
                    let value = object.get(name).ok_or_else(wrong)?;
                    Ok((name.clone(), Self::from_json(kind, value)?))
                };
                Self::Tuple(members.iter().map(member).collect::<Result<_, ValueError>>()?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_survives_its_message_whole() {
        let cases = [
            (FieldType::Uint, Value::Uint(U256::MAX)),
            (FieldType::Int, Value::Int(I256::MIN)),
            (FieldType::Address, Value::Address(Address::repeat_byte(0xab))),
            (FieldType::Bool, Value::Bool(true)),
            (FieldType::Bytes, Value::Bytes(Bytes::from_static(&[0, 1, 255]))),
            (FieldType::Text, Value::Text("naïve \u{0} text".into())),
            (
                FieldType::List(Box::new(FieldType::Tuple(vec![("id".into(), FieldType::Uint)]))),
                Value::List(vec![Value::Tuple(
                    [("id".to_owned(), Value::Uint(U256::from(7)))].into_iter().collect(),
                )]),
            ),
        ];
        for (kind, value) in cases {
            assert_eq!(Value::from_json(&kind, &value.to_json()), Ok(value));
        }
    }

    #[test]
    fn a_value_of_another_type_is_refused_with_what_was_there() {
        let error = Value::from_json(&FieldType::Uint, &Json::String("ten".into()));
        assert_eq!(
            error.map_err(|e| e.to_string()),
            Err("expected an unsigned integer, got `\"ten\"`".to_owned())
        );
    }
}

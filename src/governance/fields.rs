//! Reading an event's fields as what they mean.

use alloy::primitives::{Address, Bytes, U256};

use super::unusable::Unusable;
use crate::domain::{Event, FieldType, Value};

/// One event's fields, each read or said to be unusable.
pub(super) struct Fields<'a>(pub(super) &'a Event);

impl Fields<'_> {
    pub(super) fn uint(&self, field: &'static str) -> Result<U256, Unusable> {
        match self.required(field, &FieldType::Uint)? {
            Value::Uint(value) => Ok(value),
            _ => Err(self.missing(field)),
        }
    }

    /// An unsigned integer that must fit `most`.
    pub(super) fn small(&self, field: &'static str, most: u64) -> Result<u64, Unusable> {
        let value = self.uint(field)?;
        u64::try_from(value)
            .ok()
            .filter(|small| *small <= most)
            .ok_or_else(|| Unusable::OutOfRange { name: self.0.name.clone(), field, value, most })
    }

    /// A point of the governor's clock. One past 64 bits never comes, and
    /// neither does `u64::MAX`.
    pub(super) fn timepoint(&self, field: &'static str) -> Result<u64, Unusable> {
        Ok(self.uint(field)?.saturating_to())
    }

    pub(super) fn address(&self, field: &'static str) -> Result<Address, Unusable> {
        match self.required(field, &FieldType::Address)? {
            Value::Address(value) => Ok(value),
            _ => Err(self.missing(field)),
        }
    }

    pub(super) fn text(&self, field: &'static str) -> Result<String, Unusable> {
        match self.required(field, &FieldType::Text)? {
            Value::Text(value) => Ok(value),
            _ => Err(self.missing(field)),
        }
    }

    /// Bytes, of which an event may have none.
    pub(super) fn optional_bytes(&self, field: &'static str) -> Result<Option<Bytes>, Unusable> {
        match self.read(field, &FieldType::Bytes)? {
            Some(Value::Bytes(value)) => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    fn required(&self, field: &'static str, kind: &FieldType) -> Result<Value, Unusable> {
        self.read(field, kind)?.ok_or_else(|| self.missing(field))
    }

    fn read(&self, field: &'static str, kind: &FieldType) -> Result<Option<Value>, Unusable> {
        self.0.field(field, kind).map_err(|source| Unusable::WrongField {
            name: self.0.name.clone(),
            field,
            source,
        })
    }

    fn missing(&self, field: &'static str) -> Unusable {
        Unusable::MissingField { name: self.0.name.clone(), field }
    }
}

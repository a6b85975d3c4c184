//! What the answers of a batch say, each against its own question.

use alloy::primitives::B256;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::chain::answers::Header;

/// What one answer of a batch is.
pub(super) enum Read<T> {
    Good(T),
    /// The endpoint has no such block (yet).
    Absent,
    Malformed(String),
    Wrong(String),
}

pub(super) fn read_header(
    answer: &RawValue,
    check: impl Fn(&Header) -> Result<(), String>,
) -> Read<Header> {
    match serde_json::from_str::<Option<Header>>(answer.get()) {
        Ok(Some(header)) => match check(&header) {
            Ok(()) => Read::Good(header),
            Err(reason) => Read::Wrong(reason),
        },
        Ok(None) => Read::Absent,
        Err(error) => Read::Malformed(error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfBlock {
    block_hash: B256,
}

pub(super) fn read_receipts(answer: &RawValue, wanted: B256) -> Read<Box<RawValue>> {
    match serde_json::from_str::<Option<Vec<OfBlock>>>(answer.get()) {
        Ok(Some(receipts)) => match receipts.iter().find(|it| it.block_hash != wanted) {
            Some(it) => Read::Wrong(format!("it gave a receipt of {} for {wanted}", it.block_hash)),
            None => Read::Good(answer.to_owned()),
        },
        Ok(None) => Read::Absent,
        Err(error) => Read::Malformed(error.to_string()),
    }
}

//! ABIs of contracts of somebody's own.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, LogData};

use super::logs;
use crate::{
    chain::adapters::{Adapter, Kind},
    config::abi,
};

/// Of an error that a person reads on one line.
const ERROR_CHARS_MAX: usize = 1_000;

/// The text of an ABI file.
///
/// It is refused, shortly; or its events have names of their own, and a log of each of them,
/// with nothing in it, is decoded or refused.
pub fn abi_files(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(parsed) = abi::parse(text) else { return };
    let adapter = match Adapter::for_kind(Kind::Abi, Some(&parsed)) {
        Ok(adapter) => adapter,
        Err(error) => {
            let length = error.to_string().chars().count();
            assert!(length <= ERROR_CHARS_MAX, "{length} characters: {error}");
            return;
        }
    };
    let schemas = adapter.schemas();
    let names: BTreeSet<_> = schemas.iter().map(|schema| &schema.name).collect();
    assert_eq!(names.len(), schemas.len(), "two events of one name");
    for schema in &schemas {
        let fields: BTreeSet<_> = schema.fields.iter().map(|field| &field.name).collect();
        assert_eq!(fields.len(), schema.fields.len(), "two fields of one name in {}", schema.name);
    }
    for topic0 in adapter.topics0().into_iter().take(16) {
        for topics in 1..=4 {
            let topics = [vec![topic0], vec![B256::ZERO; topics - 1]].concat();
            let log = alloy::primitives::Log {
                address: Address::repeat_byte(0xaa),
                data: LogData::new_unchecked(topics, vec![0; 512].into()),
            };
            // Its size follows from the names in the ABI as well.
            let _ = logs::read(&adapter, log);
        }
    }
}

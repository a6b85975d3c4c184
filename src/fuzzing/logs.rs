//! Logs, by every decoder.

use std::sync::LazyLock;

use alloy::{
    json_abi::JsonAbi,
    primitives::{Address, B256, LogData},
    rpc::types::Log,
};

use super::first_line;
use crate::{
    actors::messages,
    chain::adapters::{Adapter, Decoded, Kind, LogContext},
    domain::{BlockRef, Event, Name},
};

/// Types that no standard event has.
const NESTED: &str = include_str!("../../fuzz/setting/nested.json");

static ADAPTERS: LazyLock<Vec<Adapter>> = LazyLock::new(|| {
    let abi: JsonAbi = serde_json::from_str(NESTED).unwrap();
    let kinds = Kind::STANDARD.into_iter().map(|kind| Adapter::for_kind(kind, None).unwrap());
    kinds.chain([Adapter::for_kind(Kind::Abi, Some(&abi)).unwrap()]).collect()
});

/// A log: its decoder, a line; its topics in hex, a line each; an empty line; its data.
/// What is no hex digit stands for one, so that any bytes are a log.
///
/// Whatever is decoded is decoded so again, has the fields that its schema promises, is not
/// much larger than the log, and survives its message.
pub fn logs(bytes: &[u8]) {
    let (kind, rest) = first_line(bytes);
    let adapter = adapter(kind);
    let (topics, data) = parts(rest);
    let mut topics: Vec<B256> = topics.iter().map(|line| word(line)).collect();
    // Of a foreign topic 0 nothing is decoded; hardly any change would leave one of ours.
    let known = adapter.topics0();
    if let Some(topic0) = topics.first_mut().filter(|topic0| !known.contains(topic0)) {
        *topic0 = known[usize::from(topic0[0]) % known.len()];
    }
    let address = Address::repeat_byte(0xaa);
    let data = LogData::new_unchecked(topics, hex(data).into());
    let size = data.data.len();
    match read(adapter, alloy::primitives::Log { address, data }) {
        Ok(written) => {
            // A word is 32 bytes, and at most 78 digits; a byte may be six characters (`\u0001`).
            let most = 16 * size + 4_096;
            assert!(written <= most, "{written} bytes of a log of at most {most}");
        }
        Err(error) => assert!(error.len() < 4_096, "an error that repeats the log: {error}"),
    }
}

/// What must hold of any log and any decoder. Gives the size of the message, or why there is
/// none.
pub(super) fn read(adapter: &Adapter, log: alloy::primitives::Log) -> Result<usize, String> {
    let log = placed(log);
    let first = adapter.decode(&context(), &log);
    assert_eq!(first, adapter.decode(&context(), &log), "one log has one meaning");
    match first {
        Ok(Decoded::Event(event)) => Ok(decoded(adapter, &event)),
        Ok(Decoded::NotOurs) => Ok(0),
        Err(error) => {
            assert_eq!(error.topics, log.topics().len());
            Err(error.to_string())
        }
    }
}

fn adapter(kind: &[u8]) -> &'static Adapter {
    let named = ADAPTERS.iter().find(|adapter| adapter.kind().as_str().as_bytes() == kind);
    named.unwrap_or_else(|| {
        let sum: usize = kind.iter().copied().map(usize::from).sum();
        &ADAPTERS[sum % ADAPTERS.len()]
    })
}

/// At most four topics, as the EVM has it.
fn parts(rest: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let (mut topics, mut rest) = (Vec::new(), rest);
    while topics.len() < 4 && !rest.is_empty() {
        let (line, after) = first_line(rest);
        rest = after;
        if line.is_empty() {
            return (topics, rest);
        }
        topics.push(line);
    }
    (topics, rest.strip_prefix(b"\n").unwrap_or(rest))
}

fn hex(text: &[u8]) -> Vec<u8> {
    let digits = text.iter().filter(|byte| **byte != b'\n').map(|byte| match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        other => other & 0xf,
    });
    let digits: Vec<u8> = digits.collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn word(line: &[u8]) -> B256 {
    let bytes = hex(line);
    B256::left_padding_from(&bytes[..bytes.len().min(32)])
}

fn placed(inner: alloy::primitives::Log) -> Log {
    Log {
        inner,
        block_hash: Some(B256::repeat_byte(9)),
        block_number: Some(9),
        block_timestamp: None,
        transaction_hash: Some(B256::repeat_byte(7)),
        transaction_index: Some(3),
        log_index: Some(5),
        removed: false,
    }
}

fn context() -> LogContext {
    LogContext {
        chain: Name::new("home").unwrap(),
        chain_id: 1,
        contract: Name::new("any").unwrap(),
        ordinal: 2,
        block: BlockRef {
            number: 9,
            hash: B256::repeat_byte(9),
            parent_hash: B256::repeat_byte(8),
            time: 1_700_000_000,
        },
    }
}

/// Gives the size of its message.
fn decoded(adapter: &Adapter, event: &Event) -> usize {
    let schemas = adapter.schemas();
    let schema = schemas.iter().find(|schema| schema.name == event.name).unwrap();
    for field in &schema.fields {
        let value = event.field(&field.name, &field.field_type).unwrap();
        let value = value.unwrap_or_else(|| panic!("the event has no `{}`", field.name));
        assert_eq!(value.to_json(), event.fields[&field.name], "a value is written one way");
    }
    let written = messages::event(event).unwrap().payload;
    assert_eq!(messages::read::<Event>(&written).unwrap(), *event, "it survives its message");
    written.len()
}

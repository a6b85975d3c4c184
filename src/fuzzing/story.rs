//! Events of every kind that rules can ask for, with usual and with extreme values.

use std::sync::LazyLock;

use alloy::primitives::{Address, B256, I256, U256, keccak256};

use super::setting::catalog;
use crate::domain::{
    BlockRef, Event, EventId, EventSchema, FieldType, Name, Origin, Position, Value,
};

/// 2026-01-01T00:00:00Z.
const BEGIN: u64 = 1_767_225_600;
const DAY: u64 = 86_400;
/// How often each kind of event is told: see [`of_type`].
const TURNS: u64 = 6;

/// Those whom it is about.
pub(super) fn users() -> [Address; 3] {
    [0xa1, 0xb0, 0xc1].map(Address::repeat_byte)
}

/// All events, in the order of the chains.
pub(super) fn events() -> &'static [Event] {
    static EVENTS: LazyLock<Vec<Event>> = LazyLock::new(|| {
        let mut events = Vec::new();
        for turn in 0..TURNS {
            for (name, contract) in &catalog().contracts {
                for schema in &contract.events {
                    let place = events.len() as u64;
                    events.push(event(name, contract.chain_id, schema, turn, place));
                }
            }
        }
        events
    });
    &EVENTS
}

/// When it is over.
pub(super) fn end() -> u64 {
    events().last().map_or(BEGIN, |event| event.block.time)
}

fn event(contract: &Name, chain_id: u64, schema: &EventSchema, turn: u64, place: u64) -> Event {
    let hash = |number: u64| keccak256([number.to_be_bytes(), chain_id.to_be_bytes()].concat());
    let number = 1 + place;
    let time = BEGIN + turn * DAY + place;
    let (block_hash, transaction_hash) = (hash(number), hash(number << 32));
    let value = |field: &FieldType, at: usize| of_type(field, turn + at as u64).to_json();
    let fields = schema.fields.iter().enumerate();
    Event {
        id: EventId::of(chain_id, block_hash, transaction_hash, 0),
        origin: Origin { chain_id, transaction_hash, ordinal: 0 },
        chain: Name::new("home").unwrap(),
        contract: contract.clone(),
        address: catalog().contracts[contract].address,
        name: schema.name.clone(),
        position: Position { time, chain_id, block: number, transaction_index: 0, log_index: 0 },
        block: BlockRef { number, hash: block_hash, parent_hash: hash(place), time },
        fields: fields.map(|(at, it)| (it.name.clone(), value(&it.field_type, at))).collect(),
    }
}

/// A value that depends on the turn: usual ones, nothing, and the most there can be.
fn of_type(field: &FieldType, turn: u64) -> Value {
    let turn = turn % TURNS;
    match field {
        FieldType::Uint => Value::Uint(
            [1, 2, 5, 0, 1_000, 0].map(U256::from)[turn as usize]
                | if turn == 5 { U256::MAX } else { U256::ZERO },
        ),
        FieldType::Int => Value::Int(match turn {
            4 => I256::MIN,
            5 => I256::MAX,
            n => I256::unchecked_from(n) - I256::ONE,
        }),
        FieldType::Address => Value::Address(users()[(turn % 3) as usize]),
        FieldType::Bool => Value::Bool(turn.is_multiple_of(2)),
        FieldType::Bytes => Value::Bytes(match turn {
            0 => vec![].into(),
            n => B256::with_last_byte(n as u8).into(),
        }),
        FieldType::Text => {
            Value::Text(["", "for", "\u{1f980} \"'\\", "0", "gm", "\0"][turn as usize].into())
        }
        FieldType::List(item) => {
            Value::List((0..turn % 3).map(|at| of_type(item, turn + at)).collect())
        }
        FieldType::Tuple(members) => Value::Tuple(
            members.iter().map(|(name, member)| (name.clone(), of_type(member, turn))).collect(),
        ),
    }
}

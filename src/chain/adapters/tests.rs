#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy::{
    dyn_abi::DynSolValue,
    primitives::{Bytes, LogData, U256, keccak256},
};
use serde_json::{Value as Json, json};

use super::*;
use crate::domain::{FieldType, Value};

fn context() -> LogContext {
    LogContext {
        chain: Name::new("local").unwrap(),
        chain_id: 31337,
        contract: Name::new("dao").unwrap(),
        ordinal: 2,
        block: BlockRef {
            number: 9,
            hash: B256::repeat_byte(9),
            parent_hash: B256::repeat_byte(8),
            time: 1_700_000_000,
        },
    }
}

fn log(signature: &str, indexed: &[B256], data: Vec<u8>) -> Log {
    let topics = std::iter::once(keccak256(signature)).chain(indexed.iter().copied()).collect();
    Log {
        inner: alloy::primitives::Log {
            address: Address::repeat_byte(0xaa),
            data: LogData::new_unchecked(topics, data.into()),
        },
        block_hash: Some(B256::repeat_byte(9)),
        block_number: Some(9),
        block_timestamp: None,
        transaction_hash: Some(B256::repeat_byte(7)),
        transaction_index: Some(3),
        log_index: Some(5),
        removed: false,
    }
}

fn word(address: u8) -> B256 {
    Address::repeat_byte(address).into_word()
}

fn uint(n: u64) -> DynSolValue {
    DynSolValue::Uint(U256::from(n), 256)
}

fn event(adapter: &Adapter, log: &Log) -> Event {
    match adapter.decode(&context(), log) {
        Ok(Decoded::Event(event)) => *event,
        other => panic!("no event: {other:?}"),
    }
}

fn standard(kind: Kind) -> Adapter {
    Adapter::for_kind(kind, None).unwrap()
}

fn artifact(name: &str) -> JsonAbi {
    let path = format!("{}/contracts/artifacts/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let artifact: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    serde_json::from_value(artifact["abi"].clone()).unwrap()
}

#[test]
fn a_vote_is_decoded_with_its_place_and_lossy_text() {
    let mut reason = b"why \xff not".to_vec();
    let text_length = reason.len();
    reason.resize(32, 0);
    let mut data = Vec::new();
    for word in [7, 1, 100, 128, u64::try_from(text_length).unwrap()] {
        data.extend(U256::from(word).to_be_bytes::<32>());
    }
    data.extend(reason);
    let log = log("VoteCast(address,uint256,uint8,uint256,string)", &[word(1)], data);

    let vote = event(&standard(Kind::Governor), &log);

    assert_eq!(vote.name.as_str(), "vote_cast");
    assert_eq!(
        serde_json::to_value(&vote.fields).unwrap(),
        json!({
            "voter": "0x0101010101010101010101010101010101010101",
            "proposal_id": "7", "support": "1", "weight": "100", "reason": "why \u{fffd} not",
        })
    );
    assert_eq!(vote.origin.ordinal, 2);
    assert_eq!((vote.position.block, vote.position.transaction_index), (9, 3));
    assert_eq!(vote.id, EventId::of(31337, B256::repeat_byte(9), B256::repeat_byte(7), 5));
}

#[test]
fn a_proposal_keeps_its_calls() {
    let text = |t: &str| DynSolValue::String(t.into());
    let data = DynSolValue::Tuple(vec![
        uint(1),
        DynSolValue::Address(Address::repeat_byte(2)),
        DynSolValue::Array(vec![DynSolValue::Address(Address::repeat_byte(3))]),
        DynSolValue::Array(vec![uint(4)]),
        DynSolValue::Array(vec![text("")]),
        DynSolValue::Array(vec![DynSolValue::Bytes(vec![0xde, 0xad])]),
        uint(5),
        uint(6),
        text("# Title"),
    ])
    .abi_encode_params();
    let signature = "ProposalCreated(uint256,address,address[],uint256[],string[],bytes[],uint256,uint256,string)";
    let proposal = event(&standard(Kind::Governor), &log(signature, &[], data));
    assert_eq!(proposal.fields["targets"], json!(["0x0303030303030303030303030303030303030303"]));
    assert_eq!(proposal.fields["calldatas"], json!(["0xdead"]));
    assert_eq!(proposal.fields["vote_end"], json!("6"));
    assert_eq!(proposal.fields["description"], json!("# Title"));
}

#[test]
fn a_transfer_from_or_to_nobody_is_a_mint_or_a_burn() {
    let adapter = standard(Kind::Erc721);
    let transfer = |from, to| {
        let token = U256::from(42).into();
        event(&adapter, &log("Transfer(address,address,uint256)", &[from, to, token], vec![]))
    };
    let minted = transfer(B256::ZERO, word(1));
    assert_eq!(minted.name.as_str(), "minted");
    assert_eq!(minted.fields.keys().collect::<Vec<_>>(), ["to", "token_id"]);
    let burned = transfer(word(1), B256::ZERO);
    assert_eq!(burned.name.as_str(), "burned");
    assert_eq!(burned.fields.keys().collect::<Vec<_>>(), ["from", "token_id"]);
    let moved = transfer(word(1), word(2));
    assert_eq!(moved.name.as_str(), "transferred");
    assert_eq!(moved.fields["token_id"], json!("42"));
}

#[test]
fn real_transfers_are_told_from_those_of_erc20() {
    let fixture: Json =
        serde_json::from_str(include_str!("../../../tests/fixtures/transfers.json")).unwrap();
    let logs: Vec<Log> = serde_json::from_value(fixture["logs"].clone()).unwrap();
    let adapter = standard(Kind::Erc721);
    let moved = event(&adapter, &logs[0]);
    assert_eq!(moved.name.as_str(), "transferred");
    assert_eq!(moved.fields["token_id"], json!("8924"));
    let minted = event(&adapter, &logs[1]);
    assert_eq!(minted.name.as_str(), "minted");
    assert_eq!(minted.fields["to"], json!("0x2EFF1DeF3299e0A96c37406e6C4f0261ec29b805"));
    assert_eq!(adapter.decode(&context(), &logs[2]), Ok(Decoded::NotOurs));
}

#[test]
fn real_nested_structs_are_decoded_as_another_decoder_did() {
    let fixture: Json =
        serde_json::from_str(include_str!("../../../tests/fixtures/payload_created.json")).unwrap();
    let abi: JsonAbi = serde_json::from_value(json!([{
        "type": "event", "name": "PayloadCreated", "anonymous": false, "inputs": [
            {"name": "payloadId", "type": "uint40", "indexed": true},
            {"name": "creator", "type": "address", "indexed": true},
            {"name": "actions", "type": "tuple[]", "indexed": false, "components": [
                {"name": "target", "type": "address"},
                {"name": "withDelegateCall", "type": "bool"},
                {"name": "accessLevel", "type": "uint8"},
                {"name": "value", "type": "uint256"},
                {"name": "signature", "type": "string"},
                {"name": "callData", "type": "bytes"},
            ]},
            {"name": "maximumAccessLevelRequired", "type": "uint8", "indexed": true},
        ],
    }]))
    .unwrap();
    let adapter = Adapter::for_kind(Kind::Abi, Some(&abi)).unwrap();
    let log: Log = serde_json::from_value(fixture["log"].clone()).unwrap();
    let created = event(&adapter, &log);

    let expected = &fixture["args"];
    assert_eq!(created.name.as_str(), "payload_created");
    assert_eq!(created.fields["payload_id"], json!(expected["payloadId"].to_string()));
    assert_eq!(created.fields["creator"], expected["creator"]);
    let actions = expected["actions"].as_array().unwrap();
    assert_eq!(created.fields["actions"].as_array().unwrap().len(), actions.len());
    for (ours, theirs) in created.fields["actions"].as_array().unwrap().iter().zip(actions) {
        assert_eq!(ours["target"], theirs["target"]);
        assert_eq!(ours["with_delegate_call"], theirs["withDelegateCall"]);
        assert_eq!(ours["value"], theirs["value"]);
        assert_eq!(ours["signature"], theirs["signature"]);
        assert_eq!(ours["call_data"], theirs["callData"]);
    }
    let schema = adapter.schemas().remove(0);
    let Some(FieldType::List(item)) = schema.field("actions") else { panic!("{schema:?}") };
    assert!(matches!(&**item, FieldType::Tuple(members) if members[2].0 == "access_level"));
    let read = created.field("actions", schema.field("actions").unwrap()).unwrap();
    assert!(matches!(read, Some(Value::List(_))));
}

#[test]
fn undecodable_data_is_an_error_that_names_the_log() {
    let short = log("ProposalExecuted(uint256)", &[], vec![1, 2, 3]);
    let error = standard(Kind::Governor).decode(&context(), &short).unwrap_err();
    assert!(matches!(error.reason, DecodeReason::Data { .. }));
    let text = error.to_string();
    for part in ["`dao`", "block 9", "log 5", "0x07070707", "ProposalExecuted"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_known_event_indexed_otherwise_is_not_passed_over() {
    // Forks of Nouns index the proposal id, too.
    let forked = log(
        "VoteCast(address,uint256,uint8,uint256,string)",
        &[word(1), U256::from(7).into()],
        vec![],
    );
    let error = standard(Kind::Governor).decode(&context(), &forked).unwrap_err();
    assert_eq!(error.reason, DecodeReason::UnknownLayout);
}

#[test]
fn unknown_events_and_logs_without_topics_are_not_ours() {
    let adapter = standard(Kind::Governor);
    let other = log("SomethingElse()", &[], vec![]);
    assert_eq!(adapter.decode(&context(), &other), Ok(Decoded::NotOurs));
    let mut bare = other;
    bare.inner.data = LogData::new_unchecked(vec![], Bytes::new());
    assert_eq!(adapter.decode(&context(), &bare), Ok(Decoded::NotOurs));
}

#[test]
fn the_tables_match_the_contracts_that_we_deploy() {
    for (kind, contract, ours) in [
        (Kind::Governor, "MeritGovernor", 11),
        (Kind::Erc721, "Badge", 3),
        (Kind::Erc721, "AchievementNFT", 5),
        (Kind::Achievements, "AchievementManager", 4),
    ] {
        let adapter = standard(kind);
        let found = artifact(contract)
            .events()
            .filter(|event| adapter.by_topics.contains_key(&(event.selector(), event.num_topics())))
            .count();
        assert_eq!(found, ours, "{contract}");
    }
}

#[test]
fn every_schema_of_a_table_is_listed_once() {
    let names: Vec<_> =
        standard(Kind::Erc721).schemas().iter().map(|schema| schema.name.to_string()).collect();
    assert_eq!(
        names,
        ["approval", "approval_for_all", "burned", "locked", "minted", "transferred", "unlocked"]
    );
    assert_eq!(standard(Kind::Erc721).topics0().len(), 5);
}

#[test]
fn overloads_and_nameless_parameters_of_an_abi_get_names() {
    let abi = JsonAbi::parse([
        "event Paid(address indexed to, uint256)",
        "event Paid(address indexed to, uint256 amount, string note)",
        "event Seen(uint256 a)",
        "event Seen(address a)",
        "event Note(string indexed title)",
    ])
    .unwrap();
    let adapter = Adapter::for_kind(Kind::Abi, Some(&abi)).unwrap();
    let schemas = adapter.schemas();
    let names: Vec<_> = schemas.iter().map(|schema| schema.name.as_str()).collect();
    assert_eq!(names[0], "note");
    assert_eq!(&names[1..3], ["paid_2", "paid_3"]);
    assert!(names[3].starts_with("seen_1_") && names[4].starts_with("seen_1_"), "{names:?}");
    assert_eq!(schemas[1].fields[1].name, "_1");
    assert_eq!(schemas[0].fields[0].field_type, FieldType::Bytes, "an indexed string is a hash");
}

#[test]
fn an_abi_that_cannot_be_listened_to_is_refused() {
    let refuse = |text: &str| {
        Adapter::for_kind(Kind::Abi, Some(&JsonAbi::parse([text]).unwrap())).unwrap_err()
    };
    assert!(matches!(refuse("event Quiet(uint256 a) anonymous"), AdapterError::Anonymous { .. }));
    assert!(matches!(refuse("function f()"), AdapterError::NoEvents));
    let long = format!("event {}()", "A".repeat(70));
    assert!(matches!(refuse(&long), AdapterError::Unnameable { .. }));
    assert_eq!(Adapter::for_kind(Kind::Abi, None).unwrap_err(), AdapterError::NoAbi);
}

#[test]
fn ordinals_count_per_transaction_and_contract() {
    let first = log("A()", &[], vec![]);
    let mut elsewhere = first.clone();
    elsewhere.transaction_hash = Some(B256::repeat_byte(8));
    let mut foreign = first.clone();
    foreign.inner.address = Address::ZERO;
    assert_eq!(ordinals(&[first.clone(), foreign, first, elsewhere]), [0, 0, 1, 0]);
}

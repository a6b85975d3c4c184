#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy::{
    dyn_abi::DynSolValue,
    primitives::{Bytes, LogData, U256, keccak256},
};
use serde_json::{Value as Json, json};

use super::*;

mod abi;
mod properties;
mod published;
mod real;
mod traps;

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

fn logs_of(fixture: &str) -> Vec<Log> {
    let fixture: Json = serde_json::from_str(fixture).unwrap();
    serde_json::from_value(fixture["logs"].clone()).unwrap()
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
fn unknown_events_and_logs_without_topics_are_not_ours() {
    let adapter = standard(Kind::Governor);
    let other = log("SomethingElse()", &[], vec![]);
    assert_eq!(adapter.decode(&context(), &other), Ok(Decoded::NotOurs));
    let mut bare = other;
    bare.inner.data = LogData::new_unchecked(vec![], Bytes::new());
    assert_eq!(adapter.decode(&context(), &bare), Ok(Decoded::NotOurs));
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

#[test]
fn nothing_that_our_contracts_say_is_passed_over_unawares() {
    for (kind, contract, unheard) in [
        (Kind::Governor, "MeritGovernor", vec!["EIP712DomainChanged"]),
        (Kind::Votes, "MeritToken", vec!["Approval", "EIP712DomainChanged"]),
        (Kind::Timelock, "MeritTimelock", vec![]),
        (Kind::Erc721, "Badge", vec![]),
        (Kind::Erc721, "AchievementNFT", vec![]),
        (Kind::Achievements, "AchievementManager", vec![]),
    ] {
        let adapter = standard(kind);
        let abi = artifact(contract);
        let mut passed_over: Vec<_> = abi
            .events()
            .filter(|event| {
                !adapter.by_topics.contains_key(&(event.selector(), event.num_topics()))
            })
            .map(|event| event.name.as_str())
            .collect();
        passed_over.sort_unstable();
        assert_eq!(passed_over, unheard, "{contract}");
    }
}

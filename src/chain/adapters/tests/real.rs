//! Logs of public chains.

use serde_json::{Value as Json, json};

use super::*;
use crate::domain::{FieldType, Value};

#[test]
fn real_transfers_are_told_from_those_of_erc20() {
    let logs = logs_of(include_str!("../../../../tests/fixtures/transfers.json"));
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
fn a_real_transfer_of_erc20_is_one_to_a_token_with_votes() {
    let adapter = standard(Kind::Votes);
    let logs = logs_of(include_str!("../../../../tests/fixtures/transfers.json"));
    let moved = event(&adapter, &logs[2]);
    assert_eq!(moved.name.as_str(), "transferred");
    let value = U256::from_be_slice(&logs[2].data().data);
    assert_eq!(moved.fields["value"], json!(value.to_string()));
    assert_eq!(adapter.decode(&context(), &logs[0]), Ok(Decoded::NotOurs));
}

#[test]
fn a_real_change_of_owner_is_told_of_every_kind_of_contract() {
    let logs = logs_of(include_str!("../../../../tests/fixtures/access.json"));
    for kind in Kind::STANDARD {
        let given = event(&standard(kind), &logs[0]);
        assert_eq!(given.name.as_str(), "ownership_transferred");
        let owner = Address::from_word(logs[0].topics()[2]).to_checksum(None);
        assert_eq!(given.fields["new_owner"], json!(owner), "{kind}");
    }
}

#[test]
fn real_approvals_are_told_from_each_other() {
    let logs = logs_of(include_str!("../../../../tests/fixtures/access.json"));
    let approved = event(&standard(Kind::Erc721), &logs[1]);
    assert_eq!(approved.name.as_str(), "approval");
    assert_eq!(approved.fields["token_id"], json!("8924"));
    for kind in [Kind::Erc721, Kind::Erc1155] {
        let approved = event(&standard(kind), &logs[2]);
        assert_eq!(approved.name.as_str(), "approval_for_all");
        assert_eq!(approved.fields["approved"], json!(true));
    }
}

#[test]
fn real_nested_structs_are_decoded_as_another_decoder_did() {
    let fixture: Json =
        serde_json::from_str(include_str!("../../../../tests/fixtures/payload_created.json"))
            .unwrap();
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
    let signature =
        "PayloadCreated(uint40,address,(address,bool,uint8,uint256,string,bytes)[],uint8)";
    assert_eq!(log.topic0(), Some(&keccak256(signature)));
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

//! What would have been counted wrongly.

use proptest::prelude::*;

use super::*;

const VOTE: &str = "VoteCast(address,uint256,uint8,uint256,string)";

fn number(n: u64) -> B256 {
    U256::from(n).into()
}

fn data(values: Vec<DynSolValue>) -> Vec<u8> {
    DynSolValue::Tuple(values).abi_encode_params()
}

fn text(t: &str) -> DynSolValue {
    DynSolValue::String(t.into())
}

fn list(of: &[u64]) -> DynSolValue {
    DynSolValue::Array(of.iter().map(|n| uint(*n)).collect())
}

fn names(kind: Kind) -> Vec<String> {
    standard(kind).schemas().iter().map(|schema| schema.name.to_string()).collect()
}

fn fields(kind: Kind, name: &str) -> Vec<String> {
    let schemas = standard(kind).schemas();
    let schema = schemas.iter().find(|schema| schema.name.as_str() == name).unwrap();
    schema.fields.iter().map(|field| field.name.clone()).collect()
}

#[test]
fn a_vote_that_indexes_its_proposal_is_read_by_kind_nouns_alone() {
    let body = data(vec![uint(1), uint(100), text("why")]);
    let forked = log(VOTE, &[word(1), number(7)], body);
    let vote = event(&standard(Kind::Nouns), &forked);
    assert_eq!(vote.name.as_str(), "vote_cast");
    assert_eq!(vote.fields["proposal_id"], json!("7"));
    assert_eq!(vote.fields["weight"], json!("100"));

    let plain = log(VOTE, &[word(1)], data(vec![uint(7), uint(1), uint(100), text("why")]));
    assert_eq!(event(&standard(Kind::Nouns), &plain).fields, vote.fields);
    for kind in [Kind::Governor, Kind::GovernorBravo, Kind::OptimismGovernor] {
        let error = standard(kind).decode(&context(), &forked).unwrap_err();
        assert_eq!(error.reason, DecodeReason::UnknownLayout, "{kind}");
    }
}

#[test]
fn the_bool_of_an_old_vote_is_the_number_that_rules_ask_for() {
    let adapter = standard(Kind::GovernorAlpha);
    for (support, expected) in [(true, "1"), (false, "0")] {
        let body = data(vec![
            DynSolValue::Address(Address::repeat_byte(1)),
            uint(7),
            DynSolValue::Bool(support),
            uint(100),
        ]);
        let vote = event(&adapter, &log("VoteCast(address,uint256,bool,uint256)", &[], body));
        assert_eq!(vote.name.as_str(), "vote_cast");
        assert_eq!(
            serde_json::to_value(&vote.fields).unwrap(),
            json!({
                "voter": "0x0101010101010101010101010101010101010101",
                "proposal_id": "7", "support": expected, "weight": "100",
            })
        );
    }
}

#[test]
fn a_proposal_with_requirements_is_not_a_second_proposal() {
    let body = data(vec![uint(7), DynSolValue::Array(vec![]), uint(1), uint(2), uint(3)]);
    let signature =
        "ProposalCreatedWithRequirements(uint256,address[],uint256,uint256,uint256,uint32)";
    let beside = event(&standard(Kind::Nouns), &log(signature, &[number(4)], body));
    assert_eq!(beside.name.as_str(), "proposal_created_with_requirements");
    assert_eq!(beside.fields["proposal_id"], json!("7"));
    assert_eq!(beside.fields["client_id"], json!("4"));
}

#[test]
fn only_the_governor_s_own_vote_is_called_one() {
    let path = DynSolValue::Array(vec![DynSolValue::Address(Address::repeat_byte(3))]);
    let through = log(
        "VoteCast(address,address,address[],uint256,uint8)",
        &[word(2), word(1)],
        data(vec![path, uint(7), uint(1)]),
    );
    let told = event(&standard(Kind::OptimismGovernor), &through);
    assert_eq!(told.name.as_str(), "alligator_vote_cast");
    assert_eq!(told.fields["voter"], json!("0x0101010101010101010101010101010101010101"));
}

#[test]
fn a_refund_and_a_reduced_vote_name_no_voter() {
    assert_eq!(fields(Kind::Nouns, "refundable_vote")[0], "tx_origin");
    assert_eq!(fields(Kind::Governor, "vote_reduced")[0], "delegate");
}

#[test]
fn proposals_of_voting_modules_are_proposals() {
    let adapter = standard(Kind::OptimismGovernor);
    let rest = |mut first: Vec<DynSolValue>| {
        first.extend([DynSolValue::Bytes(vec![0xaa]), uint(5), uint(6), text("# Title"), uint(2)]);
        data(first)
    };
    let address = |n| DynSolValue::Address(Address::repeat_byte(n));
    let signature = "ProposalCreated(uint256,address,address,bytes,uint256,uint256,string,uint8)";
    let now = log(signature, &[number(1), word(2), word(3)], rest(vec![]));
    let before = log(signature, &[], rest(vec![uint(1), address(2), address(3)]));
    let (now, before) = (event(&adapter, &now), event(&adapter, &before));
    assert_eq!(now.name.as_str(), "proposal_created");
    assert_eq!(now.fields["voting_module"], json!("0x0303030303030303030303030303030303030303"));
    assert_eq!(now.fields, before.fields);
}

#[test]
fn one_topic_is_two_transfers_by_kind_and_topics() {
    let signature = "Transfer(address,address,uint256)";
    let token = log(signature, &[B256::ZERO, word(1), number(5)], vec![]);
    let amount = log(signature, &[B256::ZERO, word(1)], data(vec![uint(5)]));
    let minted = event(&standard(Kind::Erc721), &token);
    assert_eq!(minted.fields.keys().collect::<Vec<_>>(), ["to", "token_id"]);
    let minted = event(&standard(Kind::Votes), &amount);
    assert_eq!(minted.fields.keys().collect::<Vec<_>>(), ["to", "value"]);
    assert_eq!(standard(Kind::Erc721).decode(&context(), &amount), Ok(Decoded::NotOurs));
    assert_eq!(standard(Kind::Votes).decode(&context(), &token), Ok(Decoded::NotOurs));

    // Nothing indexed: whose it is can't be known.
    let bare = log(signature, &[], data(vec![uint(0), uint(1), uint(5)]));
    for kind in [Kind::Erc721, Kind::Votes] {
        let error = standard(kind).decode(&context(), &bare).unwrap_err();
        assert_eq!(error.reason, DecodeReason::UnknownLayout, "{kind}");
    }
}

#[test]
fn a_range_of_tokens_stays_one_event() {
    let last = u64::MAX;
    let minted = event(
        &standard(Kind::Erc721),
        &log(
            "ConsecutiveTransfer(uint256,uint256,address,address)",
            &[number(0), B256::ZERO, word(1)],
            data(vec![uint(last)]),
        ),
    );
    assert_eq!(minted.name.as_str(), "minted_range");
    assert_eq!(
        serde_json::to_value(&minted.fields).unwrap(),
        json!({
            "from_token_id": "0", "to_token_id": last.to_string(),
            "to": "0x0101010101010101010101010101010101010101",
        })
    );
}

#[test]
fn a_lock_does_not_index_its_token() {
    let adapter = standard(Kind::Erc721);
    let locked = event(&adapter, &log("Locked(uint256)", &[], data(vec![uint(5)])));
    assert_eq!(locked.fields["token_id"], json!("5"));
    let otherwise = log("Locked(uint256)", &[number(5)], vec![]);
    let error = adapter.decode(&context(), &otherwise).unwrap_err();
    assert_eq!(error.reason, DecodeReason::UnknownLayout);
}

#[test]
fn types_of_tokens_are_not_mistaken_for_tokens() {
    // `holds` and benefits ask for `token_id`, which one holder has.
    for kind in [Kind::Erc1155, Kind::Erc6909] {
        assert!(fields(kind, "minted").contains(&"id".to_owned()), "{kind}");
        assert!(!fields(kind, "minted").contains(&"token_id".to_owned()), "{kind}");
    }
}

#[test]
fn tokens_with_votes_tell_of_delegations_whatever_they_are() {
    for kind in [Kind::Votes, Kind::Erc721] {
        assert!(names(kind).contains(&"delegate_changed".to_owned()), "{kind}");
        let moved = log(
            "DelegateVotesChanged(address,uint256,uint256)",
            &[word(1)],
            data(vec![uint(1), uint(2)]),
        );
        assert_eq!(event(&standard(kind), &moved).fields["new_votes"], json!("2"));
    }
}

#[test]
fn a_replaced_implementation_is_told_however_it_is_indexed() {
    let adapter = standard(Kind::Governor);
    let indexed = log("Upgraded(address)", &[word(1)], vec![]);
    let plain = data(vec![DynSolValue::Address(Address::repeat_byte(1))]);
    let plain = log("Upgraded(address)", &[], plain);
    let (indexed, plain) = (event(&adapter, &indexed), event(&adapter, &plain));
    assert_eq!(indexed.name.as_str(), "upgraded");
    assert_eq!(indexed.fields, plain.fields);
}

proptest! {
    #[test]
    fn a_batch_with_unequal_lists_is_undecodable(
        ids in prop::collection::vec(any::<u64>(), 0..6),
        values in prop::collection::vec(any::<u64>(), 0..6),
    ) {
        let signature = "TransferBatch(address,address,address,uint256[],uint256[])";
        let batch = log(
            signature,
            &[word(1), B256::ZERO, word(2)],
            data(vec![list(&ids), list(&values)]),
        );
        match standard(Kind::Erc1155).decode(&context(), &batch) {
            Ok(Decoded::Event(minted)) => {
                prop_assert_eq!(ids.len(), values.len());
                prop_assert_eq!(minted.name.as_str(), "minted_batch");
                prop_assert_eq!(minted.fields["ids"].as_array().unwrap().len(), ids.len());
            }
            Err(error) => {
                prop_assert_ne!(ids.len(), values.len());
                let told = format!("`ids` has {}, `values` has {}", ids.len(), values.len());
                prop_assert!(error.to_string().contains(&told), "{}", error);
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }
}

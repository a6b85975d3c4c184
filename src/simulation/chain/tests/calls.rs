//! What contracts do, and what calls are answered.

use alloy::sol_types::{SolError as _, SolEvent as _};

use super::{super::contracts::abi::IGovernor, *};
use crate::chain::rpc_errors::{ErrorAnswer, RpcErrorClass, classify};

fn called(chain: &mut Chain, to: Address, input: Vec<u8>) -> Result<Bytes, ErrorObject> {
    let request = json!({ "to": to, "input": Bytes::from(input), "from": key().address() });
    let answer = ask(chain, "eth_call", json!([request, "latest"]))?;
    Ok(serde_json::from_value(answer).unwrap())
}

fn estimated(chain: &mut Chain, input: Vec<u8>) -> Result<Json, ErrorObject> {
    let to = chain.deployment().achievements;
    let request = json!({ "to": to, "input": Bytes::from(input), "from": key().address() });
    ask(chain, "eth_estimateGas", json!([request]))
}

fn outcome(chain: &mut Chain, hash: B256) -> (bool, u64, usize) {
    let receipt = ask(chain, "eth_getTransactionReceipt", json!([hash])).unwrap();
    let gas: alloy::primitives::U64 = serde_json::from_value(receipt["gasUsed"].clone()).unwrap();
    let logs = receipt["logs"].as_array().unwrap().len();
    (receipt["status"] == "0x1", gas.to(), logs)
}

#[test]
fn a_batch_lands_and_is_skipped_when_it_comes_again() {
    let mut chain = chain();
    let input = batch(&[member(1), member(2), member(1)]);
    let estimate = estimated(&mut chain, input.clone()).unwrap();
    let first = sent(&mut chain, 0, input.clone());
    let second = sent(&mut chain, 1, input.clone());
    chain.mine(1_004, 10);
    let base = 21_000 + 16 * input.len() as u64;
    assert_eq!(outcome(&mut chain, first), (true, base + 110_000, 3));
    assert_eq!(estimate, json!(format!("{:#x}", base + 110_000)));
    assert_eq!(outcome(&mut chain, second), (true, base + 20_000, 3));
    let count = |topic| chain.logs().filter(|log| log.topic0() == Some(&topic)).count();
    assert_eq!(count(IAchievements::AchievementUnlocked::SIGNATURE_HASH), 2);
    assert_eq!(count(IAchievements::AchievementSkipped::SIGNATURE_HASH), 4);
    assert!(chain.has(member(1), 1) && chain.has(member(2), 1) && !chain.has(member(2), 2));
}

#[test]
fn too_little_gas_uses_all_of_it_and_does_nothing() {
    let mut chain = chain();
    let input = batch(&[member(1)]);
    let raw = signed(0, (10 * GWEI, GWEI), 60_000, input);
    let hash = chain.submit(&raw).unwrap();
    chain.mine(1_004, 10);
    assert_eq!(outcome(&mut chain, hash), (false, 60_000, 0));
    assert!(!chain.has(member(1), 1));
    assert_eq!(chain.nonce(key().address()), 1);
}

#[test]
fn reverts_have_their_data_in_estimates_and_calls() {
    let mut chain = chain();
    let refused = |chain: &mut Chain, input: Vec<u8>, data: Vec<u8>| {
        let error = estimated(chain, input.clone()).unwrap_err();
        let data = Some(json!(Bytes::from(data)));
        let expected = ErrorObject { code: 3, message: "execution reverted".into(), data };
        assert_eq!(error, expected);
        let to = chain.deployment().achievements;
        assert_eq!(called(chain, to, input).unwrap_err(), expected);
    };
    let undefined = IAchievements::unlockAchievementCall {
        user: member(1),
        id: U256::from(8),
        proofData: Bytes::new(),
    };
    let data = IAchievements::AchievementNotDefined { id: U256::from(8) }.abi_encode();
    refused(&mut chain, undefined.abi_encode(), data);
    refused(&mut chain, batch(&[]), IAchievements::EmptyBatch {}.abi_encode());
    let user = Address::ZERO;
    refused(&mut chain, batch(&[user]), IAchievements::InvalidUser { user }.abi_encode());
    refused(&mut chain, vec![1, 2, 3, 4], Vec::new());
    let account = key().address();
    let unauthorized = |role| {
        IAchievements::AccessControlUnauthorizedAccount { account, neededRole: role }.abi_encode()
    };
    refused(&mut chain, IAchievements::pauseCall {}.abi_encode(), unauthorized(B256::ZERO));
    let unlocker = *UNLOCKER_ROLE;
    chain.act(Act::RevokeRole { role: unlocker, from: account });
    chain.mine(1_004, 10);
    refused(&mut chain, batch(&[member(1)]), unauthorized(unlocker));
}

#[test]
fn while_it_is_paused_nothing_is_unlocked() {
    let mut chain = chain();
    chain.act(Act::Pause);
    chain.mine(1_004, 10);
    let error = estimated(&mut chain, batch(&[member(1)])).unwrap_err();
    let data = Bytes::from(IAchievements::EnforcedPause {}.abi_encode());
    assert_eq!((error.code, error.data), (3, Some(json!(data))));
    let hash = sent(&mut chain, 0, batch(&[member(1)]));
    chain.mine(1_006, 10);
    assert!(!outcome(&mut chain, hash).0);
    chain.act(Act::Unpause);
    chain.mine(1_008, 10);
    sent(&mut chain, 1, batch(&[member(1)]));
    chain.act(Act::ForeignUnlock { user: member(2), id: 7 });
    chain.mine(1_010, 10);
    assert!(chain.has(member(1), 1) && chain.has(member(2), 7));
}

#[test]
fn a_proposal_goes_through_its_states_and_each_member_votes_once() {
    let mut chain = lively();
    let governor = chain.deployment().governor;
    let id = chain.state.governor.id(0).unwrap();
    let state_at = |chain: &mut Chain, block: u64| {
        let input = Bytes::from(IGovernor::stateCall { proposalId: id }.abi_encode());
        let request = json!({ "to": governor, "input": input });
        let answer = ask(chain, "eth_call", json!([request, format!("{block:#x}")]));
        answer.map(|word| word.as_str().unwrap().chars().last().unwrap())
    };
    for _ in 0..3 {
        chain.act(Act::Vote { who: member(1), proposal: 0, support: 1, params: false });
    }
    for voter in 10..14 {
        chain.act(Act::Vote { who: member(voter), proposal: 0, support: 1, params: false });
    }
    for _ in 0..30 {
        chain.mine(1_010, 10);
    }
    assert!(state_at(&mut chain, 1).is_err());
    let seen: Vec<char> =
        [2, 3, 4, 23, 24].iter().map(|it| state_at(&mut chain, *it).unwrap()).collect();
    assert_eq!(seen, ['0', '0', '1', '1', '4']);
    let votes = chain.logs().filter(|log| log.address() == governor).count() - 1;
    assert_eq!(votes, 6);
    let quorum = IGovernor::quorumCall { timepoint: U256::from(3) }.abi_encode();
    let quorum = U256::from_be_slice(&called(&mut chain, governor, quorum).unwrap());
    assert_eq!(quorum, U256::from(500) * U256::from(GWEI * GWEI));
}

#[test]
fn who_is_asked_for_what_it_does_not_do_says_so_in_a_way_that_is_understood() {
    let mut chain = chain();
    let class = |method: &str, error: &ErrorObject| {
        let (code, message) = (Some(error.code), error.message.as_str());
        classify(&ErrorAnswer { method, code, message, ..ErrorAnswer::default() })
    };
    let creation = ask(&mut chain, "eth_call", json!([{ "input": "0x6080" }, "latest"]));
    assert_eq!(class("eth_call", &creation.unwrap_err()), RpcErrorClass::Semantic);
    let unknown = ask(&mut chain, "debug_traceTransaction", json!([])).unwrap_err();
    assert_eq!(unknown.code, -32_601);
    assert_eq!(class("debug_traceTransaction", &unknown), RpcErrorClass::PlanRefused);
    let ahead = ask(&mut chain, "eth_call", json!([{ "to": member(1) }, "0x99"])).unwrap_err();
    assert_eq!(class("eth_call", &ahead), RpcErrorClass::Lagging);
    let ahead = json!([{ "blockHash": B256::repeat_byte(1) }]);
    let ahead = ask(&mut chain, "eth_getLogs", ahead).unwrap_err();
    assert_eq!(class("eth_getLogs", &ahead), RpcErrorClass::Lagging);
    assert_eq!(called(&mut chain, member(1), vec![1, 2, 3, 4]), Ok(Bytes::new()));
    assert_eq!(ask(&mut chain, "eth_getCode", json!([member(1), "latest"])), Ok(json!("0x")));
}

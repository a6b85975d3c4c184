//! Which transactions are taken, and which of them are mined.

use super::*;
use crate::signing::send_errors::{SendOutcome, classify_send};

#[test]
fn a_used_nonce_is_too_low_and_one_after_a_gap_waits() {
    let mut chain = chain();
    let key = key().address();
    sent(&mut chain, 1, batch(&[member(1)]));
    chain.mine(1_004, 10);
    assert_eq!((chain.nonce(key), chain.waiting(key)), (0, 1));
    sent(&mut chain, 0, batch(&[member(2)]));
    chain.mine(1_006, 10);
    assert_eq!((chain.nonce(key), chain.waiting(key)), (2, 0));
    assert!(chain.has(member(1), 1) && chain.has(member(2), 1));
    let again = chain.submit(&signed(1, (10 * GWEI, GWEI), 1_000_000, batch(&[member(1)])));
    assert_eq!(again, Err(Refusal::NonceTooLow { next: 2, nonce: 1 }));
}

#[test]
fn a_replacement_pays_a_tenth_more_of_both_and_the_replaced_one_is_gone() {
    let mut chain = chain();
    let input = batch(&[member(1)]);
    let mut submit =
        |max: u128, tip: u128| chain.submit(&signed(0, (max, tip), 200_000, input.clone()));
    let old = submit(10 * GWEI, 2 * GWEI).unwrap();
    assert_eq!(submit(10 * GWEI, 2 * GWEI), Err(Refusal::Known));
    for (max, tip) in [(20 * GWEI, 2 * GWEI), (10 * GWEI, 3 * GWEI), (109 * GWEI / 10, 3 * GWEI)] {
        assert_eq!(submit(max, tip), Err(Refusal::ReplacementUnderpriced), "{max} {tip}");
    }
    let new = submit(11 * GWEI, 22 * GWEI / 10).unwrap();
    assert_eq!(ask(&mut chain, "eth_getTransactionByHash", json!([old])), Ok(Json::Null));
    let told = ask(&mut chain, "eth_getTransactionByHash", json!([new])).unwrap();
    assert!(told["blockHash"].is_null() && told["hash"] == json!(new));
    chain.mine(1_004, 10);
    assert_eq!(chain.waiting(key().address()), 0);
    assert_eq!(ask(&mut chain, "eth_getTransactionReceipt", json!([old])), Ok(Json::Null));
    assert!(ask(&mut chain, "eth_getTransactionReceipt", json!([new])).unwrap().is_object());
}

#[test]
fn what_is_not_taken_is_refused_in_words_that_are_understood() {
    let mut chain = chain();
    let input = batch(&[member(1)]);
    let mut refused = |raw: &[u8]| {
        let error = ask(&mut chain, "eth_sendRawTransaction", json!([Bytes::copy_from_slice(raw)]));
        let error = error.unwrap_err();
        classify_send(error.code, &error.message, error.data.as_ref(), None)
    };
    let dear = signed(0, (GWEI * GWEI, GWEI), 1_000_000, input.clone());
    assert_eq!(refused(&dear), SendOutcome::InsufficientFunds);
    let upside_down = signed(0, (GWEI, 2 * GWEI), 1_000_000, input.clone());
    assert_eq!(refused(&upside_down), SendOutcome::FeeTooLow);
    assert_eq!(refused(&signed(0, (GWEI, 0), 1_000_000, input.clone())), SendOutcome::FeeTooLow);
    for gas in [21_000, 30_000_001] {
        let outcome = refused(&signed(0, (10 * GWEI, GWEI), gas, input.clone()));
        assert!(matches!(outcome, SendOutcome::NeverAcceptable { .. }), "{outcome:?}");
    }
    assert_eq!(refused(&[1, 2, 3]), SendOutcome::UnknownFate);
}

#[test]
fn who_pays_less_than_the_base_fee_waits_and_who_pays_most_goes_first() {
    let mut chain = chain();
    let key = key().address();
    chain.submit(&signed(0, (GWEI, GWEI), 200_000, batch(&[member(1)]))).unwrap();
    chain.set_base_fee(2_000_000_000);
    chain.mine(1_004, 10);
    assert_eq!((chain.nonce(key), chain.waiting(key)), (0, 1));
    let dear = signed(0, (30 * GWEI, 3 * GWEI), 200_000, batch(&[member(1)]));
    chain.act(Act::Contribute { who: member(3), amount: 1 });
    let first = chain.submit(&dear).unwrap();
    chain.mine(1_006, 1);
    let block = chain.head().unwrap();
    let hashes: Vec<B256> = block.transactions.iter().map(|it| it.transaction.hash).collect();
    assert_eq!(hashes, [first]);
    assert_eq!(chain.waiting(member(3)), 1);
    chain.drop_pool();
    assert_eq!(chain.waiting(member(3)), 0);
}

#[test]
fn another_program_with_the_key_takes_the_next_nonce_and_members_say_the_same_apart() {
    let mut chain = chain();
    let key = key().address();
    sent(&mut chain, 0, batch(&[member(1)]));
    chain.act(Act::ForeignNonce { from: key });
    let pending = ask(&mut chain, "eth_getTransactionCount", json!([key, "pending"])).unwrap();
    assert_eq!(pending, "0x2");
    sent(&mut chain, 2, batch(&[member(2)]));
    chain.act(Act::Propose { who: member(1) });
    chain.mine(1_004, 10);
    assert_eq!(chain.nonce(key), 3);
    let mut vote = |who| chain.act(Act::Vote { who, proposal: 0, support: 1, params: false });
    assert_ne!(vote(member(1)).unwrap(), vote(member(2)).unwrap());
    let absent = Act::Vote { who: member(1), proposal: 1, support: 1, params: false };
    assert_eq!(chain.act(absent), None);
}

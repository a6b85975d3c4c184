//! Every text that public senders have collected, by meaning.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;

use super::*;

fn kind(outcome: &SendOutcome) -> &'static str {
    match outcome {
        SendOutcome::Accepted => "accepted",
        SendOutcome::AlreadyKnown => "known",
        SendOutcome::NonceTooLow => "low",
        SendOutcome::NonceTooHigh => "high",
        SendOutcome::ReplacementUnderpriced => "replacement",
        SendOutcome::FeeTooLow => "fee",
        SendOutcome::AboveNodeCap => "node cap",
        SendOutcome::InsufficientFunds => "funds",
        SendOutcome::PoolFull => "pool",
        SendOutcome::SenderLimit => "sender",
        SendOutcome::RateLimited => "rate",
        SendOutcome::NeverAcceptable { .. } => "never",
        SendOutcome::Reverted { .. } => "reverted",
        SendOutcome::UnknownFate => "unknown",
    }
}

const TEXTS: &[(&str, &[&str])] = &[
    (
        "low",
        &[
            "nonce too low",
            "nonce too low: address 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf, tx: 5 state: 7",
            "nonce too low: next nonce 7, tx nonce 5",
            "Nonce too low",
            "OldNonce",
            "OldNonce, Current nonce: 7, nonce of rejected tx: 5",
            "Transaction nonce is too low. Try incrementing the nonce.",
            "nonce too low: address 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf current nonce (7) > tx nonce (5)",
        ],
    ),
    (
        "high",
        &[
            "nonce too high",
            "nonce too high: address 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf, tx: 9 state: 7",
            "Transaction nonce too far in the future",
            "nonce too far in the future",
            "NonceGap",
            "NonceGap, Future nonce. Expected nonce: 7",
            "tx nonce exceeds next nonce",
            "nonce out of range",
        ],
    ),
    (
        "known",
        &[
            "already known",
            "known transaction: 0x88df016429689c079f3b2f6ad39fa052532c56795b733da78a91ebe6a713944b",
            "Known transaction",
            "AlreadyKnown",
            "Transaction with the same hash was already imported.",
        ],
    ),
    (
        "replacement",
        &[
            "replacement transaction underpriced",
            "replacement transaction underpriced: new tx gas fee cap 10 <= 12 queued",
            "Transaction gas price 100wei is too low. There is another transaction with same nonce in the queue with gas price 150wei. Try increasing the gas price or incrementing the nonce.",
            "ReplacementNotAllowed",
            "there is another tx which has the same nonce in the tx pool",
        ],
    ),
    (
        "fee",
        &[
            "transaction underpriced",
            "transaction underpriced: tip needed 1000000000, tip permitted 1",
            "Gas price below configured minimum gas price",
            "FeeTooLow",
            "FeeTooLow, MaxFeePerGas too low. MaxFeePerGas: 1, BaseFee: 7",
            "FeeTooLowToCompete",
            "max fee per gas less than block base fee",
            "max fee per gas less than block base fee: address 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf, maxFeePerGas: 1, baseFee: 7",
            "gas price too low",
            "tip above fee cap",
            "max priority fee per gas higher than max fee per gas",
            "max priority fee per gas higher than max fee per gas: address 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf, maxPriorityFeePerGas: 9, maxFeePerGas: 1",
        ],
    ),
    (
        "node cap",
        &[
            "tx fee (1.10 ether) exceeds the configured cap (1.00 ether)",
            "Transaction fee cap exceeded",
        ],
    ),
    (
        "funds",
        &[
            "insufficient funds for gas * price + value",
            "insufficient funds for gas * price + value: address 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf have 1 want 2",
            "insufficient funds for transfer",
            "Upfront cost exceeds account balance",
            "InsufficientFunds, Balance is 1 less than sending value",
            "Insufficient funds for gas * price + value",
        ],
    ),
    (
        "pool",
        &[
            "txpool is full",
            "sequencer pending tx pool full, please try again",
            "queue full",
            "There are too many transactions in the queue. Your transaction was dropped due to limit. Try increasing the fee.",
        ],
    ),
    (
        "sender",
        &[
            "account limit exceeded: pooled 64 txs",
            "gapped-nonce tx from delegated accounts",
            "in-flight transaction limit reached for delegated accounts",
        ],
    ),
    (
        "never",
        &[
            "exceeds block gas limit",
            "intrinsic gas too low",
            "intrinsic gas too low: have 20000, want 21000",
            "oversized data",
            "oversized data: transaction size 131073, limit 131072",
            "invalid sender",
            "gas uint64 overflow",
            "max initcode size exceeded: code size 49153, limit 49152",
            "Transaction gas limit exceeds block gas limit of 30000000",
            "GasLimitExceeded",
            "only replay-protected (EIP-155) transactions allowed over RPC",
            "invalid chain id for signer: have 1 want 31337",
        ],
    ),
    (
        "reverted",
        &[
            "execution reverted",
            "execution reverted: nonce too low",
            "execution reverted: insufficient funds",
            "VM Exception while processing transaction: revert not yet",
            "Reverted 0x08c379a0",
            "out of gas",
            "invalid opcode: INVALID",
            "stack underflow (0 <=> 1)",
        ],
    ),
    (
        "rate",
        &[
            "Too Many Requests",
            "rate limit exceeded",
            "Your app has exceeded its compute units per second capacity",
        ],
    ),
    // Not "known transaction", and not a refusal that we understand.
    (
        "unknown",
        &[
            "unknown transaction",
            "unknown transaction type",
            "",
            "internal error",
            "<html><h1>502 Bad Gateway</h1></html>",
            "upstream request timeout",
            "context deadline exceeded",
        ],
    ),
];

#[test]
fn every_collected_text_has_its_meaning_in_any_case_and_wrapping() {
    for (meaning, texts) in TEXTS {
        for text in *texts {
            for given in [
                (*text).to_owned(),
                text.to_uppercase(),
                format!("rpc error: code = Unknown desc = {text}"),
                format!("{text}. (trace id 0x5f)"),
            ] {
                for code in [-32000, -32603, -32010] {
                    let outcome = classify_send(code, &given, None, None);
                    assert_eq!(kind(&outcome), *meaning, "{given}");
                }
            }
        }
    }
}

#[test]
fn a_text_in_data_or_in_an_http_body_counts_too() {
    let outcome = |message, data| classify_send(-32603, message, Some(&data), None);
    assert_eq!(outcome("Internal error", json!("nonce too low")), SendOutcome::NonceTooLow);
    assert_eq!(
        outcome("Internal JSON-RPC error.", json!({"code": -32000, "message": "already known"})),
        SendOutcome::AlreadyKnown
    );
    assert_eq!(
        outcome("boom", json!({"originalError": {"message": "txpool is full"}})),
        SendOutcome::PoolFull
    );
    let body = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"nonce too low"},"id":1}"#;
    assert_eq!(classify_send(0, body, None, Some(500)), SendOutcome::NonceTooLow);
}

#[test]
fn codes_decide_only_what_no_text_says() {
    assert_eq!(classify_send(-32005, "slow down", None, None), SendOutcome::RateLimited);
    assert_eq!(classify_send(0, "", None, Some(429)), SendOutcome::RateLimited);
    assert_eq!(classify_send(-32005, "nonce too low", None, None), SendOutcome::NonceTooLow);
    for status in [408, 500, 502, 503, 504] {
        assert_eq!(classify_send(0, "", None, Some(status)), SendOutcome::UnknownFate);
    }
    assert!(matches!(classify_send(3, "", None, None), SendOutcome::Reverted { .. }));
}

#[test]
fn a_revert_brings_its_data_along() {
    let data = json!("0x31ab5fe0");
    let outcome = classify_send(3, "execution reverted", Some(&data), None);
    let SendOutcome::Reverted { data: Some(data), .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(data.to_string(), "0x31ab5fe0");
}

#[test]
fn what_a_node_says_is_cut() {
    let endless = "oversized data ".repeat(1_000);
    let SendOutcome::NeverAcceptable { reason } = classify_send(0, &endless, None, None) else {
        panic!("oversized data is never acceptable");
    };
    assert_eq!(reason.chars().count(), REASON_CHARS);
}

//! What is made of an error.

use std::sync::LazyLock;

use super::KEYS;
use crate::{
    breakers::Classify as _,
    chain::{
        ranges::RangeFailure,
        rpc::{Refusal, RpcError},
    },
    signing::{reverts::RevertDecoder, send_errors::classify_send},
};

/// Of an error that is logged, counted and shown.
const ERROR_CHARS_MAX: usize = 1_000;

static REVERTS: LazyLock<RevertDecoder> = LazyLock::new(|| {
    let nested = serde_json::from_str(NESTED_ERRORS).unwrap();
    RevertDecoder::new([&nested])
});
/// Errors of a contract of somebody's own.
const NESTED_ERRORS: &str = r#"[
    {"type":"error","name":"BadGrid","inputs":[{"name":"grid","type":"uint256[][]"}]},
    {"type":"error","name":"BadTexts","inputs":[{"name":"texts","type":"string[]"}]}
]"#;

pub(super) fn refused(method: &str, error: &RpcError) {
    let shown = format!("{error}\n{error:?}");
    for key in KEYS {
        assert!(!shown.contains(key), "an error tells a key: {error}");
    }
    assert!(error.to_string().chars().count() <= ERROR_CHARS_MAX, "a long error: {error}");
    // Total: it has a class of failure, and a meaning for ranges.
    let _ = error.class();
    if let Some(RangeFailure::TooLarge { .. } | RangeFailure::TooManyAddresses(_)) =
        error.range_failure()
    {
        assert_eq!(method, "eth_getLogs", "a range is too large where none was asked for: {error}");
    }
    if let Some(refusal) = error.refusal() {
        sent(refusal);
        reverted(refusal);
    }
}

/// As an answer to a transaction.
fn sent(Refusal { code, http_status, message, data, .. }: &Refusal) {
    let code = code.unwrap_or_default();
    let outcome = classify_send(code, message, data.as_ref(), *http_status);
    let again = classify_send(code, message, data.as_ref(), *http_status);
    assert_eq!(outcome, again, "one answer has one meaning");
    assert!(!outcome.as_str().is_empty());
}

/// As an answer to a call that was tried.
fn reverted(Refusal { message, data, .. }: &Refusal) {
    let revert = REVERTS.explain(message, data.as_ref());
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    assert!(!revert.code.is_empty() && revert.code.chars().all(plain), "{}", revert.code);
    assert!(revert.text.chars().count() <= ERROR_CHARS_MAX, "a long text: {}", revert.text);
}

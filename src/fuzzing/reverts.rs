//! What nodes say of calls that reverted, and contracts by that.

use std::sync::LazyLock;

use alloy::json_abi::JsonAbi;
use serde_json::Value as Json;

use super::first_line;
use crate::signing::reverts::{RevertClass, RevertDecoder};

/// Of a text that stands in logs, dead letters and answers.
const TEXT_CHARS_MAX: usize = 420;

/// A decoder that knows errors with nested arguments, beside its own.
static DECODER: LazyLock<RevertDecoder> = LazyLock::new(|| {
    let abi = JsonAbi::parse([
        "error Empty()",
        "error SeasonOver(uint64 endedAt, string hint)",
        "error Nested(uint256[][] a, (string,bytes)[] b, string c)",
    ]);
    RevertDecoder::new([&abi.unwrap()])
});

/// The message of an error answer on the first line, and its data behind it: JSON, or hex.
///
/// It is explained alike each time, shortly, in one line that can be shown; and under a code
/// that metrics and consumers can use.
pub fn reverts(bytes: &[u8]) {
    let (message, rest) = first_line(bytes);
    let message = String::from_utf8_lossy(message);
    let data = serde_json::from_slice::<Json>(rest).ok();
    let data = data.or_else(|| Some(std::str::from_utf8(rest).ok()?.trim().into()));
    let revert = DECODER.explain(&message, data.as_ref());
    assert_eq!(revert, DECODER.explain(&message, data.as_ref()));
    assert!(!revert.text.is_empty(), "{revert:?}");
    assert!(revert.text.chars().count() <= TEXT_CHARS_MAX, "{revert:?}");
    assert!(!revert.text.chars().any(char::is_control), "{revert:?}");
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    assert!(!revert.code.is_empty() && revert.code.chars().all(is_plain), "{revert:?}");
    if revert.code == "custom_error" {
        assert_eq!(revert.class, RevertClass::Business, "what is not known stops nobody else");
    }
}

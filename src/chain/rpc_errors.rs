//! What an endpoint means when it says no.
//!
//! Codes do not tell: -32005 alone has been seen for too many results, a query
//! timeout and a rate limit. So code, HTTP status, message and data are read
//! together, and rules about ranges only where ranges were asked for. The
//! shapes in the tests are those that providers were seen to answer.

mod hints;

use std::time::Duration;

use serde_json::Value as Json;

/// An error answer of an endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct ErrorAnswer<'a> {
    /// The method that was called.
    pub method: &'a str,
    /// JSON-RPC code, when the answer was JSON-RPC.
    pub code: Option<i64>,
    /// HTTP status, when it was not 200.
    pub http_status: Option<u16>,
    /// The message, or the body of an answer that was not JSON-RPC.
    pub message: &'a str,
    /// The error's data.
    pub data: Option<&'a Json>,
    /// The `Retry-After` header.
    pub retry_after: Option<Duration>,
}

/// What to do about an error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RpcErrorClass {
    /// Ask for fewer blocks.
    RangeTooLarge {
        /// What is exceeded.
        cap: RangeCap,
        /// What the endpoint says would do.
        hint: RangeHint,
    },
    /// Ask less often.
    RateLimited {
        /// How long to wait, when it says so.
        retry_after: Option<Duration>,
    },
    /// It does not have the block yet, or is on another branch.
    Lagging,
    /// Ask for fewer addresses or topics at once.
    TooManyAddresses,
    /// The plan, the bill or the node's kind forbids it: asking again won't
    /// help, another endpoint may.
    PlanRefused,
    /// It broke; the same may work later or elsewhere.
    Transient,
    /// An answer about the request itself: any endpoint would give it.
    Semantic,
}

/// What a range exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RangeCap {
    /// A number of blocks, whatever is in them.
    Structural,
    /// What these blocks hold: results, bytes or time.
    Density,
}

/// What an endpoint says would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RangeHint {
    /// At most so many blocks.
    pub blocks: Option<u64>,
    /// These blocks, ends included.
    pub range: Option<(u64, u64)>,
}

/// Reads an error answer.
#[must_use]
pub fn classify(answer: &ErrorAnswer<'_>) -> RpcErrorClass {
    let mut text = answer.message.to_lowercase();
    if let Some(data) = answer.data {
        text.push(' ');
        hints::flatten(data, &mut text);
    }
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let status = answer.http_status.unwrap_or(200);
    let code = answer.code.unwrap_or(0);

    // A contract may revert with any text.
    if code == 3 || has(&["revert"]) {
        return RpcErrorClass::Semantic;
    }
    if has(TOO_MANY_ADDRESSES) || (has(&["filters"]) && has(&["current limit"])) {
        return RpcErrorClass::TooManyAddresses;
    }
    if has(LAGGING) || (has(&["invalid block range"]) && !has(&["max", "limit"])) {
        return RpcErrorClass::Lagging;
    }
    if answer.method == "eth_getLogs"
        && let Some(cap) = range_cap(&text, code, status, answer.data)
    {
        return RpcErrorClass::RangeTooLarge { cap, hint: hints::range(&text, answer.data, cap) };
    }
    if status == 402 || has(BILLING) {
        return RpcErrorClass::PlanRefused;
    }
    let retry_after = answer.retry_after.or_else(|| hints::retry_after(&text, answer.data));
    if status == 429
        || matches!(code, -32005 | -32007 | -32012 | -32016 | -32055)
        || (status == 503 && retry_after.is_some())
        || has(RATE_LIMITED)
    {
        return RpcErrorClass::RateLimited { retry_after };
    }
    if matches!(status, 401 | 403) || code == -32601 || has(PLAN_REFUSED) {
        return RpcErrorClass::PlanRefused;
    }
    let broken = status >= 500 || matches!(status, 404 | 408) || code == -32603;
    if (broken || has(TRANSIENT)) && !has(ABOUT_THE_TRANSACTION) {
        return RpcErrorClass::Transient;
    }
    RpcErrorClass::Semantic
}

const TOO_MANY_ADDRESSES: &[&str] =
    &["less number of address", "addresses or topics", "too many addresses", "too many topics"];

const LAGGING: &[&str] = &[
    "after last accepted block",
    "beyond current head",
    "header not found",
    "header for hash not found",
    "unknown block",
    "block not found",
    "cannot query unfinalized",
    "height is not available",
    "not currently canonical",
];

const BILLING: &[&str] = &["monthly capacity", "payment required", "billing"];

const RATE_LIMITED: &[&str] = &[
    "rate limit",
    "rate-limit",
    "ratelimit",
    "rate exceeded",
    "too many requests",
    "request limit",
    "requests per second",
    "credits limited",
    "compute units per second",
    "try again in",
    "unable to complete request at this time",
];

const PLAN_REFUSED: &[&str] = &[
    "free tier",
    "freetier",
    "not available on the",
    "upgrade your plan",
    "unauthorized",
    "must be authenticated",
    "invalid api key",
    "invalid project id",
    "archive",
    "pruned",
    "missing trie node",
    "method not found",
    "does not exist/is not available",
];

const TRANSIENT: &[&str] = &[
    "timeout",
    "timed out",
    "internal error",
    "bad gateway",
    "temporarily unavailable",
    "no backend",
    "overloaded",
    "server is busy",
    "connection refused",
    "connection reset",
];

/// Answers about a transaction, which some nodes give as internal errors.
const ABOUT_THE_TRANSACTION: &[&str] =
    &["nonce", "insufficient funds", "underpriced", "already known", "gas", "out of"];

/// What is too much about an `eth_getLogs`, if that is what it says.
fn range_cap(text: &str, code: i64, status: u16, data: Option<&Json>) -> Option<RangeCap> {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let density = has(&[
        "response size",
        "response too large",
        "response is too",
        "response too big",
        "result too large",
        "too many results",
        "too many logs",
        "max results",
        "logs matched",
        "query timeout",
        // A proxy whose backends all fell over the query.
        "no backend is currently healthy",
    ]) || (has(&["more than", "exceed"]) && has(&[" results", " logs"]));
    if density || code == -32008 || data.is_some_and(|data| hints::from_to(data).is_some()) {
        return Some(RangeCap::Density);
    }
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    let about_blocks =
        words.any(|word| matches!(word, "block" | "blocks" | "range" | "ranges" | "blockrange"));
    let too_much = has(&[
        "limit",
        "max",
        "exceed",
        "too large",
        "too wide",
        "too big",
        "too many",
        "too long",
        "over ",
        "larger",
        "greater",
        "up to",
        "at most",
        "wide",
        "distance",
        "less than",
    ]);
    let about_requests = has(&["rate limit", "per second", "/sec", "request limit"]);
    let structural = about_blocks && too_much && !about_requests;
    (structural || status == 413 || code == -32614 || has(&["smaller than size"]))
        .then_some(RangeCap::Structural)
}

#[cfg(test)]
mod tests;

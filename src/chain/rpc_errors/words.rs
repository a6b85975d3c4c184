//! What answers say of everything but ranges.

use super::{amounts::too_much, text::Text};

/// How surely an answer is about how often calls come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rate {
    /// It names calls per time, or how long to wait.
    Certain,
    /// Its words are those of rate limits.
    Likely,
}

/// Whether calls come too often.
pub(super) fn rate(text: &Text) -> Option<Rate> {
    const PER_TIME: &[&str] = &[
        "per second",
        "per minute",
        "per hour",
        "per day",
        "/second",
        "/sec",
        "/minute",
        "/min",
        "second request limit",
    ];
    const WORDS: &[&str] = &[
        "rate limit",
        "rate-limit",
        "ratelimit",
        "rate_limit",
        "rate exceeded",
        "request rate",
        "call rate",
        "too many requests",
        "too many calls",
        "too many concurrent",
        "request limit",
        "requests limit",
        "request count",
        "credits limited",
        "compute unit",
        "throughput",
        "throttl",
        "slow down",
        "quota",
        "capacity exceeded",
        "exceeded its capacity",
        "unable to complete request at this time",
    ];
    let waits = text.plain().split("try again in ").nth(1);
    let waits = waits.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let counted = text.counts(&["requests", "calls", "req", "reqs", "credits", "rps", "qps"]);
    if waits || text.has(PER_TIME) || (counted && too_much(text)) {
        Some(Rate::Certain)
    } else {
        text.has(WORDS).then_some(Rate::Likely)
    }
}

/// Whether everything will be refused until somebody pays.
pub(super) fn unpaid(text: &Text) -> bool {
    text.has(&[
        "monthly capacity",
        "monthly limit",
        "monthly quota",
        "monthly request",
        "monthly credit",
        "monthly compute",
        "payment required",
        "billing",
        "out of credits",
        "no credits",
        "insufficient credits",
        "credits exhausted",
        "used up your credits",
        "subscription has expired",
        "subscription expired",
        "account suspended",
        "account is suspended",
        "account has been suspended",
    ])
}

/// Whether the block or height is one that the endpoint does not have yet, or
/// not on its branch.
pub(super) fn lagging(text: &Text) -> bool {
    const PHRASES: &[&str] = &[
        "after last accepted block",
        "beyond current head",
        "header for hash not found",
        "unknown block",
        "unknown header",
        "missing block",
        "missing header",
        "cannot query unfinalized",
        "height is not available",
        "not currently canonical",
        // EIP-1474, code -32001.
        "resource not found",
        "is syncing",
        "still syncing",
        "indexing is in progress",
        "indexing in progress",
    ];
    const HEAD: &[&str] = &[
        "head",
        "latest",
        "tip",
        "future",
        "last accepted",
        "current block",
        "current height",
        "chain height",
        "highest block",
        "best block",
        "last block",
        "most recent",
    ];
    const BEYOND: &[&str] = &[
        "beyond", "after", "greater", "exceed", "exceeds", "higher", "ahead", "above", "past",
        "newer", "future", "behind",
    ];
    const ABSENT: &[&str] = &[
        "not found",
        "does not exist",
        "doesn't exist",
        "not available",
        "not yet",
        "not ready",
        "not indexed",
        "not synced",
        "could not find",
        "cannot find",
        "cannot be found",
        "no such",
    ];
    let capped = text.word(&["max", "maximum", "limit", "limits", "limited", "most", "cap"])
        || text.has(&["too large", "too wide", "too many", "too big", "too long"]);
    let names_ends = (text.word(&["begin", "start", "from", "fromblock", "startblock"]))
        && text.word(&["end", "to", "toblock", "endblock"]);
    let inverted = names_ends
        && text.word(&["greater", "less", "lower", "higher", "before", "after", "larger"])
        && text.word(&["block", "blocks", "fromblock", "toblock", "startblock", "endblock"]);
    let absent = text.has(ABSENT)
        && text.word(&["block", "blocks", "header", "height", "blockhash"])
        && !text.word(&["method", "plan", "tier"]);
    let beyond = text.has(HEAD) && text.word(BEYOND) && text.word(BLOCKS_OR_HEIGHT);
    text.has(PHRASES)
        || (!capped && (text.has(&["invalid block range"]) || inverted || absent || beyond))
}

const BLOCKS_OR_HEIGHT: &[&str] =
    &["block", "blocks", "range", "height", "number", "fromblock", "toblock"];

/// Whether the node does not keep what is asked for.
pub(super) fn not_kept(text: &Text) -> bool {
    let kept = text.has(&["archive", "pruned", "pruning", "missing trie node", "historical"]);
    let range = text.has(&["block range", "range too", "range is too", "ranges over"]);
    kept && !(range && too_much(text))
}

/// Whether the plan forbids it.
pub(super) fn plan(text: &Text) -> bool {
    const WITHHELD: &[&str] =
        &["supported", "unsupported", "allowed", "disabled", "whitelisted", "permitted", "enabled"];
    let method = text.word(&["method", "getlogs", "getblockreceipts"]) && text.word(WITHHELD);
    method
        || text.has(&[
            "free tier",
            "freetier",
            "free plan",
            "not available on the",
            "not available on your",
            "upgrade your plan",
            "paid plan",
            "paid tier",
            "paid account",
            "your plan",
            "current plan",
            "unauthorized",
            "must be authenticated",
            "invalid api key",
            "invalid project id",
            "specify an address",
            "specify address",
            "address is required",
            "archive",
            "pruned",
            "missing trie node",
            "method not found",
            "does not exist/is not available",
        ])
}

/// Whether it broke.
pub(super) fn broken(text: &Text) -> bool {
    text.has(&[
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
    ])
}

/// Answers about a transaction, which some nodes give as internal errors.
pub(super) fn about_the_transaction(text: &Text) -> bool {
    text.has(&["nonce", "insufficient funds", "underpriced", "already known", "gas", "out of"])
}

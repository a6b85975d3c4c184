//! The numbers in an error answer.

use std::time::Duration;

use serde_json::Value as Json;

use super::{
    FilterHint, FilterPart, RangeCap, RangeHint,
    text::{Text, number},
};

/// `from` and `to` of an error's data.
pub(super) fn from_to(data: &Json) -> Option<(u64, u64)> {
    let at = |key: &str| match data.get(key)? {
        Json::String(string) => number(&string.to_lowercase()),
        other => other.as_u64(),
    };
    Some((at("from")?, at("to")?))
}

/// What an answer says would do. Whether it is to be believed is decided by
/// who knows what was asked.
pub(super) fn range(text: &Text, data: Option<&Json>, cap: RangeCap) -> RangeHint {
    let told = data.and_then(from_to).filter(|(from, to)| from <= to);
    // An answer may repeat what was asked before it says what would do.
    let range = told.or_else(|| {
        let all = bracketed(text.plain()).chain(dashed(text)).chain(worded(text));
        all.filter(|(from, to)| from <= to).min_by_key(|(from, to)| to - from)
    });
    RangeHint { blocks: blocks(text, cap), range }
}

/// `[0x1, 0x2]`, `(1, 2)`.
fn bracketed(text: &str) -> impl Iterator<Item = (u64, u64)> + '_ {
    text.split(['[', '(']).skip(1).filter_map(|rest| {
        let inner = rest.split_once([']', ')'])?.0;
        let (from, to) = inner
            .split_once(", ")
            .or_else(|| inner.split_once(','))
            .or_else(|| inner.split_once('-'))?;
        Some((number(from)?, number(to)?))
    })
}

/// `23879634-23879696`, `1..2`.
fn dashed(text: &Text) -> impl Iterator<Item = (u64, u64)> + '_ {
    text.words().iter().filter_map(|word| {
        let (from, to) = word.split_once("..").or_else(|| word.split_once('-'))?;
        Some((number(from)?, number(to)?))
    })
}

/// `1 to 2`, where something is advised: else it is what was asked.
fn worded(text: &Text) -> impl Iterator<Item = (u64, u64)> + '_ {
    let advised = text.word(&["try", "retry", "use", "work"]);
    text.words().windows(3).filter(move |_| advised).filter_map(|three| match three {
        [from, to, end] if to == "to" => Some((number(from)?, number(end)?)),
        _ => None,
    })
}

/// Words before a number that make it a limit.
const LIMITS: &[&str] = &[
    "max",
    "maximum",
    "limited",
    "limit",
    "limits",
    "to",
    "most",
    "over",
    "than",
    "exceeds",
    "exceed",
    "exceeded",
    "exceeding",
    "within",
    "cap",
    "capped",
    "allowed",
    "allows",
    "only",
    "below",
    "under",
    "supports",
    "threshold",
];
/// Words before a number that make it what was asked for.
const ASKED: &[&str] = &[
    "got",
    "requested",
    "received",
    "actual",
    "asked",
    "provided",
    "given",
    "queried",
    "found",
    "your",
    "was",
    "from",
    "spans",
];
/// Words between a number and the "limit" that it states: "1000 block range limit".
const BETWEEN: &[&str] = &["block", "blocks", "range", "ranges", "is", "the", "at", "per", "query"];
/// What numbers count that are no numbers of blocks.
const OTHER_UNITS: &[&str] = &[
    "log",
    "logs",
    "result",
    "results",
    "event",
    "events",
    "entries",
    "records",
    "address",
    "addresses",
    "topics",
    "filters",
    "contracts",
    "request",
    "requests",
    "req",
    "calls",
    "credits",
    "compute",
    "cu",
    "ms",
    "milliseconds",
    "s",
    "sec",
    "secs",
    "second",
    "seconds",
    "minutes",
    "m",
    "minute",
    "hour",
    "hours",
    "day",
    "days",
    "bytes",
    "kb",
    "mb",
    "mib",
    "kib",
    "retries",
    "times",
    "attempts",
];

fn is_of(word: Option<&String>, set: &[&str]) -> bool {
    word.is_some_and(|word| set.contains(&word.as_str()))
}

/// The number of blocks that is named as the limit, the smallest if several
/// are. Where the limit is about results, only a number of *blocks* counts.
fn blocks(text: &Text, cap: RangeCap) -> Option<u64> {
    let words = text.words();
    let limits = (0..words.len()).filter_map(|index| {
        let found = number(words.get(index)?).filter(|n| *n > 0)?;
        if is_of(words.get(index + 1), OTHER_UNITS) || spans(words, index) {
            return None;
        }
        let next = words.get(index + 1);
        let of_blocks =
            next.is_some_and(|word| word.starts_with("block") || word.starts_with("range"));
        let is_limit = limit_before(words, index) || limit_after(words, index);
        (is_limit && (cap == RangeCap::Structural || of_blocks)).then_some(found)
    });
    limits.min()
}

/// Whether a number is an end of `A to B`.
fn spans(words: &[String], index: usize) -> bool {
    let is_number = |index: usize| words.get(index).is_some_and(|word| number(word).is_some());
    (is_of(words.get(index + 1), &["to"]) && is_number(index + 2))
        || (index >= 2 && is_of(words.get(index - 1), &["to"]) && is_number(index - 2))
}

/// "maximum allowed is 1000", "max block range 5000": at most four words, the
/// nearest of which decides, none of them a number.
fn limit_before(words: &[String], index: usize) -> bool {
    let before = words.iter().take(index).rev().take(4);
    let mut nearest = before.take_while(|word| number(word).is_none());
    nearest
        .find(|word| is_of(Some(word), LIMITS) || is_of(Some(word), ASKED))
        .is_some_and(|word| is_of(Some(word), LIMITS))
}

/// "1000 block range limit", "64 blocks at most".
fn limit_after(words: &[String], index: usize) -> bool {
    let after = words.iter().skip(index + 1).take(4);
    let mut after = after.skip_while(|word| is_of(Some(word), BETWEEN));
    is_of(after.next(), &["max", "maximum", "limit", "most", "only", "allowed", "cap"])
}

/// Whether it names a limit of so many blocks, in so many words.
pub(super) fn names_blocks(text: &Text) -> bool {
    blocks(text, RangeCap::Density).is_some()
}

/// What an answer says of the addresses and topics of one call.
pub(super) fn filter(text: &Text) -> FilterHint {
    let addresses = text.word(&["address", "addresses", "contracts"]);
    let part = match (addresses, text.word(&["topic", "topics"])) {
        (true, false) => FilterPart::Addresses,
        (false, true) => FilterPart::Topics,
        _ => FilterPart::Either,
    };
    let words = text.words();
    let limits = (0..words.len()).filter_map(|index| {
        let found = number(words.get(index)?).filter(|n| *n > 0)?;
        let is_limit = limit_before(words, index) || {
            let after = words.iter().skip(index + 1).take(2);
            after.into_iter().any(|word| matches!(word.as_str(), "max" | "maximum" | "limit"))
        };
        is_limit.then_some(found)
    });
    FilterHint { part, most: limits.min() }
}

/// How long to wait: of the data `rate.backoff_seconds` or `retry_after`, of
/// the text "try again in 4ms", "retry after 2 seconds", "wait 1m".
pub(super) fn retry_after(text: &Text, data: Option<&Json>) -> Option<Duration> {
    let told = data.and_then(|data| {
        let rate = data.get("rate").and_then(|rate| rate.get("backoff_seconds"));
        let keys = ["backoff_seconds", "retry_after", "retryAfter", "retry_after_seconds"];
        rate.or_else(|| keys.iter().find_map(|key| data.get(key)))?.as_f64()
    });
    if let Some(told) = told.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        return Some(told);
    }
    const WAITS: &[&str] =
        &["try again in ", "retry in ", "retry after ", "again after ", "wait for ", "wait "];
    WAITS.iter().find_map(|words| text.plain().split(words).skip(1).find_map(duration))
}

/// A duration at the start of `text`.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim_start();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (amount, unit) = text.split_at_checked(digits)?;
    let amount: f64 = amount.trim_end_matches('.').parse().ok()?;
    let unit = unit.trim_start();
    let seconds = if unit.starts_with("ms") || unit.starts_with("milli") {
        amount / 1000.0
    } else if unit.starts_with('m') {
        amount * 60.0
    } else if unit.starts_with('h') {
        amount * 3600.0
    } else {
        amount
    };
    Duration::try_from_secs_f64(seconds).ok()
}

//! The numbers in an error answer.

use std::time::Duration;

use serde_json::Value as Json;

use super::{RangeCap, RangeHint};

/// Appends every string and number of `data` to `text`, in lower case.
pub(super) fn flatten(data: &Json, text: &mut String) {
    match data {
        Json::String(string) => text.push_str(&string.to_lowercase()),
        Json::Number(number) => text.push_str(&number.to_string()),
        Json::Array(items) => items.iter().for_each(|item| flatten_next(item, text)),
        Json::Object(members) => members.values().for_each(|item| flatten_next(item, text)),
        Json::Null | Json::Bool(_) => {}
    }
}

fn flatten_next(data: &Json, text: &mut String) {
    flatten(data, text);
    text.push(' ');
}

/// `from` and `to` of an error's data.
pub(super) fn from_to(data: &Json) -> Option<(u64, u64)> {
    let at = |key: &str| match data.get(key)? {
        Json::String(string) => number(string),
        other => other.as_u64(),
    };
    Some((at("from")?, at("to")?))
}

/// What `text` (lower case) and `data` say would do.
pub(super) fn range(text: &str, data: Option<&Json>, cap: RangeCap) -> RangeHint {
    let range = data.and_then(from_to).or_else(|| bracketed(text)).or_else(|| dashed(text));
    RangeHint { blocks: blocks(text, cap), range: range.filter(|(from, to)| from <= to) }
}

/// `[0x1, 0x2]`.
fn bracketed(text: &str) -> Option<(u64, u64)> {
    text.split('[').skip(1).find_map(|rest| {
        let (from, to) = rest.split_once(']')?.0.split_once(',')?;
        Some((number(from)?, number(to)?))
    })
}

/// `23879634-23879696`.
fn dashed(text: &str) -> Option<(u64, u64)> {
    text.split_whitespace().find_map(|word| {
        let (from, to) = word.split_once('-')?;
        Some((number(from)?, number(to)?))
    })
}

/// The number after the last word that announces a limit. Where the limit is
/// about results, only a number of blocks counts.
fn blocks(text: &str, cap: RangeCap) -> Option<u64> {
    const LIMITS: &[&str] = &[
        "max", "maximum", "limited", "limit", "to", "most", "over", "than", "size", "exceeds",
        "exceed", "exceeded", "distance", "range",
    ];
    // Ranges are read elsewhere; `a, b` in brackets is no limit.
    let mut plain = String::new();
    let mut depth = 0_i32;
    for c in text.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let words: Vec<&str> = plain
        .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ':' | '=' | ';'))
        .map(|word| word.trim_matches(|c: char| matches!(c, ',' | '.' | '`' | '"' | '\'')))
        .filter(|word| !word.is_empty())
        .collect();
    let limit_before = |index: usize| {
        // At most three words between: "maximum allowed is 1000", "max block range 5000".
        words.iter().take(index).rev().take(4).any(|word| LIMITS.contains(word))
    };
    let blocks_after = |index: usize| {
        let mut after = words.iter().skip(index + 1).take(2);
        after.any(|word| word.starts_with("block") || word.starts_with("range"))
    };
    (0..words.len()).rev().find_map(|index| {
        let found = words.get(index).and_then(|word| number(word))?;
        let counts = match cap {
            RangeCap::Structural => limit_before(index),
            RangeCap::Density => limit_before(index) && blocks_after(index),
        };
        (counts && found > 0).then_some(found)
    })
}

/// `1024`, `10,000`, `2k`, `0xff`.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok();
    }
    let (digits, factor) = match text.strip_suffix('k') {
        Some(digits) => (digits, 1000),
        None => (text, 1),
    };
    digits.replace([',', '_'], "").parse::<u64>().ok()?.checked_mul(factor)
}

/// `data.rate.backoff_seconds`, or "try again in 4ms" ("2 seconds", "1m").
pub(super) fn retry_after(text: &str, data: Option<&Json>) -> Option<Duration> {
    let seconds = data.and_then(|data| data.get("rate")?.get("backoff_seconds")?.as_f64());
    if let Some(seconds) = seconds {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let rest = text.split("try again in ").nth(1)?.trim_start();
    let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (amount, unit) = rest.split_at_checked(digits)?;
    let amount: f64 = amount.parse().ok()?;
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

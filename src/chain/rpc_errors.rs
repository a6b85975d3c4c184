//! What an endpoint means when it says no.
//!
//! Codes do not tell: -32005 alone has been seen for too many results, a query
//! timeout and a rate limit. So code, HTTP status, message and data are read
//! together, and rules about ranges only where ranges were asked for. The
//! shapes in the tests are those that providers were seen to answer.
//!
//! Words that nobody has seen before are read as a person would: what is
//! spoken of (blocks, results, requests, addresses, the head), and what is said
//! of it (too much, absent, per second). The order below is from what can't be
//! anything else to what may be.

mod amounts;
mod hints;
mod text;
mod words;

use std::time::Duration;

use serde_json::Value as Json;
use text::Text;

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
    TooManyAddresses(FilterHint),
    /// The plan or the node's kind forbids it: asking again won't help,
    /// another endpoint may.
    PlanRefused,
    /// The bill, or what it paid for is used up: until a person pays or a new
    /// month begins, every call will be refused.
    Unpaid,
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

/// Which part of a filter is too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FilterPart {
    /// Its addresses.
    Addresses,
    /// Its topics.
    Topics,
    /// It does not say, or speaks of the two together.
    #[default]
    Either,
}

/// What an endpoint says of addresses and topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FilterHint {
    /// Which are too many.
    pub part: FilterPart,
    /// At most so many.
    pub most: Option<u64>,
}

/// Reads an error answer.
#[must_use]
pub fn classify(answer: &ErrorAnswer<'_>) -> RpcErrorClass {
    let text = Text::new(answer.message, answer.data);
    let for_logs = answer.method == "eth_getLogs";
    let status = answer.http_status.unwrap_or(200);
    let code = answer.code.unwrap_or(0);

    // A contract may revert with any text.
    if !for_logs && (code == 3 || text.has(&["revert"])) {
        return RpcErrorClass::Semantic;
    }
    if status == 402 || words::unpaid(&text) {
        return RpcErrorClass::Unpaid;
    }
    let retry_after = answer.retry_after.or_else(|| hints::retry_after(&text, answer.data));
    let limited = RpcErrorClass::RateLimited { retry_after };
    if !text.is_page() {
        let range = for_logs.then(|| range_cap(&text, code, answer.data)).flatten();
        let hint = range.map(|cap| hints::range(&text, answer.data, cap)).unwrap_or_default();
        match words::rate(&text) {
            Some(words::Rate::Certain) => return limited,
            // Unless: "Too many requests: limit the range to 1000 blocks".
            Some(words::Rate::Likely) if !hints::names_blocks(&text) => return limited,
            _ => {}
        }
        if words::not_kept(&text) {
            return RpcErrorClass::PlanRefused;
        }
        if for_logs && amounts::filter_too_wide(&text) {
            return RpcErrorClass::TooManyAddresses(hints::filter(&text));
        }
        if words::lagging(&text) {
            return RpcErrorClass::Lagging;
        }
        if let Some(cap) = range {
            return RpcErrorClass::RangeTooLarge { cap, hint };
        }
    }
    // A gateway that gave up waiting, or an answer (hardly our question) that
    // was too large for a proxy.
    if for_logs && matches!(status, 408 | 413 | 504 | 524) {
        let hint = RangeHint::default();
        return RpcErrorClass::RangeTooLarge { cap: RangeCap::Density, hint };
    }
    if status == 429
        || matches!(code, -32005 | -32007 | -32012 | -32016 | -32055)
        || (status == 503 && retry_after.is_some())
        || words::rate(&text).is_some()
    {
        return limited;
    }
    if matches!(status, 401 | 403) || matches!(code, -32601 | 4444) || words::plan(&text) {
        return RpcErrorClass::PlanRefused;
    }
    let broken = status >= 500 || matches!(status, 404 | 408) || code == -32603;
    if (broken || words::broken(&text)) && !words::about_the_transaction(&text) {
        return RpcErrorClass::Transient;
    }
    RpcErrorClass::Semantic
}

/// Whether a refusal says in words that calls come too often. Some nodes say
/// no more than "limit exceeded", and mean the range.
#[must_use]
pub fn speaks_of_rate(message: &str) -> bool {
    words::rate(&Text::new(message, None)).is_some()
}

/// What is too much about an `eth_getLogs`, if that is what it says.
fn range_cap(text: &Text, code: i64, data: Option<&Json>) -> Option<RangeCap> {
    let told = data.is_some_and(|data| hints::from_to(data).is_some());
    if told || code == -32008 || amounts::dense(text) {
        return Some(RangeCap::Density);
    }
    if amounts::of_blocks(text) && amounts::too_much(text) {
        let results = amounts::too_many_results(text) && !hints::names_blocks(text);
        return Some(if results { RangeCap::Density } else { RangeCap::Structural });
    }
    if amounts::too_many_results(text) || amounts::too_heavy(text) {
        return Some(RangeCap::Density);
    }
    if code == -32614 || text.has(&["smaller than size"]) {
        return Some(RangeCap::Structural);
    }
    // Advice alone ("use a smaller range") names no cap, unless with a number.
    (amounts::of_blocks(text) && amounts::advises(text)).then(|| match hints::names_blocks(text) {
        true => RangeCap::Structural,
        false => RangeCap::Density,
    })
}

#[cfg(test)]
mod grammar;
#[cfg(test)]
mod tests;

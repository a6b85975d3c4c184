//! What answers say of blocks, of what they hold, and of filters.

use super::text::Text;

const BLOCKS: &[&str] =
    &["block", "blocks", "range", "ranges", "blockrange", "blockranges", "span", "distance"];
const RESULTS: &[&str] = &[
    "result",
    "results",
    "log",
    "logs",
    "event",
    "events",
    "entries",
    "records",
    "rows",
    "response",
    "responses",
];
const BYTES: &[&str] = &["bytes", "byte", "kb", "kib", "mb", "mib", "gb"];
const TOO_MUCH: &[&str] = &[
    "limit",
    "limits",
    "limited",
    "max",
    "maximum",
    "exceed",
    "exceeds",
    "exceeded",
    "exceeding",
    "larger",
    "greater",
    "bigger",
    "wider",
    "longer",
    "wide",
    "cap",
    "capped",
    "over",
    "threshold",
];
const TOO_MUCH_PHRASES: &[&str] = &[
    "too large",
    "too wide",
    "too big",
    "too many",
    "too long",
    "too great",
    "too broad",
    "up to",
    "at most",
    "more than",
    "less than",
    "fewer than",
    "smaller than",
    "no more",
];

/// Whether it speaks of blocks or ranges.
pub(super) fn of_blocks(text: &Text) -> bool {
    text.word(BLOCKS)
}

/// Whether something is too much, or has a limit.
pub(super) fn too_much(text: &Text) -> bool {
    text.word(TOO_MUCH) || text.has(TOO_MUCH_PHRASES)
}

/// Whether it tells to ask for less.
pub(super) fn advises(text: &Text) -> bool {
    text.word(&[
        "reduce",
        "smaller",
        "narrower",
        "narrow",
        "shorten",
        "shorter",
        "decrease",
        "split",
        "fewer",
        "less",
        "lower",
        "restrict",
        "restricted",
        "only",
        "within",
        "allowed",
        "permitted",
        "supported",
        "supports",
    ])
}

/// Whether what the blocks hold is certainly what is too much: results, bytes
/// or time.
pub(super) fn dense(text: &Text) -> bool {
    const PHRASES: &[&str] = &[
        "response size",
        "result size",
        "response too large",
        "response is too",
        "response too big",
        "result too large",
        "result set too",
        "too many results",
        "too many logs",
        "too many events",
        "max results",
        "max logs",
        "logs matched",
        "timeout",
        "timed out",
        "time out",
        "deadline exceeded",
        "took too long",
        "takes too long",
        "time limit",
        "execution aborted",
        // A proxy whose backends all fell over the query.
        "no backend is currently healthy",
    ];
    let sized = text.counts(BYTES) || text.words().iter().any(|word| is_size(word));
    text.has(PHRASES) || ((text.counts(RESULTS) || sized) && too_much(text))
}

/// `10mb`.
fn is_size(word: &str) -> bool {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && word.strip_prefix(digits).is_some_and(|unit| BYTES.contains(&unit))
}

/// Whether results are spoken of as too many.
pub(super) fn too_many_results(text: &Text) -> bool {
    text.near(RESULTS, TOO_MUCH)
        || text.near(RESULTS, &["many", "large", "big", "most", "than"])
        || (!of_blocks(text) && text.word(RESULTS) && too_much(text))
}

/// Whether the question as a whole is too much.
pub(super) fn too_heavy(text: &Text) -> bool {
    text.word(&["query", "request", "filter", "search"])
        && text.has(&[
            "too large",
            "too wide",
            "too big",
            "too broad",
            "too heavy",
            "too expensive",
            "too complex",
        ])
}

/// Whether addresses or topics are too many, and blocks are not what is
/// spoken of.
pub(super) fn filter_too_wide(text: &Text) -> bool {
    const PARTS: &[&str] =
        &["address", "addresses", "topic", "topics", "filters", "contracts", "addrs"];
    let body = text.has(&["request entity too large", "request body", "request size"]);
    // "Use fewer blocks or add an address" is about the range, as are results.
    let other = of_blocks(text) || dense(text) || text.word(&["results", "logs", "events"]);
    let fewer =
        too_much(text) || text.word(&["less", "fewer", "reduce", "many", "number", "split"]);
    (body && too_much(text)) || (text.word(PARTS) && fewer && (!other || named_apart(text)))
}

/// "exceed max addresses or topics", whatever else is said.
fn named_apart(text: &Text) -> bool {
    const NAMES: &[&str] = &["addresses or topics", "too many addresses", "too many topics"];
    text.has(NAMES) || text.has(&["less number of address", "max topics", "max addresses"])
}

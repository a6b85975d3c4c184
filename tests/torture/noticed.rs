//! What the daemon says that it noticed: a fault that nobody notices is worth nothing.

use std::collections::BTreeMap;

/// Names, and what its log says then.
const NOTICES: [(&str, &str); 15] = [
    ("blocks_retracted", "retracting orphaned blocks"),
    ("books_adopted", "adopted from the stream: the books did not know it"),
    ("books_older", "the books are an older copy"),
    ("broker_restarted", "nats-server ended; restarting it"),
    ("contract_refuses", "refuses every call"),
    ("dead_letter", "dead letter: "),
    ("died_at_failpoint", "the process dies on purpose"),
    ("endpoint_lied", "endpoint quarantined: it lied"),
    ("endpoint_outvoted", "most endpoints have another block than this one"),
    ("fees_above_cap", "above the cap of"),
    ("fold_remade", "rebuilding"),
    ("foreign_nonces", "were used by somebody else"),
    ("no_room", "atomic publish batch is incomplete"),
    ("stream_missing", "it is declared when meritd starts"),
    ("stream_reread", "the stream lost messages"),
];

/// How often each stands in a log.
pub(super) fn of(log: &str) -> BTreeMap<&'static str, u64> {
    let count = |text: &str| log.lines().filter(|line| line.contains(text)).count() as u64;
    let counts = NOTICES.into_iter().map(|(name, text)| (name, count(text)));
    counts.filter(|(_, count)| *count > 0).collect()
}

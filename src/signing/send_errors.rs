//! What a node means when it refuses a signed transaction.
//!
//! Clients say the same in other words, wrap each other's texts and share the
//! code -32000 for nearly everything, so the text decides, as words in order
//! and not as a whole string. The table below is read top to bottom: a
//! narrower meaning stands before a wider one whose words it contains
//! (`unknown transaction` contains `known transaction`).
//!
//! Whatever is not recognised counts as [`SendOutcome::UnknownFate`]: the node
//! may have the transaction, its nonce stays bound, and the same bytes are
//! sent again.

use serde_json::Value;

use super::reverts;

/// The answer to one broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// The node took it into its pool.
    Accepted,
    /// The node had these very bytes already: success.
    AlreadyKnown,
    /// Some transaction with this nonce is mined: ask the chain which.
    NonceTooLow,
    /// A nonce before it is missing.
    NonceTooHigh,
    /// The pool holds another transaction of the same nonce at a fee that ours
    /// does not exceed by enough.
    ReplacementUnderpriced,
    /// Below what the node or the next block asks, or tip and cap disagree.
    FeeTooLow,
    /// Above the node's own cap: its operator's setting.
    AboveNodeCap,
    /// The signer can't pay for it.
    InsufficientFunds,
    /// The pool is full: later, or elsewhere.
    PoolFull,
    /// Too many of this sender's transactions are in the pool.
    SenderLimit,
    /// The provider's own limit: later, or elsewhere.
    RateLimited,
    /// These bytes will never be taken.
    NeverAcceptable {
        /// What the node said, cut at 200 characters.
        reason: String,
    },
    /// The node ran it and it reverted.
    Reverted {
        /// What the node said, cut at 200 characters.
        reason: String,
        /// Revert data, where it was found.
        data: Option<alloy::primitives::Bytes>,
    },
    /// A timeout, a broken connection, a gateway's error or words that we do
    /// not know: the node may have it.
    UnknownFate,
}

impl SendOutcome {
    /// Its word in metrics: stable.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::AlreadyKnown => "already_known",
            Self::NonceTooLow => "nonce_too_low",
            Self::NonceTooHigh => "nonce_too_high",
            Self::ReplacementUnderpriced => "replacement_underpriced",
            Self::FeeTooLow => "fee_too_low",
            Self::AboveNodeCap => "above_node_cap",
            Self::InsufficientFunds => "insufficient_funds",
            Self::PoolFull => "pool_full",
            Self::SenderLimit => "sender_limit",
            Self::RateLimited => "rate_limited",
            Self::NeverAcceptable { .. } => "never_acceptable",
            Self::Reverted { .. } => "reverted",
            Self::UnknownFate => "unknown_fate",
        }
    }
}

#[cfg(test)]
impl SendOutcome {
    /// One of each.
    pub(super) fn examples() -> Vec<Self> {
        vec![
            Self::Accepted,
            Self::AlreadyKnown,
            Self::NonceTooLow,
            Self::NonceTooHigh,
            Self::ReplacementUnderpriced,
            Self::FeeTooLow,
            Self::AboveNodeCap,
            Self::InsufficientFunds,
            Self::PoolFull,
            Self::SenderLimit,
            Self::RateLimited,
            Self::NeverAcceptable { reason: String::new() },
            Self::Reverted { reason: String::new(), data: None },
            Self::UnknownFate,
        ]
    }
}

#[derive(Clone, Copy)]
enum Meaning {
    Known,
    Low,
    High,
    Replacement,
    Fee,
    NodeCap,
    Funds,
    Pool,
    Sender,
    Rate,
    Never,
    Reverted,
    Unknown,
}

/// Texts in lower case; `…` stands for anything in between. First match wins.
const TABLE: &[(&str, Meaning)] = &[
    // What follows these is the contract's text, which may say anything.
    ("execution reverted", Meaning::Reverted),
    ("vm exception while processing transaction", Meaning::Reverted),
    ("reverted 0x", Meaning::Reverted),
    // Contains "known transaction" but says the opposite.
    ("unknown transaction", Meaning::Unknown),
    // A transaction type that this chain does not know.
    ("transaction type not supported", Meaning::Never),
    ("already known", Meaning::Known),
    ("alreadyknown", Meaning::Known),
    ("known transaction", Meaning::Known),
    ("transaction with the same hash was already imported", Meaning::Known),
    ("already imported", Meaning::Known),
    // Replacement texts name the nonce, and some the price: before both.
    ("replacement transaction underpriced", Meaning::Replacement),
    ("replacementnotallowed", Meaning::Replacement),
    ("replacement not allowed", Meaning::Replacement),
    ("another transaction with same nonce", Meaning::Replacement),
    ("another tx which has the same nonce", Meaning::Replacement),
    // Sender limits name nonces and transactions in a queue.
    ("account limit exceeded", Meaning::Sender),
    ("gapped-nonce tx from delegated", Meaning::Sender),
    ("in-flight transaction limit", Meaning::Sender),
    ("txpool is full", Meaning::Pool),
    ("tx pool full", Meaning::Pool),
    ("transaction pool is full", Meaning::Pool),
    ("queue full", Meaning::Pool),
    ("queue is full", Meaning::Pool),
    ("too many transactions in the queue", Meaning::Pool),
    ("nonce too low", Meaning::Low),
    ("nonce is too low", Meaning::Low),
    ("oldnonce", Meaning::Low),
    ("old nonce", Meaning::Low),
    ("nonce too high", Meaning::High),
    ("nonce is too high", Meaning::High),
    ("nonce too far in the future", Meaning::High),
    ("noncegap", Meaning::High),
    ("nonce gap", Meaning::High),
    ("exceeds next nonce", Meaning::High),
    ("nonce out of range", Meaning::High),
    ("tx fee … exceeds the configured cap", Meaning::NodeCap),
    ("transaction fee cap exceeded", Meaning::NodeCap),
    ("insufficient funds", Meaning::Funds),
    ("insufficientfunds", Meaning::Funds),
    ("insufficient balance", Meaning::Funds),
    ("upfront cost exceeds account balance", Meaning::Funds),
    // Block limit before fees: "gas limit" and "gas price" share a word.
    ("exceeds block gas limit", Meaning::Never),
    ("intrinsic gas too low", Meaning::Never),
    ("intrinsicgastoolow", Meaning::Never),
    ("oversized data", Meaning::Never),
    ("invalid sender", Meaning::Never),
    ("gas uint64 overflow", Meaning::Never),
    ("max initcode size exceeded", Meaning::Never),
    ("gaslimitexceeded", Meaning::Never),
    ("only replay-protected", Meaning::Never),
    ("invalid chain id", Meaning::Never),
    ("transaction underpriced", Meaning::Fee),
    ("gas price below configured minimum", Meaning::Fee),
    ("feetoolowtocompete", Meaning::Fee),
    ("feetoolow", Meaning::Fee),
    ("fee too low", Meaning::Fee),
    ("max fee per gas less than block base fee", Meaning::Fee),
    ("gas price too low", Meaning::Fee),
    ("gas price … is too low", Meaning::Fee),
    ("tip above fee cap", Meaning::Fee),
    ("max priority fee per gas higher than max fee per gas", Meaning::Fee),
    // "… out of gas" of a simulation, not "gas required exceeds allowance".
    ("out of gas", Meaning::Reverted),
    ("outofgas", Meaning::Reverted),
    ("invalid opcode", Meaning::Reverted),
    ("stack underflow", Meaning::Reverted),
    ("too many requests", Meaning::Rate),
    ("rate limit", Meaning::Rate),
    ("request limit", Meaning::Rate),
    ("compute units per second", Meaning::Rate),
];

const REASON_CHARS: usize = 200;

/// Reads a refusal of `eth_sendRawTransaction`.
///
/// `code`, `message` and `data` are of the JSON-RPC error object; where the
/// endpoint answered by an HTTP error instead, `message` is the body.
#[must_use]
pub fn classify_send(
    code: i64,
    message: &str,
    data: Option<&Value>,
    http_status: Option<u16>,
) -> SendOutcome {
    let mut text = message.to_lowercase();
    // Some put the node's own words into `data` below a general message.
    if let Some(inner) = data.and_then(inner_text) {
        text.push('\n');
        text.push_str(&inner.to_lowercase());
    }
    let meaning = TABLE.iter().find(|(words, _)| contains(&text, words)).map(|row| row.1);
    let reason = || message.chars().take(REASON_CHARS).collect::<String>();
    match meaning {
        Some(Meaning::Known) => SendOutcome::AlreadyKnown,
        Some(Meaning::Low) => SendOutcome::NonceTooLow,
        Some(Meaning::High) => SendOutcome::NonceTooHigh,
        Some(Meaning::Replacement) => SendOutcome::ReplacementUnderpriced,
        Some(Meaning::Fee) => SendOutcome::FeeTooLow,
        Some(Meaning::NodeCap) => SendOutcome::AboveNodeCap,
        Some(Meaning::Funds) => SendOutcome::InsufficientFunds,
        Some(Meaning::Pool) => SendOutcome::PoolFull,
        Some(Meaning::Sender) => SendOutcome::SenderLimit,
        Some(Meaning::Rate) => SendOutcome::RateLimited,
        Some(Meaning::Never) => SendOutcome::NeverAcceptable { reason: reason() },
        Some(Meaning::Reverted) => {
            SendOutcome::Reverted { reason: reason(), data: reverts::revert_data(message, data) }
        }
        Some(Meaning::Unknown) => SendOutcome::UnknownFate,
        // EIP-1474: -32005 is "limit exceeded"; code 3 is geth's revert.
        None if code == -32005 || http_status == Some(429) => SendOutcome::RateLimited,
        None if code == 3 => {
            SendOutcome::Reverted { reason: reason(), data: reverts::revert_data(message, data) }
        }
        None => SendOutcome::UnknownFate,
    }
}

fn inner_text(data: &Value) -> Option<&str> {
    match data {
        Value::String(text) => Some(text),
        Value::Object(object) => ["message", "originalError", "reason"]
            .iter()
            .find_map(|key| object.get(*key).and_then(inner_text)),
        _ => None,
    }
}

fn contains(text: &str, words: &str) -> bool {
    let mut rest = text;
    words.split('…').all(|part| match rest.find(part.trim()) {
        Some(at) => {
            rest = &rest[at + part.trim().len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests;

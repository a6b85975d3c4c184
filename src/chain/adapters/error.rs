//! Why an adapter can't be made, and why a log can't be decoded.

use alloy::primitives::B256;

use super::Kind;
use crate::{domain::Name, shortened::shortened};

/// Why no adapter can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdapterError {
    /// Kind `abi` needs an ABI.
    #[error("a contract of kind `abi` needs an ABI file")]
    NoAbi,
    /// The ABI has nothing to listen to.
    #[error("the ABI has no events")]
    NoEvents,
    /// An anonymous event has no topic 0, so its logs can't be told apart.
    #[error(
        "event `{}` is anonymous: its logs carry no topic 0 to know them by; remove it from the ABI file",
        shortened(signature)
    )]
    Anonymous {
        /// The event.
        signature: String,
    },
    /// A parameter's type can't be resolved, or the event has too many topics.
    #[error("event `{}` can't be resolved: {}", shortened(signature), shortened(reason))]
    Unresolvable {
        /// The event.
        signature: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The event's name can't be a subject token.
    #[error(
        "event `{}` becomes `{name}`, which is no name of at most 64 letters, digits and `_`",
        shortened(signature)
    )]
    Unnameable {
        /// The event.
        signature: String,
        /// The name in snake_case.
        name: String,
    },
}

/// Why a log of a known event can't be decoded. It belongs among the dead
/// letters, with the raw log.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "log {log_index} of transaction {transaction_hash} in block {block} of contract `{contract}` \
     (topic 0 {topic0}, {topics} topics) can't be decoded as kind `{kind}`: {reason}"
)]
pub struct DecodeError {
    /// The contract's configured name.
    pub contract: Name,
    /// How it was to be decoded.
    pub kind: Kind,
    /// Block number.
    pub block: u64,
    /// Hash of the transaction; zero when the log names none.
    pub transaction_hash: B256,
    /// Index of the log in its block; `u64::MAX` when the log names none.
    pub log_index: u64,
    /// The event's topic.
    pub topic0: B256,
    /// How many topics the log has.
    pub topics: usize,
    /// What is wrong.
    pub reason: DecodeReason,
}

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecodeReason {
    /// The event is known, but not with as many indexed parameters.
    #[error("no known event has this topic 0 and as many topics (a fork of the standard?)")]
    UnknownLayout,
    /// The data is not what the declaration says.
    #[error("its data is not that of `{declaration}`: {source}")]
    Data {
        /// The event as declared.
        declaration: String,
        /// What the ABI decoder says.
        source: alloy::dyn_abi::Error,
    },
    /// Decoded, it would be very much larger than it is.
    #[error(
        "its data names parts again and again, to be more than twice its size as `{declaration}`"
    )]
    Excessive {
        /// The event as declared.
        declaration: String,
    },
    /// Lists that belong together have different lengths.
    #[error("the lists of `{declaration}` differ in length: {lists}")]
    UnequalLists {
        /// The event as declared.
        declaration: String,
        /// How long each is.
        lists: String,
    },
    /// The endpoint left out where the log stands.
    #[error("the log has no {0}")]
    Missing(&'static str),
}

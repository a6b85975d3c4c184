//! From raw logs to standard events.
//!
//! A kind of contract is a table of event declarations whose parameters
//! already carry their standard names. A log is matched by (kind, topic 0,
//! number of topics), because topic 0 alone does not tell a layout: ERC-20 and
//! ERC-721 share that of `Transfer`.

mod abi;
mod achievements;
mod erc721;
mod fields;
mod governor;
mod layout;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use alloy::{
    json_abi::JsonAbi,
    primitives::{Address, B256},
    rpc::types::Log,
};
use serde::{Deserialize, Serialize};

use crate::domain::{BlockRef, Event, EventId, EventSchema, Name, Origin, Position};
use layout::Layout;

/// What a watched contract is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An OpenZeppelin Governor, version 4 or 5, with its extensions.
    Governor,
    /// An ERC-721 token, with ERC-5192 locks.
    Erc721,
    /// A contract that keeps achievements.
    Achievements,
    /// Any contract, by its ABI file.
    Abi,
}

impl Kind {
    /// The name as configuration writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Governor => "governor",
            Self::Erc721 => "erc721",
            Self::Achievements => "achievements",
            Self::Abi => "abi",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

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
        "event `{signature}` is anonymous: its logs carry no topic 0 to know them by; remove it from the ABI file"
    )]
    Anonymous {
        /// The event.
        signature: String,
    },
    /// A parameter's type can't be resolved, or the event has too many topics.
    #[error("event `{signature}` can't be resolved: {reason}")]
    Unresolvable {
        /// The event.
        signature: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The event's name can't be a subject token.
    #[error(
        "event `{signature}` becomes `{name}`, which is no name of at most 64 letters, digits and `_`"
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
    /// The endpoint left out where the log stands.
    #[error("the log has no {0}")]
    Missing(&'static str),
}

/// Where a log was found.
#[derive(Clone, Debug)]
pub struct LogContext {
    /// The chain's configured name.
    pub chain: Name,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The contract's configured name.
    pub contract: Name,
    /// Which log of this contract within its transaction, from 0.
    pub ordinal: u64,
    /// The block that has the log.
    pub block: BlockRef,
}

/// What a log turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// A standard event.
    Event(Box<Event>),
    /// Something that this kind does not listen to.
    NotOurs,
}

/// Decodes the logs of one contract.
#[derive(Clone, Debug)]
pub struct Adapter {
    kind: Kind,
    layouts: Vec<Layout>,
    /// Into `layouts`, by (topic 0, number of topics); several differ by condition.
    by_topics: HashMap<(B256, usize), Vec<usize>>,
    known: HashSet<B256>,
    foreign: Vec<(B256, usize)>,
}

impl Adapter {
    /// The adapter of a kind; only kind `abi` looks at `abi`.
    ///
    /// # Errors
    /// When kind `abi` has no ABI, or one with events that can't be listened to.
    pub fn for_kind(kind: Kind, abi: Option<&JsonAbi>) -> Result<Self, AdapterError> {
        let (layouts, foreign) = match kind {
            Kind::Governor => (layout::of_table(governor::EVENTS)?, vec![]),
            Kind::Erc721 => {
                (layout::of_table(erc721::EVENTS)?, layout::topics_of(erc721::FOREIGN)?)
            }
            Kind::Achievements => (layout::of_table(achievements::EVENTS)?, vec![]),
            Kind::Abi => (abi::layouts(abi.ok_or(AdapterError::NoAbi)?)?, vec![]),
        };
        let mut by_topics = HashMap::<_, Vec<usize>>::new();
        for (index, layout) in layouts.iter().enumerate() {
            by_topics.entry((layout.topic0, layout.topics)).or_default().push(index);
        }
        let known = layouts.iter().map(|layout| layout.topic0).collect();
        Ok(Self { kind, layouts, by_topics, known, foreign })
    }

    /// The kind it was made for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The events it can give, one schema per name.
    #[must_use]
    pub fn schemas(&self) -> Vec<EventSchema> {
        let mut by_name = BTreeMap::new();
        for layout in &self.layouts {
            by_name.entry(layout.name.clone()).or_insert_with(|| layout.schema());
        }
        by_name.into_values().collect()
    }

    /// The topics 0 that it listens to, each once: a filter for `eth_getLogs`.
    #[must_use]
    pub fn topics0(&self) -> Vec<B256> {
        let mut topics: Vec<_> = self.known.iter().copied().collect();
        topics.sort_unstable();
        topics
    }

    /// Decodes one log.
    ///
    /// # Errors
    /// When topic 0 is one of ours and the rest is not what was declared.
    pub fn decode(&self, context: &LogContext, log: &Log) -> Result<Decoded, Box<DecodeError>> {
        let topics = log.topics();
        let Some(topic0) = topics.first().copied() else { return Ok(Decoded::NotOurs) };
        let key = (topic0, topics.len());
        if !self.known.contains(&topic0) || self.foreign.contains(&key) {
            return Ok(Decoded::NotOurs);
        }
        let refuse = |reason| {
            Box::new(DecodeError {
                contract: context.contract.clone(),
                kind: self.kind,
                block: context.block.number,
                transaction_hash: log.transaction_hash.unwrap_or_default(),
                log_index: log.log_index.unwrap_or(u64::MAX),
                topic0,
                topics: topics.len(),
                reason,
            })
        };
        let missing = |what| refuse(DecodeReason::Missing(what));
        let transaction_hash = log.transaction_hash.ok_or_else(|| missing("transaction hash"))?;
        let transaction_index =
            log.transaction_index.ok_or_else(|| missing("transaction index"))?;
        let log_index = log.log_index.ok_or_else(|| missing("log index"))?;

        let layouts = self.by_topics.get(&key).map(Vec::as_slice).unwrap_or_default();
        for layout in layouts.iter().filter_map(|index| self.layouts.get(*index)) {
            if !layout.applies(topics) {
                continue;
            }
            let fields = layout.decode(topics, &log.data().data).map_err(|source| {
                refuse(DecodeReason::Data { declaration: layout.declaration.clone(), source })
            })?;
            let BlockRef { number, hash, time, .. } = context.block;
            let chain_id = context.chain_id;
            return Ok(Decoded::Event(Box::new(Event {
                id: EventId::of(chain_id, hash, transaction_hash, log_index),
                origin: Origin { chain_id, transaction_hash, ordinal: context.ordinal },
                chain: context.chain.clone(),
                contract: context.contract.clone(),
                address: log.address(),
                name: layout.name.clone(),
                position: Position { time, chain_id, block: number, transaction_index, log_index },
                block: context.block,
                fields,
            })));
        }
        Err(refuse(DecodeReason::UnknownLayout))
    }
}

/// Which log of its contract each log is within its transaction: the
/// [`LogContext::ordinal`] of each. `logs` are in order, of whole blocks.
#[must_use]
pub fn ordinals(logs: &[Log]) -> Vec<u64> {
    let mut next = HashMap::<(Option<B256>, Option<B256>, Address), u64>::new();
    logs.iter()
        .map(|log| {
            let key = (log.block_hash, log.transaction_hash, log.address());
            let counter = next.entry(key).or_default();
            let ordinal = *counter;
            *counter += 1;
            ordinal
        })
        .collect()
}

#[cfg(test)]
mod tests;

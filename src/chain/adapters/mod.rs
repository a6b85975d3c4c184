//! From raw logs to standard events.
//!
//! A kind of contract is a table of event declarations whose parameters
//! already carry their standard names. A log is matched by (kind, topic 0,
//! number of topics), because topic 0 alone does not tell a layout: ERC-20 and
//! ERC-721 share that of `Transfer`.

mod abi;
mod error;
mod fields;
mod kind;
mod layout;
mod spec;
mod tables;

use std::collections::{BTreeMap, HashMap, HashSet, btree_map::Entry};

use alloy::{
    json_abi::JsonAbi,
    primitives::{Address, B256},
    rpc::types::Log,
};

pub use error::{AdapterError, DecodeError, DecodeReason};
pub use kind::Kind;

use crate::domain::{BlockRef, Event, EventId, EventSchema, Name, Origin, Position};
use layout::Layout;

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
        let layouts = match kind {
            Kind::Abi => abi::layouts(abi.ok_or(AdapterError::NoAbi)?)?,
            _ => layout::of_rows(tables::of(kind).iter().copied().flatten())?,
        };
        let foreign = layout::topics_of(tables::foreign(kind))?;
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

    /// The events it can give, one schema per name: where several layouts have
    /// one name, the fields that all of them have.
    #[must_use]
    pub fn schemas(&self) -> Vec<EventSchema> {
        let mut by_name = BTreeMap::<Name, EventSchema>::new();
        for layout in &self.layouts {
            let schema = layout.schema();
            match by_name.entry(schema.name.clone()) {
                Entry::Vacant(free) => {
                    free.insert(schema);
                }
                Entry::Occupied(mut known) => known
                    .get_mut()
                    .fields
                    .retain(|field| schema.field(&field.name) == Some(&field.field_type)),
            }
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
            let fields = layout.decode(topics, &log.data().data).map_err(refuse)?;
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

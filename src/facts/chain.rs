//! The order of a source's facts: a chain of blocks that only it has.

use alloy::primitives::{B256, keccak256};
use serde_json::Value as Json;

use super::Fact;
use crate::domain::{
    BlockRef, Event, EventId, EventSum, FieldMap, Name, Origin, Position, Watermark,
    off_chain::{chain_id, off_chain},
};

/// How far a source's facts have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactChain {
    source: Name,
    last: Option<BlockRef>,
}

impl FactChain {
    /// After the last watermark in the stream, or at the beginning.
    #[must_use]
    pub fn after(source: Name, last: Option<BlockRef>) -> Self {
        Self { source, last }
    }

    /// The newest block's time, in seconds since the Unix epoch.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.last.map_or(0, |last| last.time)
    }

    /// The next block with these facts in their order, taken in at a time (seconds since
    /// the Unix epoch; a clock that went back is waited for), and the watermark behind it.
    #[must_use]
    pub fn next(&self, facts: &[Fact], now: u64) -> (Vec<Event>, Watermark) {
        let number = self.last.map_or(1, |last| last.number + 1);
        let parent_hash = self.last.map_or(B256::ZERO, |last| last.hash);
        let time = now.max(self.time());
        let mut content = parent_hash.to_vec();
        content.extend(number.to_be_bytes());
        content.extend(time.to_be_bytes());
        content.extend(facts.iter().flat_map(|fact| fact.digest));
        let block = BlockRef { number, hash: keccak256(content), parent_hash, time };
        let chain_id = chain_id(&self.source);
        let event = |(log_index, fact): (u64, &Fact)| Event {
            id: EventId::of(chain_id, block.hash, fact.digest, log_index),
            origin: Origin { chain_id, transaction_hash: fact.digest, ordinal: 0 },
            chain: off_chain(),
            contract: self.source.clone(),
            address: fact.by,
            name: fact.event.clone(),
            position: Position {
                time,
                chain_id,
                block: number,
                transaction_index: log_index,
                log_index,
            },
            block,
            fields: fact.all_fields(),
        };
        let events: Vec<Event> = (0..).zip(facts).map(event).collect();
        let closed: EventSum = events.iter().map(|event| event.id).collect();
        let watermark = Watermark::Progress {
            chain: off_chain(),
            chain_id,
            contract: self.source.clone(),
            through: block,
            recent: vec![block],
            // Nobody takes a fact back.
            finalized: number,
            events: Some(closed.events),
            digest: Some(closed.digest),
            after: self.last,
        };
        (events, watermark)
    }

    /// Goes on behind a block that the stream has.
    pub fn advance(&mut self, watermark: &Watermark) {
        self.last = Some(*watermark.complete_through());
    }
}

/// The field of an event that has what its source told it from others by.
pub const ID_FIELD: &str = "fact_id";

impl Fact {
    fn all_fields(&self) -> FieldMap {
        let mut fields = FieldMap::from(self.fields.clone());
        fields.insert(ID_FIELD, Json::String(self.id.clone()));
        fields
    }
}
